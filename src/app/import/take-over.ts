/**
 * The import itself: page by page, rows become commands that are decided as usual, and the decisions are stored before the next
 * page is read.
 *
 * Rules come first, so that they apply to the watchers taken over, then hard state, publications, subscriptions and waiting
 * watchers. Only the presentities of the current page are in memory; a dry run keeps everything it has decided.
 */
import { Data, Effect } from "effect"
import {
  activeWatcherPages,
  presentityPages,
  watcherPages,
  xcapPages,
} from "../../adapters/import/layouts.ts"
import type { Layout, XcapRow } from "../../adapters/import/layouts.ts"
import type { Source } from "../../adapters/import/source.ts"
import { nowFor, placedAt } from "../../domain/presentity/clock.ts"
import type { Rejection } from "../../domain/presentity/commands.ts"
import type { Authorize, Context, Limits } from "../../domain/presentity/context.ts"
import { decide } from "../../domain/presentity/decide.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { touched } from "../../domain/projections/rows.ts"
import type { RowKey } from "../../domain/projections/rows.ts"
import { values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogKey, DialogNo, Uri } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import type { TableChange } from "../../ports/presence-tables.ts"
import { freshNonce } from "../nonce.ts"
import { adoptActiveWatcherRow, adoptPresentityRow, adoptWatcherRow, adoptXcapRow } from "./adoption.ts"
import type { Adoption, AdoptionRules, Skip } from "./adoption.ts"
import { earlierOf, nothingEarlier } from "./earlier.ts"
import type { Earlier } from "./earlier.ts"
import { countTable } from "./report.ts"
import type { TableCount, TableReport } from "./report.ts"

export interface TakeOverOptions extends AdoptionRules {
  readonly limits: Limits
  readonly authorize: Authorize
  /** Decides everything and writes nothing. */
  readonly dryRun: boolean
  /** Rows per page: a database within the process blocks the event loop while it writes. */
  readonly rowsMax: number
}

export const rowsPerPage = 500

/**
 * Another program writes to the log meanwhile.
 *
 * @public declarations name it
 */
