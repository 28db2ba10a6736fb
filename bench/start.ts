/**
 * How long a server that was killed takes until it is ready, and where that time goes: a PostgreSQL of its own is filled with
 * subscriptions and a long log, a server reads it once and leaves snapshots, more is written, and then servers start on it and
 * are killed in turn.
 *
 *   npm run bench:start -- [--subscriptions 100000] [--watchers 10] [--events 1000000] [--tail 10000] [--starts 5] [--hold]
 *
 * --watchers: of each presentity. --tail: decisions that no snapshot has. --hold: the database stays until a signal comes.
 */
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { makePostgresStore, sessionSettings } from "../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../src/adapters/store/postgres/migrations.ts"
import { xmlCodec } from "../src/adapters/xml/codec.ts"
import type { Release } from "../src/domain/engine/engine.ts"
import { makeEngine } from "../src/domain/engine/make-engine.ts"
import { presence } from "../src/domain/packages/pidf.ts"
import { makeRegistry } from "../src/domain/packages/registry.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../src/domain/presentity/context.ts"
import type { Notify } from "../src/domain/presentity/intents.ts"
import { initial } from "../src/domain/presentity/state.ts"
import { dialogKey } from "../src/domain/vocabulary.ts"
import type { Uri } from "../src/domain/vocabulary.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startServer } from "./load/server.ts"
import { refreshOf } from "./refresh.ts"

const { values } = parseArgs({
  options: {
    subscriptions: { type: "string", default: "100000" },
    watchers: { type: "string", default: "10" },
    events: { type: "string", default: "1000000" },
    tail: { type: "string", default: "10000" },
    starts: { type: "string", default: "5" },
    hold: { type: "boolean", default: false },
  },
})
const watchers = Number(values.watchers)
const people = Math.ceil(Number(values.subscriptions) / watchers)
const wanted = Number(values.events)
const tail = Number(values.tail)

const cluster = await startPostgres()
if (cluster === null) throw new Error("needs the binaries of PostgreSQL")
const url = cluster.database()
const packages = makeRegistry([presence({ xml: xmlCodec, rules: {} })])
const limits = { ...defaultLimits, notifyIntervalMillis: 0, maxExpiresPublish: 9e9, maxExpiresSubscribe: 9e9 }
const nameOf = (number: number): Uri => `sip:user${number}@example.com` as Uri
const watcherOf = (number: number): Uri => `sip:watcher${number}@example.com` as Uri
const expires = 100_000_000

const dialogOf = (presentity: Uri, watcher: number) => ({
  callId: `${presentity.slice(4, -12)}-${watcher}@192.0.2.20`,
  localTag: "l",
  remoteTag: "r",
})

const subscribe = (presentity: Uri, watcher: number): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: watcherOf(watcher),
  expires,
  accept: null,
  forceActive: false,
  bodyFault: null,
  dialog: {
    ...dialogOf(presentity, watcher),
    localUri: `<${presentity}>`,
    remoteUri: `<${watcherOf(watcher)}>`,
    remoteTarget: `${watcherOf(watcher).split("@")[0]}@192.0.2.20:5060`,
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:192.0.2.10:5060",
    flow: "udp:192.0.2.10:5060",
    source: "192.0.2.20:5060",
  },
})

const resubscribe = (presentity: Uri, watcher: number, cseq: number): Command => {
  const { callId, localTag, remoteTag } = dialogOf(presentity, watcher)
  return refreshOf(dialogKey(callId, localTag, remoteTag), watcherOf(watcher), cseq, expires)
}

const publish = (presentity: Uri): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: [],
  expires,
  body: {
    contentType: "application/pidf+xml",
    text: `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${presentity}"><tuple id="desk"><status><basic>open</basic></status><note>at my desk</note></tuple></presence>`,
  },
  bodyFault: null,
  sender: null,
})

