/**
 * Questions about history on the command line and over the management port: of a running server, of its log beside it and
 * when it is gone, and wrong ones.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"
import { patient, runHere } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const [alice, bob] = ["sip:alice@example.com", "sip:bob@example.com"]
const jsonOf = (text: string): readonly Record<string, unknown>[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe("history", () => {
  it.skipIf(cluster === null)(
    "the log says beside its server and without it what the server says",
    { ...patient, tags: ["OPS-history", "OPS-seen", "A3", "CLI"] },
    async (context) => {
      const database_url = cluster!.database()
      const settings = { memory: false, database_url, admin: "127.0.0.1:0" }
      const { server, another, publish } = await openScene(context, settings)
      const host = new URL(server.admin ?? "").host
      await publish(phoneOpen)
      const phone = await another("bob")
      await phone.subscribe({ Expires: "600" })
      await phone.notified({ state: "active", body: phoneOpen })
      await publish(phoneClosed)
      await phone.notified({ state: "active", body: phoneClosed })
      const kinds = (text: string) => jsonOf(text).map(({ cause }) => cause)
      const asked = async (...args: readonly string[]): Promise<string> => {
        const ended = await runHere(args)
        assert.deepEqual([ended.code, ended.stderr], [0, ""])
        return ended.stdout
      }
      const [online, beside] = [
        await asked("history", alice, "--json", "--admin", host),
        await asked("history", alice, "--json", "--database-url", database_url),
      ]
      assert.deepEqual(jsonOf(beside), jsonOf(online))
      assert.deepEqual(kinds(online), ["Publish", "Subscribe", "Publish"])
      await server.stop()
      const seen = jsonOf(await asked("seen", bob, alice, "--json", "--database-url", database_url))
      assert.deepEqual(
        seen.map(({ v, cseq, state, delivery, body }) => [v, cseq, state, delivery, typeof body]),
        [
          [1, 1, "active", "answered", "string"],
          [1, 2, "active", "answered", "string"],
        ],
      )
      const why = await asked("why", alice, "--watcher", bob, "--database-url", database_url, "--utc")
      assert.match(
        why,
        /^sip:bob@example\.com was told of the change at .* at once: NOTIFY CSeq 2 answered after \d+ ms\.\n/,
      )
      const at = jsonOf(await asked("at", alice, "now", "--json", "--database-url", database_url))[0]
      assert.deepEqual(at?.["version"], 4)
      const early = await runHere([
        "why",
        alice,
        "--watcher",
        bob,
        "--at",
        "1d",
        "--database-url",
        database_url,
      ])
      assert.deepEqual([early.code, early.stderr], [1, "presently: there is no change to explain\n"])
    },
  )

  it(
    "what is wrong with a question is said in one line",
    { tags: ["OPS-history", "F8"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const of = `/v1/presentities/${alice}`
      for (const [path, status, detail] of [
        [`${of}/at?time=soon`, 400, "time = soon: expected now, 15m (ago), 14:05:12, 2026-11-23T14:05:12Z"],
        [`${of}/at?time=now&tz=Mars`, 400, "tz = Mars: expected a time zone, for example Europe/Berlin"],
        [`${of}/history?since=-`, 400, "since = -: expected now, 15m (ago), 14:05:12, 2026-11-23T14:05:12Z"],
        [`${of}/why?watcher=bob`, 400, "bob is no presentity URI: write sip:alice@example.com"],
        [`${of}/why?watcher=${bob}&event=nonesuch`, 404, "event = nonesuch: there is no such event package"],
        ["/v1/presentities/alice/history", 400, "alice is no presentity URI: write sip:alice@example.com"],
      ] as const) {
        const answer = await ask("GET", path)
        assert.deepEqual([answer.status, (answer.json as { detail: string }).detail], [status, detail], path)
      }
      for (const path of [
        `${of}/at`,
        `${of}/seen`,
        `${of}/why`,
        `${of}/diff?from=now`,
        `${of}/history?limit=0`,
      ])
        assert.equal((await ask("GET", path)).status, 400, path)
      // of whom nothing is known there is nothing to tell
      assert.deepEqual((await ask("GET", `${of}/history`)).json, { v: 1, items: [], next: null, text: "" })
    },
  )
})
