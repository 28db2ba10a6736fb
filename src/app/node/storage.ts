/**
 * The store of a server: memory, or a database of its own or of others, brought to the present layout.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Deferred, Effect, Layer, Schedule, Scope } from "effect"
import { claimOn } from "../../adapters/store/writer/claim.ts"
import { newServerName } from "../../adapters/store/postgres/connections.ts"
import { layerEmbedded } from "../../adapters/store/postgres/embedded.ts"
import type { StoreUnfit, Claim, Holder, LogIsTaken } from "../../ports/claim.ts"
import { layerMemory } from "../../adapters/store/memory.ts"
import { boundedClient, cutOff } from "../../adapters/store/writer/sockets.ts"
import { makePartitions, migrate } from "../../adapters/store/postgres/migrations.ts"
import { layerPostgres, sessionSettings } from "../../adapters/store/postgres/event-store.ts"
import {
  claimTables,
  layerNoTables,
  layerPresenceTables,
  prepareTables,
} from "../../adapters/store/postgres/presence-tables.ts"
import { claimLog, claimSole } from "../../adapters/store/writer/writer.ts"
import type { Writer, WriterCounters } from "../../adapters/store/writer/writer.ts"
import { soleClaim, holderText } from "../../ports/claim.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { PresenceTables } from "../../ports/presence-tables.ts"
import { layerMemoryWebhooks } from "../../adapters/store/memory-webhooks.ts"
import type { WebhookStore } from "../../ports/webhook-store.ts"
import type { Config } from "../config/config.ts"
import { databaseSetting, storeNameOf, tableNamesOf } from "../open-store.ts"
import { verifyTables } from "../integrity/verify.ts"
import { errorMessage } from "../error-message.ts"
import { version } from "../version.ts"
import { layerFencedWebhooks } from "./fenced-webhooks.ts"
import { takenFix } from "./writer-status.ts"

/** Where a server keeps its log, its tables and what it owes to webhooks. */
export interface Storage {
  readonly name: string
  readonly services: Context.Context<EventStore | PresenceTables | WebhookStore>
  /** Null: there is no database. */
  readonly sql: PgClient.PgClient | null
  /** The right to write to it. */
  readonly claim: Claim
  /** Null: it is not ours yet, or nobody else can have it. */
  readonly writer: () => Writer | null
  /** Who has the log while we wait for it; null: we do not. */
  readonly waitingFor: () => Holder | null
  /** When it got the log that it had waited for, by `performance.now()`; null: it did not wait. */
  readonly tookOverAt: () => number | null
  /** Succeeds when the log is ours, or when a database does not answer that would have to say so. */
  readonly claimed: Effect.Effect<void>
  /**
   * Gets the log for this process, brings the database to the present layout, and says whether its tables are those that were kept
   * up to now; waits as long as it takes for a database that does not answer.
   */
  readonly prepare: Effect.Effect<boolean, LogIsTaken | StoreUnfit>
  /** Ends every connection to the database: whatever waits for one fails. */
  readonly cutOff: () => void
  /** Makes the tables what the log says, whatever is in them, and keeps them from now on. */
  readonly fillTables: Effect.Effect<void>
}

/**
 * @param program who opens it, for others that want the log: `presently serve`
 * @param counters of the process, which outlive the storage
 */
