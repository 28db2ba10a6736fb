/**
 * Whatever a program writes to its log it writes while it holds the row that says who may: told by the database itself, of every
 * statement that changes one of its tables.
 */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { makeClockWitness } from "../../../../src/adapters/store/postgres/clock-witness.ts"
import { makeLogAdmin } from "../../../../src/adapters/store/postgres/log-admin.ts"
import { claimTables, prepareTables } from "../../../../src/adapters/store/postgres/presence-tables.ts"
import { makeSeals } from "../../../../src/adapters/store/postgres/seal-queries.ts"
import { makeWebhookStore } from "../../../../src/adapters/store/postgres/webhook-store.ts"
import { readConfig } from "../../../../src/app/config/config.ts"
import { eraseFromStore } from "../../../../src/app/erase/erase-store.ts"
import { compact } from "../../../../src/app/retention/compact.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import type { Uri } from "../../../../src/domain/vocabulary.ts"
import { LogIsTaken } from "../../../../src/ports/claim.ts"
import { moduleTableNames } from "../../../../src/ports/presence-tables.ts"
import { checked, live, on } from "../../../support/checked-store.ts"
import { started } from "../../../support/log-writer.ts"
import type { Program } from "../../../support/log-writer.ts"
import { sharedPostgres } from "../../../support/postgres.ts"
import { startPresence } from "../../../support/server.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const day = 86_400_000
/** Who may write, and what no program writes once the layout is made. */
const others = ["writers", "claims", "presently_migrations", "xcap"]

/** From now on the database notes for each statement that changes a table whether its transaction holds the row of `writers`. */
const watched = (url: string) =>
  on(
    url,
    "CREATE TABLE noted (name text, held boolean, statement text)",
    `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO noted VALUES (TG_TABLE_NAME, EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND granted
         AND relation = 'writers'::regclass AND mode = 'RowShareLock'), current_query());
       RETURN NULL; END $$`,
    `DO $$ DECLARE name text; BEGIN
       FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
         AND relname <> ALL ('{noted,${others.join()}}') LOOP
         EXECUTE format('CREATE TRIGGER noted BEFORE INSERT OR UPDATE OR DELETE ON %I EXECUTE FUNCTION note()', name);
       END LOOP; END $$`,
  )

const clockWrites = (sql: PgClient.PgClient) => {
  const { beat, saveDoubt, clearDoubt } = makeClockWitness(sql)
  return [beat({ boot: "x", uptime: 1, at: Date.now() }), saveDoubt({ at: Date.now(), by: day }), clearDoubt]
}

const otherTables = { ...moduleTableNames, presentity: "ours" }
const tableWrites = (sql: PgClient.PgClient) =>
  [prepareTables(otherTables, "xcap"), claimTables(moduleTableNames)].map((work) =>
    Effect.provideService(work, PgClient.PgClient, sql),
  )

const webhook = {
  id: "hook",
  url: "http://127.0.0.1:9/",
  types: null,
  presentity: null,
  secret: "s",
  position: 0,
  createdAt: Date.now(),
  createdBy: "test",
  stopped: null,
}
const letter = {
  id: "1",
  presentity: "sip:alice@example.com",
  type: "x",
  body: "{}",
  givenUpAt: Date.now(),
  attempts: 1,
  error: "no",
}
const webhookWrites = (sql: PgClient.PgClient) => {
  const store = makeWebhookStore(sql)
  return [
    store.add(webhook),
    store.progress("hook", 1),
    store.stop("hook", "no"),
    store.bury("hook", letter),
    store.unbury("hook", "1"),
    store.remove("hook"),
  ]
}

const seal = (sql: PgClient.PgClient) =>
  makeSeals(sql).add({
    position: 9n,
    previous: 0n,
    at: Date.now(),
    rows: 1n,
    digest: new Uint8Array(32),
    signature: new Uint8Array(64),
  })

