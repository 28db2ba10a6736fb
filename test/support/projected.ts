/**
 * A history as a server stores it: the log on PostgreSQL, the tables written by the real projector from time to time.
 */
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect } from "effect"
import { makePostgresStore } from "../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../src/adapters/store/postgres/log-admin.ts"
import { makePresenceTables } from "../../src/adapters/store/postgres/presence-tables.ts"
import { verifyTables } from "../../src/app/integrity/verify.ts"
import type { VerifyOptions, VerifyReport } from "../../src/app/integrity/verify.ts"
import { makeProjector } from "../../src/app/node/projector.ts"
import { requesterOf } from "../../src/domain/presentity/requester.ts"
import { EventStore } from "../../src/ports/event-store.ts"
import { PresenceTables } from "../../src/ports/presence-tables.ts"
import type { Run } from "./machine.ts"

export const emptyStore = (sql: PgClient.PgClient) =>
  Effect.runPromise(
    sql`TRUNCATE events, streams, snapshots, landmarks, checkpoints, seals, presentity, active_watchers, watchers`,
  )

/**
 * Stores a history from the beginning; the tables are written after its `n`th decision if `flushes(n)` says so.
 *
 * @returns whether the tables show all of it
 */
export const project = (sql: PgClient.PgClient, run: Run, flushes: (decision: number) => boolean) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const store = makePostgresStore(sql)
      let committed = { position: 0, at: 0 }
      const services = Context.make(EventStore, store).pipe(
        Context.add(PresenceTables, makePresenceTables(sql)),
      )
      const projector = yield* makeProjector(
        { periodSeconds: 0, decisionsMax: Number.POSITIVE_INFINITY },
        { committed: () => committed, oldestInFlight: () => null },
      ).pipe(Effect.provideContext(services))
      const moments = run.moments.filter(({ events }) => events.length > 0)
      for (const [index, decision] of run.log.entries()) {
        const { before, after } = moments[index]!
        // nonces of a history are made of its inputs, and inputs are not told apart by time alone
        const { position } = yield* store.append(
          [{ ...decision, nonce: `${decision.nonce}-${index}` }],
          [requesterOf(before, moments[index]!.command, decision.events)],
        )
        committed = { position, at: Math.max(committed.at, decision.at) }
        projector.note([{ decision, before, after }])
        if (flushes(index)) yield* projector.flush
      }
      return projector.lag().decisions === 0
    }),
  )

export const verified = (
  sql: PgClient.PgClient,
  options: Partial<VerifyOptions> = {},
): Promise<VerifyReport> =>
  Effect.runPromise(verifyTables(makeLogAdmin(sql), { fromStart: false, repair: false, ...options }))
