/**
 * What questions about a long log cost: a PostgreSQL of its own is filled with what the engine decides for many lamps and
 * some that never rest, and is then asked. Prints how long the first page of `history`, `at` and `why` take, how fast events
 * are replayed, what they weigh on disk, and how long it takes to erase somebody.
 *
 *   node bench/history.ts [--events 10000000] [--presentities 20000] [--busy 10] [--questions 300] [--clear]
 *
 * --clear: without encryption; then nobody can be erased.
 */
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { pseudonym } from "../src/adapters/store/encryption/encrypted-decision.ts"
import { makePostgresStore, sessionSettings } from "../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../src/adapters/store/postgres/log-admin.ts"
import { makePartitions, migrate } from "../src/adapters/store/postgres/migrations.ts"
import { xmlCodec } from "../src/adapters/xml/codec.ts"
import { requireErasable } from "../src/app/erase/erasable.ts"
import { scrubStorage, terminateAll, shredKey, removeIdentity } from "../src/app/erase/erasure-steps.ts"
import { mentionsOf } from "../src/app/erase/mentions.ts"
import { makeHistoryReader } from "../src/app/history/reader.ts"
import { verifyTables } from "../src/app/integrity/verify.ts"
import { recordFact } from "../src/app/retention/compact.ts"
import type { Release } from "../src/domain/engine/engine.ts"
import { makeEngine } from "../src/domain/engine/make-engine.ts"
import { presence } from "../src/domain/packages/pidf.ts"
import { makeRegistry } from "../src/domain/packages/registry.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../src/domain/presentity/context.ts"
import { fold } from "../src/domain/presentity/evolve.ts"
import type { Notify } from "../src/domain/presentity/intents.ts"
import { isLandmark } from "../src/domain/presentity/snapshot.ts"
import { initial } from "../src/domain/presentity/state.ts"
import type { State } from "../src/domain/presentity/state.ts"
import type { Uri } from "../src/domain/vocabulary.ts"
import type { RecordedDecision } from "../src/ports/event-store.ts"
import { startPostgres } from "../test/support/postgres.ts"

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "10000000" },
    presentities: { type: "string", default: "20000" },
    busy: { type: "string", default: "10" },
    questions: { type: "string", default: "300" },
    clear: { type: "boolean", default: false },
  },
})
const wanted = Number(values.events)
const people = Number(values.presentities)
const busy = Number(values.busy)
const questions = Number(values.questions)
const cluster = await startPostgres()
if (cluster === null) throw new Error("needs the binaries of PostgreSQL")

const packages = makeRegistry([presence({ xml: xmlCodec, rules: {} })])
const limits = { ...defaultLimits, notifyIntervalMillis: 0, maxExpiresPublish: 9e9, maxExpiresSubscribe: 9e9 }
const circumstances = { packages, limits, authorize: allowEveryone }
/** 31 days end before now: the log has more than one month. */
const span = 31 * 86_400_000
const beginning = Date.now() - span
const watchers = ["sip:bob@example.com", "sip:carol@example.com"] as readonly string[] as readonly Uri[]
const nameOf = (n: number): Uri => `sip:user${n}@example.com` as Uri

const documentOf = (of: Uri, no: number): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${of}"><tuple id="desk"><status><basic>` +
  `${no % 2 === 0 ? "open" : "closed"}</basic></status><note>change ${no}</note></tuple></presence>`

const subscribeTo = (of: Uri, watcher: Uri): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher,
  expires: 100_000_000,
  accept: null,
  forceActive: false,
  bodyFault: null,
  dialog: {
    callId: `${of.slice(4)}${watcher.slice(4, 9)}@192.0.2.20`,
    localTag: `l${of.length}${watcher.length}`,
    remoteTag: "r",
    localUri: `<${of}>`,
    remoteUri: `<${watcher}>`,
    remoteTarget: `${watcher.split("@")[0]}@192.0.2.20:5060`,
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:192.0.2.10:5060",
    flow: "udp:192.0.2.10:5060",
    source: "192.0.2.20:5060",
  },
})

const publishTo = (of: Uri, entityTag: string | null, no: number): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: entityTag === null ? [] : [entityTag],
  expires: 100_000_000,
  // one in five only says that it is still there
  body:
    entityTag !== null && no % 5 === 4
      ? null
      : { contentType: "application/pidf+xml", text: documentOf(of, no) },
  bodyFault: null,
  sender: null,
})

