/**
 * How fast an encrypted log of refreshes is read from PostgreSQL: whole, and for folding. Needs PostgreSQL's binaries.
 *
 *   node bench/read.ts [--decisions 50000] [--runs 7]
 */
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { makePostgresStore } from "../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../src/adapters/store/postgres/migrations.ts"
import type { Decision, Event } from "../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../src/domain/vocabulary.ts"
import { startPostgres } from "../test/support/postgres.ts"

const { values } = parseArgs({
  options: { decisions: { type: "string", default: "50000" }, runs: { type: "string", default: "7" } },
})
const count = Number(values.decisions)

const cluster = await startPostgres()
if (cluster === null) throw new Error("there are no binaries of PostgreSQL")
const scope = Effect.runSync(Scope.make())
const layer = PgClient.layer({ url: Redacted.make(cluster.database()), maxConnections: 4 })
const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
await Effect.runPromise(
  migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
)
const store = makePostgresStore(await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services)))

const people = 100
const bob = "sip:bob@example.com" as Uri
const publishRefresh = (nonce: string): Event => ({
  _tag: "PublicationRefreshed",
  packageName: "presence",
  entityTag: `${nonce}.1` as EntityTag,
  supersedes: "5f0c1d2e3a4b6d7e.1" as EntityTag,
  expiresAt: Date.now() + 3_600_000,
})
const subscribeRefresh: readonly Event[] = [
  {
    _tag: "SubscriptionRefreshed",
    no: 1,
    expiresAt: Date.now() + 3_600_000,
    remoteCseq: 2,
    remoteTarget: null,
  },
  {
    _tag: "NotificationsIssued",
    packageName: "presence",
    to: [1],
    except: [],
    suppressed: [],
    shown: "27v5nwl6kez",
    cause: "subscribe",
  },
]

const fill = async (name: string, eventsOf: (nonce: string) => readonly Event[], requester: Uri | null) => {
  for (let index = 0; index < count; index += 500) {
    const decisions = Array.from({ length: 500 }, (_, offset): Decision => {
      const number = index + offset
      const nonce = `${name}${String(number).padStart(15, "0")}`
      return {
        stream: `sip:${name}-${number % people}@example.com` as Uri,
        version: Math.floor(number / people) + 1,
        at: Date.now(),
        cause: requester === null ? "Publish" : "Resubscribe",
        origin: `udp:192.0.2.20:5060 a84b4c76e66710${number % people}@192.0.2.20 ${number}`,
        nonce,
        events: eventsOf(nonce),
        about: { by: 1, request: "AbCdEfGhIjKl" },
      }
    })
    await Effect.runPromise(
      store.append(
        decisions,
        decisions.map(() => requester),
      ),
    )
  }
}

const readAll = async (from: number, only?: "events"): Promise<number> => {
  const before = process.cpuUsage()
  for (let after = from; after < from + count;) {
    const page = await Effect.runPromise(store.read(after, 500, only))
    after = page.at(-1)!.position
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]!

await fill("p", (nonce) => [publishRefresh(nonce)], null)
await fill("s", () => subscribeRefresh, bob)
for (const [name, from] of [
  ["refreshes of publications", 0],
  ["refreshes of subscriptions", count],
] as const) {
  const [whole, folded]: readonly [number[], number[]] = [[], []]
  for (let turn = 0; turn < Number(values.runs); turn++) {
    whole.push(await readAll(from))
    folded.push(await readAll(from, "events"))
  }
  const figure = (what: string, found: readonly number[]): string =>
    `${what} ${median(found).toFixed(1)} µs (${Math.round(1e6 / median(found))}/s; ${Math.min(...found).toFixed(1)} to ${Math.max(...found).toFixed(1)})`
  console.log(`${name}: ${figure("whole", whole)}, ${figure("for folding", folded)}`)
}
await Effect.runPromise(Scope.close(scope, Exit.void))
cluster.remove()
process.exit(0)
