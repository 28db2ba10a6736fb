/**
 * The three tables on a real PostgreSQL beside a running server: when they are written, what a control panel reads in
 * them, and how they are checked and made anew while both go on.
 */
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeLogAdmin } from "../../../src/adapters/store/postgres/log-admin.ts"
import { verifyTables } from "../../../src/app/integrity/verify.ts"
import type { VerifyOptions } from "../../../src/app/integrity/verify.ts"
import { moduleTableNames } from "../../../src/ports/presence-tables.ts"
import type { TableNames } from "../../../src/ports/presence-tables.ts"
import { makeLoad } from "../../crash/load.ts"
import { holds } from "../../support/condition.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import type { PresenceServer } from "../../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

interface Database {
  readonly url: string
  readonly sql: PgClient.PgClient
  readonly rows: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  readonly verify: (options?: Partial<VerifyOptions>, names?: TableNames) => ReturnType<typeof report>
}

const report = (sql: PgClient.PgClient, names: TableNames, options: Partial<VerifyOptions>) =>
  Effect.runPromise(verifyTables(makeLogAdmin(sql, names), { fromStart: false, repair: false, ...options }))

const openDatabase = async ({ onTestFinished }: TestContext): Promise<Database> => {
  const url = cluster!.database()
  const scope = Effect.runSync(Scope.make())
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const layer = PgClient.layer({ url: Redacted.make(url), maxConnections: 4 })
  const sql = await Effect.runPromise(
    Effect.map(Layer.buildWithScope(layer, scope), (services) => services).pipe(
      Effect.flatMap((services) => Effect.provideContext(PgClient.PgClient, services)),
    ),
  )
  return {
    url,
    sql,
    rows: (text) => Effect.runPromise(sql.unsafe<Record<string, unknown>>(text)),
    verify: (options = {}, names = moduleTableNames) => report(sql, names, options),
  }
}

type Settings = NonNullable<Parameters<typeof startPresence>[0]>

const serverOn = ({ url }: Database, settings: Settings = {}): Promise<PresenceServer> =>
  startPresence({ domain: ["example.com"], memory: false, database_url: url, ...settings })

/** Alice publishes, Bob watches her; both are answered. */
const live = async (server: PresenceServer, { onTestFinished }: TestContext): Promise<void> => {
  const phone = await openPhone(server, "udp")
  onTestFinished(() => phone.close())
  const body = pidf(tuple("phone", "open"))
  assert.equal((await script(phone, { user: "alice" }).publish({ Expires: "600" }, body)).raw.status, 200)
  const bob = script(phone, { user: "bob" })
  assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await bob.notify())
}

/** Whoever has the log repairs what follows from it. */
const repairedBy = async (
  { admin }: PresenceServer,
  fromStart: boolean,
): Promise<{ readonly repaired: number }> => {
  const answered = await fetch(`${admin}/v1/tables/repair`, {
    method: "POST",
    body: JSON.stringify({ from_start: fromStart }),
  })
  assert.equal(answered.status, 200)
  return (await answered.json()) as { readonly repaired: number }
}

const counts = async (database: Database): Promise<string> => {
  const [row] = await database.rows(`SELECT concat_ws(' ', (SELECT count(*) FROM presentity),
    (SELECT count(*) FROM active_watchers), (SELECT count(*) FROM watchers)) AS counts`)
  return String(row!["counts"])
}

