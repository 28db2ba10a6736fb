/**
 * Every example of docs/replay.md, run as it stands in one shell, and its output compared.
 */
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, it } from "vitest"
import { examplesOf, readPage } from "./support/page.ts"
import { sharedPostgres } from "./support/postgres.ts"
import { everything, handling, rule, ruleset } from "./support/rules-builders.ts"
import { startPresence } from "./support/server.ts"
import { live } from "./support/watched.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe.skipIf(cluster === null)("docs/replay.md", () => {
  it("every example prints what the page says", { tags: ["DOC-replay"] }, async (context) => {
    const { page, folder, run, tryAll } = readPage(context, "docs/replay.md")
    assert.ok(examplesOf(page).length > 12)
    const url = cluster!.database()
    const server = await startPresence({ memory: false, database_url: url })
    context.onTestFinished(() => server.stop())
    await live(server.udpPort)
    const one = '<identity><one id="sip:bob@example.com"/></identity>'
    writeFileSync(join(folder, "rules.xml"), ruleset(rule("r", one, handling("polite-block"), everything)))
    await run(`export DATABASE_URL=${url} PRESENTLY_NOTIFY_MIN_INTERVAL=0`)
    await tryAll()
  })
})
