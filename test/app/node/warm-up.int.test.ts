/**
 * A warm-up beside a log: it runs the statement of an append, and nothing of it is left.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { layerEmbedded } from "../../../src/adapters/store/layers.ts"
import { makePartitions, migrate } from "../../../src/adapters/store/postgres/migrations.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { outOfOrder, warmUp } from "../../../src/app/node/warm-up.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { moduleTableNames } from "../../../src/ports/presence-tables.ts"

const packages = packagesOf(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {} }))

describe("a warm-up beside a log", () => {
  it("leaves no decision, no stream, no key and no place taken", { tags: ["L12"] }, async () => {
    let appends = 0
    let looks = 0
    const found = await Effect.runPromise(
      Effect.gen(function* () {
        const services = yield* Layer.build(
          layerEmbedded(null, { application: "presently writer test", tables: moduleTableNames }),
        )
        const sql = Context.get(services, PgClient.PgClient)
        yield* Effect.provideContext(Effect.andThen(migrate, makePartitions(new Date())), services)
        const store = Context.get(services, EventStore)
        yield* warmUp({
          packages,
          millisMax: Number.POSITIVE_INFINITY,
          isOver: () => ++looks > 40,
          database: () => ({
            ...store,
            append: (decisions) =>
              Effect.tap(store.append(decisions), ({ conflicts }) =>
                Effect.sync(() => {
                  appends++
                  assert.deepEqual([...conflicts], [outOfOrder.stream])
                }),
              ),
          }),
        })
        return yield* sql`
          SELECT (SELECT count(*)::int FROM events) AS events, (SELECT count(*)::int FROM streams) AS streams,
            (SELECT count(*)::int FROM person_keys) AS keys, (SELECT is_called FROM events_pos_seq) AS placed,
            (SELECT is_called FROM streams_id_seq) AS numbered`
      }).pipe(Effect.scoped),
    )
    assert.ok(appends >= 4)
    assert.deepEqual(found, [{ events: 0, streams: 0, keys: 0, placed: false, numbered: false }])
  })
})
