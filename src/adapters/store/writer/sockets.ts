/**
 * The sockets of a program to its database, so that they can be ended when the database does not answer.
 *
 * A statement that is under way is waited for, and so are ROLLBACK and UNLISTEN when something is closed: as long as the socket is
 * open and nothing comes, that would be for ever. Every connection under one `application_name` goes through here, and `cutOff`
 * ends them all: whatever waits fails at once.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { closingWithin } from "./closing.ts"

interface Sockets {
  readonly open: Set<Socket>
  isCut: boolean
}

const all = new Map<string, Sockets>()

const socketsOf = (application: string): Sockets => {
  const known = all.get(application)
  if (known !== undefined) return known
  const made: Sockets = { open: new Set(), isCut: false }
  all.set(application, made)
  return made
}

/** Seconds after which a connection on which nothing comes is asked whether its other end is there. */
const keepAliveSeconds = 2

/** How long a socket that was closed from here may wait for the other end. */
const lingerMillis = 1000

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** @param url as the driver reads it: `?host=` and `?port=` win, and a host that begins with `/` is a folder of sockets */
const databaseAddress = (
  url: string,
): { readonly host: string; readonly port: number } | { readonly path: string } => {
  const { hostname, port: named, searchParams } = new URL(url)
  const plain = hostname.startsWith("[") ? hostname.slice(1, -1) : decoded(hostname)
  const host = searchParams.getAll("host").at(-1) ?? (plain === "" ? "localhost" : plain)
  const port = Number(searchParams.getAll("port").at(-1) ?? (named === "" ? 5432 : named))
  return host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
}

/** Databases that have another address by now than when their users were told. */
const moved = new Map<string, string>()

/** From now on, new connections to an address go to another. @param present the same: they go there themselves again */
export const redirect = (url: string, present: string): void => {
  if (url === present) moved.delete(url)
  else moved.set(url, present)
}

/** Opens a socket to the database for one program. @param application the program's `application_name` */
export const socketTo = (url: string, application: string): Socket => {
  const address = databaseAddress(moved.get(url) ?? url)
  const socket = connect(
    "path" in address
      ? address
      : { ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveSeconds * 1000 },
  )
  const { open, isCut } = socketsOf(application)
  open.add(socket)
  socket.once("close", () => {
    open.delete(socket)
    if (open.size === 0 && all.get(application)?.isCut === false) all.delete(application)
  })
  // whoever closes it says so and does not wait for the answer
  socket.once("finish", () => setTimeout(() => socket.destroy(), lingerMillis).unref())
  if (isCut) socket.destroy(cutError())
  return socket
}

const cutError = (): Error => new Error("the connections to the database are being closed")

/** Ends every connection of a program, and those that it opens from now on. */
export const cutOff = (application: string): void => {
  const sockets = socketsOf(application)
  sockets.isCut = true
  for (const socket of sockets.open) socket.destroy(cutError())
}

/** How long the pool of a program may take to close. */
const poolClosesWithin = 1000

/** A pool of connections that is closed in time whatever the database does. */
export const boundedClient = (
  url: string,
  application: string,
  more: Partial<PgClient.PgPoolConfig>,
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      yield* Effect.addFinalizer((exit) =>
        Effect.andThen(
          closingWithin(poolClosesWithin, () => cutOff(application), Scope.close(inner, exit)),
          // the name is not used again
          Effect.sync(() => void all.delete(application)),
        ),
      )
      return yield* Layer.build(
        Layer.fresh(
          PgClient.layer({
            url: Redacted.make(url),
            applicationName: application,
            stream: () => socketTo(url, application),
            ...more,
          }),
        ),
      ).pipe(
        Scope.provide(inner),
        Effect.onError((cause) => Scope.close(inner, Exit.failCause(cause))),
      )
    }),
  )