describe.skipIf(cluster === null)("when the tables are written", { concurrent: true }, () => {
  it(
    "with it all is kept and has its rows, also after a start; without, all is in memory and gone at the stop",
    { tags: ["OPS-db_url", "TBL-4"] },
    async (context) => {
      const database = await openDatabase(context)
      for (const kept of [true, false]) {
        const settings: Settings = { memory: false, database_url: null, db_url: kept ? database.url : null }
        const first = await startPresence({ domain: ["example.com"], ...settings })
        await live(first, context)
        await first.stop()
        const second = await startPresence({ domain: ["example.com"], ...settings })
        const phone = await openPhone(second, "udp")
        const carol = script(phone, { user: "carol" })
        await carol.subscribe({ Expires: "0" })
        const told = await carol.notify()
        answer(phone, told)
        assert.equal(told.raw.body.toString().includes("open"), kept)
        phone.close()
        await second.stop()
        if (kept) assert.equal(await counts(database), "1 1 1")
      }
      assert.deepEqual((await database.verify({ fromStart: true })).differences, [])
    },
  )

  it(
    "while the server runs the tables follow within the period; with 0 and less at its stop",
    { tags: ["OPS-db_update_period"] },
    async (context) => {
      for (const period of [1, 0, -5]) {
        const database = await openDatabase(context)
        const server = await serverOn(database, { db_update_period: period })
        await live(server, context)
        if (period > 0) await holds("rows", async () => (await counts(database)) === "1 1 1")
        else {
          assert.equal(await counts(database), "0 0 0")
          const { lag, differences } = await database.verify()
          // what lags is no difference
          assert.deepEqual(differences, [])
          assert.ok(lag >= 2)
        }
        await server.stop()
        assert.equal(await counts(database), "1 1 1")
        const { lag, differences } = await database.verify({ fromStart: true })
        assert.deepEqual([lag, differences], [0, []])
      }
    },
  )

  it(
    "at every moment under load the tables are the log at the position they say",
    { tags: ["L05", "OPS-db_update_period"] },
    async (context) => {
      const database = await openDatabase(context)
      const server = await serverOn(database, { db_update_period: 1, domain: [] })
      const load = await makeLoad({ port: server.udpPort, publishers: 10, watchersEach: 3 })
      load.resume()
      const positions = new Set<number>()
      await holds("two writes", async () => {
        const { differences, ahead, position } = await database.verify({
          fromStart: positions.size % 2 === 1,
        })
        assert.deepEqual([differences, ahead], [[], 0])
        positions.add(position)
        return positions.size > 2
      })
      await load.pause()
      load.close()
      await server.stop()
      assert.equal((await database.verify()).lag, 0)
    },
  )

  it(
    "tables that were left for others and taken again hold what lives now",
    { tags: ["OPS-presentity_table", "OPS-active_watchers_table", "OPS-watchers_table", "L05"] },
    async (context) => {
      const database = await openDatabase(context)
      const others = { presentity_table: "Lamps", active_watchers_table: "subs", watchers_table: "who" }
      const names = { presentity: "Lamps", activeWatchers: "subs", watchers: "who" }
      const first = await serverOn(database)
      await live(first, context)
      await first.stop()
      // a server that was killed after it made the tables, and before it wrote them
      await database.rows(`CREATE TABLE subs (LIKE active_watchers INCLUDING ALL)`)
      await database.rows(`INSERT INTO version VALUES ('subs', 12)`)
      const second = await serverOn(database, others)
      const phone = await openPhone(second, "udp")
      const carol = script(phone, { user: "carol" })
      await carol.subscribe({ Expires: "600" })
      answer(phone, await carol.notify())
      phone.close()
      await second.stop()
      assert.deepEqual((await database.verify({}, names)).differences, [])
      assert.notEqual((await database.verify()).differences.length, 0)
      const third = await serverOn(database)
      await third.stop()
      assert.deepEqual((await database.verify()).differences, [])
      assert.equal(await counts(database), "1 2 2")
    },
  )
})

