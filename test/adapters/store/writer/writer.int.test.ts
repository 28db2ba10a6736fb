/**
 * Who may write to a log: sessions of PostgreSQL of their own race, die, are ended and come back.
 */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { makePresenceTables } from "../../../../src/adapters/store/postgres/presence-tables.ts"
import { makeWebhookStore } from "../../../../src/adapters/store/postgres/webhook-store.ts"
import { claimOn, fenced } from "../../../../src/adapters/store/writer/claim.ts"
import type { WriterOptions } from "../../../../src/adapters/store/writer/writer-row.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import { initial } from "../../../../src/domain/presentity/state.ts"
import { StoreUnfit, LogIsTaken } from "../../../../src/ports/claim.ts"
import { on } from "../../../support/checked-store.ts"
import { holds } from "../../../support/condition.ts"
import { program, refusal, started } from "../../../support/log-writer.ts"
import { startPooler } from "../../../support/pooler.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** Somebody on another machine has the log: a pool, one of whose sessions holds the lock that shows that it lives. */
const held = async (url: string) => {
  const scope = Effect.runSync(Scope.make())
  const sql = await Effect.runPromise(
    Effect.gen(function* () {
      const client = (max: number) =>
        Layer.build(
          Layer.fresh(
            PgClient.layer({
              url: Redacted.make(url),
              maxConnections: max,
              applicationName: "presently writer of somebody",
            }),
          ),
        )
      const lock = Context.get(yield* client(1), PgClient.PgClient)
      yield* lock`SELECT pg_advisory_lock(7265005, 77)`
      yield* lock`UPDATE writers SET epoch = 7, application = 'presently writer of somebody', program = 'somebody',
        host = 'elsewhere', pid = 1, since = clock_timestamp(), session = pg_backend_pid(), lock = 77, lease = 2`
      return Context.get(yield* client(2), PgClient.PgClient)
    }).pipe(Scope.provide(scope)),
  )
  return { sql, end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> => Effect.runPromiseExit(effect)

/** The session that shows that the writer lives is ended by somebody. */
const endSession = (url: string) => on(url, "SELECT pg_terminate_backend(session) FROM writers")

describe.skipIf(cluster === null)("the claim on a log", () => {
  it(
    "one has it at a time; another is told who, where and since when, and gets it when it is handed back",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const first = await started(url)
      const told = await refusal(url)
      assert.instanceOf(told, LogIsTaken)
      const { holder, message } = told as LogIsTaken
      assert.deepStrictEqual([holder.program, holder.pid, holder.epoch], ["presently test", process.pid, 1])
      assert.match(
        message,
        /^the test's log is taken by presently test 1, pid \d+ on host \S+, since \d{4}-.*Z: stop it$/,
      )
      await first.stop()
      const second = await started(url)
      assert.strictEqual(second.writer.holder.epoch, 2)
      await second.stop()
      assert.deepStrictEqual(
        await on(url, "SELECT epoch::int, ended IS NOT NULL AS ended FROM claims ORDER BY epoch"),
        [
          { epoch: 1, ended: true },
          { epoch: 2, ended: true },
        ],
      )
    },
  )

  it(
    "of many that start on an empty database at once exactly one gets it",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const exits = await Promise.all([1, 2, 3, 4].map(() => program(url)))
      const won = exits.filter(Exit.isSuccess)
      assert.strictEqual(won.length, 1)
      for (const exit of exits)
        if (Exit.isFailure(exit))
          assert.instanceOf(Cause.squash(exit.cause), LogIsTaken, Cause.pretty(exit.cause))
      await won[0]!.value.stop()
    },
  )

  it("databases and schemas of one cluster have writers of their own", { tags: ["OPS-writer"] }, async () => {
    const [url, other] = [cluster!.database(), cluster!.database()]
    const first = await started(url)
    const second = await started(other)
    await on(url, "CREATE SCHEMA beside")
    const third = await started(`${url}?options=-c%20search_path%3Dbeside`)
    assert.deepStrictEqual(
      [first, second, third].map(({ writer }) => writer.holder.epoch),
      [1, 1, 1],
    )
    for (const one of [first, second, third]) await one.stop()
  })

  it(
    "whoever only waits gets it as soon as the sessions of the holder have ended",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      await (await started(url)).stop()
      const holder = await held(url)
      const names: string[] = []
      const waiting = program(url, {
        standby: true,
        on: {
          waiting: (one) => Effect.sync(() => void names.push(`${one.program} ${one.epoch}`)),
          lapsed: () => Effect.void,
          returned: Effect.void,
        },
      })
      await holds("it waits", () => names.length > 2)
      assert.strictEqual(names[0], "somebody 7")
      assert.instanceOf(await refusal(url), LogIsTaken)
      await holder.end()
      const second = await waiting
      assert.isTrue(Exit.isSuccess(second))
      if (Exit.isSuccess(second)) {
        assert.strictEqual(second.value.writer.holder.epoch, 8)
        await second.value.stop()
      }
    },
  )

  it(
    "a holder whose session is ended is not sure at once, takes it again under its epoch, and goes on",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      assert.isTrue(claimOn(one.sql).isSure())
      await endSession(url)
      await holds("it is not sure", () => one.lapses.length === 1)
      await holds("it is sure again", () => claimOn(one.sql).isSure())
      assert.strictEqual(one.writer.counters.lapses, 1)
      const { conflicts } = await Effect.runPromise(one.store.append([decisionOf(freshStream(), 1)]))
      assert.strictEqual(conflicts.size, 0)
      assert.instanceOf(await refusal(url), LogIsTaken)
      await one.stop()
    },
  )

  it(
    "a clock that is set ahead makes it ask before it goes on, and is named as the reason",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      const real = Date.now
      try {
        Date.now = () => real() + 3_600_000
        assert.isFalse(claimOn(one.sql).isSure())
        await holds("it is told", () => one.lapses.length === 1)
        assert.match(
          String(one.lapses[0]),
          /^the clock of this machine went ahead by about 36\d\d s: it was susp/,
        )
        await holds("it is sure again", () => claimOn(one.sql).isSure())
      } finally {
        Date.now = real
      }
      await one.stop()
    },
  )

  it(
    "beside a server of an earlier version it waits, on an empty database and on one with a log",
    { tags: ["OPS-standby"] },
    async () => {
      for (const hasLog of [false, true]) {
        const url = cluster!.database()
        if (hasLog) await (await started(url)).stop()
        const scope = Effect.runSync(Scope.make())
        await Effect.runPromise(
          Layer.build(
            Layer.fresh(
              PgClient.layer({
                url: Redacted.make(url),
                maxConnections: 1,
                applicationName: "presently server 0a1b2c3d",
              }),
            ),
          ).pipe(
            Effect.flatMap((services) => Context.get(services, PgClient.PgClient)`SELECT 1`),
            Scope.provide(scope),
          ),
        )
        const told = await refusal(url)
        assert.match(
          String(told),
          /is taken by a server of an earlier version, connected from host \S+ since \S+ \(Po/,
        )
        const seen: unknown[] = []
        const waiting = program(url, {
          standby: true,
          on: {
            waiting: ({ isSession }) => Effect.sync(() => void seen.push(isSession)),
            lapsed: () => Effect.void,
            returned: Effect.void,
          },
        })
        await holds("it waits", () => seen.length > 1)
        assert.deepStrictEqual([...new Set(seen)], [true])
        await Effect.runPromise(Scope.close(scope, Exit.void))
        const got = await waiting
        assert.isTrue(Exit.isSuccess(got), String(got))
        if (Exit.isSuccess(got)) await got.value.stop()
      }
    },
  )

  it(
    "a row that somebody removed is put back, and who had the log goes on having it",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      await on(url, "DELETE FROM writers")
      assert.isTrue(Exit.isFailure(await run(one.store.append([decisionOf(freshStream(), 1)]))))
      await holds("it is sure again", () => one.lapses.length > 0 && claimOn(one.sql).isSure())
      await Effect.runPromise(one.store.append([decisionOf(freshStream(), 1)]))
      const told = await refusal(url)
      assert.instanceOf(told, LogIsTaken)
      assert.deepStrictEqual((told as LogIsTaken).holder, one.writer.holder)
      await one.stop()
      await on(url, "DELETE FROM writers")
      const next = await started(url)
      assert.strictEqual(next.writer.holder.epoch, 2)
      await next.stop()
    },
  )

  it(
    "whoever lost the log stores, saves and deletes nothing, is told who has it, and is sure of nothing",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      const stream = freshStream()
      await Effect.runPromise(one.store.append([decisionOf(stream, 1)]))
      const state = (await Effect.runPromise(one.store.load([stream])))[0]!
      // as another writer does when this one was silent for long
      await on(
        url,
        "UPDATE writers SET epoch = epoch + 1, application = 'presently writer x', host = 'b', pid = 7",
      )
      const attempts: Effect.Effect<unknown, unknown>[] = [
        one.store.append([decisionOf(stream, 2)]),
        one.store.append([decisionOf(freshStream(), 1)]),
        one.store.saveSnapshots([state]),
        one.store.saveSnapshots([{ ...initial(stream), version: 9 }]),
        one.store.saveLandmarks([state]),
        one.store.saveCheckpoint("tables", { position: 9, at: 9 }),
        one.store.saveCheckpoint("delivery", { position: 9, at: 9 }),
        makePresenceTables(one.sql).together(one.sql`DELETE FROM streams`),
        makeWebhookStore(one.sql).remove("x"),
        fenced(one.sql, one.sql`DELETE FROM streams`),
      ]
      for (const [index, attempt] of attempts.entries()) {
        const exit = await run(attempt)
        assert.isTrue(Exit.isFailure(exit), `attempt ${index}`)
        if (Exit.isFailure(exit)) {
          const error = Cause.squash(exit.cause) as { readonly cause?: unknown }
          assert.instanceOf(error instanceof LogIsTaken ? error : error.cause, LogIsTaken, `attempt ${index}`)
        }
      }
      assert.deepStrictEqual(
        await on(
          url,
          `SELECT (SELECT count(*)::int FROM events) AS events, (SELECT count(*)::int FROM streams) AS streams,
           (SELECT count(*)::int FROM snapshots) AS snapshots, (SELECT count(*)::int FROM landmarks) AS landmarks,
           (SELECT count(*)::int FROM checkpoints WHERE name IN ('tables', 'delivery')) AS checkpoints`,
        ),
        [{ events: 1, streams: 1, snapshots: 0, landmarks: 0, checkpoints: 0 }],
      )
      const lost = await run(one.writer.lost)
      assert.isTrue(Exit.isFailure(lost))
      const taken = claimOn(one.sql).taken()
      assert.deepStrictEqual([taken?.holder.host, taken?.holder.pid], ["b", 7])
      assert.isFalse(claimOn(one.sql).isSure())
      assert.isAtLeast(one.writer.counters.fenced, 1)
      await one.stop()
      // it hands nothing back that is not its own
      assert.deepStrictEqual(await on(url, "SELECT application FROM writers"), [
        { application: "presently writer x" },
      ])
    },
  )

  it(
    "an append that waits while the log is taken stores nothing, and who takes it waits for one under way",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      const stream = freshStream()
      await Effect.runPromise(one.store.append([decisionOf(stream, 1)]))
      const other = await Effect.runPromise(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const services = yield* Layer.build(
            Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })),
          ).pipe(Scope.provide(scope))
          return { sql: Context.get(services, PgClient.PgClient), scope }
        }),
      )
      const { sql } = other
      const appending = await Effect.runPromise(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`SELECT FROM writers WHERE shard = 0 FOR UPDATE`
            const fiber = yield* Effect.forkDetach(one.store.append([decisionOf(stream, 2)]))
            yield* Effect.promise(() =>
              holds(
                "it waits",
                async () =>
                  (
                    await on(
                      url,
                      `SELECT FROM pg_stat_activity WHERE application_name = '${one.application}' AND wait_event_type = 'Lock'`,
                    )
                  ).length > 0,
              ),
            )
            yield* sql`UPDATE writers SET epoch = epoch + 1`
            return fiber
          }),
        ),
      )
      const exit = await Effect.runPromise(Fiber.await(appending))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(await on(url, "SELECT version::int FROM streams"), [{ version: 1 }])
      await Effect.runPromise(Scope.close(other.scope, Exit.void))
      await one.stop()
    },
  )

  it(
    "locks that strangers hold stop neither appends, nor tables, nor a start",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const first = await started(url)
      const scope = Effect.runSync(Scope.make())
      await Effect.runPromise(
        Effect.gen(function* () {
          const services = yield* Layer.build(
            Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
          )
          const sql = Context.get(services, PgClient.PgClient)
          for (const number of [7_265_003, 7_265_004, 7_265_005])
            yield* sql`SELECT pg_advisory_lock(${number}::bigint)`
          const [row] = yield* sql<{ lock: number }>`SELECT lock FROM writers`
          const [got] = yield* sql<{
            got: boolean
          }>`SELECT pg_try_advisory_lock(7265005, ${row!.lock}::int) AS got`
          assert.isFalse(got!.got)
          yield* sql`SELECT pg_advisory_lock(7265005, n) FROM generate_series(1, 50) n`
        }).pipe(Scope.provide(scope)),
      )
      const appended = await Effect.runPromise(first.store.append([decisionOf(freshStream(), 1)]))
      assert.strictEqual(appended.conflicts.size, 0)
      await Effect.runPromise(makePresenceTables(first.sql).together(Effect.void))
      await first.stop()
      const second = await started(url)
      await second.stop()
      await Effect.runPromise(Scope.close(scope, Exit.void))
    },
  )

  it(
    "a transaction that a frozen holder has open does not keep the next one out",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      await (await started(url)).stop()
      const holder = await held(url)
      // the session that showed that it lives was ended for its silence; what it had open is open
      const frozen = Effect.runFork(
        holder.sql.withTransaction(
          Effect.andThen(holder.sql`SELECT FROM writers FOR KEY SHARE`, Effect.never),
        ),
      )
      await holds(
        "a transaction is open",
        async () =>
          (await on(url, "SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'")).length > 0,
      )
      await on(url, "UPDATE writers SET session = 0")
      const next = await started(url, { standby: true })
      assert.strictEqual(next.writer.holder.epoch, 8)
      await Effect.runPromise(Fiber.interrupt(frozen))
      await next.stop()
      await holder.end()
    },
  )
})

