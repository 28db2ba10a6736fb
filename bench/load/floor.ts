/**
 * What this machine can do at best: a pair of datagrams through an echo in Node, and a commit of a bare row. Figures of a
 * server mean something only beside these.
 */
import { createSocket } from "node:dgram"
import { performance } from "node:perf_hooks"
import { Worker, isMainThread, parentPort } from "node:worker_threads"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"

export interface Floor {
  /** Pairs (a request of 600 octets and its echo) in a second with 1 and with 32 outstanding. */
  readonly pairs: { readonly alone: number; readonly many: number }
  /** Rows of 600 octets in a second, committed one by one and twenty at once. */
  readonly rows: { readonly alone: number; readonly many: number }
}

const octets = Buffer.alloc(600, "x")

/** Datagrams to and fro for so many seconds. */
const pairsPerSecond = async (port: number, outstanding: number, seconds: number): Promise<number> => {
  const socket = createSocket("udp4")
  await new Promise<void>((connected) => socket.connect(port, "127.0.0.1", connected))
  const start = performance.now()
  let pairs = 0
  await new Promise<void>((resolve) => {
    socket.on("message", () => {
      pairs += 1
      if (performance.now() - start < seconds * 1000) socket.send(octets)
      else resolve()
    })
    for (let count = 0; count < outstanding; count += 1) socket.send(octets)
  })
  const took = (performance.now() - start) / 1000
  socket.close()
  return pairs / took
}

/** Through the driver that the server uses, one statement a commit. */
const rowsPerSecond = Effect.fnUntraced(function* (sql: PgClient.PgClient, size: number, seconds: number) {
  const rows = Array.from({ length: size }, () => octets.toString("latin1"))
  const start = performance.now()
  let commits = 0
  while (performance.now() - start < seconds * 1000) {
    yield* sql`INSERT INTO bench_floor (body) SELECT unnest(${rows}::text[])`
    commits += 1
  }
  return (commits * size) / ((performance.now() - start) / 1000)
})

const measureRows = (databaseUrl: string, seconds: number): Promise<Floor["rows"]> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`CREATE TABLE bench_floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)`
      return { alone: yield* rowsPerSecond(sql, 1, seconds), many: yield* rowsPerSecond(sql, 20, seconds) }
    }).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 1 })),
      Effect.scoped,
    ),
  )

/** @param databaseUrl an empty database */
export const measureFloor = async (databaseUrl: string, seconds: number): Promise<Floor> => {
  const echo = new Worker(new URL(import.meta.url))
  const port = await new Promise<number>((resolve) => echo.once("message", resolve))
  try {
    return {
      pairs: { alone: await pairsPerSecond(port, 1, seconds), many: await pairsPerSecond(port, 32, seconds) },
      rows: await measureRows(databaseUrl, seconds),
    }
  } finally {
    await echo.terminate()
  }
}

if (!isMainThread && parentPort !== null) {
  const socket = createSocket("udp4")
  socket.on("message", (datagram, { port, address }) => {
    socket.send(datagram, port, address)
  })
  socket.bind(0, "127.0.0.1", () => parentPort?.postMessage(socket.address().port))
}
