/**
 * A warm-up beside a log: it runs the statement of an append, and nothing of it is left.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { layerEmbedded } from "../../../src/adapters/store/layers.ts"
import { makePartitions, migrate } from "../../../src/adapters/store/postgres/migrations.ts"
import { outOfOrder } from "../../../src/app/node/warm-up.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { moduleTableNames } from "../../../src/ports/presence-tables.ts"
import { warmUpBeside } from "../../support/warm-up.ts"

describe("a warm-up beside a log", () => {
  it("leaves no decision, no stream, no key and no place taken", { tags: ["L12"] }, async () => {
    const found = await Effect.runPromise(
      Effect.gen(function* () {
        const services = yield* Layer.build(
          layerEmbedded(null, { application: "presently writer test", tables: moduleTableNames }),
        )
        const sql = Context.get(services, PgClient.PgClient)
        yield* Effect.provideContext(Effect.andThen(migrate, makePartitions(new Date())), services)
        const store = Context.get(services, EventStore)
        const conflicts = yield* warmUpBeside(store, 5)
        assert.deepEqual(conflicts, Array(5).fill([outOfOrder.stream]))
        return yield* sql`
          SELECT (SELECT count(*)::int FROM events) AS events, (SELECT count(*)::int FROM streams) AS streams,
            (SELECT count(*)::int FROM person_keys) AS keys, (SELECT is_called FROM events_pos_seq) AS placed,
            (SELECT is_called FROM streams_id_seq) AS numbered`
      }).pipe(Effect.scoped),
    )
    assert.deepEqual(found, [{ events: 0, streams: 0, keys: 0, placed: false, numbered: false }])
  })
})