export const openStorage = Effect.fnUntraced(function* (
  config: Config,
  program: string,
  counters: WriterCounters = { lapses: 0, fenced: 0 },
) {
  if (config.memory || (config.database_url === null && config.data === null)) {
    const services = yield* Layer.build(Layer.mergeAll(layerMemory, layerNoTables, layerMemoryWebhooks))
    const storage: Storage = {
      name: "memory: nothing outlives the process",
      services,
      sql: null,
      claim: soleClaim,
      writer: () => null,
      waitingFor: () => null,
      tookOverAt: () => null,
      claimed: Effect.void,
      prepare: Effect.succeed(true),
      cutOff: () => {},
      fillTables: Effect.void,
    }
    return storage
  }
  const url = config.database_url
  const application = newServerName()
  const database =
    url === null
      ? layerEmbedded(config.data)
      : boundedClient(url, application, {
          multiplex: true,
          maxConnections: 4,
          startupParameters: sessionSettings,
        })
  const client = yield* Layer.build(database)
  const tables = tableNamesOf(config)
  const sessions = url === null ? "one" : "many"
  const stores = Layer.mergeAll(
    layerPostgres({ erasable: config.erasable }),
    layerPresenceTables(tables, sessions),
    layerFencedWebhooks(Context.get(client, PgClient.PgClient)),
  ).pipe(Layer.provide(Layer.succeedContext(client)))
  const name = storeNameOf(config)
  const sql = Context.get(client, PgClient.PgClient)
  // the claim is handed back after everything that was opened later has ended, and before the database is closed
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const claimed = yield* Deferred.make<void>()
  let writer: Writer | null = null
  let waitingFor: Holder | null = null
  let tookOverAt: number | null = null
  let told = false
  const layout = migrate.pipe(Effect.provideContext(client))
  const gotten = Effect.suspend(() =>
    url === null
      ? Effect.andThen(layout, claimSole(sql, { application, program, version }))
      : claimLog(sql, {
          url,
          application,
          program,
          version,
          store: name,
          setting: databaseSetting(config),
          lease: config.writer_lease,
          standby: config.standby,
          fix: takenFix(config, program),
          counters,
          theirs: foreignTablesOf(config),
          tables,
          migrate: layout,
          on: {
            waiting: (holder) => {
              if (waitingFor !== null && isSameHolder(waitingFor, holder)) return Effect.void
              waitingFor = holder
              return Effect.logInfo(`standby: ${name} is taken by ${holderText(holder)}`)
            },
            lapsed: (cause) =>
              Effect.logWarning(
                `it is not sure that nobody else writes to ${name} (${errorMessage(cause)}): nothing is said from memory meanwhile`,
              ),
            returned: Effect.logInfo(`nobody else wrote to ${name}: this server goes on`),
          },
        }),
  ).pipe(
    Scope.provide(scope),
    Effect.tap((got) =>
      Effect.sync(() => {
        writer = got
        if (waitingFor !== null) tookOverAt = performance.now()
        waitingFor = null
      }),
    ),
  )
  const isFinal = (cause: unknown): cause is LogIsTaken | StoreUnfit =>
    cause instanceof Error && "_tag" in cause && (cause._tag === "LogIsTaken" || cause._tag === "StoreUnfit")
  const prepare = Effect.suspend(() => (writer === null ? Effect.asVoid(gotten) : Effect.void)).pipe(
    Effect.andThen(Clock.currentTimeMillis),
    Effect.flatMap((now) => makePartitions(new Date(now))),
    Effect.andThen(prepareTables(tables, config.xcap_table ?? "xcap")),
    Effect.tap(() => Deferred.succeed(claimed, undefined)),
    Effect.tapError((cause) => {
      if (isFinal(cause)) return Effect.void
      // it is for the sockets to say that
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
    Effect.provideContext(client),
    Effect.catch((cause) => (isFinal(cause) ? Effect.fail(cause) : Effect.die(cause))),
  )
  const fillTables = verifyTables(sql, tables, { fromStart: false, repair: true }).pipe(
    Effect.andThen(claimTables(tables)),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.provideContext(client),
    Effect.orDie,
  )
  const storage: Storage = {
    name,
    services: yield* Layer.build(stores),
    sql,
    claim: claimOn(sql),
    writer: () => writer,
    waitingFor: () => waitingFor,
    tookOverAt: () => tookOverAt,
    claimed: Deferred.await(claimed),
    prepare,
    cutOff: () => cutOff(application),
    fillTables,
  }
  return storage
})

const isSameHolder = (one: Holder, other: Holder): boolean =>
  one.epoch === other.epoch && one.pid === other.pid && one.host === other.host

/** Tables that somebody else fills, and that may be there before the first start. */
const foreignTablesOf = ({ xcap_table: xcap }: Config): readonly string[] =>
  xcap === null || xcap === "xcap" ? [] : [xcap]
