/**
 * What the files of the pump share: its options, the machines it drives, and its queues. One record per pump; each file beside this
 * one has the functions for one of its jobs.
 */
import type { Effect, Semaphore, Tracer } from "effect"
import type { Batch, Doubtful, Engine, EngineOptions, Offer } from "../../../domain/engine/engine.ts"
import type { Answer } from "../../../domain/presentity/commands.ts"
import type { Notify } from "../../../domain/presentity/intents.ts"
import type { Millis, Uri } from "../../../domain/vocabulary.ts"
import type { Claim } from "../../../ports/claim.ts"
import type { EventStore } from "../../../ports/event-store.ts"
import type { Request } from "../../../ports/sip-transport.ts"
import type { Trace, Traced } from "../../telemetry/tracing.ts"
import type { Front } from "../log-front.ts"
import type { Recovered } from "../recovery.ts"
import type { EvictedVersions } from "./evicted-versions.ts"
import type { Listeners, PumpListener } from "./listeners.ts"
import type { PumpMachine } from "./state.ts"
import type { Waiting } from "./waiting.ts"

export interface PumpOptions extends EngineOptions {
  /** Decisions in one append. */
  readonly decisionsMax: number
  /** Requests waiting to be decided; above it new ones are answered 503. */
  readonly inboxMax: number
  /** How long an append is tried again before the requests in it are answered 503. */
  readonly patienceMillis: number
  /** Time between two looks at what has fallen due. */
  readonly tickMillis: number
  /** Retry-After of a 503, in seconds. */
  readonly retryAfter: number
  /** All who watch are within this program, and of an earlier one nobody is left; absent: they are somewhere else. */
  readonly isWithinProgram?: true
}

export const pumpDefaults = {
  decisionsMax: 1000,
  inboxMax: 20_000,
  patienceMillis: 3000,
  tickMillis: 20,
  retryAfter: 5,
  recordAfterMillis: 10_000,
} as const

/** What the pump tells of itself; plain numbers that only grow. */
export interface PumpCounters {
  decisions: number
  batches: number
  conflicts: number
  refusedBusy: number
  refusedUnavailable: number
  outages: number
}

/** Where NOTIFYs go, who traces requests, and the first listener; more may be added. */
export interface Outbox extends PumpListener {
  /** `since`: when what they tell of came, or fell due. */
  readonly notify: (notifications: readonly Notify[], since: Millis) => void
  /** Whether and how a request is traced; absent: nothing is. */
  readonly trace?: (request: Request, parent: Tracer.AnySpan | null) => Traced | null
}

/** Who waits for the answer to an offer. Null: nobody does. */
export type Ticket = {
  readonly answer: (answer: Answer) => void
  readonly arrivedAt: Millis
  readonly trace: Trace | null
} | null

export interface Parts {
  readonly options: PumpOptions
  readonly outbox: Pick<Outbox, "notify" | "trace">
  readonly listeners: Listeners
  readonly store: EventStore["Service"]
  readonly claim: Claim
  readonly engine: Engine<Ticket>
  readonly counters: PumpCounters
  readonly machine: PumpMachine
  readonly waiting: Waiting
  readonly front: Front
  readonly now: () => Millis
  /** Runs an effect in a fiber of its own. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => RunningFiber<A, E>
  /** Asks for a turn, soon. */
  readonly schedule: () => void
  /** Offers that are not decided yet, oldest first. */
  inbox: Offer<Ticket>[]
  /** NOTIFYs that leave when requests are taken and it is sure that nobody else has the log. */
  held: Notify[]
  /** What the log said at the start, until `start`. */
  recovered: Recovered | null
  /** Somebody works on the store: nothing more is decided until that is done. */
  isPaused: boolean
  /** One at a time does. */
  readonly pauses: Semaphore.Semaphore
  /** What is being appended; null: nothing is, or it was given up. */
  underWay: Batch | null
  /** When the append under way began, by the process's own clock. */
  appendedFrom: number
  readonly loading: Loading
  readonly doubts: Doubts
  readonly outages: Outages
  readonly evicted: EvictedVersions
  readonly settling: Settling
}

export type RunningFiber<A, E> = ReturnType<typeof Effect.runFork<A, E>>

/** Presentities that are to be read, or cannot be. */
export interface Loading {
  isUnderWay: boolean
  /** Offers that wait until their presentity is read. */
  readonly offers: Map<Uri, Offer<Ticket>[]>
  /** Streams that were not where memory thought: they are read before anything is decided on them. */
  readonly stale: Set<Uri>
  /** Presentities that alone cannot be read; `until` by the process's own clock. */
  readonly unreadable: Map<Uri, { readonly until: number; readonly wait: number }>
}

/** Decisions whose append was given up before anybody said whether they are stored. */
export interface Doubts {
  /** By place in the log. */
  readonly open: Map<string, Doubtful<Ticket>[]>
  /** Those that turned out to be stored, until their presentity is in memory with them. */
  readonly late: Map<Uri, Doubtful<Ticket>[]>
  /** What was offered and is decided and stored after all. */
  readonly done: WeakSet<Offer<Ticket>>
  hasDone: boolean
  isWatching: boolean
  /** Until when an open one may yet come through, by the process's own clock. */
  until: number
  /** Whoever decides after that and is not this process sends its own NOTIFYs. */
  readonly beganAt: Millis
}

export interface Outages {
  /** When the store came back last, by the process's own clock. */
  upAt: number
  /** How long it is left alone the next time: a store that goes at once is asked later. */
  pauseMillis: number
}

/** Turns that were begun with nothing to do, while somebody waits for that. */
export interface Settling {
  waiters: number
  turns: number
  idleTurns: number
}

export const newLoading = (): Loading => ({
  isUnderWay: false,
  offers: new Map(),
  stale: new Set(),
  unreadable: new Map(),
})

export const newDoubts = (beganAt: Millis): Doubts => ({
  open: new Map(),
  late: new Map(),
  done: new WeakSet(),
  hasDone: false,
  isWatching: false,
  until: 0,
  beganAt,
})

/** Nothing waits to be decided, read or stored. */
export const isIdle = (pump: Parts): boolean =>
  pump.inbox.length === 0 && !pump.loading.isUnderWay && isAppended(pump)

/** Everything decided is stored or given up. */
export const isAppended = ({ machine, engine }: Parts): boolean =>
  machine.append === "idle" && engine.counts().undecided === 0
