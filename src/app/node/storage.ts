/** The store of a server: memory, or a database, embedded or not, migrated to the current schema. */
import { Clock, Context, Deferred, Effect, Layer, Schedule, Scope } from "effect"
import { layerEmbedded, layerPostgres } from "../../adapters/store/layers.ts"
import { layerMemory } from "../../adapters/store/memory-layer.ts"
import { newServerName } from "../../adapters/store/postgres/connections.ts"
import { Database } from "../../adapters/store/postgres/database.ts"
import type { ClaimRequest } from "../../adapters/store/postgres/database.ts"
import { holderText, soleClaim } from "../../ports/claim.ts"
import type { Claim, Holder, LogIsTaken, StoreUnfit, Writer, WriterCounters } from "../../ports/claim.ts"
import { XcapTables } from "../../ports/document-source.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { LogAdmin } from "../../ports/log-admin.ts"
import type { PresenceTables } from "../../ports/presence-tables.ts"
import type { WebhookStore } from "../../ports/webhook-store.ts"
import type { Config } from "../config/config.ts"
import { errorMessage } from "../error-message.ts"
import { verifyTables } from "../integrity/verify.ts"
import { databaseSetting, storeNameOf, tableNamesOf, withXcapTables } from "../open-store.ts"
import { version } from "../version.ts"
import { takenFix } from "./writer-status.ts"

/** Where a server keeps its log, its tables and the state of webhooks. */
export interface Storage {
  readonly name: string
  readonly services: Context.Context<EventStore | PresenceTables | WebhookStore>
  /** Administration of the log; null without a database. */
  readonly log: LogAdmin["Service"] | null
  /** The tables of XCAP servers in the same database; null without a database. */
  readonly xcap: XcapTables["Service"] | null
  /** The right to write to the log. */
  readonly claim: Claim
  /** Null if the log is not ours yet, or cannot be taken by others. */
  readonly writer: () => Writer | null
  /** The holder of the log while we wait for it; null if we do not. */
  readonly waitingFor: () => Holder | null
  /** When we got the log after waiting for it, by `performance.now()`; null if we did not wait. */
  readonly tookOverAt: () => number | null
  /** Completes when the log is ours, or when the database does not answer, so that it is unknown. */
  readonly claimed: Effect.Effect<void>
  /**
   * Takes the log for this process, migrates the database, and returns whether its tables have been kept up
   * to now; waits indefinitely for a database that does not answer.
   */
  readonly prepare: Effect.Effect<boolean, LogIsTaken | StoreUnfit>
  /** Whether the tables can be rewritten while the log is written to. */
  readonly canRepair: boolean
  /** Closes every connection to the database; whatever waits for one fails. */
  readonly cutOff: () => void
  /** Rewrites the tables from the log, whatever they contain, and keeps them from now on. */
  readonly fillTables: Effect.Effect<void>
}

/** Storage without a database: no tables to fill, nothing to prepare, no administration of the log. */
export const storageWithoutDatabase = (
  name: string,
  services: Storage["services"],
  claim: Claim = soleClaim,
): Storage => ({
  name,
  services,
  log: null,
  xcap: null,
  claim,
  writer: () => null,
  waitingFor: () => null,
  tookOverAt: () => null,
  claimed: Effect.void,
  prepare: Effect.succeed(true),
  canRepair: false,
  cutOff: () => {},
  fillTables: Effect.void,
})

const memoryStorage = Effect.map(Layer.build(layerMemory), (services) =>
  storageWithoutDatabase("memory: nothing outlives the process", services),
)

/**
 * @param program the program that opens it, as shown to others that want the log: `presently serve` @param
 * counters of the process; they outlive the storage
 */
export const openStorage = Effect.fnUntraced(function* (
  config: Config,
  program: string,
  counters: WriterCounters = { lapses: 0, fenced: 0 },
) {
  const { database_url: url, data } = config
  if (config.memory || (url === null && data === null)) return yield* memoryStorage
  const options = { application: newServerName(), erasable: config.erasable, tables: tableNamesOf(config) }
  const services = yield* Layer.build(
    withXcapTables(
      url === null
        ? layerEmbedded(data, { ...options, programs: config.postgres_bin })
        : layerPostgres(url, options),
    ),
  )
  const log = Context.get(services, LogAdmin)
  const database = Context.get(services, Database)
  const taking = yield* makeTaking(database, claimRequest(config, program, counters))
  const readiness = yield* makeReadiness(config, log, database, taking)
  const storage: Storage = {
    name: storeNameOf(config),
    services,
    log,
    xcap: Context.get(services, XcapTables),
    claim: log.claim,
    writer: taking.writer,
    waitingFor: taking.waitingFor,
    tookOverAt: taking.tookOverAt,
    ...readiness,
    canRepair: database.hasSessions,
    cutOff: database.cutOff,
    fillTables: verifyTables(log, { fromStart: false, repair: true }).pipe(
      Effect.andThen(database.claimTables),
      Effect.retry(Schedule.spaced("500 millis")),
      Effect.orDie,
    ),
  }
  return storage
})

