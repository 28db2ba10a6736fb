/** Behind an existing SIP stack, which does transactions, routing and digest; requests arrive here as plain values. */
import { Presence } from "presently"
import type { Notification, PresenceRefused } from "presently"

/** A request as such a stack passes it on. */
interface Request {
  readonly uri: string
  readonly from: string
  readonly expires?: number
  readonly ifMatch?: string
  readonly body?: string
}

const presence = await Presence.make({ limits: { maxExpiresPublish: 3600, maxExpiresSubscribe: 3600 } })
const refused = ({ status, message }: PresenceRefused) => ({ status, reason: message })

const onPublish = async ({ uri: presentity, ifMatch: entityTag, from: _from, ...rest }: Request) =>
  presence
    .publish({ presentity, ...(entityTag === undefined ? {} : { entityTag }), ...rest })
    .then(({ entityTag, expires }) => ({ status: 200, "SIP-ETag": entityTag, Expires: expires }), refused)

const onSubscribe = async (
  { uri: presentity, from: watcher, expires = 3600 }: Request,
  notify: (notification: Notification) => Promise<void>,
) => {
  const watch = await presence.watch({ presentity, watcher, expires }).catch(refused)
  if ("status" in watch) return watch
  // each NOTIFY is awaited: the next one waits for the answer, and then carries the newest state
  void (async () => {
    for await (const notification of watch) await notify(notification)
  })()
  return { status: 200, Expires: watch.expires }
}

const alice = { uri: "sip:alice@example.com", from: "sip:bob@example.com" }
const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice.uri}"><tuple id="t"/></presence>`
const sent: string[] = []
const notify = async ({ state, body }: Notification) =>
  void sent.push(`NOTIFY ${state} ${body === null ? "-" : "pidf"}`)
console.log(JSON.stringify(await onSubscribe({ ...alice, expires: 600 }, notify)))
console.log(JSON.stringify({ ...(await onPublish({ ...alice, expires: 7200, body })), "SIP-ETag": "..." }))
console.log(JSON.stringify(await onPublish({ ...alice, ifMatch: "stale", body })))
await presence.settle()
console.log(sent.join(", "))
await presence.close()

// prints:
// {"status":200,"Expires":600}
// {"status":200,"SIP-ETag":"...","Expires":3600}
// {"status":412,"reason":"conditional request failed"}
// NOTIFY active -, NOTIFY active pidf
