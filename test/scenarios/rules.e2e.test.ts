/**
 * Worked flows of presence rules and watcher information over real sockets: who may see what, and who is told so.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { attribute, childrenNamed, textOf } from "../../src/domain/packages/element.ts"
import { watcherInfoNamespace } from "../../src/domain/packages/watcher-info.ts"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { startPresence } from "../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../support/sip-client.ts"
import type { Phone, Script } from "../support/sip-client.ts"

const phoneOpen = pidf(tuple("phone", "open"))

/** One rule for one watcher. */
const rule = (id: string, watcher: string, handling: string, transformations = everything): string =>
  `<rule id="${id}"><conditions><identity><one id="${watcher}"/></identity></conditions>` +
  `<actions><pr:sub-handling>${handling}</pr:sub-handling></actions>` +
  `<transformations>${transformations}</transformations></rule>`

const everything =
  "<pr:provide-services><pr:all-services/></pr:provide-services>" +
  "<pr:provide-persons><pr:all-persons/></pr:provide-persons>" +
  "<pr:provide-devices><pr:all-devices/></pr:provide-devices><pr:provide-all-attributes/>"

const ruleset = (...rules: readonly string[]): string =>
  `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">${rules.join("")}</ruleset>`

const scene = async ({ onTestFinished }: TestContext, settings: Parameters<typeof startPresence>[0] = {}) => {
  const server = await startPresence({
    domain: ["example.com"],
    policy: "rules",
    admin: "127.0.0.1:0",
    ...settings,
  })
  const phones: Phone[] = []
  onTestFinished(async () => {
    for (const phone of phones) phone.close()
    await server.stop()
  })
  const another = async (user: string): Promise<Script & { readonly phone: Phone }> => {
    const phone = await openPhone(server, "udp")
    phones.push(phone)
    return Object.assign(script(phone, { user }), { phone })
  }
  const publisher = await another("alice")
  let entityTag: string | null = null
  return {
    another,
    rules: async (text: string | null): Promise<number> => {
      const response = await fetch(`${server.admin}/rules/${encodeURIComponent("sip:alice@example.com")}`, {
        method: text === null ? "DELETE" : "PUT",
        ...(text === null ? {} : { body: text }),
      })
      await response.text()
      return response.status
    },
    publish: async (body = phoneOpen): Promise<void> => {
      const response = await publisher.publish(
        { Expires: "3600", ...(entityTag === null ? {} : { "SIP-If-Match": entityTag }) },
        body,
      )
      assert.equal(response.raw.status, 200)
      entityTag = response.header("sip-etag")
    },
  }
}

interface WinfoDocument {
  readonly version: string | null
  readonly state: string | null
  /** `uri status event` of each watcher. */
  readonly watchers: readonly string[]
  readonly ids: readonly (string | null)[]
}

/** The next NOTIFY of a winfo subscription, answered 200. */
const told = async (owner: Script & { readonly phone: Phone }): Promise<WinfoDocument> => {
  const notify = await owner.notify(8000)
  answer(owner.phone, notify)
  assert.equal(notify.header("event"), "presence.winfo")
  assert.equal(notify.header("content-type"), "application/watcherinfo+xml")
  const read = xmlCodec.parse(notify.raw.body.toString("utf8"))
  assert.ok(read._tag === "Parsed")
  const [list] = childrenNamed(read.root, watcherInfoNamespace, "watcher-list")
  assert.ok(list !== undefined)
  assert.equal(attribute(list, "resource"), "sip:alice@example.com")
  assert.equal(attribute(list, "package"), "presence")
  const watchers = childrenNamed(list, watcherInfoNamespace, "watcher")
  return {
    version: attribute(read.root, "version"),
    state: attribute(read.root, "state"),
    watchers: watchers.map((one) => `${textOf(one)} ${attribute(one, "status")} ${attribute(one, "event")}`),
    ids: watchers.map((one) => attribute(one, "id")),
  }
}

