/**
 * Who is registered here, as presence and as registration information.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { openScene } from "../support/scene.ts"
import type { Call } from "../support/scene.ts"
import { answer, pidf, tuple } from "../support/sip-client.ts"

const settings = { presence_from_register: true, reg_from_register: true, notify_min_interval: 0 }
const alice = "sip:alice@example.com"
const open = { Expires: "600" }
const reg = { Event: "reg", Accept: "application/reginfo+xml", Expires: "600" }

const told = async (call: Call): Promise<string> => {
  const notify: Message = await call.notify(8_000)
  answer(call.phone, notify)
  return notify.raw.body.toString("utf8")
}
const registers = async (call: Call, headers: Readonly<Record<string, string>>): Promise<Message> => {
  const response = await call.ask("REGISTER", { To: `<${alice}>`, ...headers }, "", "sip:example.com")
  assert.equal(response.raw.status, 200)
  return response
}
/** `t1 open …` of the tuples. */
const shown = (text: string): string =>
  [...text.matchAll(/<tuple id="([^"]+)"[^>]*>.*?<basic>(\w+)</gs)]
    .map(([, id, basic]) => `${id} ${basic}`)
    .join(", ")
/** State of the registration, and its contacts with state and event. */
const registered = (text: string): string =>
  [
    /<registration [^>]*state="(\w+)"/.exec(text)?.[1] ?? "none",
    ...[...text.matchAll(/<contact [^>]*state="(\w+)" event="(\w+)"><uri>sip:(\w+)@/g)].map(
      ([, state, event, user]) => `${user} ${state} ${event}`,
    ),
  ].join(", ")

describe("a registration", () => {
  it("shows as open, and as closed when it ends", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [watcher, phone] = [await another("bob"), await another("alice")]
    await watcher.subscribe(open)
    assert.equal(shown(await told(watcher)), "")
    const response = await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    assert.match(response.header("contact") ?? "", /^<sip:desk@192\.0\.2\.9>;expires=300$/)
    assert.equal(shown(await told(watcher)), "registered open")
    // renewing tells nobody anything, and neither does a second phone
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    await registers(phone, { Contact: "<sip:mobile@192.0.2.9>", Expires: "300" })
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "0" })
    await registers(phone, { Contact: "*", Expires: "0" })
    assert.equal(shown(await told(watcher)), "registered closed")
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "1" })
    assert.equal(shown(await told(watcher)), "registered open")
    assert.equal(shown(await told(watcher)), "registered closed")
  })

  it("says less than what a device publishes", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [watcher, phone] = [await another("bob"), await another("alice")]
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    await watcher.subscribe(open)
    assert.equal(shown(await told(watcher)), "registered open")
    const published = await (await another("alice")).publish(open, pidf(tuple("t1", "closed")))
    assert.equal(shown(await told(watcher)), "t1 closed")
    const tag = published.header("sip-etag") ?? ""
    await (await another("alice")).publish({ Expires: "0", "SIP-If-Match": tag })
    assert.match(shown(await told(watcher)), /^registered open/)
  })

  it("is registration information, contact by contact", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [watcher, phone] = [await another("alice"), await another("alice")]
    await watcher.subscribe(reg)
    assert.equal(registered(await told(watcher)), "none")
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    assert.equal(registered(await told(watcher)), "active, desk active registered")
    await registers(phone, { Contact: "<sip:mobile@192.0.2.9>", Expires: "2" })
    assert.equal(registered(await told(watcher)), "active, desk active registered, mobile active registered")
    // nobody says that it is gone
    assert.equal(registered(await told(watcher)), "active, desk active registered, mobile terminated expired")
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    await registers(phone, { Contact: "<sip:lab@192.0.2.9?a=1&b=2>", Expires: "300" })
    assert.equal(registered(await told(watcher)), "active, desk active registered, lab active registered")
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "0" })
    assert.equal(
      registered(await told(watcher)),
      "active, lab active registered, desk terminated unregistered",
    )
    await registers(phone, { Contact: "*", Expires: "0" })
    assert.equal(registered(await told(watcher)), "none")
  })

  it("asks for nothing and changes nothing", async (context) => {
    const { another } = await openScene(context, settings, "tcp")
    const [watcher, phone] = [await another("bob"), await another("alice")]
    await watcher.subscribe(open)
    assert.equal(shown(await told(watcher)), "")
    await registers(phone, {})
    const refused = await phone.ask(
      "REGISTER",
      { To: `<${alice}>`, Contact: "<sip:", Expires: "9" },
      "",
      "sip:example.com",
    )
    assert.equal(refused.raw.status, 400)
    await (await another("alice")).publish(open, pidf(tuple("t1", "open")))
    assert.equal(shown(await told(watcher)), "t1 open")
  })

  it("is published again where its publication was ended by others, or ends too early", async (context) => {
    const { another } = await openScene(context, { ...settings, max_expires_publish: 17 }, "tcp")
    const [watcher, phone] = [await another("bob"), await another("alice")]
    await registers(phone, { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    await watcher.subscribe(open)
    assert.equal(shown(await told(watcher)), "registered open")
    // longer than the publication that was granted: it was renewed meanwhile
    await assert.rejects(watcher.notify(20_000))
  }, 40_000)

  it("means nothing unless the operator wants it", async (context) => {
    const { another } = await openScene(context, { notify_min_interval: 0 }, "tcp")
    await registers(await another("alice"), { Contact: "<sip:desk@192.0.2.9>", Expires: "300" })
    const watcher = await another("bob")
    await watcher.subscribe(open)
    assert.equal(shown(await told(watcher)), "")
  })
})
