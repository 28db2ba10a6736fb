/**
 * What a server answers besides presence: capabilities, registrations, requests it does not serve; and two at once.
 */
import assert from "node:assert/strict"
import { afterAll, beforeAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { openPhone, pidf, script, tuple } from "../support/sip-client.ts"
import type { Phone, Script, Transport } from "../support/sip-client.ts"

const phoneOpen = pidf(tuple("phone", "open"))

let server: PresenceServer
beforeAll(async () => {
  server = await startPresence({ domain: ["example.com"] })
})
afterAll(() => server.stop())

const open = async (
  { onTestFinished }: TestContext,
  transport: Transport,
  at: PresenceServer = server,
): Promise<Phone> => {
  const phone = await openPhone(at, transport)
  onTestFinished(() => phone.close())
  return phone
}
const bobOn = async (context: TestContext, transport: Transport): Promise<Script> =>
  script(await open(context, transport), { user: "bob" })

describe.concurrent.each<Transport>(["udp", "tcp"])("requests over %s", (transport) => {
  it(
    "OPTIONS tells methods, packages and types, also when addressed to the server itself",
    { tags: ["3261-11.2-a"] },
    async (context) => {
      const bob = await bobOn(context, transport)
      for (const target of ["sip:example.com", `sip:alice@127.0.0.1:${server.portOf(transport)}`]) {
        const response = await bob.ask("OPTIONS", { CSeq: `${++bob.cseq} OPTIONS` }, "", target)
        assert.equal(response.raw.status, 200)
        assert.equal(response.header("allow"), "OPTIONS, PUBLISH, REGISTER, SUBSCRIBE")
        assert.match(response.header("allow-events") ?? "", /\bpresence\b/)
        assert.match(response.header("accept") ?? "", /application\/pidf\+xml/)
      }
    },
  )

  it(
    "methods that exist elsewhere are answered 405, others 501, both with Allow",
    { tags: ["3261-8.2.1-a"] },
    async (context) => {
      for (const [method, status] of [
        ["INVITE", 405],
        ["MESSAGE", 405],
        ["JUMP", 501],
      ] as const) {
        const response = await (await bobOn(context, transport)).ask(method)
        assert.equal(response.raw.status, status)
        assert.equal(response.header("allow"), "OPTIONS, PUBLISH, REGISTER, SUBSCRIBE")
      }
    },
  )

  it(
    "an extension that is required is listed as unsupported",
    { tags: ["3261-8.2.2.3-a"] },
    async (context) => {
      const bob = await bobOn(context, transport)
      const response = await bob.subscribe({ Require: "eventlist, 100rel" })
      assert.equal(response.raw.status, 420)
      assert.equal(response.header("unsupported"), "eventlist, 100rel")
    },
  )

  it("schemes, domains and versions that are not ours", { tags: ["3261-8.2.2.1-a"] }, async (context) => {
    const bob = await bobOn(context, transport)
    const status = async (target: string): Promise<number> =>
      (await script(await open(context, transport), { user: "bob" }).ask("SUBSCRIBE", {}, "", target)).raw
        .status
    assert.equal(await status("http://example.com/alice"), 416)
    assert.equal(await status("sip:alice@example.net"), 404)
    assert.equal(await status("sip:alice@"), 400)
    const phone = await open(context, transport)
    const text = script(phone, { user: "bob" }).write("OPTIONS")
    phone.send(text.replace("SIP/2.0\r\n", "SIP/3.0\r\n"))
    assert.equal((await phone.next()).raw.status, 505)
    assert.equal((await bob.subscribe({ Expires: "0" })).raw.status, 200)
  })

  it("a SUBSCRIBE needs an Event, and a Contact to notify", { tags: ["3265-7.2.1"] }, async (context) => {
    assert.equal((await (await bobOn(context, transport)).subscribe({ Event: null })).raw.status, 489)
    assert.equal((await (await bobOn(context, transport)).subscribe({ Contact: null })).raw.status, 400)
  })

  it("REGISTER echoes the bindings, and Expires 0 removes them", { tags: ["3261-10.3"] }, async (context) => {
    const name = `reg-${transport}`
    const phone = script(await open(context, transport), {
      user: name,
      presentity: `sip:${name}@example.com`,
    })
    const contact = `<sip:${name}@192.0.2.7:5062>`
    const register = (headers: Record<string, string>) =>
      phone.ask("REGISTER", headers, "", "sip:example.com")
    const made = await register({ Contact: `${contact};+sip.instance="<urn:uuid:1>"`, Expires: "600" })
    assert.equal(made.raw.status, 200)
    assert.equal(made.header("contact"), `${contact};+sip.instance="<urn:uuid:1>";expires=600`)
    const removed = await register({ Contact: contact, Expires: "0" })
    assert.equal(removed.raw.status, 200)
    assert.equal(removed.header("contact"), null)
  })
})

describe.concurrent("servers", () => {
  it("a server told not to take registrations answers 403", { tags: ["OPS-registrar"] }, async (context) => {
    const other = await startPresence({ registrar: "reject" })
    context.onTestFinished(() => other.stop())
    const phone = script(await open(context, "udp", other), { user: "bob" })
    const headers = { Contact: "<sip:bob@192.0.2.7>" }
    assert.equal((await phone.ask("REGISTER", headers, "", "sip:example.com")).raw.status, 403)
  })

  it("two servers in one process keep their state apart", { tags: ["L01"] }, async (context) => {
    const two = await Promise.all([startPresence(), startPresence()])
    context.onTestFinished(async () => {
      await Promise.all(two.map((one) => one.stop()))
    })
    const [first, second] = two as [PresenceServer, PresenceServer]
    assert.notEqual(first.udpPort, second.udpPort)
    const [here, there] = [await open(context, "udp", first), await open(context, "udp", second)]
    const [bobHere, bobThere] = [script(here, { user: "bob" }), script(there, { user: "bob" })]
    for (const bob of [bobHere, bobThere]) {
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
    }
    const alice = script(await open(context, "udp", first), { user: "alice" })
    const published = await alice.publish({ Expires: "600" }, phoneOpen)
    await bobHere.notified({ state: "active", body: phoneOpen })
    await there.hearsNothing()
    const stranger = script(await open(context, "udp", second), { user: "alice" })
    const refresh = await stranger.publish({ "SIP-If-Match": published.header("sip-etag") ?? "" })
    assert.equal(refresh.raw.status, 412)
  })
})