const claimRequest = (config: Config, program: string, counters: WriterCounters): ClaimRequest => ({
  program,
  version,
  store: storeNameOf(config),
  setting: databaseSetting(config),
  lease: config.writer_lease,
  standby: config.standby,
  fix: takenFix(config, program),
  counters,
  theirs: foreignTablesOf(config),
})

/** Takes the log, which may mean waiting for its holder. */
interface Taking extends Pick<Storage, "writer" | "waitingFor" | "tookOverAt"> {
  /** Takes the log, unless this program has it already. */
  readonly take: Effect.Effect<void, Effect.Error<ReturnType<Database["Service"]["claim"]>>>
}

const makeTaking = Effect.fnUntraced(function* (database: Database["Service"], request: ClaimRequest) {
  // release the claim after everything opened later has been closed, and before the database is
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const { store } = request
  let writer: Writer | null = null
  let waitingFor: Holder | null = null
  let tookOverAt: number | null = null
  const on: ClaimRequest["on"] = {
    waiting: (holder) => {
      if (waitingFor !== null && isSameHolder(waitingFor, holder)) return Effect.void
      waitingFor = holder
      return Effect.logInfo(`standby: ${store} is taken by ${holderText(holder)}`)
    },
    lapsed: (cause) =>
      Effect.logWarning(
        `it is not sure that nobody else writes to ${store} (${errorMessage(cause)}): nothing is said from memory meanwhile`,
      ),
    returned: Effect.logInfo(`nobody else wrote to ${store}: this server goes on`),
  }
  const claimed = database.claim({ ...request, on }).pipe(
    Scope.provide(scope),
    Effect.map((got) => {
      writer = got
      if (waitingFor !== null) tookOverAt = performance.now()
      waitingFor = null
    }),
  )
  const taking: Taking = {
    take: Effect.suspend(() => (writer === null ? claimed : Effect.void)),
    writer: () => writer,
    waitingFor: () => waitingFor,
    tookOverAt: () => tookOverAt,
  }
  return taking
})

const isFinal = (cause: unknown): cause is LogIsTaken | StoreUnfit =>
  cause instanceof Error && "_tag" in cause && (cause._tag === "LogIsTaken" || cause._tag === "StoreUnfit")

/** Takes the log and prepares the database, retrying until it succeeds; logs when the database does not answer. */
const makeReadiness = Effect.fnUntraced(function* (
  config: Config,
  log: LogAdmin["Service"],
  database: Database["Service"],
  { take }: Taking,
) {
  const name = storeNameOf(config)
  const claimed = yield* Deferred.make<void>()
  let told = false
  const prepare = take.pipe(
    Effect.andThen(Clock.currentTimeMillis),
    Effect.flatMap((now) => log.retention.makePartitions(new Date(now))),
    Effect.andThen(database.prepareTables(config.xcap_table ?? "xcap")),
    Effect.tap(() => Deferred.succeed(claimed, undefined)),
    Effect.tapError((cause) => {
      if (isFinal(cause)) return Effect.void
      // let the sockets open: they answer 503 meanwhile
      const open = !config.standby ? Deferred.succeed(claimed, undefined) : Effect.void
      if (told) return open
      told = true
      return Effect.andThen(
        open,
        Effect.logError(`${name} cannot be used (${errorMessage(cause)}): not ready until it can`),
      )
    }),
    Effect.retry({ schedule: Schedule.spaced("500 millis"), while: (cause) => !isFinal(cause) }),
    Effect.tap(() => (told ? Effect.logInfo(`${name} answers`) : Effect.void)),
    Effect.catch((cause) => (isFinal(cause) ? Effect.fail(cause) : Effect.die(cause))),
  )
  return { claimed: Deferred.await(claimed), prepare }
})

const isSameHolder = (before: Holder, now: Holder): boolean =>
  before.epoch === now.epoch && before.pid === now.pid && before.host === now.host

/** Tables that another program fills, and that may exist before the first start. */
const foreignTablesOf = ({ xcap_table: xcap }: Config): readonly string[] =>
  xcap === null || xcap === "xcap" ? [] : [xcap]
