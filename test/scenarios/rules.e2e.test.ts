/**
 * Worked flows of presence rules and watcher information over real sockets: who may see what, and who is told so.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { everything, ruleFor, ruleset } from "../support/rules-builders.ts"
import { openScene, phoneClosed, phoneOpen, toldOfWatchers, winfo } from "../support/scene.ts"
import type { SceneSettings } from "../support/scene.ts"
import { answer, pidf, tuple } from "../support/sip-client.ts"
import type { Script } from "../support/sip-client.ts"

const scene = (context: TestContext, settings: SceneSettings = {}) =>
  openScene(context, { policy: "rules", admin: "127.0.0.1:0", ...settings })

describe.concurrent("rules", () => {
  it(
    "pending until approved, and the owner is told",
    {
      tags: [
        "F05",
        "3856-6.6.2-c",
        "3856-6.7-c",
        "3265-4.3.2-a",
        "3858-3-c",
        "3857-4.7.1-c",
        "5025-3.2.1-c",
        "5025-3.2.1-d",
        "3857-4.3-a",
        "3858-3-b",
        "T3",
        "T7",
        "L25",
      ],
    },
    async (context) => {
      const { another, rules, publish } = await scene(context)
      const owner = await another("alice")
      assert.equal((await owner.subscribe({ ...winfo, Expires: "600" })).raw.status, 200)
      const none = await toldOfWatchers(owner)
      assert.deepEqual([none.version, none.isFull, none.rows], [0, true, []])

      const carol = await another("carol")
      assert.equal((await carol.subscribe({ Expires: "600" })).raw.status, 202)
      await carol.notified({ state: "pending", expires: 600, body: null })
      const first = await toldOfWatchers(owner)
      assert.deepEqual(
        [first.version, first.isFull, first.rows],
        [1, false, ["sip:carol@example.com pending subscribe"]],
      )

      await publish()
      await carol.phone.hearsNothing()

      assert.equal(await rules(ruleset(ruleFor("sip:carol@example.com", "allow"))), 204)
      await carol.notified({ state: "active", body: phoneOpen })
      const second = await toldOfWatchers(owner)
      assert.deepEqual(
        [second.version, second.isFull, second.rows],
        [2, false, ["sip:carol@example.com active approved"]],
      )
      assert.deepEqual(
        second.entries.map(({ id }) => id),
        first.entries.map(({ id }) => id),
      )
    },
  )

  it(
    "access withdrawn ends with rejected, asking again gets 403",
    { tags: ["F06", "5025-3.2.1-b", "3265-3.1.6.3-b", "3856-6.7-d", "T4", "T16"] },
    async (context) => {
      const { another, rules, publish } = await scene(context)
      await rules(ruleset(ruleFor("sip:bob@example.com", "allow")))
      await publish()
      const bob = await another("bob")
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
      await bob.notified({ state: "active", body: phoneOpen })
      await rules(ruleset(ruleFor("sip:bob@example.com", "block")))
      await bob.notified({ state: "terminated;reason=rejected", body: null })
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
      const again = await another("bob")
      assert.equal((await again.subscribe({ Expires: "600" })).raw.status, 403)
      await publish(phoneClosed)
      await bob.phone.hearsNothing()
      await again.phone.hearsNothing()
    },
  )

  for (const notify_offline_body of [false, true]) {
    it(
      `polite block looks like somebody who never published (notify_offline_body ${notify_offline_body})`,
      { tags: ["F07", "L24", "5025-3.2.1-e", "3265-5.2-a", "3265-5.2-b", "3856-6.6.2-e", "T2"] },
      async (context) => {
        const { another, rules, publish } = await scene(context, { notify_offline_body })
        await rules(
          ruleset(ruleFor("sip:carol@example.com", "polite-block") + ruleFor("sip:bob@example.com", "allow")),
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
        await publish(phoneClosed)
        await carol.phone.hearsNothing()
      },
    )
  }

  it(
    "what the rules hide stays hidden on refresh, on change and for a second device",
    { tags: ["BUG-1", "5025-4-a", "AUT-6"] },
    async (context) => {
      const { another, rules, publish } = await scene(context)
      const noNotes = "<pr:provide-services><pr:all-services/></pr:provide-services>"
      await rules(ruleset(ruleFor("sip:bob@example.com", "allow", noNotes)))
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
    },
  )

  it(
    "deleting the rules takes the document away from live watchers",
    { tags: ["BUG-9", "AUT-7", "T17"] },
    async (context) => {
      const { another, rules, publish } = await scene(context)
      await rules(ruleset(ruleFor("sip:bob@example.com", "allow")))
      await publish()
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: phoneOpen })
      assert.equal(await rules(null), 204)
      await bob.notified({ state: "pending", body: null })
      await publish(phoneClosed)
      await bob.phone.hearsNothing()
    },
  )

  it("rules that cannot be read are refused and the old ones stay", async (context) => {
    const { another, rules } = await scene(context)
    await rules(ruleset(ruleFor("sip:bob@example.com", "allow")))
    assert.equal(await rules("<ruleset"), 409)
    const bob = await another("bob")
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  })

  it(
    "watcher information is for its owner only",
    { tags: ["WIN-5", "3857-4.6-b", "BUG-31"] },
    async (context) => {
      const { another } = await scene(context, { policy: "open" })
      const stranger = await another("mallory")
      assert.equal((await stranger.subscribe({ ...winfo, Expires: "600" })).raw.status, 403)
      await stranger.phone.hearsNothing()
    },
  )

  it(
    "a watcher whose NOTIFY gets 481 is gone, and the owner is told",
    { tags: ["F19", "WIN-3", "T21"] },
    async (context) => {
      const { another } = await scene(context, { policy: "open" })
      const owner = await another("alice")
      await owner.subscribe({ ...winfo, Expires: "600" })
      await toldOfWatchers(owner)
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      answer(bob.phone, await bob.notify(), "481 Call/Transaction Does Not Exist")
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com active subscribe"])
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com terminated timeout"])
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    },
  )

  it(
    "the published sphere decides what is shown",
    { tags: ["F22", "5025-3.1.2-a", "4745-7.3-a", "L29"] },
    async (context) => {
      const { another, rules, publish } = await scene(context, { enable_sphere_check: true })
      const atWork = ruleFor("sip:bob@example.com", "allow", everything, '<sphere value="work"/>')
      await rules(ruleset(ruleFor("sip:bob@example.com", "polite-block") + atWork))
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
    },
  )
})
