/**
 * Packages other than presence and calls, over real sockets.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { notBefore } from "../support/condition.ts"
import { openScene } from "../support/scene.ts"
import type { Call } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"

const take = async (watcher: Call): Promise<Message> => {
  const notify = await watcher.notify()
  answer(watcher.phone, notify)
  return notify
}
const textOf = (notify: Message): string => notify.raw.body.toString("utf8")

describe("message-summary", () => {
  const mwi = "application/simple-message-summary"
  const watching = { Event: "message-summary", Accept: mwi, Expires: null }
  const publishing = { Event: "message-summary", "Content-Type": mwi, Expires: "600" }
  const account = "Message-Account: sip:alice@example.com\r\n"

  it(
    "a phone learns what waits, from the newest publication",
    { tags: ["OPS-req_auth", "F17", "3842-3.1-a", "3842-3.3-a", "3842-3.5-a", "3842-3.8-a", "3842-3.10-a"] },
    async (context) => {
      const { another } = await openScene(context, { policy: "rules" })
      const [phone, voicemail, other] = [await another("alice"), await another("vm"), await another("vm2")]
      const granted = await phone.subscribe(watching)
      assert.deepEqual([granted.raw.status, granted.header("expires")], [200, "3600"])
      const first = await take(phone)
      assert.deepEqual([first.header("event"), first.header("content-type")], ["message-summary", mwi])
      assert.match(textOf(first), /^Messages-Waiting: no\r\n/i)
      const waiting = `Messages-Waiting: yes\r\n${account}Voice-Message: 2/8 (0/2)\r\n`
      const published = await voicemail.publish(publishing, waiting)
      assert.equal(published.raw.status, 200)
      assert.match(textOf(await take(phone)), /Voice-Message: 2\/8 \(0\/2\)/)
      await other.publish(publishing, `Messages-Waiting: no\r\n${account}Voice-Message: 0/10 (0/2)\r\n`)
      assert.match(textOf(await take(phone)), /^Messages-Waiting: no\r\n/i)
    },
  )

  it(
    "what is no summary gets 400, another type 415; two changes in a second are told as one",
    { tags: ["3842-3.5-b", "3842-3.11-a"] },
    async (context) => {
      const { another } = await openScene(context, { notify_min_interval: null })
      const [phone, voicemail] = [await another("alice"), await another("vm")]
      assert.equal((await voicemail.publish(publishing, "Voice-Message: 1/0\r\n")).raw.status, 400)
      const wrong = await voicemail.publish(
        { ...publishing, "Content-Type": "application/pidf+xml" },
        "<presence/>",
      )
      assert.deepEqual([wrong.raw.status, wrong.header("accept")], [415, mwi])
      await phone.subscribe(watching)
      await take(phone)
      const isDue = notBefore()
      let tag: string | null = null
      for (const count of [1, 2, 3]) {
        const response: Message = await voicemail.publish(
          { ...publishing, ...(tag === null ? {} : { "SIP-If-Match": tag }) },
          `Messages-Waiting: yes\r\nVoice-Message: ${count}/0\r\n`,
        )
        tag = response.header("sip-etag")
      }
      assert.match(textOf(await take(phone)), /Voice-Message: 1\/0/)
      assert.match(textOf(await take(phone)), /Voice-Message: 3\/0/)
      isDue(1_000)
    },
  )

  it(
    "a phone that wants nothing when there is nothing gets nothing",
    { tags: ["OPS-build_empty_pres_info", "BUG-34", "OPS-empty_message_summary"] },
    async (context) => {
      const { another } = await openScene(context, { empty_message_summary: false })
      const phone = await another("alice")
      await phone.subscribe(watching)
      assert.equal(textOf(await take(phone)), "")
    },
  )
})

describe("registrations and conferences", () => {
  it.for([
    ["reg", "reginfo", '<registration aor="sip:alice@example.com" id="r1" state="active"/>'],
    ["conference", "conference-info", "<conference-state><user-count>2</user-count></conference-state>"],
  ] as const)(
    "%s is published, numbered for each watcher and gone when it ends",
    { tags: ["3680-4.7.1", "4575-3.5"] },
    async ([name, root, inside], context) => {
      const { another } = await openScene(context)
      const type = `application/${root}+xml`
      const [watcher, publisher] = [await another("bob"), await another("alice")]
      await watcher.subscribe({ Event: name, Accept: type, Expires: "600" })
      assert.match(textOf(await take(watcher)), /version="0"/)
      const entity = name === "conference" ? ' entity="sip:alice@example.com"' : ""
      const body = `<${root} xmlns="urn:ietf:params:xml:ns:${root}" version="5" state="full"${entity}>${inside}</${root}>`
      const published = await publisher.publish({ Event: name, "Content-Type": type, Expires: "600" }, body)
      assert.equal(published.raw.status, 200)
      const shown = textOf(await take(watcher))
      assert.match(shown, /version="1"/)
      assert.ok(shown.includes(name === "reg" ? 'id="r1"' : "<user-count>2</user-count>"))
      await publisher.publish({ Event: name, "SIP-If-Match": published.header("sip-etag")!, Expires: "0" })
      assert.doesNotMatch(textOf(await take(watcher)), /id="r1"|user-count/)
    },
  )
})

describe("a package of one's own by configuration", () => {
  it(
    "is passed on byte for byte, with the parameters of its type, and is another one with a parameter",
    { tags: ["OPS-pass_through"] },
    async (context) => {
      const { another } = await openScene(context, {
        pass_through: ["ua-profile=text/xml", "ua-profile;vendor=acme=multipart/mixed|text/plain"],
      })
      const [watcher, plain, publisher] = [
        await another("bob"),
        await another("carol"),
        await another("alice"),
      ]
      await watcher.subscribe({ Event: "ua-profile;vendor=acme", Accept: null, Expires: "600" })
      assert.equal((await take(watcher)).header("event"), "ua-profile;vendor=acme")
      await plain.subscribe({ Event: "ua-profile", Accept: null, Expires: "600" })
      await take(plain)
      const body = "--b;1\r\nContent-Type: text/plain\r\n\r\nä\r\n--b;1--\r\n"
      const headers = {
        Event: "ua-profile;vendor=acme",
        "Content-Type": 'multipart/mixed;boundary="b;1"',
        Expires: "600",
      }
      assert.equal((await publisher.publish(headers, body)).raw.status, 200)
      const notify = await take(watcher)
      assert.deepEqual(
        [notify.header("content-type"), textOf(notify)],
        ['multipart/mixed;boundary="b;1"', body],
      )
      await plain.phone.hearsNothing()
      const wrong = await publisher.publish(
        { Event: "ua-profile", "Content-Type": "text/plain", Expires: "600" },
        "x",
      )
      assert.deepEqual([wrong.raw.status, wrong.header("accept")], [415, "text/xml"])
      await assert.rejects(
        openScene(context, { pass_through: ["a b=text/plain"] }),
        /that is no name for an Event header/,
      )
    },
  )
})
