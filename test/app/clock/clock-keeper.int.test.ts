/**
 * What a server makes of its clock at a start and while it runs, with the store as a witness; and what that means for retention.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest"
import { makeClockWitness } from "../../../src/adapters/store/postgres/clock-witness.ts"
import { makePostgresStore } from "../../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../../src/adapters/store/postgres/log-admin.ts"
import { migrate } from "../../../src/adapters/store/postgres/migrations.ts"
import { bootId, makeClockKeeper, uptimeMillis } from "../../../src/app/clock/clock-keeper.ts"
import type { ClockKeeper } from "../../../src/app/clock/clock-keeper.ts"
import { suspicionOf } from "../../../src/app/clock/witnesses.ts"
import { makeDaily } from "../../../src/app/retention/daily-compaction.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { emptyStore } from "../../support/projected.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const [second, hour, day, year] = [1000, 3_600_000, 86_400_000, 365 * 86_400_000]
const options = { jumpMillis: 10 * second, waitMillis: 600 * second }
const system = Effect.runSync(Clock.Clock)

describe.skipIf(cluster === null)("the clock of a server", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const layer = PgClient.layer({ url: Redacted.make(cluster!.database()), maxConnections: 2 })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(Effect.provideContext(migrate, services))
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  beforeEach(() => emptyStore(sql))

  /** A machine whose clock is wrong by so much, that has run for a while; the database's clock is right. */
  const machine = (wrong: number, over: { readonly boot?: string; readonly ran?: number } = {}) => {
    const began = performance.now()
    let by = wrong
    let extra = 0
    const passed = (): number => performance.now() - began + extra
    const keeper: ClockKeeper = makeClockKeeper(system, options, () => {}, {
      wall: () => Date.now() + extra + by,
      monotonic: passed,
      uptime: () => (over.ran ?? hour) + passed(),
      boot: over.boot ?? "one",
    })
    return {
      keeper,
      begin: () => Effect.runPromise(keeper.begin(witness())),
      look: () => Effect.runPromise(keeper.look),
      now: () => keeper.clock.currentTimeMillisUnsafe(),
      /** By how much the time told differs from what it is. */
      error: () => keeper.clock.currentTimeMillisUnsafe() - Date.now() - extra,
      setWrong: (to: number): void => void (by = to),
      pass: (millis: number): void => void (extra += millis),
    }
  }
  const isRight = (error: number): void => assert.ok(Math.abs(error) < 5 * second, `${error} ms wrong`)
  const witness = () => makeClockWitness(sql)
  const remembered = (boot: string, uptime: number, at: number) =>
    Effect.runPromise(witness().beat({ boot, uptime, at }))
  const suspicion = (now: number, isWatched = false, ahead = 0) =>
    Effect.runPromise(suspicionOf(witness(), now, { ahead, doubtDays: 7, isWatched }))
  const decided = (at: number, version = 1, stream = "sip:alice@example.com"): Decision => ({
    stream: stream as Uri,
    version,
    at,
    cause: "Publish",
    origin: "",
    nonce: `n${version}`,
    events: [
      {
        _tag: "PublicationCreated",
        packageName: "presence",
        entityTag: `e${version}` as EntityTag,
        expiresAt: at + hour,
        body: { contentType: "text/plain", text: "here" },
        sender: null,
      },
    ],
  })

  it(
    "one that is wrong at a start of the same machine is not believed, whichever way",
    { tags: ["OPS-clock_jump"] },
    async () => {
      for (const wrong of [-year, -day, -hour, hour, day, year, 2 * year]) {
        await remembered("one", hour - 20 * second, Date.now() - 20 * second)
        const one = machine(wrong)
        await one.begin()
        isRight(one.error())
        assert.ok(one.keeper.state().isDenied, "the database's clock says so as well")
        one.setWrong(0)
        isRight(one.error())
        assert.strictEqual(one.keeper.state().ahead, 0)
        assert.strictEqual(await suspicion(one.now(), true), null)
      }
    },
  )

  it(
    "a machine that was off for two weeks, or all weekend, is believed; but retention waits",
    { tags: ["OPS-clock_jump"] },
    async () => {
      await remembered("before", hour, Date.now() - 14 * day)
      const one = machine(0, { boot: "after", ran: 60 * second })
      await one.begin()
      assert.strictEqual(one.error(), 0)
      assert.match((await suspicion(one.now(), true)) ?? "", /went ahead by 14 days/)
      assert.strictEqual(
        await suspicion(one.now() + 8 * day, true, 0).then((why) => /went ahead/.test(why ?? "")),
        false,
      )
      await Effect.runPromise(witness().clearDoubt)
      // the weekend of a server that runs, and of one that the same machine has stopped
      await remembered(bootId(), (uptimeMillis() ?? 0) - 3 * day, Date.now() - 3 * day)
      assert.strictEqual(await suspicion(Date.now()), null)
      await remembered("one", hour - 3 * day, Date.now() - 3 * day)
      const other = machine(0)
      await other.begin()
      assert.strictEqual(other.error(), 0)
      assert.strictEqual(await suspicion(other.now(), true), null)
    },
  )

  it(
    "one that is behind what is known at a start goes on from there",
    { tags: ["OPS-clock_jump"] },
    async () => {
      await remembered("before", hour, Date.now() - second)
      const one = machine(-20 * year, { boot: "after", ran: 30 * second })
      await one.begin()
      isRight(one.error())
      one.setWrong(0)
      assert.strictEqual(one.error(), 0)
    },
  )

  it(
    "an old log under a clock far ahead is not dropped, not even at the first start that looks",
    { tags: ["OPS-retention_doubt"] },
    async () => {
      await Effect.runPromise(makePostgresStore(sql).append([decided(Date.now() - 3 * hour)]))
      const one = machine(2 * year)
      await one.begin()
      isRight(one.error())
      assert.match((await suspicion(Date.now() + 2 * year)) ?? "", /the database's clock says/)
    },
  )

  it(
    "the database's clock, unless it jumps along, ends the wait for a jump, or denies it",
    { tags: ["OPS-clock_jump"] },
    async () => {
      const one = machine(0)
      await one.begin()
      one.setWrong(year)
      isRight(one.error())
      await one.look()
      assert.ok(one.keeper.state().isDenied)
      isRight(one.error())
      one.setWrong(0)
      isRight(one.error())
    },
  )

  it(
    "one that was wrong from the very first start is right as soon as it is set right",
    { tags: ["OPS-clock_jump"] },
    async () => {
      for (const wrong of [-year, year]) {
        await emptyStore(sql)
        const one = machine(wrong)
        await one.begin()
        assert.ok(Math.abs(one.error()) > 300 * day, "there is nothing to go by")
        one.setWrong(0)
        one.now()
        await one.look()
        isRight(one.error())
      }
    },
  )

  it(
    "a jump that was followed though nobody confirmed it keeps retention waiting, and going back ends that",
    { tags: ["OPS-clock_jump_wait"] },
    async () => {
      const one = machine(0)
      await one.begin()
      one.setWrong(year)
      assert.ok(one.now() < Date.now() + hour)
      one.pass(options.waitMillis + second)
      assert.ok(one.error() > 300 * day)
      await Effect.runPromise(one.keeper.remembered)
      assert.ok(((await Effect.runPromise(witness().doubt))?.by ?? 0) > 364 * day)
      one.setWrong(0)
      one.now()
      one.pass(options.waitMillis + second)
      isRight(one.error())
      await Effect.runPromise(one.keeper.remembered)
      assert.strictEqual(await Effect.runPromise(witness().doubt), null)
    },
  )

  it(
    "a run drops no more than its share, whole months of it, and the rest another day",
    { tags: ["OPS-retention_share"] },
    async () => {
      const now = Date.now()
      const store = makePostgresStore(sql)
      const decisions = Array.from({ length: 200 }, (_, index) => {
        const version = index + 1
        const at = index < 180 ? now - (400 - 2 * index) * day : now - (200 - index) * hour
        return decided(at, version)
      })
      await Effect.runPromise(store.append(decisions))
      const [state] = await Effect.runPromise(store.load(["sip:alice@example.com" as Uri]))
      await Effect.runPromise(store.saveSnapshots([state!]))
      await Effect.runPromise(store.saveCheckpoint("tables", { position: 10_000_000, at: now }))
      const count = async (): Promise<number> =>
        Number(
          (
            await Effect.runPromise(
              sql<{ n: bigint }>`SELECT count(*) AS n FROM events WHERE cause = 'Publish'`,
            )
          )[0]!.n,
        )
      const terms = { days: 30, documents: new Map() }
      let why: string | null = "the clock is wrong"
      const daily = makeDaily(makeLogAdmin(sql), {
        terms,
        key: null,
        flush: Effect.void,
        whilePaused: (work) => work,
        share: 50,
        suspicion: () => Effect.succeed(why),
      })
      await Effect.runPromise(daily.once)
      assert.strictEqual(await count(), 200)
      why = null
      const left: number[] = []
      for (let run = 0; run < 6; run++) {
        const before = await count()
        await Effect.runPromise(daily.once)
        left.push(await count())
        assert.ok(left.at(-1)! >= before / 2 - 2, `${before} → ${left.at(-1)}`)
      }
      assert.ok(left[0]! < 200 && left[0]! >= 100, `${left.join(" ")}`)
      assert.ok(left.at(-1)! < left[0]!)
      const { postponed, limited, runs } = daily.counts()
      assert.strictEqual(postponed, 1)
      assert.ok(limited >= 1 && runs === 7)
    },
  )
})
