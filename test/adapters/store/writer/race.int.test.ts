/**
 * Sessions of the database of their own, not one pool, that want the same version of one stream at the same moment.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { makePostgresStore, sessionSettings } from "../../../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../../../src/adapters/store/postgres/migrations.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import { on } from "../../../support/checked-store.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()

/** Each over a connection of its own; nobody has the log, so all may write. */
const racers = (url: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), () =>
    Layer.build(
      Layer.fresh(
        PgClient.layer({
          url: Redacted.make(url),
          maxConnections: 1,
          startupParameters: sessionSettings,
        }),
      ),
    ).pipe(
      Effect.map((services) => ({
        services,
        store: makePostgresStore(Context.get(services, PgClient.PgClient), { erasable: false }),
      })),
    ),
  )

const rounds = 300

describe.skipIf(cluster === null)("sessions that race", () => {
  it(
    "of sessions that append the same version of one stream at once exactly one wins, every time",
    { tags: ["3903-6-g", "L39"] },
    async () => {
      const url = cluster!.database()
      const outcome = await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const clients = yield* racers(url, 3)
            yield* Effect.provideContext(
              Effect.andThen(migrate, makePartitions(new Date(1_770_000_000_000))),
              clients[0]!.services,
            )
            const wins = { none: 0, one: 0, more: 0 }
            for (let round = 0; round < rounds; round++) {
              const stream = freshStream()
              // both kinds of heads: a stream that begins, and one that goes on
              const version = round % 3 === 0 ? 1 : 2
              if (version === 2) yield* clients[0]!.store.append([decisionOf(stream, 1)])
              const results = yield* Effect.all(
                clients.map(({ store }, racer) =>
                  store.append([decisionOf(stream, version, { nonce: `racer ${racer}` })]),
                ),
                { concurrency: "unbounded" },
              )
              const won = results.filter(({ conflicts }) => conflicts.size === 0).length
              wins[won === 0 ? "none" : won === 1 ? "one" : "more"]++
            }
            return wins
          }),
        ),
      )
      assert.deepStrictEqual(outcome, { none: 0, one: rounds, more: 0 })
      assert.deepStrictEqual(
        await on(url, "SELECT stream FROM events GROUP BY stream, version HAVING count(*) > 1"),
        [],
      )
    },
  )

  it(
    "the database itself takes no version of a stream twice, whatever the statement, also in months to come",
    { tags: ["3903-6-g"] },
    async () => {
      const url = cluster!.database()
      await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const [one] = yield* racers(url, 1)
            const months = [1_770_000_000_000, Date.UTC(2031, 4, 15)]
            yield* Effect.provideContext(
              Effect.andThen(
                migrate,
                Effect.forEach(months, (at) => makePartitions(new Date(at))),
              ),
              one!.services,
            )
            for (const at of [...months, Date.UTC(2050, 0, 1)])
              yield* one!.store.append([decisionOf(freshStream(), 1, { at })])
          }),
        ),
      )
      const rows = (await on(url, "SELECT pos::int FROM events")) as readonly { readonly pos: number }[]
      assert.strictEqual(rows.length, 3)
      for (const { pos } of rows) {
        let refused = ""
        await on(
          url,
          `INSERT INTO events (at, stream, version, cause, origin, nonce, events)
           SELECT at, stream, version, cause, origin, 'again', events FROM events WHERE pos = ${pos}`,
        ).catch((cause: unknown) => {
          refused = JSON.stringify(cause, Object.getOwnPropertyNames(cause as object))
        })
        assert.match(refused, /UniqueViolation/)
      }
    },
  )
})