describe.skipIf(cluster === null)("a database that will not do", () => {
  const unfit = async (url: string, more: Partial<WriterOptions> = {}): Promise<string> => {
    const cause = await refusal(url, more)
    assert.instanceOf(cause, StoreUnfit, String(cause))
    return (cause as StoreUnfit).message
  }
  const tablesOf = (url: string) =>
    on(
      url,
      "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND relkind = 'r' ORDER BY 1",
    )

  it("one with tables of another product is named, and left as it is", { tags: ["OPS-writer"] }, async () => {
    const url = cluster!.database()
    await on(
      url,
      "CREATE TABLE version (table_name varchar(32), table_version int)",
      "CREATE TABLE subscriber (id int)",
      "CREATE TABLE presentity (id int)",
    )
    assert.match(
      await unfit(url),
      /^database_url = test \(flag\): it holds tables of something else \(presentity, subscriber, version\) and no log of presently: give/,
    )
    // what a version before this one left behind
    await on(
      url,
      "CREATE TABLE presently_migrations (migration_id int PRIMARY KEY, created_at timestamptz, name text)",
    )
    const before = await tablesOf(url)
    assert.match(await unfit(url), /\(presentity, subscriber, version\)/)
    assert.deepStrictEqual(await tablesOf(url), before)
  })

  it(
    "one with a single table of anybody is left alone, unless that is meant to be there",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      await on(url, "CREATE TABLE opensips_xcap (id int)")
      assert.match(await unfit(url), /\(opensips_xcap\)/)
      assert.strictEqual(await refusal(url, { theirs: ["opensips_xcap"] }), null)
    },
  )

  it("a newer layout is refused before anything is written", { tags: ["OPS-writer"] }, async () => {
    const url = cluster!.database()
    await (await started(url)).stop()
    await on(url, "INSERT INTO presently_migrations (migration_id, name) VALUES (99, 'later')")
    assert.match(await unfit(url), /its layout is 99 of \d+: a newer version has been at work: /)
    assert.deepStrictEqual(await on(url, "SELECT epoch::int FROM writers"), [{ epoch: 1 }])
  })

  it(
    "a pooler that gives each transaction another session is told, and nothing is written through it",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const pooler = await startPooler(url)
      assert.match(
        await unfit(pooler.url),
        /statements of one connection reach different sessions of the database, as through a pooler in transaction mode, .*: connect to the database itself/,
      )
      assert.deepStrictEqual(await tablesOf(url), [])
      pooler.stop()
    },
  )

  it(
    "one that can only be read, a role without rights, an unknown role and an unknown database are told",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const name = new URL(url).pathname.slice(1)
      const as = (role: string): string => url.replace("postgres@", `${role}@`)
      const role = `nobody_${name}`
      await on(url, `CREATE ROLE ${role} LOGIN`)
      assert.match(
        await unfit(as(role)),
        new RegExp(`the role ${role} may not make tables in it: GRANT CREATE`),
      )
      await (await started(url)).stop()
      assert.match(
        await unfit(as(role)),
        new RegExp(`the role ${role} may not read and write .*events.*: connect as`),
      )
      assert.match(
        await unfit(as("who_is_that")),
        /role "who_is_that" does not exist: correct role and password/,
      )
      assert.match(
        await unfit(url.replace(name, "not_there")),
        /there is no such database: make it, or correct the name$/,
      )
      assert.match(
        await unfit(`${url}?options=-c%20search_path%3Dnowhere`),
        /none of the schemas in the search_path of the role postgres is there for it: /,
      )
      await on(url, `ALTER DATABASE ${name} SET default_transaction_read_only = on`)
      assert.match(await unfit(url), /it is read-only: /)
    },
  )
})
