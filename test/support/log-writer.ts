/**
 * Programs that take a log, as started by tests: a pool, and the session that holds the claim.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Context, Effect, Exit, Layer, Scope } from "effect"
import { makePostgresStore, sessionSettings } from "../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../src/adapters/store/postgres/migrations.ts"
import { boundedClient } from "../../src/adapters/store/writer/sockets.ts"
import type { WriterOptions } from "../../src/adapters/store/writer/writer-row.ts"
import { claimLog } from "../../src/adapters/store/writer/writer.ts"
import type { Writer } from "../../src/ports/claim.ts"
import type { EventStore } from "../../src/ports/event-store.ts"

let programs = 0

export interface Program {
  readonly sql: PgClient.PgClient
  readonly store: EventStore["Service"]
  readonly writer: Writer
  readonly lapses: unknown[]
  readonly application: string
  /** Releases the log. */
  readonly stop: () => Promise<void>
  /** Closes all of its sessions, as when the process is killed, without letting it notice. */
  readonly scope: Scope.Closeable
}

/** A program of its own: a pool, and the session that holds the claim. */
export const program = async (
  url: string,
  more: Partial<WriterOptions> = {},
): Promise<Exit.Exit<Program, unknown>> => {
  const scope = Effect.runSync(Scope.make())
  const application = `presently writer test${++programs}`
  const lapses: unknown[] = []
  const exit = await Effect.runPromiseExit(
    Effect.gen(function* () {
      const services = yield* Layer.build(
        Layer.fresh(
          boundedClient(url, application, { maxConnections: 2, startupParameters: sessionSettings }),
        ),
      )
      const sql = Context.get(services, PgClient.PgClient)
      const writer = yield* claimLog(sql, {
        url,
        application,
        program: "presently test",
        version: "1",
        store: "the test's log",
        setting: "database_url = test (flag)",
        lease: 2,
        standby: false,
        fix: "stop it",
        theirs: [],
        migrate: migrate.pipe(
          Effect.andThen(makePartitions(new Date(1_770_000_000_000))),
          Effect.provideContext(services),
        ),
        on: {
          waiting: () => Effect.void,
          lapsed: (cause) => Effect.sync(() => void lapses.push(cause)),
          returned: Effect.void,
        },
        ...more,
      })
      return { sql, writer, store: makePostgresStore(sql) }
    }).pipe(Scope.provide(scope)),
  )
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  if (Exit.isFailure(exit)) await stop()
  return Exit.map(exit, (made) => ({ ...made, lapses, application, stop, scope }))
}

export const started = async (url: string, more: Partial<WriterOptions> = {}): Promise<Program> => {
  const exit = await program(url, more)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

export const refusal = async (url: string, more: Partial<WriterOptions> = {}): Promise<unknown> => {
  const exit = await program(url, more)
  if (Exit.isSuccess(exit)) {
    await exit.value.stop()
    return null
  }
  return Cause.squash(exit.cause)
}
