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
import { Cause, Effect, Exit, Scope } from "effect"
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

/** How long a new connection may take to answer: a pooler may accept one and have no session for it. */
const answersWithin = "5 seconds"

interface Opened {
  readonly connection: PgConnection.PgConnection
  readonly scope: Scope.Closeable
  /** Appends without an answer. */
  underWay: number
}

/** @param ended is called when the database or the network ends it */
const openConnection = Effect.fnUntraced(function* (
  { config }: PgClient.PgClient,
  within: Scope.Scope,
  ended: (opened: Opened | null) => void,
) {
  const scope = yield* Scope.fork(within)
  let opened: Opened | null = null
  let hasEnded = false
  const onEnd = (): void => {
    hasEnded = true
    ended(opened)
  }
  const { stream } = config
  const connection = yield* PgConnection.make({
    ...config,
    multiplex: true,
    ...(stream === undefined ? {} : { stream: () => stream().once("close", onEnd) }),
  }).pipe(
    Effect.tap((made) =>
      Effect.timeoutOrElse(made.queryValues("SELECT 1"), {
        duration: answersWithin,
        orElse: () => Effect.fail(new Error(`a new one did not answer within ${answersWithin}`)),
      }),
    ),
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
  )
  if (hasEnded) return yield* Effect.fail(new Error("a new one ended at once"))
  return (opened = { connection, scope, underWay: 0 })
})

/**
 * Over a connection of its own. It is opened while the first appends go over the client's connections, and again when it has ended.
 * Where the database gives none, because the role or a pooler has no more, appends go on over those of the client, and another is
 * asked for from time to time; no append waits for that.
 *
 * A connection on which an append failed or was given up is not used again: whether that append is stored is not known either way,
 * and the next one does not wait behind it. Several appends at a time are sent one after the other without waiting; those that are
 * still under way keep the connection open until they are answered.
 *
 * @param within the connection is closed with it
 */
export const ownConnection = (sql: PgClient.PgClient, within: Scope.Scope): AppendConnection => {
  const shared = sharedConnection(sql)
  let opened: Opened | null = null
  let isOpening = false
  let nextTryAt = -Infinity
  /** Why there is none, until somebody was told. */
  let refusal: string | null = null
  let isRefused = false

  const closeUnused = (own: Opened): void => {
    if (opened !== own && own.underWay === 0) Effect.runFork(Scope.close(own.scope, Exit.void))
  }
  const leave = (own: Opened | null): void => {
    if (own === null) return
    if (opened === own) opened = null
    closeUnused(own)
  }

  /** Asks for one, once at a time, and does not wait for it. */
  const ask = Effect.suspend(() => {
    if (isOpening || performance.now() < nextTryAt) return Effect.void
    isOpening = true
    const asked = Effect.onExit(openConnection(sql, within, leave), (exit) =>
      Effect.sync(() => {
        isOpening = false
        if (Exit.isSuccess(exit)) {
          opened = exit.value
          isRefused = false
          return
        }
        nextTryAt = performance.now() + tryAgainMillis
        if (!isRefused) refusal = messageOf(Cause.squash(exit.cause))
        isRefused = true
      }),
    )
    return Effect.forkIn(Effect.ignore(asked), within)
  })

  // a database that is away gives no connection either: an append that was stored shows that it is not
  const tellRefusal = Effect.suspend(() => {
    if (refusal === null) return Effect.void
    const why = refusal
    refusal = null
    return Effect.logWarning(
      `no connection of their own for appends (${why}): they go over those of the client`,
    )
  })

  const sendOn = (own: Opened, parameters: readonly unknown[]) => {
    own.underWay++
    return Effect.onExit(own.connection.queryValues(appendCall, parameters), (exit) =>
      Effect.sync(() => {
        own.underWay--
        if (Exit.isSuccess(exit)) closeUnused(own)
        else leave(own)
      }),
    )
  }

  return {
    send: (parameters) =>
      Effect.suspend(() =>
        opened === null
          ? Effect.andThen(
              ask,
              Effect.tap(shared.send(parameters), () => tellRefusal),
            )
          : Effect.map(sendOn(opened, parameters), ([row]) => outcomeIn(row)),
      ),
  }
}
