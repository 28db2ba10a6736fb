/**
 * Every example of docs/backup.md, run as it stands in one shell, and its output compared.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { afterAll, describe, it } from "vitest"
import { patient } from "./app/cli/command.ts"
import { examplesOf, readPage } from "./support/page.ts"
import { freePort, sharedPostgres } from "./support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())
const hasClients = ["psql", "pg_dump"].every((name) => spawnSync(name, ["--version"]).status === 0)

describe.skipIf(cluster === null || !hasClients)("docs/backup.md (left out without psql and pg_dump)", () => {
  it("every example prints what the page says", { ...patient, tags: ["OPS-backup"] }, async (context) => {
    const { page, run, stands, tryAll } = readPage(context, "docs/backup.md")
    assert.ok(examplesOf(page).length > 20)
    stands("postgres://presence@db.example.com/presence", cluster!.database())
    const admin = `127.0.0.1:${await freePort()}`
    const env = { LISTEN: "udp:127.0.0.1:0", ADMIN: admin, WRITER_LEASE: "30" }
    for (const [name, value] of Object.entries(env)) await run(`export PRESENTLY_${name}=${value}`)
    await tryAll()
  })
})
