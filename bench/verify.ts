/**
 * How long `verify` and a rebuild take: a log of publications and subscriptions on a PostgreSQL of its own.
 *
 *   node bench/verify.ts [--presentities 10000] [--watchers 3]
 */
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { makePostgresStore, sessionSettings } from "../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../src/adapters/store/postgres/log-admin.ts"
import { makePartitions, migrate } from "../src/adapters/store/postgres/migrations.ts"
import { makePresenceTables } from "../src/adapters/store/postgres/presence-tables.ts"
import { verifyTables } from "../src/app/integrity/verify.ts"
import type { VerifyOptions } from "../src/app/integrity/verify.ts"
import type { Decision, Event } from "../src/domain/presentity/events.ts"
import { fold } from "../src/domain/presentity/evolve.ts"
import { initial } from "../src/domain/presentity/state.ts"
import type { State } from "../src/domain/presentity/state.ts"
import { rowsOf } from "../src/domain/projections/layout.ts"
import type { EntityTag, Uri } from "../src/domain/vocabulary.ts"
import { startPostgres } from "../test/support/postgres.ts"

const { values } = parseArgs({
  options: {
    presentities: { type: "string", default: "10000" },
    watchers: { type: "string", default: "3" },
  },
})
const presentities = Number(values.presentities)
const watchers = Number(values.watchers)
const cluster = await startPostgres()
if (cluster === null) throw new Error("needs the binaries of PostgreSQL")

const at = Date.now()
const expiresAt = at + 3_600_000
const body = {
  contentType: "application/pidf+xml",
  text: `<presence>${"x".repeat(400)}</presence>`,
}

const decisionsOf = (n: number): readonly Decision[] => {
  const stream = `sip:user${n}@example.com` as Uri
  const created: Event = {
    _tag: "PublicationCreated",
    packageName: "presence",
    entityTag: `tag-${n}` as EntityTag,
    expiresAt,
    body,
    sender: null,
  }
  const subscribed = Array.from({ length: watchers }, (_, watcher): Event => ({
    _tag: "SubscriptionCreated",
    no: watcher + 2,
    packageName: "presence",
    eventId: null,
    watcher: `sip:watcher${watcher}@example.com` as Uri,
    status: "active",
    polite: false,
    matched: null,
    giveUpAt: null,
    expiresAt,
    dialog: watcher + 2,
    start: {
      callId: `call-${n}-${watcher}`,
      localTag: `l${n}-${watcher}`,
      remoteTag: "r",
      localUri: `<${stream}>`,
      remoteUri: "<sip:w@example.com>",
      remoteTarget: "sip:w@192.0.2.1",
      routeSet: [],
      remoteCseq: 1,
      localContact: "sip:presence@192.0.2.2",
      flow: "udp:192.0.2.2:5060",
      source: "192.0.2.1:5060",
    },
    remoteCseq: 1,
  }))
  return [created, ...subscribed].map((event, version) => ({
    stream,
    version: version + 1,
    at,
    cause: "Bench",
    origin: "",
    nonce: `${n}-${version}`,
    events: [event],
  }))
}

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

const program = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* migrate
  yield* makePartitions(new Date())
  const store = makePostgresStore(sql)
  const tables = makePresenceTables(sql)
  let position = 0
  for (let first = 0; first < presentities; first += 200) {
    const states: State[] = []
    const batch: Decision[] = []
    for (let n = first; n < Math.min(first + 200, presentities); n++) {
      const decisions = decisionsOf(n)
      batch.push(...decisions)
      states.push(decisions.reduce(fold, initial(decisions[0]!.stream)))
    }
    position = (yield* store.append(batch)).position
    yield* tables.write(states.map((state) => ({ state, keys: rowsOf(state) })))
    yield* store.saveSnapshots(states)
  }
  yield* store.saveCheckpoint("tables", { position, at })
})

const check = (options: VerifyOptions) =>
  Effect.flatMap(PgClient.PgClient, (sql) => verifyTables(makeLogAdmin(sql), options))

const say = (
  what: string,
  {
    rows,
    decisions,
    differences,
    repaired,
    seconds: took,
  }: {
    readonly rows: Readonly<Record<string, number>>
    readonly decisions: number
    readonly differences: readonly unknown[]
    readonly repaired: number | null
    readonly seconds: number
  },
): void => {
  const all = Object.values(rows).reduce((sum, one) => sum + one, 0)
  console.log(
    `${what}: ${all} rows, ${decisions} decisions read, ${differences.length} differences, ` +
      `${repaired ?? 0} rewritten, ${seconds(took * 1000)}`,
  )
}

try {
  const url = Redacted.make(cluster.database())
  await Effect.runPromise(
    program.pipe(Effect.provide(PgClient.layer({ url, startupParameters: sessionSettings }))),
  )
  const measured = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    say("verify --tables-only", yield* check({ fromStart: false, repair: false }))
    say("verify with the chain", yield* check({ fromStart: false, repair: false, chain: true }))
    say("verify --from-start", yield* check({ fromStart: true, repair: false }))
    say("rebuild, nothing wrong", yield* check({ fromStart: true, repair: true }))
    yield* sql`UPDATE active_watchers SET status = 2 WHERE id % 10 = 0`
    say("rebuild, a tenth of a table wrong", yield* check({ fromStart: true, repair: true }))
    yield* sql`TRUNCATE presentity, active_watchers, watchers`
    say("rebuild, tables empty", yield* check({ fromStart: true, repair: true }))
    console.log(`memory: ${Math.round(process.memoryUsage.rss() / 1e6)} MB`)
  })
  await Effect.runPromise(measured.pipe(Effect.provide(PgClient.layer({ url, maxConnections: 1 }))))
} finally {
  cluster.remove()
}
