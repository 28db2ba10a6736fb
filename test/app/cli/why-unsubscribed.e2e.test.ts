/**
 * `presently why` about somebody who never subscribed: what a SUBSCRIBE would meet is what the policy says; a log that is read
 * without its server's settings says that they are not known.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { sharedPostgres } from "../../support/postgres.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import { patient, runHere } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const question = ["why", "sip:alice@example.com", "--watcher", "sip:eve@example.com"]

const handlings = [
  ["allow", /^ {2}try {7}see whether the phone subscribes: its SUBSCRIBE would be accepted now$/m],
  ["confirm", /would be pending now, and be shown nothing until somebody decides\n.*rules put/],
  ["polite-block", /would be accepted now, and be shown what is shown of somebody absent/],
  ["block", /a SUBSCRIBE is answered 403/],
] as const

describe("why, of somebody who never subscribed", patient, () => {
  for (const [no_rules, advice] of handlings) {
    it(`no_rules = ${no_rules}`, { tags: ["A3"] }, async (context) => {
      const { server, publish } = await openScene(context, {
        admin: "127.0.0.1:0",
        policy: "rules",
        no_rules,
      })
      await publish(phoneOpen)
      const { stdout } = await runHere([...question, "--admin", new URL(server.admin ?? "").host])
      assert.match(stdout, new RegExp(`policy.*no_rules = ${no_rules}$`, "m"))
      assert.match(stdout, advice)
      if (no_rules !== "allow") assert.doesNotMatch(stdout, /accepted now$/m)
    })
  }

  it("follows what is in force now, not when the change was made", { tags: ["A3"] }, async (context) => {
    const { server, publish } = await openScene(context, { admin: "127.0.0.1:0", policy: "rules" })
    await publish(phoneOpen)
    const path = "/v1/presentities/sip:alice@example.com/watchers/sip:eve@example.com/decision"
    const decided = await fetch(`${server.admin}${path}`, {
      method: "PUT",
      body: JSON.stringify({ handling: "block" }),
      headers: { "content-type": "application/json" },
    })
    assert.ok(decided.ok, await decided.text())
    const { stdout } = await runHere([...question, "--admin", new URL(server.admin ?? "").host])
    assert.match(stdout, /a SUBSCRIBE is answered 403/)
  })

  it.skipIf(cluster === null)(
    "the log without the settings: not known; with them: as the server says",
    { tags: ["A3"] },
    async (context) => {
      const database_url = cluster!.database()
      const scene = await openScene(context, {
        memory: false,
        database_url,
        policy: "rules",
        end_sub_on_timeout: false,
      })
      await scene.publish(phoneOpen)
      await scene.server.stop()
      const place = ["--database-url", database_url]
      const { stdout } = await runHere([...question, ...place])
      assert.match(
        stdout,
        /^ {2}policy {4}settings of the server, which are not known here: give --config FILE, or ask it/m,
      )
      assert.match(stdout, /the log does not say how its SUBSCRIBE would be treated/)
      assert.doesNotMatch(stdout, /accepted|no_rules|end_sub_on_timeout/)
      const json = await runHere([...question, ...place, "--json"])
      const { absence } = JSON.parse(json.stdout) as { absence: Record<string, unknown> }
      assert.deepEqual([absence["handling"], absence["by"]], [null, null])
      const told = await runHere([...question, ...place, "--set", "policy=rules"])
      assert.match(told.stdout, /no_rules = confirm[^]*would be pending now/)
    },
  )

  it.skipIf(cluster === null)(
    "whom the log says to be pending is pending, whatever the settings were",
    { tags: ["A3"] },
    async (context) => {
      const database_url = cluster!.database()
      const scene = await openScene(context, { memory: false, database_url, policy: "rules" })
      const eve = await scene.another("eve")
      await eve.subscribe({ Expires: "600" })
      await eve.notified({ state: "pending" })
      await scene.publish(phoneOpen)
      const { stdout } = await runHere([...question, "--database-url", database_url])
      assert.match(stdout, /nobody has decided whether it may watch/)
      assert.match(stdout, /^ {2}policy {4}settings of the server, which are not known here/m)
      const json = await runHere([...question, "--database-url", database_url, "--json"])
      assert.doesNotMatch(json.stdout, /"handling":"allow"/)
    },
  )
})