/** Fills the log; what it gives back writes more, by refreshes of subscriptions. */
const fill = (sql: PgClient.PgClient) =>
  Effect.gen(function* () {
    yield* migrate
    yield* makePartitions(new Date())
    const store = makePostgresStore(sql, { erasable: true })
    const engine = makeEngine<Uri>({ packages, limits, authorize: allowEveryone, recordAfterMillis: 10_000 })
    let nonces = 0
    let events = 0
    let arrived: Notify[] = []
    const nonce = (): string => `n${(++nonces).toString(36).padStart(15, "0")}`
    const released = ({ notifications }: Release<Uri>): void => void arrived.push(...notifications)
    const offer = (presentity: Uri, command: Command): void => {
      const origin = `udp:192.0.2.20:5060 c${nonces.toString(36)}@192.0.2.20 1`
      const offered = engine.offer({ presentity, command, origin, ticket: presentity }, Date.now(), nonce)
      if (offered._tag === "Released") released(offered.release)
    }
    const commit = Effect.gen(function* () {
      for (const { presentity, no, cseq } of arrived.splice(0))
        offer(presentity, {
          _tag: "ReportDelivery",
          no,
          cseq,
          outcome: { _tag: "Accepted", remoteTarget: null },
        })
      for (let batch = engine.takeBatch(2000); batch !== null; batch = engine.takeBatch(2000)) {
        yield* store.append(batch.decisions)
        const { release, stored } = engine.committed(new Set())
        release.forEach(released)
        for (const { decision } of stored) events += decision.events.length
      }
    })
    for (let person = 0; person < people; person++) {
      engine.load(initial(nameOf(person)))
      offer(nameOf(person), publish(nameOf(person)))
      for (let watcher = 0; watcher < watchers; watcher++)
        offer(nameOf(person), subscribe(nameOf(person), watcher))
      if (person % 100 === 99) yield* commit
    }
    yield* commit
    let refreshed = 0
    const refresh = Effect.gen(function* () {
      for (let some = 0; some < 1000; some++, refreshed++) {
        const person = refreshed % people
        const watcher = Math.floor(refreshed / people) % watchers
        const cseq = 2 + Math.floor(refreshed / people / watchers)
        offer(nameOf(person), resubscribe(nameOf(person), watcher, cseq))
      }
      yield* commit
    })
    return { refresh, events: () => events }
  })

const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)} s`

/** Places of the log that the tables and snapshots do not have. */
const unwritten = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ places: bigint }>`
      SELECT (SELECT max(pos) FROM events) - coalesce((SELECT pos FROM checkpoints WHERE name = 'tables'), 0) AS places`,
    ([row]) => Number(row!.places),
  )

const killed = async (flags: readonly string[] = []): Promise<number> => {
  const server = await startServer(`${import.meta.dirname}/..`, url, flags)
  process.kill(server.pid, "SIGKILL")
  return server.readyAfter
}

await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const begun = performance.now()
    const log = yield* fill(sql)
    while (log.events() < wanted) yield* log.refresh
    console.log(
      `${people * watchers} subscriptions, ${log.events()} events, written in ${seconds(performance.now() - begun)}`,
    )
    const first = yield* Effect.promise(() =>
      startServer(`${import.meta.dirname}/..`, url, ["--set", "db_update_period=2"]),
    )
    console.log(`without snapshots: ready after ${seconds(first.readyAfter)}`)
    while ((yield* unwritten(sql)) > 0) yield* Effect.sleep("500 millis")
    yield* Effect.promise(first.stop)
    const from = log.events()
    for (let written = 0; written < tail; written += 1000) yield* log.refresh
    console.log(`tail: ${log.events() - from} events`)
    yield* sql`ANALYZE`
    yield* sql`CHECKPOINT`
    const took: number[] = []
    for (let start = 0; start < Number(values.starts); start++)
      took.push(yield* Effect.promise(() => killed()))
    took.sort((a, b) => a - b)
    console.log(
      `killed and started again ${took.length} times: ready after ${seconds(took[took.length >> 1]!)} (${took.map(seconds).join(", ")})`,
    )
    if (values.hold) {
      console.log(`kept until the next signal: ${url}`)
      yield* Effect.never
    }
  }).pipe(
    Effect.provide(
      PgClient.layer({ url: Redacted.make(url), startupParameters: sessionSettings, maxConnections: 1 }),
    ),
    Effect.ensuring(Effect.sync(() => cluster.remove())),
  ),
)
