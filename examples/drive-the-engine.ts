/**
 * The pure engine in a program of one's own: no sockets, no store and no clock but those below. What it promises, and asks, is
 * said at the top of `src/domain/engine/engine.ts`.
 */
import { defaultLimits, fold, initial, makeEngine, makeRegistry } from "presently/domain"
import type { Command, Decision, DialogStart, Offer, Release, Uri } from "presently/domain"
import { presence } from "presently/packages"

const log: Decision[] = []
const load = (stream: Uri) =>
  log.filter((decision) => decision.stream === stream).reduce(fold, initial(stream))
/** @returns the streams on which another writer was first; their decisions are not stored */
const append = async (decisions: readonly Decision[]): Promise<ReadonlySet<Uri>> => {
  log.push(...decisions)
  return new Set()
}

const engine = makeEngine<string>({
  packages: makeRegistry([presence()]),
  limits: defaultLimits,
  authorize: () => "allow",
})
const nonce = (): string => crypto.randomUUID()
let now = Date.UTC(2026, 0, 1)
const deliver = ({ ticket, answer, notifications }: Release<string>): void => {
  if (ticket !== null)
    console.log(`${ticket}: ${answer._tag === "Accepted" ? answer.reply._tag : answer.rejection.status}`)
  for (const { state, reason, cseq, body } of notifications)
    console.log(
      `NOTIFY ${cseq}: ${reason ?? state}, ${/<basic>(\w+)/.exec(body?.text ?? "")?.[1] ?? "nothing"}`,
    )
}

/** The loop: what has fallen due, then what was asked, then the store, then answers and NOTIFYs. */
const drive = async (requests: Offer<string>[]): Promise<void> => {
  engine.advance(now, nonce)
  do {
    for (const request of requests.splice(0)) {
      let offered = engine.offer(request, now, nonce)
      if (offered._tag === "Missing") {
        engine.load(load(offered.presentity))
        offered = engine.offer(request, now, nonce)
      }
      // nothing has to be stored for it
      if (offered._tag === "Released") deliver(offered.release)
    }
    for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100)) {
      try {
        const { release, again } = engine.committed(await append(batch.decisions))
        release.forEach(deliver)
        requests.push(...again)
      } catch {
        // nobody knows whether the batch is stored: its requests are decided again on what the log says
        requests.push(...engine.failed().offers)
      }
    }
  } while (requests.length > 0)
}

const alice = "sip:alice@example.com" as Uri
const bob = "sip:bob@example.com" as Uri
const ask = (ticket: string, command: Command): Offer<string> => ({
  presentity: alice,
  command,
  origin: ticket,
  ticket,
})
const text = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"><status><basic>open</basic></status></tuple></presence>`
const dialog: DialogStart = {
  callId: "c1",
  localTag: "a",
  remoteTag: "b",
  localUri: `<${alice}>`,
  remoteUri: `<${bob}>`,
  remoteTarget: "sip:bob@192.0.2.20",
  routeSet: [],
  remoteCseq: 1,
  localContact: "sip:192.0.2.10",
  flow: "udp:192.0.2.10:5060",
  source: "192.0.2.20:5060",
}

await drive([
  ask("PUBLISH", {
    _tag: "Publish",
    packageName: "presence",
    ifMatch: [],
    expires: 60,
    body: { contentType: "application/pidf+xml", text },
    bodyFault: null,
    sender: null,
  }),
  ask("SUBSCRIBE", {
    _tag: "Subscribe",
    packageName: "presence",
    eventId: null,
    watcher: bob,
    expires: 3600,
    accept: null,
    dialog,
    forceActive: false,
    bodyFault: null,
  }),
])
// the end of each NOTIFY is reported: the next one waits for it
const answered: Command = {
  _tag: "ReportDelivery",
  no: 2,
  cseq: 1,
  outcome: { _tag: "Accepted", remoteTarget: null },
}
await drive([ask("200 OK", answered)])
now += 60_000
await drive([])
console.log(`${log.length} decisions`)

// prints:
// PUBLISH: Published
// SUBSCRIBE: Subscribed
// NOTIFY 1: active, open
// 200 OK: Done
// NOTIFY 2: active, closed
// 3 decisions