export class StoreInUse extends Data.TaggedError("StoreInUse")<{ readonly target: string }> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.target} is in use: stop the server that works on it, and import again`
  }
}

export interface TakenOver {
  readonly tables: readonly TableReport[]
  readonly decisions: number
}

/** Takes over everything in the source; what an earlier import took over stays as it is. */
export const takeOver = Effect.fnUntraced(function* (
  source: Source,
  layout: Layout,
  target: string,
  options: TakeOverOptions,
) {
  const writer = yield* makeWriter(target, options)
  const tables: TableReport[] = []

  const each = Effect.fnUntraced(function* <Row, E>(
    name: string,
    pages: Effect.Effect<readonly Row[], E>,
    adopt: (row: Row) => Adoption,
  ) {
    const count = countTable(name)
    for (;;) {
      const rows = yield* pages
      if (rows.length === 0) break
      yield* writer.page(rows.map(adopt), count)
    }
    tables.push(count.report())
  })

  const { tables: names } = layout
  const documents = new Set<string>()
  if (layout.hasXcap) {
    yield* each(names.xcap, xcapPages(source, layout, options.rowsMax), (row) => {
      const adoption = adoptXcapRow(row, options, !documents.has(nameOf(row)))
      if (adoption._tag === "Ask") documents.add(nameOf(row))
      return adoption
    })
  }
  yield* each(names.presentity, presentityPages(source, layout, options.rowsMax), (row) =>
    adoptPresentityRow(row, options),
  )
  yield* each(names.activeWatchers, activeWatcherPages(source, layout, options.rowsMax), (row) =>
    adoptActiveWatcherRow(row, options),
  )
  yield* each(names.watchers, watcherPages(source, layout, options.rowsMax), (row) =>
    adoptWatcherRow(row, options),
  )
  yield* writer.finish
  const result: TakenOver = { tables, decisions: writer.decisions() }
  return result
})

/** Of several documents of one kind for a user, the module reads the first. */
const nameOf = ({ docType, username, domain }: XcapRow): string => `${docType} ${username}@${domain}`

/** The result for a row. */
type Outcome =
  | Skip
  /** It was taken over already. */
  | { readonly _tag: "Present" }
  | {
      readonly _tag: "Decided"
      readonly decision: Decision
      readonly after: State
      readonly keys: readonly RowKey[]
    }

const present: Outcome = { _tag: "Present" }

/** @param before the state of the presentity that the row is about; null: it is about none */
const decideOn = (
  adoption: Adoption,
  before: State | null,
  earlier: Earlier,
  options: TakeOverOptions,
): Outcome => {
  if (adoption._tag === "Skip") return adoption
  const { presentity, command, row } = adoption
  const state = before ?? initial(presentity)
  const skip = adoption.against?.(state) ?? null
  if (skip !== null) return skip
  if (earlier.has(command, presentity)) return present
  const now = nowFor(state, options.now)
  const context: Context = {
    now,
    nonce: freshNonce(),
    limits: options.limits,
    packages: options.packages,
    authorize: options.authorize,
    inFlight: () => false,
    findDialog: (key) => dialogIn(state, key),
  }
  const { events, answer } = decide(state, command, context)
  if (answer._tag === "Rejected") return { _tag: "Skip", why: whyNot(answer.rejection), isOver: false, row }
  if (events.length === 0) return present
  const decision: Decision = {
    stream: presentity,
    version: state.version + 1,
    cause: command._tag,
    origin: "import",
    nonce: context.nonce,
    ...placedAt(state, now, events),
  }
  const after = fold(state, decision)
  return { _tag: "Decided", decision, after, keys: events.flatMap((event) => touched(event, state, after)) }
}

/** @param imagined what a dry run has decided and not stored */
const loadStates = Effect.fnUntraced(function* (
  store: EventStore["Service"],
  imagined: ReadonlyMap<Uri, State>,
  presentities: readonly Uri[],
) {
  const states = new Map<Uri, State>()
  const unknown = presentities.filter((presentity) => {
    const state = imagined.get(presentity)
    if (state !== undefined) states.set(presentity, state)
    return state === undefined
  })
  for (const state of yield* store.load(unknown)) states.set(state.presentity, state)
  return states
})

const makeWriter = Effect.fnUntraced(function* (target: string, options: TakeOverOptions) {
  const store = yield* EventStore
  const projection = yield* PresenceTables
  const checkpoint = yield* store.checkpoint("tables")
  const wasEmpty = (yield* store.read(0, 1)).length === 0
  // a server that was killed left its rows and snapshots behind its log: its next start writes them, and these as well
  const isProjected = (yield* store.read(checkpoint?.position ?? 0, 1)).length === 0
  // nothing was ever sent from here: without this mark the first start would notify every watcher again
  if (!options.dryRun && (yield* store.checkpoint("delivery")) === null) {
    yield* store.saveCheckpoint("delivery", { position: 0, at: options.now })
  }
  /** What a dry run has decided and not stored. */
  const imagined = new Map<Uri, State>()
  let decisions = 0
  let position = checkpoint?.position ?? 0
  /** A watcher is owed a NOTIFY that has not been sent: the next start finds it in the log and sends it. */
  let owesFinalNotifies = false

  const page = Effect.fnUntraced(function* (adoptions: readonly Adoption[], count: TableCount) {
    const presentities = new Set(
      adoptions.flatMap((adoption) => (adoption._tag === "Ask" ? [adoption.presentity] : [])),
    )
    const states = yield* loadStates(store, imagined, [...presentities])
    const earlier = wasEmpty ? nothingEarlier : yield* earlierOf([...states.values()])
    const decided: Decision[] = []
    const changes = new Map<Uri, RowKey[]>()
    for (const adoption of adoptions) {
      const before = adoption._tag === "Ask" ? states.get(adoption.presentity)! : null
      const outcome = decideOn(adoption, before, earlier, options)
      if (outcome._tag === "Skip") count.skipped(outcome.why, outcome.isOver, outcome.row)
      else if (outcome._tag === "Present") count.wasThere()
      else {
        const { decision, after, keys } = outcome
        states.set(decision.stream, after)
        decided.push(decision)
        owesFinalNotifies ||= decision.events.some(
          (event) => event._tag === "SubscriptionTerminated" && !event.silent,
        )
        changes.set(decision.stream, [...(changes.get(decision.stream) ?? []), ...keys])
        count.took()
      }
    }
    decisions += decided.length
    if (options.dryRun) for (const { stream } of decided) imagined.set(stream, states.get(stream)!)
    else if (decided.length > 0) yield* write(decided, states, changes)
  })

  const write = Effect.fnUntraced(function* (
    decided: readonly Decision[],
    states: ReadonlyMap<Uri, State>,
    changes: ReadonlyMap<Uri, readonly RowKey[]>,
  ) {
    const appended = yield* store.append(decided)
    if (appended.conflicts.size > 0) return yield* new StoreInUse({ target })
    position = Math.max(position, appended.position)
    if (!isProjected) return
    const written = [...changes].map(([presentity, keys]): TableChange => ({
      state: states.get(presentity)!,
      keys: lastOfEach(keys),
    }))
    yield* projection.write(written)
    yield* store.saveSnapshots(written.map(({ state }) => state))
  })

  const finish = Effect.gen(function* () {
    if (!options.dryRun && decisions > 0 && isProjected && !owesFinalNotifies) {
      yield* store.saveCheckpoint("tables", { position, at: Math.max(options.now, checkpoint?.at ?? 0) })
    }
  })

  return { page, finish, decisions: () => decisions }
})

const dialogIn = (state: State, key: DialogKey): DialogNo | null => {
  for (const { no: id, start } of values(state.dialogs)) {
    if (dialogKey(start.callId, start.localTag, start.remoteTag) === key) return id
  }
  return null
}

/** Each row is written once for each statement, in its final form. */
const lastOfEach = (keys: readonly RowKey[]): readonly RowKey[] => [
  ...new Map(keys.map((key) => [JSON.stringify(key), key])).values(),
]

const whyNot = (rejection: Rejection): string => {
  switch (rejection._tag) {
    case "BadEvent":
      return "there is no such event package, or it cannot be published"
    case "UnsupportedMediaType":
      return `its body is of another type than ${rejection.accept.join(" or ")}`
    default:
      return "why" in rejection ? rejection.why : `refused with ${rejection.status}`
  }
}
