/**
 * What the server keeps of itself and of its log is asked for as any history is: over the port, and of the store.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"
import { fileOf, patient, runHere } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const erased = /PersonErased {2,}sip:erased-[\w-]{16}@erased\.invalid/

describe.skipIf(cluster === null)("presently history presently:…", () => {
  it(
    "tells of erasures and of sharing tags on all three ways, and over /v1",
    { ...patient, tags: ["T38", "CLI"] },
    async (context) => {
      const url = cluster!.database()
      const server = await startPresence({ memory: false, database_url: url, admin: "127.0.0.1:0" })
      const admin = (server.admin ?? "").replace("http://", "")
      const ask = asking(server.admin)
      const phone = await openPhone(server, "udp")
      try {
        const alice = script(phone, { user: "alice" })
        assert.equal((await alice.publish({ Expires: "600" }, pidf(tuple("t", "open")))).raw.status, 200)
        const bob = script(phone, { user: "bob" })
        assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
        answer(phone, await bob.notify())
        const tag = await ask(
          "PUT",
          "/v1/sharing-tags/t1",
          { state: "backup" },
          { "content-type": "application/json" },
        )
        assert.equal(tag.status, 200)
        const gone = await runHere(["erase", "sip:bob@example.com", "--admin", admin])
        assert.equal(gone.code, 0, gone.stderr)
        for (const [stream, expected] of [
          ["presently:retention", erased],
          ["presently:sharing-tags", /SharingTagSet {2,}t1 {2,}backup/],
        ] as const) {
          const said = await runHere(["history", stream, "--admin", admin])
          assert.deepEqual([said.code, said.stderr], [0, ""])
          assert.match(said.stdout, expected)
          const page = await ask("GET", `/v1/presentities/${encodeURIComponent(stream)}/history`)
          assert.equal(page.status, 200)
          assert.match((page.json as { readonly text: string }).text, expected)
        }
        const unknown = await ask("GET", "/v1/presentities/presently%3Anothing/history")
        assert.deepEqual(
          [unknown.status, (unknown.json as { readonly detail: string }).detail],
          [404, "presently:nothing is no record: there are presently:retention and presently:sharing-tags"],
        )
      } finally {
        phone.close()
        await server.stop()
      }
      const file = fileOf(context, "presently.yaml", `database_url: ${url}\n`)
      for (const place of [
        ["--database-url", url],
        ["--config", file],
      ]) {
        const said = await runHere(["history", "presently:retention", ...place])
        assert.deepEqual([said.code, said.stderr], [0, ""])
        assert.match(said.stdout, erased)
        const unknown = await runHere(["history", "presently:nothing", ...place])
        assert.notEqual(unknown.code, 0)
        assert.match(unknown.stderr, /presently:nothing is no record: there are presently:retention/)
        const watched = await runHere([
          "why",
          "presently:retention",
          "--watcher",
          "sip:a@example.com",
          ...place,
        ])
        assert.notEqual(watched.code, 0)
        assert.match(watched.stderr, /a record of the server, which nobody watches: ask for its history/)
      }
    },
  )
})
