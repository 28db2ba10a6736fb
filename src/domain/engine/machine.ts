/**
 * What an engine keeps in memory. The other files of this folder are its functions: `decide-on.ts` decides, `batches.ts` stores
 * and gives up, `memory.ts` loads and forgets, `time.ts` lets time pass.
 */
import type { Accepted, Answer } from "../presentity/commands.ts"
import type { Context } from "../presentity/context.ts"
import type { Decision } from "../presentity/events.ts"
import type { Notify } from "../presentity/intents.ts"
import type { Reaction } from "../presentity/react.ts"
import type { State } from "../presentity/state.ts"
import type { Millis, Uri } from "../vocabulary.ts"
import { makeDeadlines } from "./deadlines.ts"
import type { Deadlines } from "./deadlines.ts"
import { makeDialogs } from "./dialogs.ts"
import type { Dialogs } from "./dialogs.ts"
import type { EngineOptions, Offer } from "./engine.ts"
import type { OutstandingNotifies } from "./outstanding-notifies.ts"
import type { Requesters } from "./requesters.ts"

/** One presentity in memory. */
export interface Entry {
  committed: State
  provisional: State
  /** Decisions and held answers of this stream that are not committed. */
  undecided: number
  readonly inFlight: OutstandingNotifies
  /** NOTIFYs that were answered 2xx, not yet written down; `noneAccepted` while there are none, which must not be added to. */
  accepted: Accepted[]
  /** A decision on it failed for a fault of ours. */
  broken: boolean
  /** Who has asked; null: nothing is known of anybody. */
  requesters: Requesters | null
}

/** Shared by all that have none. */
export const noneAccepted = Object.freeze([]) as unknown as Accepted[]

/** What was decided, or answered, and is not committed yet. */
export interface Undecided<Ticket> {
  readonly entry: Entry
  readonly offer: Offer<Ticket> | null
  /** Null: nothing is to be stored; the answer waits for what was decided before it. */
  readonly decision: Decision | null
  /** Whose request it was (`requesterOf`); null: the presentity's own, an operator's or nobody's. */
  readonly requester: Uri | null
  readonly before: State
  readonly after: State
  readonly answer: Answer
  readonly notifications: readonly Notify[]
  /** Were this decision lost, NOTIFYs issued since then would have to be repeated; null when none. */
  readonly unsureSince: Millis | null
  /** Answers to NOTIFYs that it writes down. */
  readonly took: readonly Accepted[]
}

/** What is known of the NOTIFYs of a presentity that is to be loaded afresh: they have left, whatever the log says now. */
export type Stranded = Pick<Entry, "inFlight" | "accepted">

export interface Machine<Ticket> {
  readonly options: EngineOptions
  readonly reaction: Reaction
  /** What every decision looks at, whatever it is about. */
  readonly circumstances: Omit<Context, "now" | "nonce" | "inFlight" | "findDialog">
  readonly entries: Map<Uri, Entry>
  readonly dialogs: Dialogs
  readonly deadlines: Deadlines<Uri>
  /** Those that have a NOTIFY under way. */
  readonly withOutstanding: Set<Entry>
  /** Last committed state of streams that were forgotten in mid-life: whose dialogs are still in the index. */
  readonly evicted: Map<Uri, State>
  readonly stranded: Map<Uri, Stranded>
  /** In the order they were decided. */
  waiting: Undecided<Ticket>[]
  /** The batch that the store has been asked to keep; null: none is out. */
  out: Undecided<Ticket>[] | null
  /** Up to when deadlines were looked at, by the clock; before the first look, when nothing is known of it, after everything. */
  advancedTo: number
}

export const makeMachine = <Ticket>(options: EngineOptions): Machine<Ticket> => {
  const { packages, limits, authorize, isTagActive, isUnread } = options
  return {
    options,
    reaction: { packages, limits },
    circumstances: {
      limits,
      packages,
      authorize,
      ...(isTagActive === undefined ? {} : { isTagActive }),
      ...(isUnread === undefined ? {} : { isUnread }),
    },
    entries: new Map(),
    dialogs: makeDialogs(),
    deadlines: makeDeadlines(),
    withOutstanding: new Set(),
    evicted: new Map(),
    stranded: new Map(),
    waiting: [],
    out: null,
    advancedTo: Number.POSITIVE_INFINITY,
  }
}

/** When what is known of NOTIFYs is written down, if nothing else is; null: there is nothing. */
export const recordAt = <Ticket>(
  { options: { recordAfterMillis } }: Machine<Ticket>,
  { accepted: [first] }: Entry,
): Millis | null =>
  first === undefined || recordAfterMillis === undefined ? null : first.at + recordAfterMillis
