/**
 * Every example of docs/first-hour.md, run as it stands in one shell, and its output compared.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { examplesOf, hasCurl, readPage } from "./support/page.ts"
import { startPresence } from "./support/server.ts"

describe.skipIf(!hasCurl)("docs/first-hour.md", () => {
  it("DOC-first-hour: every example prints what the page says", async (context) => {
    const { page, means, run, tryAll } = readPage(context, "docs/first-hour.md")
    assert.ok(examplesOf(page).length > 15)
    const server = await startPresence({ admin: "127.0.0.1:0" })
    context.onTestFinished(() => server.stop())
    means("5080", new URL(server.admin ?? "").port)
    await run(`export PRESENTLY_ADMIN=${new URL(server.admin ?? "").host}`)
    means("5060", server.tcpPort)
    await tryAll()
  })
})
