/**
 * Appends per second by batch size against the database in DATABASE_URL (or the embedded one; --within: in this process): what one commit costs.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import type { Layer } from "effect"
import { layerEmbedded } from "../src/adapters/store/layers.ts"
import { ownConnection, sharedConnection } from "../src/adapters/store/postgres/append-connection.ts"
import { newServerName } from "../src/adapters/store/postgres/connections.ts"
import { embeddedClient } from "../src/adapters/store/postgres/embedded.ts"
import { makePostgresStore, sessionSettings } from "../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../src/adapters/store/postgres/migrations.ts"
import type { Decision } from "../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../src/domain/vocabulary.ts"

const url = process.env["DATABASE_URL"]
const folder = mkdtempSync(join(tmpdir(), "presently-append-"))
process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
const database: Layer.Layer<PgClient.PgClient, unknown> =
  url === undefined
    ? process.argv.includes("--within")
      ? embeddedClient(null)
      : layerEmbedded(folder, { application: newServerName(), pool: { maxConnections: 4, multiplex: true } })
    : PgClient.layer({
        url: Redacted.make(url),
        multiplex: true,
        maxConnections: 4,
        startupParameters: sessionSettings,
      })

const text = `<presence xmlns="urn:ietf:params:xml:ns:pidf">${"x".repeat(500)}</presence>`
const decision = (stream: Uri, version: number): Decision => ({
  stream,
  version,
  at: Date.now(),
  cause: "Publish",
  origin: "udp:127.0.0.1:5060 call-id 1",
  nonce: `n${stream}${version}`,
  events: [
    {
      _tag: "PublicationCreated",
      packageName: "presence",
      entityTag: `${version}` as EntityTag,
      expiresAt: Date.now() + 3_600_000,
      body: { contentType: "application/pidf+xml", text },
      sender: null,
    },
  ],
})

await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    // as a server has it
    const appends = url === undefined ? sharedConnection(sql) : ownConnection(sql, yield* Effect.scope)
    yield* migrate
    yield* makePartitions(new Date())
    // in clear and encrypted in turn
    for (const [size, erasable] of [1, 20, 100].flatMap((one) => [
      [one, false] as const,
      [one, true] as const,
    ])) {
      const store = makePostgresStore(sql, { erasable, appends })
      const streams = Array.from(
        { length: size },
        (_, index) => `sip:b${process.pid}-${size}-${erasable}-${index}@x` as Uri,
      )
      let version = 0
      let batches = 0
      const warmUntil = performance.now() + 500
      while (performance.now() < warmUntil) {
        version++
        yield* store.append(streams.map((stream) => decision(stream, version)))
      }
      const start = performance.now()
      const cpu = process.cpuUsage()
      while (performance.now() - start < 2000) {
        version++
        batches++
        yield* store.append(streams.map((stream) => decision(stream, version)))
      }
      const seconds = (performance.now() - start) / 1000
      const used = process.cpuUsage(cpu)
      const cpuMicros = Math.round((used.user + used.system) / batches)
      console.log(
        `batch of ${size}${erasable ? ", erasable" : ""}: ${Math.round((batches * size) / seconds)} decisions/s, ${((seconds / batches) * 1e6).toFixed(0)} us and ${cpuMicros} us of our CPU per commit`,
      )
    }
  }).pipe(Effect.provide(database), Effect.scoped) as Effect.Effect<void>,
)
