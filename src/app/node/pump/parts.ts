/**
 * The record that the files of the pump share: options, state machines and queues. Each file beside this one
 * has the functions for one task.
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
  /** Maximum number of decisions in one append. */
  readonly decisionsMax: number
  /** Maximum number of requests waiting to be decided; beyond that, new ones get 503. */
  readonly inboxMax: number
  /** How long an append is retried before its requests get 503. */
  readonly patienceMillis: number
  /** Interval between checks for what has fallen due. */
  readonly tickMillis: number
  /** Retry-After of a 503, in seconds. */
  readonly retryAfter: number
  /** All watchers are within this program, and none is left from an earlier one; absent: they are elsewhere. */
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

/** Counters of the pump; they only grow. */
export interface PumpCounters {
  decisions: number
  batches: number
  conflicts: number
  refusedBusy: number
  refusedUnavailable: number
  outages: number
}

/** Sends NOTIFYs, traces requests, and is the first listener. */
export interface Outbox extends PumpListener {
  /** `since`: when their cause arrived or fell due. */
  readonly notify: (notifications: readonly Notify[], since: Millis) => void
  /** Whether and how a request is traced; absent: no tracing. */
  readonly trace?: (request: Request, parent: Tracer.AnySpan | null) => Traced | null
}

/** Whoever waits for the answer to an offer; null if nobody does. */
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
  /** Schedules a turn. */
  readonly schedule: () => void
  /** Offers not yet decided, oldest first. */
  inbox: Offer<Ticket>[]
  /** NOTIFYs to be sent once requests are accepted and the claim on the log is certain. */
  held: Notify[]
  /** What was read from the log at the start; kept until `start`. */
  recovered: Recovered | null
  /** Work on the store is under way, and nothing is decided until it is done. */
  isPaused: boolean
  /** Admits one such work at a time. */
  readonly pauses: Semaphore.Semaphore
  /** The batch being appended; null if there is none, or it was given up. */
  underWay: Batch | null
  /** When the append under way began, by the process's monotonic clock. */
  appendedFrom: number
  readonly loading: Loading
  readonly doubts: Doubts
  readonly outages: Outages
  readonly evicted: EvictedVersions
  readonly settling: Settling
}

export type RunningFiber<A, E> = ReturnType<typeof Effect.runFork<A, E>>

/** Presentities that have to be read, or cannot be. */
export interface Loading {
  isUnderWay: boolean
  /** Offers that wait until their presentity is read. */
  readonly offers: Map<Uri, Offer<Ticket>[]>
  /** Streams whose state in memory is outdated: they are read before anything is decided on them. */
  readonly stale: Set<Uri>
  /** Presentities that cannot be read; `until` by the process's monotonic clock. */
  readonly unreadable: Map<Uri, { readonly until: number; readonly wait: number }>
}

/** Decisions whose append was given up before it was known whether they are stored. */
export interface Doubts {
  /** By place in the log. */
  readonly open: Map<string, Doubtful<Ticket>[]>
  /** Those that turned out to be stored, until their presentity has been loaded. */
  readonly late: Map<Uri, Doubtful<Ticket>[]>
  /** Offers that turned out to be decided and stored. */
  readonly done: WeakSet<Offer<Ticket>>
  hasDone: boolean
  isWatching: boolean
  /** Until when an open one may still be stored, by the process's monotonic clock. */
  until: number
  /** Another process that decides after this time sends its own NOTIFYs. */
  readonly beganAt: Millis
}

export interface Outages {
  /** When the store last came back, by the process's monotonic clock. */
  upAt: number
  /** How long to wait before polling next time; grows if the store fails again at once. */
  pauseMillis: number
  /** The listeners know of the present outage. */
  isTold: boolean
  /** The store is read, but nothing has been stored since an append failed: the listeners do not know it as back. */
  isDoubted: boolean
}

/** Turns that began with nothing to do, counted while somebody waits for that. */
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