const winfo = { Event: "presence.winfo", Accept: "application/watcherinfo+xml" }

describe.concurrent("rules", () => {
  it("F05 3856-6.6.2-c 3856-6.7-c 3265-4.3.2-a 3858-3-c 3857-4.7.1-c 5025-3.2.1-c 5025-3.2.1-d 3857-4.3-a 3858-3-b T3 T7 L25: pending until approved, and the owner is told", async (context) => {
    const { another, rules, publish } = await scene(context)
    const owner = await another("alice")
    assert.equal((await owner.subscribe({ ...winfo, Expires: "600" })).raw.status, 200)
    assert.deepEqual(await told(owner), { version: "0", state: "full", watchers: [], ids: [] })

    const carol = await another("carol")
    assert.equal((await carol.subscribe({ Expires: "600" })).raw.status, 202)
    await carol.notified({ state: "pending", expires: 600, body: null })
    const first = await told(owner)
    assert.deepEqual(
      [first.version, first.state, first.watchers],
      ["1", "partial", ["sip:carol@example.com pending subscribe"]],
    )

    await publish()
    await carol.phone.hearsNothing()

    assert.equal(await rules(ruleset(rule("a", "sip:carol@example.com", "allow"))), 204)
    await carol.notified({ state: "active", body: phoneOpen })
    const second = await told(owner)
    assert.deepEqual(
      [second.version, second.state, second.watchers],
      ["2", "partial", ["sip:carol@example.com active approved"]],
    )
    assert.deepEqual(second.ids, first.ids)
  })

  it("F06 5025-3.2.1-b 3265-3.1.6.3-b 3856-6.7-d T4 T16: access withdrawn ends with rejected, asking again gets 403", async (context) => {
    const { another, rules, publish } = await scene(context)
    await rules(ruleset(rule("a", "sip:bob@example.com", "allow")))
    await publish()
    const bob = await another("bob")
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    await bob.notified({ state: "active", body: phoneOpen })
    await rules(ruleset(rule("a", "sip:bob@example.com", "block")))
    await bob.notified({ state: "terminated;reason=rejected", body: null })
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    const again = await another("bob")
    assert.equal((await again.subscribe({ Expires: "600" })).raw.status, 403)
    await publish(pidf(tuple("phone", "closed")))
    await bob.phone.hearsNothing()
    await again.phone.hearsNothing()
  })

  for (const notify_offline_body of [false, true]) {
    it(`F07 L24 5025-3.2.1-e 3265-5.2-a 3265-5.2-b 3856-6.6.2-e T2: polite block looks like somebody who never published (notify_offline_body ${notify_offline_body})`, async (context) => {
      const { another, rules, publish } = await scene(context, { notify_offline_body })
      await rules(
        ruleset(
          rule("a", "sip:carol@example.com", "polite-block"),
          rule("b", "sip:bob@example.com", "allow"),
        ),
      )
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      const absent = (await bob.notified({ state: "active" })).raw.body.toString("utf8")
      await publish()
      await bob.notified({ state: "active", body: phoneOpen })
      const carol = await another("carol")
      assert.equal((await carol.subscribe({ Expires: "600" })).raw.status, 200)
      const shown = await carol.notified({ state: "active", expires: 600 })
      assert.equal(shown.raw.body.toString("utf8"), absent)
      await publish(pidf(tuple("phone", "closed")))
      await carol.phone.hearsNothing()
    })
  }

  it("BUG-1 5025-4-a AUT-6: what the rules hide stays hidden on refresh, on change and for a second device", async (context) => {
    const { another, rules, publish } = await scene(context)
    const noNotes = "<pr:provide-services><pr:all-services/></pr:provide-services>"
    await rules(ruleset(rule("a", "sip:bob@example.com", "allow", noNotes)))
    const secret = pidf(tuple("phone", "open", "secret"))
    await publish(secret)
    const bob = await another("bob")
    const secondDevice = await another("bob")
    const seen: string[] = []
    const look = async (watcher: Script): Promise<void> => {
      seen.push((await watcher.notified({ state: "active" })).raw.body.toString("utf8"))
    }
    await bob.subscribe({ Expires: "600" })
    await look(bob)
    await bob.subscribe({ Expires: "600" })
    await look(bob)
    await secondDevice.subscribe({ Expires: "600" })
    await look(secondDevice)
    await publish(pidf(tuple("phone", "closed", "secret")))
    await look(bob)
    await look(secondDevice)
    for (const text of seen) {
      assert.ok(text.includes("<basic>"), text)
      assert.ok(!text.includes("secret"), text)
    }
    // a change of only what is hidden is no change to bob (L23)
    await publish(pidf(tuple("phone", "closed", "another secret")))
    await bob.phone.hearsNothing()
  })

  it("BUG-9 AUT-7 T17: deleting the rules takes the document away from live watchers", async (context) => {
    const { another, rules, publish } = await scene(context)
    await rules(ruleset(rule("a", "sip:bob@example.com", "allow")))
    await publish()
    const bob = await another("bob")
    await bob.subscribe({ Expires: "600" })
    await bob.notified({ state: "active", body: phoneOpen })
    assert.equal(await rules(null), 204)
    await bob.notified({ state: "pending", body: null })
    await publish(pidf(tuple("phone", "closed")))
    await bob.phone.hearsNothing()
  })

  it("rules that cannot be read are refused and the old ones stay", async (context) => {
    const { another, rules } = await scene(context)
    await rules(ruleset(rule("a", "sip:bob@example.com", "allow")))
    assert.equal(await rules("<ruleset"), 409)
    const bob = await another("bob")
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  })

  it("WIN-5 3857-4.6-b BUG-31: watcher information is for its owner only", async (context) => {
    const { another } = await scene(context, { policy: "open" })
    const stranger = await another("mallory")
    assert.equal((await stranger.subscribe({ ...winfo, Expires: "600" })).raw.status, 403)
    await stranger.phone.hearsNothing()
  })

  it("F19 WIN-3 T21: a watcher whose NOTIFY gets 481 is gone, and the owner is told", async (context) => {
    const { another } = await scene(context, { policy: "open" })
    const owner = await another("alice")
    await owner.subscribe({ ...winfo, Expires: "600" })
    await told(owner)
    const bob = await another("bob")
    await bob.subscribe({ Expires: "600" })
    answer(bob.phone, await bob.notify(), "481 Call/Transaction Does Not Exist")
    assert.deepEqual((await told(owner)).watchers, ["sip:bob@example.com active subscribe"])
    assert.deepEqual((await told(owner)).watchers, ["sip:bob@example.com terminated timeout"])
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
  })

  it("F22 5025-3.1.2-a 4745-7.3-a L29: the published sphere decides what is shown", async (context) => {
    const { another, rules, publish } = await scene(context, { enable_sphere_check: true })
    const atWork =
      `<rule id="w"><conditions><identity><one id="sip:bob@example.com"/></identity><sphere value="work"/></conditions>` +
      `<actions><pr:sub-handling>allow</pr:sub-handling></actions><transformations>${everything}</transformations></rule>`
    await rules(ruleset(rule("a", "sip:bob@example.com", "polite-block"), atWork))
    const inSphere = (sphere: string): string =>
      pidf(
        tuple("phone", "open"),
        `<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p"><r:sphere xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"><r:${sphere}/></r:sphere></dm:person>`,
      )
    await publish(inSphere("work"))
    const bob = await another("bob")
    await bob.subscribe({ Expires: "600" })
    const first = await bob.notified({ state: "active" })
    assert.ok(first.raw.body.toString("utf8").includes("open"))
    await publish(inSphere("home"))
    const second = await bob.notified({ state: "active" })
    assert.ok(!second.raw.body.toString("utf8").includes("open"))
    await publish(inSphere("work"))
    assert.ok((await bob.notified({ state: "active" })).raw.body.toString("utf8").includes("open"))
  })
})