const build = (sql: PgClient.PgClient) =>
  Effect.gen(function* () {
    yield* migrate
    yield* makePartitions(new Date(beginning))
    yield* makePartitions(new Date())
    const store = makePostgresStore(sql, { erasable: !values.clear })
    const engine = makeEngine<Uri>({ ...circumstances, recordAfterMillis: 10_000 })
    const tags = new Map<Uri, string>()
    let now = beginning
    let nonces = 0
    let events = 0
    let decisions = 0
    let flying: Notify[] = []
    const nonce = (): string => `n${(++nonces).toString(36).padStart(15, "0")}`
    const released = ({ ticket, answer, notifications }: Release<Uri>): void => {
      if (ticket !== null && answer._tag === "Accepted" && answer.reply._tag === "Published")
        tags.set(ticket, answer.reply.entityTag)
      flying.push(...notifications)
    }
    const offer = (presentity: Uri, command: Command): void => {
      const origin = `udp:192.0.2.20:5060 c${nonces.toString(36)}@192.0.2.20 1`
      const offered = engine.offer({ presentity, command, origin, ticket: presentity }, now, nonce)
      if (offered._tag === "Released") released(offered.release)
    }
    const commit = Effect.gen(function* () {
      for (let batch = engine.takeBatch(2000); batch !== null; batch = engine.takeBatch(2000)) {
        yield* store.append(batch.decisions)
        const { release, stored } = engine.committed(new Set())
        for (const one of release) released(one)
        const landmarks: State[] = []
        for (const { decision, after } of stored) {
          events += decision.events.length
          decisions += 1
          if (isLandmark(after.version)) landmarks.push(after)
        }
        if (landmarks.length > 0) yield* store.saveLandmarks(landmarks)
      }
    })
    for (let n = 0; n < people; n += 1) {
      engine.load(initial(nameOf(n)))
      offer(nameOf(n), publishTo(nameOf(n), null, 0))
      for (const watcher of watchers) offer(nameOf(n), subscribeTo(nameOf(n), watcher))
      if (n % 500 === 499) yield* commit
    }
    yield* commit
    const begun = performance.now()
    // about three events each: the change, its NOTIFYs, and that the last ones were answered
    const rounds = Math.ceil(wanted / 2.6 / 1000)
    for (let round = 0, no = 0; events < wanted; round += 1) {
      now = Math.min(beginning + Math.floor((span * round) / rounds), beginning + span - 60_000)
      const arrived = flying
      flying = []
      for (const { presentity, no: subscription, cseq } of arrived) {
        const outcome = { _tag: "Accepted", remoteTarget: null } as const
        offer(presentity, { _tag: "ReportDelivery", no: subscription, cseq, outcome })
      }
      for (let one = 0; one < 1000; one += 1) {
        no += 1
        // a tenth of all changes are those of the busy ones
        const who = nameOf(no % 10 === 0 ? (no / 10) % busy : Math.floor(Math.random() * people))
        offer(who, publishTo(who, tags.get(who) ?? null, no))
        if (one % 250 === 249) yield* commit
      }
      if (round % 500 === 0) {
        const rate = decisions / ((performance.now() - begun) / 1000)
        console.error(`${(events / 1e6).toFixed(1)} million events, ${rate.toFixed(0)} decisions/s`)
      }
    }
    yield* commit
    const states = [...engine.presentities()].flatMap((name) => engine.state(name) ?? [])
    for (let first = 0; first < states.length; first += 1000)
      yield* store.saveSnapshots(states.slice(first, first + 1000))
    yield* sql`ANALYZE`
    return { events, decisions, seconds: (performance.now() - begun) / 1000 }
  })

const quantile = (numbers: readonly number[], share: number): string =>
  (
    numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? 0
  ).toFixed(1)

