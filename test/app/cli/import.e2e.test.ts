/**
 * `presently import` as its users have it: what it says, and what it ends with.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { emptyEmbedded } from "../../support/embedded.ts"
import {
  fillPostgres,
  fillSqlite,
  opensipsVersions,
  publicationRow,
  subscriptionRow,
} from "../../support/foreign-tables.ts"
import type { ForeignRows } from "../../support/foreign-tables.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { patient, runHere } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-cli-import-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const sourceIn = (folder: string, rows: ForeignRows, versions = opensipsVersions): string => {
  const file = join(folder, `source-${Object.keys(rows).join("-")}.db`)
  fillSqlite(file, rows, versions)
  return file
}

describe("presently import", () => {
  it(
    "0 when all is taken, 1 when something is left that somebody may miss; as text and as JSON",
    { ...patient, tags: ["OPS-import", "CLI"] },
    async (context) => {
      const folder = folderOf(context)
      const data = await emptyEmbedded(join(folder, "data"))
      const rows = { presentity: [publicationRow(), publicationRow({ etag: "b", expires: 1 })] }
      const good = await runHere([
        "import",
        "opensips",
        "--from",
        `sqlite:${sourceIn(folder, rows)}`,
        "--data",
        data,
      ])
      assert.deepEqual([good.code, good.stderr], [0, ""])
      assert.match(good.stdout, /^SQLite in .*: opensips, presentity 5, active_watchers 12, watchers 4\n/)
      assert.match(
        good.stdout,
        /presentity: 2 rows, 1 taken, 1 skipped\n    1 × expired\n      alice@example\.com presence b\n/,
      )
      assert.match(good.stdout, /1 decisions written, to embedded PostgreSQL in /)

      const left = sourceIn(folder, { active_watchers: [subscriptionRow({ contact: "?" })] })
      const bad = await runHere(["import", "opensips", "--from", left, "--data", data, "--dry-run", "--json"])
      assert.equal(bad.code, 1)
      assert.equal(bad.stderr, "presently: some rows were skipped: see the report\n")
      const report = JSON.parse(bad.stdout) as {
        dryRun: boolean
        tables: readonly { table: string; skipped: unknown }[]
      }
      assert.equal(report.dryRun, true)
      assert.deepEqual(report.tables.find(({ table }) => table === "active_watchers")?.skipped, [
        {
          reason: "contact is no URI",
          rows: 1,
          isOver: false,
          examples: ["bob@example.com of sip:alice@example.com presence call-1"],
        },
      ])
    },
  )

  it(
    "64, 69, 74 and 78, each with one line that says what to do",
    { ...patient, tags: ["OPS-import", "CLI"] },
    async (context) => {
      const folder = folderOf(context)
      const data = await emptyEmbedded(join(folder, "data"))
      const source = sourceIn(folder, { presentity: [publicationRow()] })
      const ends = async (code: number, says: RegExp, ...args: readonly string[]): Promise<void> => {
        const ended = await runHere(["import", "opensips", ...args])
        assert.equal(ended.code, code, ended.stderr)
        assert.match(ended.stderr, says)
        assert.equal(ended.stderr.trimEnd().split("\n").length, 1, ended.stderr)
      }
      const server = await startPresence({ memory: false, data })
      await Promise.all([
        ends(64, /expected a table's name/, "--from", source, "--data", data, "--watchers-table", "a;b"),
        ends(69, /cannot be read: there is no such file/, "--from", join(folder, "none.db"), "--data", data),
        ends(
          69,
          /MySQL at mysql:\/\/me@127\.0\.0\.1:9\/x cannot be read/,
          "--from",
          "mysql://me:secret@127.0.0.1:9/x",
          "--data",
          data,
        ),
        ends(
          74,
          /embedded PostgreSQL in .* is taken by .*: stop that one, and import again/,
          "--from",
          source,
          "--data",
          data,
        ),
        ends(78, /import needs to know where to keep its log/, "--from", source),
      ])
      await server.stop()
    },
  )
})

describe.skipIf(cluster === null)("presently import into PostgreSQL", () => {
  it(
    "not while a server runs on it, and not into the source's own tables",
    { ...patient, tags: ["OPS-import", "CLI"] },
    async (context) => {
      const source = cluster!.database()
      await fillPostgres(source, { presentity: [publicationRow()] })
      const into = (target: string) =>
        runHere(["import", "opensips", "--from", source, "--database-url", target])
      const same = await into(source)
      assert.equal(same.code, 78)
      assert.match(same.stderr, /is the source as well, .*: give another database with --database-url/)

      const target = cluster!.database()
      const server = await startPresence({ memory: false, database_url: target })
      context.onTestFinished(server.stop)
      const busy = await into(target)
      assert.equal(busy.code, 74)
      assert.match(
        busy.stderr,
        /^presently: .* is taken by a presently server .*: stop that one, and import again$/m,
      )
    },
  )
})