describe.skipIf(cluster === null)("what a control panel reads", { concurrent: true }, () => {
  /** Columns as PostgreSQL describes them, without those defaults that count. */
  const described = async (database: Database, table: string): Promise<readonly string[]> => {
    const rows = await database.rows(`SELECT column_name || ' ' || data_type ||
        coalesce('(' || character_maximum_length || ')', '') || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END ||
        CASE WHEN column_default IS NULL OR column_name = 'id' THEN '' ELSE ' default ' || column_default END AS line
      FROM information_schema.columns WHERE table_name = '${table}' ORDER BY ordinal_position`)
    return rows.map((row) => String(row["line"]))
  }
  const keysOf = async (database: Database, table: string): Promise<readonly string[]> => {
    const rows = await database.rows(`SELECT indexdef FROM pg_indexes
      WHERE tablename = '${table}' AND indexdef LIKE '%UNIQUE%' ORDER BY indexname`)
    return rows.map((row) => /\((.*)\)/.exec(String(row["indexdef"]))?.[1] ?? "")
  }

  it(
    "columns, types, defaults and key of the module's version 5",
    { tags: ["OPS-presentity", "TBL-1"] },
    async (context) => {
      const database = await openDatabase(context)
      await (await serverOn(database)).stop()
      assert.deepEqual(await described(database, "presentity"), [
        "id integer not null",
        "username character varying(64) not null",
        "domain character varying(64) not null",
        "event character varying(64) not null",
        "etag character varying(64) not null",
        "expires integer not null",
        "received_time integer not null",
        "body bytea",
        "extra_hdrs bytea",
        "sender character varying(255)",
      ])
      assert.deepEqual(await keysOf(database, "presentity"), ["id", "username, domain, event, etag"])
    },
  )

  it(
    "columns, types and defaults of the module's version 12; the key holds shared dialogs too",
    { tags: ["OPS-active_watchers", "TBL-1"] },
    async (context) => {
      const database = await openDatabase(context)
      await (await serverOn(database)).stop()
      assert.deepEqual(await described(database, "active_watchers"), [
        "id integer not null",
        "presentity_uri character varying(255) not null",
        "watcher_username character varying(64) not null",
        "watcher_domain character varying(64) not null",
        "to_user character varying(64) not null",
        "to_domain character varying(64) not null",
        "event character varying(64) not null default 'presence'::character varying",
        "event_id character varying(64)",
        "to_tag character varying(64) not null",
        "from_tag character varying(64) not null",
        "callid character varying(64) not null",
        "local_cseq integer not null",
        "remote_cseq integer not null",
        "contact character varying(255) not null",
        "record_route text",
        "expires integer not null",
        "status integer not null default 2",
        "reason character varying(64)",
        "version integer not null default 0",
        "socket_info character varying(64) not null",
        "local_contact character varying(255) not null",
        "sharing_tag character varying(32)",
      ])
      assert.deepEqual(await keysOf(database, "active_watchers"), [
        "presentity_uri, callid, to_tag, from_tag, event, event_id",
        "id",
      ])
    },
  )

  it(
    "columns, types, defaults and key of the module's version 4",
    { tags: ["OPS-watchers", "TBL-1"] },
    async (context) => {
      const database = await openDatabase(context)
      await (await serverOn(database)).stop()
      assert.deepEqual(await described(database, "watchers"), [
        "id integer not null",
        "presentity_uri character varying(255) not null",
        "watcher_username character varying(64) not null",
        "watcher_domain character varying(64) not null",
        "event character varying(64) not null default 'presence'::character varying",
        "status integer not null",
        "reason character varying(64)",
        "inserted_time integer not null",
      ])
      assert.deepEqual(await keysOf(database, "watchers"), [
        "id",
        "presentity_uri, watcher_username, watcher_domain, event",
      ])
    },
  )

  it(
    "the searches and pages of a panel give what lives",
    { tags: ["OPS-presentity", "OPS-active_watchers", "OPS-watchers", "TBL-3"] },
    async (context) => {
      const database = await openDatabase(context)
      const server = await serverOn(database, { policy: "rules", no_rules: "confirm" })
      const phone = await openPhone(server, "udp")
      for (const user of ["alice", "albert", "bob"]) {
        const sent = await script(phone, { user, presentity: `sip:${user}@example.com` }).publish(
          { Expires: "600" },
          pidf(tuple(user, "open")),
        )
        assert.equal(sent.raw.status, 200)
      }
      const carol = script(phone, { user: "carol" })
      await carol.subscribe({ Expires: "600" })
      answer(phone, await carol.notify())
      await server.stop()
      phone.close()
      const now = Math.floor(Date.now() / 1000)
      const page = await database.rows(`SELECT id, username, domain, event, expires, received_time,
        convert_from(body, 'UTF8') AS body FROM presentity
      WHERE username LIKE 'al%' AND domain LIKE '%example.com' ORDER BY id LIMIT 1 OFFSET 1`)
      assert.equal(page.length, 1)
      assert.match(String(page[0]!["body"]), /<basic>open<\/basic>/)
      assert.ok(Number(page[0]!["expires"]) > now && Number(page[0]!["received_time"]) <= now)
      assert.deepEqual(
        await database.rows(`SELECT count(*)::int AS total FROM presentity WHERE username LIKE 'al%'`),
        [{ total: 2 }],
      )
      // 2: pending
      assert.deepEqual(
        await database.rows(`SELECT presentity_uri, watcher_username, watcher_domain, to_user, to_domain, event, status,
          reason, sharing_tag FROM active_watchers
        WHERE presentity_uri = 'sip:alice@example.com' AND status = 2 AND expires > extract(epoch FROM now()) ORDER BY id`),
        [
          {
            presentity_uri: "sip:alice@example.com",
            watcher_username: "carol",
            watcher_domain: "example.com",
            to_user: "alice",
            to_domain: "example.com",
            event: "presence",
            status: 2,
            reason: "",
            sharing_tag: null,
          },
        ],
      )
      assert.deepEqual(
        await database.rows(`SELECT w.presentity_uri, w.watcher_username || '@' || w.watcher_domain AS watcher, w.status
        FROM watchers w JOIN active_watchers a USING (presentity_uri, watcher_username, watcher_domain, event)
        WHERE w.status = 2 ORDER BY w.inserted_time DESC`),
        [{ presentity_uri: "sip:alice@example.com", watcher: "carol@example.com", status: 2 }],
      )
      const plan = await database.rows(`SET enable_seqscan = off`).then(() =>
        database.rows(`SELECT tablename || ': ' || string_agg(indexname, ' ' ORDER BY indexname) AS line
        FROM pg_indexes WHERE tablename IN ('presentity', 'active_watchers') AND indexdef NOT LIKE '%UNIQUE%'
        GROUP BY tablename ORDER BY 1`),
      )
      assert.deepEqual(
        plan.map((row) => row["line"]),
        [
          "active_watchers: active_watchers_expires_idx active_watchers_pres_idx",
          "presentity: presentity_expires_idx",
        ],
      )
    },
  )
})