const ask = (sql: PgClient.PgClient, events: number, decisions: number) =>
  Effect.gen(function* () {
    const store = makePostgresStore(sql)
    const now = Date.now()
    const reader = makeHistoryReader(store, circumstances, () => now)
    const timed = Effect.fnUntraced(function* (
      what: string,
      question: (of: Uri, at: number, n: number) => Effect.Effect<unknown, unknown>,
    ) {
      for (const [kind, pick] of [
        ["any", () => nameOf(busy + Math.floor(Math.random() * (people - busy)))],
        ["busy", () => nameOf(Math.floor(Math.random() * busy))],
      ] as const) {
        const took: number[] = []
        for (let n = 0; n < questions; n += 1) {
          const of = pick()
          const at = beginning + Math.random() * span
          const from = performance.now()
          yield* question(of, at, n)
          if (n >= questions / 10) took.push(performance.now() - from)
        }
        console.log(
          `${what.padEnd(14)} ${kind.padEnd(5)} p50 ${quantile(took, 0.5)} ms  p99 ${quantile(took, 0.99)} ms`,
        )
      }
    })
    const page = { before: null, after: null, limit: 50, since: null, until: null, types: null, event: null }
    yield* timed("history", (of) => reader.page(of, page))
    yield* timed("at", (of, at) => reader.at(of, at))
    yield* timed("why", (presentity, at, n) =>
      reader.why({ presentity, watcher: watchers[n % 2]!, packageName: "presence", at }),
    )
    yield* timed("seen", (of) =>
      reader.seen(of, watchers[0]!, { before: null, event: null, since: null, until: null, limit: 50 }),
    )
    let from = performance.now()
    const states = new Map<Uri, State>()
    const kept: RecordedDecision[] = []
    let read = 0
    for (let after = 0; ;) {
      const rows = yield* store.read(after, 5000)
      for (const { decision } of rows) {
        const { stream } = decision
        states.set(stream, fold(states.get(stream) ?? initial(stream), decision))
        read += decision.events.length
      }
      if (kept.length < 500_000) kept.push(...rows)
      if (rows.length < 5000) break
      after = rows.at(-1)!.position
    }
    const stored = (performance.now() - from) / 1000
    console.log(
      `replay         ${(read / stored).toFixed(0)} events/s from the store (${read} in ${stored.toFixed(0)} s)`,
    )
    states.clear()
    from = performance.now()
    let folded = 0
    for (const { decision } of kept) {
      states.set(decision.stream, fold(states.get(decision.stream) ?? initial(decision.stream), decision))
      folded += decision.events.length
    }
    console.log(
      `replay         ${(folded / ((performance.now() - from) / 1000)).toFixed(0)} events/s in memory`,
    )
    const [size] = yield* sql<{ heap: string; all: string; landmarks: string }>`
      SELECT sum(pg_relation_size(inhrelid))::text AS heap, sum(pg_total_relation_size(inhrelid))::text AS all,
        pg_total_relation_size('landmarks')::text AS landmarks
      FROM pg_inherits WHERE inhparent = 'events'::regclass`
    const [refresh] = yield* sql<{ bytes: number }>`
      SELECT avg(pg_column_size(e.*))::float8 AS bytes FROM (
        SELECT * FROM events WHERE events::text ~ '"e":\\[\\[1,[^]]*\\]\\]|^\\[[{]"_tag":"PublicationRefreshed"' LIMIT 2000) e`
    const of = (bytes: string | undefined, count: number): string => (Number(bytes ?? 0) / count).toFixed(0)
    console.log(
      `disk           ${of(size?.all, events)} bytes an event, ${of(size?.all, decisions)} a decision with indexes, ` +
        `${of(size?.heap, decisions)} without; landmarks ${(Number(size?.landmarks ?? 0) / 1e6).toFixed(0)} MB; ` +
        `a refresh ${(refresh?.bytes ?? 0).toFixed(0)} bytes`,
    )
  })

/** Step by step; requests to a running server wait for the last two of those in the middle. */
const eraseSome = (sql: PgClient.PgClient) =>
  Effect.gen(function* () {
    const log = makeLogAdmin(sql)
    const [last] = yield* sql<{ pos: bigint }>`SELECT max(pos) AS pos FROM events`
    yield* makePostgresStore(sql).saveCheckpoint("tables", {
      position: Number(last?.pos ?? 0),
      at: Date.now(),
    })
    yield* verifyTables(log, { fromStart: false, repair: true })
    for (const [kind, person] of [
      ["a presentity", nameOf(people - 1)],
      ["who watches all", watchers[1]!],
    ] as const) {
      const took: string[] = []
      const timed = <A, E>(what: string, step: Effect.Effect<A, E>) =>
        Effect.suspend(() => {
          const from = performance.now()
          return Effect.tap(step, () =>
            Effect.sync(() => took.push(`${what} ${((performance.now() - from) / 1000).toFixed(2)} s`)),
          )
        })
      yield* timed("looking", requireErasable(log, person))
      yield* timed("mentions", mentionsOf(log.erasure, person))
      const key = yield* removeIdentity(log.erasure, person)
      const fact = { _tag: "PersonErased", standIn: pseudonym(key.id) } as const
      yield* recordFact(log, fact, Date.now(), "Erase", "bench")
      yield* timed(
        "ending",
        terminateAll(log, person, { now: Date.now(), by: "bench", oldestInFlight: () => null }),
      )
      yield* timed("forgetting", shredKey(log, key))
      yield* timed("cleaning", scrubStorage(log))
      console.log(`erase          ${kind}: ${took.join(", ")}`)
    }
  })

try {
  const url = Redacted.make(cluster.database())
  await Effect.runPromise(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { events, decisions, seconds } = yield* build(sql)
      console.log(
        `built          ${events} events in ${decisions} decisions on ${people} presentities, ${busy} of them busy, in ${seconds.toFixed(0)} s`,
      )
      yield* ask(sql, events, decisions)
      if (!values.clear) yield* eraseSome(sql)
    }).pipe(Effect.provide(PgClient.layer({ url, startupParameters: sessionSettings, maxConnections: 1 }))),
  )
} finally {
  cluster.remove()
}
