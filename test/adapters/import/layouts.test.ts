/**
 * Layouts told apart by their versions, rows by pages, and what the two modules count differently.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import {
  activeWatcherPages,
  findLayout,
  presentityPages,
  usualTables,
  watcherPages,
  xcapPages,
} from "../../../src/adapters/import/layouts.ts"
import type { LayoutName, Pages } from "../../../src/adapters/import/layouts.ts"
import { openSource } from "../../../src/adapters/import/open.ts"
import type { Source } from "../../../src/adapters/import/source.ts"
import {
  fillSqlite,
  opensipsVersions,
  publicationRow,
  subscriptionRow,
  watcherRow,
} from "../../support/foreign-tables.ts"
import type { ForeignRows } from "../../support/foreign-tables.ts"

const fileOf = ({ onTestFinished }: TestContext, rows: ForeignRows, versions = opensipsVersions): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-layout-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, "source.db")
  fillSqlite(file, rows, versions)
  return file
}

const using = <A, E>(file: string, use: (source: Source) => Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(openSource(file), use)))

const all = <Row>(pages: Pages<Row>) =>
  Effect.gen(function* () {
    const found: (readonly Row[])[] = []
    for (let rows = yield* pages; rows.length > 0; rows = yield* pages) found.push(rows)
    return found
  })

describe("layouts", () => {
  const asked = (file: string, name: LayoutName) =>
    using(file, (source) => findLayout(source, name, usualTables))

  it(
    "the versions say which it is; another or an unknown one is refused in one line",
    { tags: ["OPS-import"] },
    async (context) => {
      const opensips = fileOf(context, {})
      assert.equal((await asked(opensips, "opensips")).found, "presentity 5, active_watchers 12, watchers 4")
      await assert.rejects(
        asked(opensips, "kamailio"),
        /has the layout of opensips .*: presently import opensips$/,
      )
      const kamailio = fileOf(context, {}, { ...opensipsVersions, watchers: 3 })
      assert.equal((await asked(kamailio, "kamailio")).name, "kamailio")
      await assert.rejects(asked(kamailio, "opensips"), /presently import kamailio$/)
      const unknown = fileOf(context, {}, { ...opensipsVersions, active_watchers: 99 })
      await assert.rejects(
        asked(unknown, "opensips"),
        /reads the opensips layout presentity 5, active_watchers 12, watchers 4 and found .*active_watchers 99/,
      )
      await assert.rejects(
        using(unknown, (source) => findLayout(source, "opensips", { ...usualTables, watchers: "elsewhere" })),
        /has no table elsewhere$/,
      )
    },
  )

  it("what is not there cannot be read", { tags: ["OPS-import"] }, async () => {
    await assert.rejects(asked("/nonexistent/file.db", "opensips"), /there is no such file$/)
  })
})

describe("pages", () => {
  it(
    "publications of one presentity stay together, in the order in which they were received",
    { tags: ["OPS-import"] },
    async (context) => {
      const row = (username: string, etag: string, received_time: number, event = "presence") =>
        publicationRow({ username, etag, received_time, event })
      const file = fileOf(context, {
        presentity: [
          row("alice", "z", 1),
          row("alice", "y", 2),
          row("alice", "x", 2),
          row("alice", "w", 5),
          row("alice", "d", 3, "dialog"),
          row("bob", "b", 9),
          row("carol", "c2", 4),
          row("carol", "c1", 4),
        ],
      })
      for (const rowsMax of [1, 2, 3, 4, 8, 100]) {
        const pages = await using(file, (source) =>
          Effect.flatMap(findLayout(source, "opensips", usualTables), (layout) =>
            all(presentityPages(source, layout, rowsMax)),
          ),
        )
        assert.deepEqual(
          pages.flat().map(({ etag }) => etag),
          ["d", "z", "y", "x", "w", "b", "c2", "c1"],
        )
      }
    },
  )

  it(
    "the others come by number, with the time of the first SUBSCRIBE from the table of watchers",
    { tags: ["OPS-import"] },
    async (context) => {
      const file = fileOf(context, {
        active_watchers: ["a", "b", "c"].map((callid) => subscriptionRow({ callid })),
        watchers: [watcherRow({ inserted_time: 123 }), watcherRow({ watcher_username: "carol" })],
      })
      await using(file, (source) =>
        Effect.gen(function* () {
          const layout = yield* findLayout(source, "opensips", usualTables)
          const active = yield* all(activeWatcherPages(source, layout, 2))
          assert.deepEqual(
            active.map((page) => page.map(({ callId }) => callId)),
            [["a", "b"], ["c"]],
          )
          assert.equal(active[0]?.[0]?.insertedTime, 123)
          assert.equal((yield* all(watcherPages(source, layout, 2))).flat().length, 2)
          assert.deepEqual(yield* all(xcapPages(source, { ...layout, hasXcap: false }, 2)), [])
        }),
      )
    },
  )

  it(
    "OpenSIPS keeps the last CSeq and the next version, Kamailio the one before and the last",
    { tags: ["OPS-import"] },
    async (context) => {
      const counters = async (name: LayoutName): Promise<readonly unknown[]> => {
        const versions = name === "opensips" ? opensipsVersions : { ...opensipsVersions, watchers: 3 }
        const row = subscriptionRow({ local_cseq: 7, version: 3 })
        const file = fileOf(context, { active_watchers: [row] }, versions)
        return using(file, (source) =>
          Effect.gen(function* () {
            const layout = yield* findLayout(source, "opensips", usualTables).pipe(
              Effect.catch(() => findLayout(source, "kamailio", usualTables)),
            )
            // the columns that only Kamailio has are those of the watcher here
            const [page] = yield* all(
              activeWatcherPages(
                {
                  ...source,
                  rows: (statement, values) =>
                    source.rows(
                      statement
                        .replace("a.from_user", "a.watcher_username")
                        .replace("a.from_domain", "a.watcher_domain"),
                      values,
                    ),
                },
                layout,
                10,
              ),
            )
            return [page?.[0]?.lastCseq, page?.[0]?.nextVersion]
          }),
        )
      }
      assert.deepEqual(await counters("opensips"), [7, 3])
      assert.deepEqual(await counters("kamailio"), [8, 4])
    },
  )
})
