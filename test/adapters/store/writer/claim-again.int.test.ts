/**
 * An attempt to get a log that failed half way leaves nothing behind that the next one, in the same program, would have to wait for.
 */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import { makePostgresStore } from "../../../../src/adapters/store/postgres/event-store.ts"
import { claimOn } from "../../../../src/adapters/store/writer/claim.ts"
import { boundedClient } from "../../../../src/adapters/store/writer/sockets.ts"
import { claimLog } from "../../../../src/adapters/store/writer/writer.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import { LogIsTaken } from "../../../../src/ports/claim.ts"
import { on } from "../../../support/checked-store.ts"
import { refusal, started } from "../../../support/log-writer.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe.skipIf(cluster === null)("a log that was got, and whose layout could not be made", () => {
  for (const standby of [false, true])
    it(
      `is got again by the same program${standby ? ", which waits for nobody" : ""}`,
      { tags: ["OPS-writer"] },
      async () => {
        const url = cluster!.database()
        await (await started(url)).stop()
        const scope = Effect.runSync(Scope.make())
        const application = "presently writer again"
        let tries = 0
        const waitedFor: number[] = []
        const { sql, writer } = await Effect.runPromise(
          Effect.gen(function* () {
            const services = yield* Layer.build(
              Layer.fresh(boundedClient(url, application, { maxConnections: 2 })),
            )
            const client = Context.get(services, PgClient.PgClient)
            const got = yield* claimLog(client, {
              url,
              application,
              program: "presently test",
              version: "1",
              store: "the test's log",
              setting: "database_url = test (flag)",
              lease: 2,
              standby,
              fix: "stop it",
              theirs: [],
              migrate: Effect.suspend(() =>
                ++tries === 1
                  ? Effect.fail(
                      new SqlError({
                        reason: new UnknownError({ cause: new Error("the connection was lost") }),
                      }),
                    )
                  : Effect.void,
              ),
              on: {
                waiting: ({ epoch }) => Effect.sync(() => void waitedFor.push(epoch)),
                lapsed: () => Effect.void,
                returned: Effect.void,
              },
            }).pipe(Effect.retry({ times: 1, while: (cause) => !(cause instanceof LogIsTaken) }))
            return { sql: client, writer: got }
          }).pipe(Scope.provide(scope)),
        )
        assert.deepStrictEqual([tries, waitedFor, writer.holder.epoch], [2, [], 3])
        assert.isTrue(claimOn(sql).isSure())
        const { conflicts } = await Effect.runPromise(
          makePostgresStore(sql).append([decisionOf(freshStream(), 1)]),
        )
        assert.strictEqual(conflicts.size, 0)
        // it keeps it, and there is one session that does
        assert.instanceOf(await refusal(url), LogIsTaken)
        assert.deepStrictEqual(
          await on(
            url,
            "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND classid = 7265005",
          ),
          [{ n: 1 }],
        )
        await Effect.runPromise(Scope.close(scope, Exit.void))
        assert.deepStrictEqual(
          await on(url, "SELECT epoch::int, ended IS NOT NULL AS ended FROM claims ORDER BY epoch"),
          [1, 2, 3].map((epoch) => ({ epoch, ended: true })),
        )
      },
    )
})