describe.skipIf(cluster === null)("made anew while a server runs", { concurrent: true }, () => {
  it(
    "readers see the tables whole and all rows change at once; ids, privileges and views stay, requests are answered",
    { tags: ["TBL-5", "L05"] },
    async (context) => {
      const database = await openDatabase(context)
      const names = { presentity: "Lamps", activeWatchers: "active_watchers", watchers: "watchers" }
      const server = await serverOn(database, {
        presentity_table: "Lamps",
        db_update_period: 1,
        admin: "127.0.0.1:0",
      })
      const phone = await openPhone(server, "udp")
      const publish = async (user: string): Promise<number> =>
        (
          await script(phone, { user, presentity: `sip:${user}@example.com` }).publish(
            { Expires: "600" },
            pidf(tuple(user, "open")),
          )
        ).raw.status
      for (let user = 0; user < 60; user++) assert.equal(await publish(`user${user}`), 200)
      const count = `SELECT count(*)::int AS rows, count(*) FILTER (WHERE expires = 7)::int AS wrong FROM "Lamps"`
      await holds("rows", async () => (await database.rows(count))[0]!["rows"] === 60)
      const role = `panel_${randomUUID().slice(0, 8)}`
      for (const statement of [
        `CREATE ROLE ${role} LOGIN`,
        `GRANT SELECT ON "Lamps" TO ${role}`,
        `CREATE VIEW panel AS SELECT username FROM "Lamps"`,
        `UPDATE "Lamps" SET expires = 7`,
      ])
        await database.rows(statement)
      const ids = await database.rows(`SELECT id, username FROM "Lamps" ORDER BY id`)

      let isOver = false
      const seen = new Set<string>()
      const reader = (async () => {
        while (!isOver) {
          const [row] = await database.rows(count)
          seen.add(`${String(row!["rows"])} rows, ${String(row!["wrong"])} wrong`)
        }
      })()
      const rebuilt = await repairedBy(server, true)
      assert.equal(await publish("user0"), 412 - 212)
      isOver = true
      await reader
      assert.equal(rebuilt.repaired, 60)
      for (const one of seen) assert.match(one, /^(?:60 rows, (?:60|0) wrong|61 rows, 0 wrong)$/)
      assert.deepEqual(
        (await database.rows(`SELECT id, username FROM "Lamps" ORDER BY id`)).slice(0, 60),
        ids,
      )
      assert.deepEqual(
        await database.rows(`SELECT has_table_privilege('${role}', '"Lamps"', 'SELECT') AS may`),
        [{ may: true }],
      )
      assert.equal((await database.rows(`SELECT * FROM panel`)).length >= 60, true)
      phone.close()
      await server.stop()
      assert.deepEqual((await database.verify({ fromStart: true }, names)).differences, [])
    },
  )

  it(
    "a server whose tables are being rewritten answers all the same, and writes its own afterwards",
    { tags: ["L05"] },
    async (context) => {
      const database = await openDatabase(context)
      const server = await serverOn(database, { db_update_period: 1, admin: "127.0.0.1:0" })
      let release = (): void => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const holding = Effect.runPromise(
        database.sql.withTransaction(
          Effect.andThen(
            database.sql.unsafe("LOCK TABLE writers IN SHARE UPDATE EXCLUSIVE MODE"),
            Effect.promise(() => held),
          ),
        ),
      )
      await live(server, context)
      const waits = `SELECT count(*)::int AS n FROM pg_locks 
      WHERE locktype = 'relation' AND relation = 'writers'::regclass AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
      await holds("the projector waits", async () => (await database.rows(waits))[0]!["n"] === 1)
      // behind the projector's write, and so in no lock of its own yet
      const repair = repairedBy(server, false)
      for (let asked = 0; asked < 20; asked++) await (await fetch(`${server.admin}/status`)).text()
      assert.equal(await counts(database), "0 0 0")
      release()
      await holding
      assert.equal((await repair).repaired, 0)
      await server.stop()
      assert.equal(await counts(database), "1 1 1")
      assert.deepEqual((await database.verify({ fromStart: true })).differences, [])
    },
  )
})
