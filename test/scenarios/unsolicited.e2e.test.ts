/**
 * Message waiting for phones that are registered and do not subscribe.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { openScene } from "../support/scene.ts"
import type { Call, SceneSettings } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"
import type { Phone, Transport } from "../support/sip-client.ts"

const settings: SceneSettings = { unsolicited_mwi: true, notify_min_interval: 0 }
const alice = "sip:alice@example.com"
const type = "application/simple-message-summary"
const summary = (counts: string): string =>
  `Messages-Waiting: ${counts.startsWith("0") ? "no" : "yes"}\r\nVoice-Message: ${counts}\r\n`

const contactOf = ({ address, transport }: Phone, user = "desk"): string =>
  `<sip:${user}@${address}${transport === "tcp" ? ";transport=tcp" : ""}>`
const registers = async (call: Call, contact: string, expires = "300"): Promise<void> => {
  const headers = { To: `<${alice}>`, Contact: contact, Expires: expires }
  assert.equal((await call.ask("REGISTER", headers, "", "sip:example.com")).raw.status, 200)
}
const leaves = async (call: Call, counts: string, tag = ""): Promise<string> => {
  const match: Record<string, string> = tag === "" ? {} : { "SIP-If-Match": tag }
  const response = await call.publish(
    { Event: "message-summary", "Content-Type": type, Expires: "600", ...match },
    summary(counts),
  )
  assert.equal(response.raw.status, 200)
  return response.header("sip-etag") ?? ""
}
/** The next NOTIFY on this phone, in whatever dialog. */
const told = async (phone: Phone, status?: string): Promise<Message> => {
  const notify = await phone.next(({ raw }) => raw.isRequest && raw.method === "NOTIFY")
  answer(phone, notify, status)
  return notify
}
const counts = (notify: Message): string =>
  /Voice-Message: (\S+)/.exec(notify.raw.body.toString("utf8"))?.[1] ??
  notify.raw.body.toString("utf8").trim()

describe("unsolicited message waiting", () => {
  it.for(["udp", "tcp"] as const)(
    "is told to a phone that is registered, over %s",
    async (transport: Transport, context) => {
      const { another } = await openScene(context, settings, transport)
      const [phone, mailbox] = [await another("alice"), await another("alice")]
      const first = await leaves(mailbox, "2/0")
      await registers(phone, contactOf(phone.phone))
      const notify = await told(phone.phone)
      assert.equal(notify.header("event"), "message-summary")
      assert.doesNotMatch(notify.raw.to, /tag=/)
      // a document may not go to a UDP address that has not answered yet: it follows
      if (counts(notify) !== "2/0") assert.equal(counts(await told(phone.phone)), "2/0")
      await leaves(mailbox, "3/0", first)
      assert.equal(counts(await told(phone.phone)), "3/0")
    },
  )

  it("ends when the phone subscribes by itself, or answers that it wants none", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [phone, other, mailbox] = [await another("alice"), await another("alice"), await another("alice")]
    await registers(phone, contactOf(phone.phone))
    await told(phone.phone)
    const response = await phone.subscribe({
      Event: "message-summary",
      Accept: type,
      Expires: "600",
      Contact: contactOf(phone.phone),
    })
    assert.equal(response.raw.status, 200)
    await phone.notify().then((notify) => answer(phone.phone, notify))
    await registers(phone, contactOf(phone.phone))
    await registers(other, contactOf(other.phone, "lab"))
    await told(other.phone, "481 No Such Subscription")
    await leaves(mailbox, "1/0")
    assert.equal(counts(await phone.notify().then((notify) => (answer(phone.phone, notify), notify))), "1/0")
    await assert.rejects(phone.phone.next(({ raw }) => raw.method === "NOTIFY", 300))
    await assert.rejects(other.phone.next(({ raw }) => raw.method === "NOTIFY", 300))
  })

  it("ends with the registration", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [phone, mailbox] = [await another("alice"), await another("alice")]
    await registers(phone, contactOf(phone.phone))
    await told(phone.phone)
    // within a tenth of a second it would count as a repetition
    await registers(phone, contactOf(phone.phone))
    await new Promise((resolve) => setTimeout(resolve, 150))
    await registers(phone, contactOf(phone.phone), "0")
    // the second REGISTER is a repetition, or is told of as well
    let state = ""
    while (!state.startsWith("terminated"))
      state = (await told(phone.phone)).header("subscription-state") ?? ""
    await leaves(mailbox, "1/0")
    await assert.rejects(phone.phone.next(({ raw }) => raw.method === "NOTIFY", 300))
  })

  it("is not told unless the operator wants it", async (context) => {
    const { another } = await openScene(context, { notify_min_interval: 0 }, "tcp")
    const phone = await another("alice")
    await registers(phone, contactOf(phone.phone))
    await leaves(await another("alice"), "1/0")
    await assert.rejects(phone.phone.next(({ raw }) => raw.method === "NOTIFY", 300))
  })
})
