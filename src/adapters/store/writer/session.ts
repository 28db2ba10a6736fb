/**
 * One session of a database, for whoever needs to be sure that it is always the same one: it is not pooled, its statements are
 * not prepared, and its end is noticed at once.
 */
import type { Socket } from "node:net"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect, Exit, Queue, Redacted, Scope } from "effect"
import type { SqlError } from "effect/sql"
import { closingWithin } from "./closing.ts"
import { socketTo } from "./sockets.ts"

export interface Session {
  readonly ask: <Row>(
    text: string,
    params?: readonly unknown[],
  ) => Effect.Effect<readonly Row[], SqlError.SqlError>
  /** Succeeds when somebody notifies the channel; fails when the session has ended. */
  readonly news: Effect.Effect<void, SqlError.SqlError>
  /** Ends it, in order when the database answers within a second. */
  readonly close: Effect.Effect<void>
  /** Ends it at once: whatever waits for it fails. */
  readonly cut: () => void
}

/** How long the database may take to answer when a session is closed, milliseconds. */
const closesWithin = 1000

/** How long a database may take to answer a connection that is opened. */
const connectTimeout = "3 seconds"

const connect = (url: string, applicationName: string, opened: (socket: Socket) => void = () => {}) =>
  PgConnection.make({
    url: Redacted.make(url),
    applicationName,
    connectTimeout,
    stream: () => {
      const socket = socketTo(url, applicationName)
      opened(socket)
      return socket
    },
    prepare: false,
  })

/** @param channel listened to */
export const openSession = Effect.fnUntraced(function* (
  url: string,
  applicationName: string,
  channel: string,
) {
  const scope = yield* Scope.make()
  const sockets: Socket[] = []
  const cut = (): void => {
    for (const socket of sockets) socket.destroy(new Error("the session was closed"))
  }
  /** Its end is told to the database, which may not answer. */
  const closed = (exit: Exit.Exit<unknown, unknown>) =>
    closingWithin(closesWithin, cut, Scope.close(scope, exit))
  const opened = Effect.gen(function* () {
    // pinned: whoever listens has the connection to itself
    const connection = yield* Effect.flatMap(
      connect(url, applicationName, (socket) => sockets.push(socket)),
      ({ pin }) => pin,
    )
    const news = yield* connection.listen(channel)
    const session: Session = {
      ask: <Row>(text: string, params: readonly unknown[] = []) =>
        Effect.map(connection.query(text, params, false), ({ rows }) => rows as unknown as readonly Row[]),
      news: Effect.asVoid(Queue.take(news)),
      close: closed(Exit.void),
      cut,
    }
    return session
  })
  return yield* opened.pipe(
    Scope.provide(scope),
    Effect.onError((cause) => closed(Exit.failCause(cause))),
  )
})

/** Which session of the server another connection gets while it is in a transaction. */
export const secondSession = (
  url: string,
  applicationName: string,
): Effect.Effect<number, SqlError.SqlError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect(url, applicationName)
      yield* connection.query("BEGIN", [], false)
      const { rows } = yield* connection.query("SELECT pg_backend_pid() AS pid", [], false)
      yield* connection.query("COMMIT", [], false)
      return rows[0]?.["pid"] as number
    }),
  )
