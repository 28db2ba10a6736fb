/**
 * Settings about the database, each with its effect in the tables of a real one.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { readConfig } from "../../src/app/config/config.ts"
import { sharedPostgres } from "../support/postgres.ts"
import { startPresence } from "../support/server.ts"
import { openPhone, pause, pidf, script, tuple } from "../support/sip-client.ts"
import type { Phone } from "../support/sip-client.ts"
import { opensipsTables } from "./parity-names.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

type Row = Readonly<Record<string, string | number | null>>

const rowsOf = (url: string, query: string): Promise<readonly Row[]> =>
  Effect.runPromise(
    PgClient.PgClient.pipe(
      Effect.flatMap((sql) => sql.unsafe<Row>(query)),
      Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
    ) as Effect.Effect<readonly Row[]>,
  )

const namesIn = async (url: string, query: string): Promise<string> =>
  (await rowsOf(url, query)).map((row) => Object.values(row).join(" ")).join(",")

interface Running {
  readonly phone: Phone
  readonly close: () => Promise<void>
}

const run = async (settings: Parameters<typeof startPresence>[0]): Promise<Running> => {
  const server = await startPresence({ domain: ["example.com"], memory: false, ...settings })
  const phone = await openPhone(server, "udp")
  return {
    phone,
    close: async () => {
      phone.close()
      await server.stop()
    },
  }
}

const publish = async (phone: Phone): Promise<string | null> =>
  (await script(phone, { user: "alice" }).publish({ Expires: "600" }, pidf(tuple("phone", "open")))).header(
    "sip-etag",
  )

const watch = async (phone: Phone, user: string): Promise<void> => {
  const watcher = script(phone, { user })
  await watcher.subscribe({ Expires: "600" })
  await watcher.notified({ state: "active" })
}

describe.skipIf(cluster === null)("storage", () => {
  it(
    "names the database where log and tables are, and is another name of database_url, which counts when both are given",
    { tags: ["OPS-db_url"] },
    async () => {
      const [one, other] = [cluster!.database(), cluster!.database()]
      const first = await run({ db_url: one })
      const entityTag = await publish(first.phone)
      await first.close()
      assert.equal(await namesIn(one, "SELECT username, etag FROM presentity"), `alice ${entityTag}`)
      const second = await run({ db_url: one, database_url: other })
      assert.equal(
        (await script(second.phone, { user: "alice" }).publish({ "SIP-If-Match": entityTag })).raw.status,
        412,
      )
      await second.close()
      const third = await run({ db_url: one })
      assert.equal(
        (await script(third.phone, { user: "alice" }).publish({ "SIP-If-Match": entityTag })).raw.status,
        200,
      )
      await third.close()

      const read = (...set: string[]) =>
        readConfig({ flags: {}, set, env: {}, file: null, defaults: {} }).database_url
      assert.equal(read("db_url=postgres://a/b"), "postgres://a/b")
      assert.equal(read("db_url=postgres://a/b", "database_url=postgres://c/d"), "postgres://c/d")
      assert.throws(() => read("db_url=mysql://a/b"), /ConfigInvalid|database_url/)
    },
  )

  it(
    "the tables follow within so many seconds; with 0 they are written at the stop",
    { tags: ["OPS-db_update_period"] },
    async () => {
      const url = cluster!.database()
      const users = "SELECT username FROM presentity"
      const quick = await run({ db_url: url, db_update_period: 1 })
      await publish(quick.phone)
      while ((await namesIn(url, users)) !== "alice") await pause(50)
      await quick.close()
      const late = await run({ db_url: url, db_update_period: 0 })
      await watch(late.phone, "bob")
      assert.equal(await namesIn(url, "SELECT watcher_username FROM active_watchers"), "")
      await late.close()
      assert.equal(await namesIn(url, "SELECT watcher_username FROM active_watchers"), "bob")
    },
  )

  it(
    "tables of other names are made and hold what lived before",
    { tags: ["OPS-presentity_table", "OPS-active_watchers_table", "OPS-watchers_table", "TBL-1"] },
    async () => {
      const db_url = cluster!.database()
      const first = await run({ db_url })
      const entityTag = await publish(first.phone)
      await watch(first.phone, "bob")
      await first.close()
      const renamed = {
        db_url,
        presentity_table: "Lamps",
        active_watchers_table: "subs",
        watchers_table: "who",
      }
      const second = await run(renamed)
      await watch(second.phone, "carol")
      await second.close()
      // once more, now that they are there
      await (await run(renamed)).close()
      assert.deepEqual(
        [
          await namesIn(db_url, 'SELECT etag FROM "Lamps"'),
          await namesIn(db_url, "SELECT watcher_username FROM subs ORDER BY 1"),
          await namesIn(db_url, "SELECT watcher_username FROM who ORDER BY 1"),
          await namesIn(
            db_url,
            "SELECT table_version FROM version WHERE table_name IN ('Lamps', 'subs', 'who') ORDER BY 1",
          ),
        ],
        [entityTag, "bob,carol", "bob,carol", "4,5,12"],
      )
    },
  )

  it(
    "have the module's columns, types and versions",
    { tags: ["OPS-presentity", "OPS-active_watchers", "OPS-watchers", "TBL-1"] },
    async () => {
      const db_url = cluster!.database()
      await (await run({ db_url })).close()
      for (const { name, columns } of opensipsTables) {
        const found = await rowsOf(
          db_url,
          `SELECT column_name, data_type, character_maximum_length AS width, is_nullable FROM information_schema.columns
           WHERE table_name = '${name}' ORDER BY ordinal_position`,
        )
        assert.deepEqual(
          found.map(({ column_name, data_type, width, is_nullable }) => {
            const type = width === null ? data_type : `varchar(${width})`
            return `${column_name} ${type}${is_nullable === "YES" ? " NULL" : ""}`
          }),
          columns,
        )
      }
      assert.equal(
        await namesIn(db_url, "SELECT * FROM version WHERE table_name <> 'xcap' ORDER BY 1"),
        "active_watchers 12,presentity 5,watchers 4",
      )
    },
  )
})
