/**
 * The connection that appends go over.
 *
 * A server answers nobody before the append is committed, so nothing may stand in its way: neither statements that others have sent
 * on the same connection, nor the layers of a client that are there for statements of any kind (compiling, spans, the pool). So a
 * program that appends again and again has a connection of the driver of its own for it, with the settings of its client, and the
 * append is one prepared statement on it.
 */
import type { PgClient } from "@effect/sql-pg"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect, Exit, Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql"
import { messageOf } from "../writer/fitness.ts"
import { appendCall, outcomeIn } from "./append.sql.ts"
import type { AppendOutcome } from "./append.sql.ts"

export interface AppendConnection {
  /** Sends an append, and waits for its commit. @param parameters as `appendParameters` makes them */
  readonly send: (parameters: readonly unknown[]) => Effect.Effect<AppendOutcome, SqlError.SqlError>
}

/** Over the client's own connections: where the database has a single session, or appends are rare. */
export const sharedConnection = (sql: PgClient.PgClient): AppendConnection => ({
  send: (parameters) =>
    Effect.map(sql.unsafe(appendCall, parameters).values, ([row]) => outcomeIn(row as readonly unknown[])),
})

/** How long appends go over the client's connections before one of their own is asked for again. */
const tryAgainMillis = 10_000

interface Opened {
  readonly connection: PgConnection.PgConnection
  readonly scope: Scope.Closeable
}

/**
 * Over a connection of its own, which is opened by the first append and again when it has ended. Where the database gives none,
 * because the role or a pooler has no more, appends go over the client's connections, and another is asked for from time to time.
 *
 * A connection on which an append failed or was given up is not used again: whether that append is stored is not known either way,
 * and the next one does not wait behind it. Several appends at a time are sent one after the other without waiting.
 *
 * @param within the connection is closed with it
 */
export const ownConnection = (sql: PgClient.PgClient, within: Scope.Scope): AppendConnection => {
  const turns = Semaphore.makeUnsafe(1)
  const shared = sharedConnection(sql)
  let opened: Opened | null = null
  let nextTryAt = -Infinity
  let isRefusalKnown = false

  const leave = (left: Opened | null): void => {
    if (left === null || opened !== left) return
    opened = null
    Effect.runFork(Scope.close(left.scope, Exit.void))
  }

  const open = Effect.suspend(() => {
    if (opened !== null) return Effect.succeed(opened)
    return Effect.gen(function* () {
      const scope = yield* Scope.fork(within)
      let hasEnded = false
      const ended = (): void => {
        hasEnded = true
        if (opened?.scope === scope) leave(opened)
      }
      const { stream } = sql.config
      const connection = yield* PgConnection.make({
        ...sql.config,
        multiplex: true,
        ...(stream === undefined ? {} : { stream: () => stream().once("close", ended) }),
      }).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
      )
      const made: Opened = { connection, scope }
      if (!hasEnded) opened = made
      return made
    })
  })

  const openedOrNull: Effect.Effect<Opened | null> = turns.withPermit(open).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        isRefusalKnown = false
      }),
    ),
    Effect.catch((cause) => {
      nextTryAt = performance.now() + tryAgainMillis
      if (isRefusalKnown) return Effect.succeed(null)
      isRefusalKnown = true
      const why = `no connection of their own for appends (${messageOf(cause)}): they go over those of the client`
      return Effect.as(Effect.logWarning(why), null)
    }),
  )

  const sendOn = (on: Opened, parameters: readonly unknown[]) =>
    on.connection.queryValues(appendCall, parameters).pipe(
      Effect.map(([row]) => outcomeIn(row)),
      Effect.onError(() => Effect.sync(() => leave(on))),
    )

  return {
    send: (parameters) =>
      Effect.suspend(() =>
        opened !== null
          ? sendOn(opened, parameters)
          : performance.now() < nextTryAt
            ? shared.send(parameters)
            : Effect.flatMap(openedOrNull, (on) =>
                on === null ? shared.send(parameters) : sendOn(on, parameters),
              ),
      ),
  }
}