/** A log of two years of which all but the newest may go, and what is kept of it. */
const retained = async ({ store, sql }: Program): Promise<void> => {
  const old = freshStream()
  const at = Date.now() - 400 * day
  const decisions = [1, 2, 3].map((version) => ({ ...decisionOf(old, version), at: at + version }))
  await Effect.runPromise(store.append(decisions))
  const states = await Effect.runPromise(store.load([old]))
  await Effect.runPromise(store.saveSnapshots(states))
  await Effect.runPromise(store.saveLandmarks(states))
  await Effect.runPromise(store.saveCheckpoint("tables", { position: 1_000_000, at: Date.now() }))
  const terms = { days: 30, documents: new Map([["presence", 1]]) } as const
  await Effect.runPromise(compact(makeLogAdmin(sql), terms, Date.now(), { by: "test", key: null }))
}

describe.skipIf(cluster === null)("what a program writes", () => {
  it(
    "is written while the row is held that says who may, whichever table it is in",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      await (await started(url)).stop()
      await watched(url)
      const server = await startPresence({ memory: false, database_url: url })
      await live(server.udpPort)
      await server.settle!()
      await server.stop()
      const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults: { database_url: url } })
      await on(url, "UPDATE watchers SET reason = 9")
      await on(url, "DELETE FROM noted WHERE statement LIKE 'UPDATE watchers SET reason%'")
      await checked({ database_url: url }, { repair: true, fromStart: true })
      await Effect.runPromise(
        Effect.scoped(eraseFromStore(config, "sip:alice@example.com" as Uri, Date.now(), "test")),
      )
      const one = await started(url)
      for (const work of [...clockWrites(one.sql), ...tableWrites(one.sql), ...webhookWrites(one.sql)])
        await Effect.runPromise(work as Effect.Effect<unknown, unknown>)
      await Effect.runPromise(seal(one.sql))
      await retained(one)
      await one.stop()
      assert.deepStrictEqual(await on(url, "SELECT DISTINCT name, statement FROM noted WHERE NOT held"), [])
      // and each of them was written
      assert.deepStrictEqual(
        await on(
          url,
          `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
           AND NOT relispartition AND relname <> ALL ('{noted,ours,${others.join()}}')
           AND relname NOT IN (SELECT name FROM noted)`,
        ),
        [],
      )
    },
  )

  it(
    "is not written when somebody else has the log: neither clock, nor tables, nor webhooks, nor seals",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      for (const work of clockWrites(one.sql).slice(0, 2)) await Effect.runPromise(work)
      // the beat of the next one, as after a restart of the machine
      await on(
        url,
        "UPDATE writers SET epoch = epoch + 1, application = 'presently writer x', host = 'b', pid = 7",
        "UPDATE checkpoints SET name = 'clock of the next' WHERE name = 'clock x'",
      )
      const kept = await on(url, "SELECT name, pos::int, at FROM checkpoints ORDER BY name")
      assert.isAbove(kept.length, 1)
      const works = [...clockWrites(one.sql), ...tableWrites(one.sql), ...webhookWrites(one.sql)]
      for (const [index, work] of works.entries()) {
        const exit = await Effect.runPromiseExit(work as Effect.Effect<unknown, unknown>)
        assert.isTrue(Exit.isFailure(exit), `write ${index}`)
        if (Exit.isFailure(exit)) {
          const error = Cause.squash(exit.cause) as { readonly cause?: unknown }
          assert.instanceOf(error instanceof LogIsTaken ? error : error.cause, LogIsTaken, `write ${index}`)
        }
      }
      assert.isFalse(await Effect.runPromise(seal(one.sql)))
      assert.deepStrictEqual(await on(url, "SELECT name, pos::int, at FROM checkpoints ORDER BY name"), kept)
      assert.deepStrictEqual(await on(url, "SELECT to_regclass('ours') AS ours"), [{ ours: null }])
      await one.stop()
    },
  )
})
