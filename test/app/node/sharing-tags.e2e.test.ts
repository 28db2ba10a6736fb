/**
 * Sharing tags of a running server: from the configuration, by the two commands, over a restart.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import type { Ask } from "../../support/admin.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const mi = async (ask: Ask, method: string, ...params: readonly unknown[]): Promise<unknown> => {
  const { json } = await ask("POST", "/mi", { jsonrpc: "2.0", id: 1, method, params })
  const { result, error } = json as { result?: unknown; error?: { code: number; message: string } }
  return error === undefined ? result : `${error.code} ${error.message}`
}

const settings = {
  admin: "127.0.0.1:0",
  cluster_sharing_tags: ["vip=backup", "own=active"],
  handle_subscribe: [{ from: "sip:bob@*", sharing_tag: "vip" }],
}

describe("sharing tags", () => {
  it(
    "a backup tells nobody until its tag is made active, by any of the command's names",
    { tags: ["OPS-pres_set_sharing_tag_active", "OPS-pres_list_sharing_tags", "OPS-cluster_sharing_tags"] },
    async (context) => {
      for (const name of ["pres_set_sharing_tag_active", "clusterer:shtag_set_active"]) {
        const { server, another, publish } = await openScene(context, settings)
        const ask = asking(server.admin)
        assert.deepEqual(await mi(ask, "pres_list_sharing_tags"), [
          { Tag: "own", State: "active", Epoch: 1 },
          { Tag: "vip", State: "backup", Epoch: 1 },
        ])
        const [bob, carol] = [await another("bob"), await another("carol")]
        for (const phone of [bob, carol]) {
          await phone.subscribe({ Expires: "600" })
          await phone.notified({ state: "active", body: null })
        }
        await publish(phoneOpen)
        await carol.notified({ state: "active", body: phoneOpen })
        await bob.phone.hearsNothing()
        const rows = (await mi(ask, "subs_phtable_list", "sip:bob*", "sip:alice*")) as Record<
          string,
          unknown
        >[]
        assert.deepEqual(
          rows.map((row) => row["sharing_tag"]),
          ["vip"],
        )
        assert.equal(await mi(ask, name, name.startsWith("cl") ? "vip/1" : "vip"), "OK")
        await bob.notified({ state: "active", body: phoneOpen })
        await publish(phoneClosed)
        await bob.notified({ state: "active", body: phoneClosed })
        assert.deepEqual((await ask("GET", "/v1/sharing-tags")).json, {
          items: [
            { tag: "own", state: "active", epoch: 1 },
            { tag: "vip", state: "active", epoch: 2 },
          ],
        })
        assert.equal((await ask("PUT", "/v1/sharing-tags/vip", { state: "backup" })).status, 200)
        await carol.notified({ state: "active", body: phoneClosed })
        await publish(phoneOpen)
        await carol.notified({ state: "active", body: phoneOpen })
        await bob.phone.hearsNothing()
      }
    },
  )

  it("a wrong tag is told", { tags: ["OPS-pres_set_sharing_tag_active"] }, async (context) => {
    const { server } = await openScene(context, { admin: "127.0.0.1:0" })
    const ask = asking(server.admin)
    const expected = "expected up to 32 letters, digits, dots, dashes and underscores"
    assert.equal(await mi(ask, "pres_set_sharing_tag_active", "a b"), `400 tag = a b: ${expected}`)
    assert.equal(await mi(ask, "pres_set_sharing_tag_active"), "-32602 tag is missing; expected tag")
    assert.deepEqual(await mi(ask, "clusterer_list_shtags"), [])
  })

  it(
    "a tag that is none ends the start",
    { tags: ["OPS-cluster_sharing_tags", "OPS-cluster_be_active_shtag", "F8"] },
    async () => {
      for (const [wrong, fault] of [
        [
          { cluster_sharing_tags: ["vip"] },
          "cluster_sharing_tags = vip (default): expected NAME=active or NAME=backup",
        ],
        [
          { cluster_be_active_shtag: "vip" },
          "cluster_be_active_shtag = vip (default): no such tag in cluster_sharing_tags",
        ],
      ] as const) {
        const failed = await startPresence(wrong).then(
          () => assert.fail("it started"),
          (cause: unknown) => cause as { readonly faults?: readonly string[] },
        )
        assert.deepEqual(failed.faults, [fault])
      }
    },
  )

  it.skipIf(cluster === null)(
    "what an operator said last outlives a restart, whatever the configuration says",
    { tags: ["OPS-cluster_sharing_tags"] },
    async (context) => {
      const database = { ...settings, memory: false, database_url: cluster!.database() }
      const first = await startPresence(database)
      await mi(asking(first.admin), "pres_set_sharing_tag_active", "vip")
      await first.stop()
      const second = await startPresence(database)
      context.onTestFinished(() => second.stop())
      assert.deepEqual(await mi(asking(second.admin), "pres_list_sharing_tags"), [
        { Tag: "own", State: "active", Epoch: 1 },
        { Tag: "vip", State: "active", Epoch: 2 },
      ])
    },
  )
})
