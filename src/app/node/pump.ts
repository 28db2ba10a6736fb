/**
 * Inbox → engine → store → outbox: the main loop, and the only place where the core meets time and I/O.
 *
 * Whatever arrives during one append is decided as the next batch; one append is under way at a time. Answers
 * and NOTIFYs leave once their batch is committed. While the store is away, requests get 503, undecided ones
 * are given up after a while, and every stream whose outcome is in doubt is read again once the store is
 * back.
 *
 * `pump/state.ts` has the states as a table; `pump/turn.ts` is one turn of the loop.
 */
import { Clock, Effect, Semaphore } from "effect"
import type { Scope } from "effect"
import type { Engine } from "../../domain/engine/engine.ts"
import { makeEngine } from "../../domain/engine/make-engine.ts"
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import type { Millis, Seconds, Uri } from "../../domain/vocabulary.ts"
import { soleClaim } from "../../ports/claim.ts"
import { EventStore } from "../../ports/event-store.ts"
import type { Position } from "../../ports/event-store.ts"
import type { SipHandler } from "../../ports/sip-transport.ts"
import { makeFront } from "./log-front.ts"
import type { PoliciesFound } from "./policy-changes.ts"
import { found, seen } from "./pump/doubts.ts"
import { makeEvictedVersions } from "./pump/evicted-versions.ts"
import { amend, ask, offerOwn, submit } from "./pump/inbox.ts"
import { makeListeners } from "./pump/listeners.ts"
import type { PumpListener } from "./pump/listeners.ts"
import { newDoubts, newLoading } from "./pump/parts.ts"
import type { Outbox, Parts, PumpCounters, PumpOptions, Ticket } from "./pump/parts.ts"
import { pausedFor, whilePaused } from "./pump/pause.ts"
import { findPolicyChanges } from "./pump/policies.ts"
import { readLog, start } from "./pump/start.ts"
import { makeMachine } from "./pump/state.ts"
import type { PumpStatus } from "./pump/state.ts"
import { answered, drain, oldestInFlight, record } from "./pump/stop.ts"
import { settled, turn } from "./pump/turn.ts"
import { makeWaiting } from "./pump/waiting.ts"

export interface Pump {
  readonly handler: SipHandler
  /** `starting` until the log is read, `down` while the store is away; requests are decided only when `ready`. */
  readonly status: () => PumpStatus
  readonly engine: Engine<Ticket>
  readonly counters: Readonly<PumpCounters>
  /** Retry-After of a 503, in seconds. */
  readonly retryAfter: Seconds
  /** Adds a listener. */
  readonly listen: (listener: PumpListener) => void
  /** Decides a command from the operator or the server itself. */
  readonly ask: (presentity: Uri, command: Command, origin: string) => Effect.Effect<Answer>
  /**
   * Like `ask`, but possible as soon as the log has been read: before `start` such commands are decided
   * before anything that fell due while the server was down, and before any request. Their NOTIFYs leave at
   * `start`.
   */
  readonly amend: (presentity: Uri, command: Command, origin: string) => Effect.Effect<Answer>
  /** Position and time up to which everything is committed and has been reported to `stored`. */
  readonly committed: () => { readonly position: Position; readonly at: Millis }
  /**
   * Issue time of the oldest NOTIFY that would have to be repeated if this process ended now; null if there
   * is none.
   */
  readonly oldestInFlight: () => Millis | null
  /** Reads the log and arms all deadlines; retries until it succeeds. */
  readonly recover: Effect.Effect<void>
  /** The watchers whom the policies in force treat differently from the log. O(watchers). */
  readonly policyChanges: () => PoliciesFound
  /** Decides what is overdue, repeats NOTIFYs that a crash may have prevented, and accepts requests. */
  readonly start: Effect.Effect<void, never, Scope.Scope>
  /**
   * Works on the store while nothing is decided; requests wait meanwhile. The presentities it names are
   * reloaded before anything more is decided on them.
   */
  readonly pausedFor: <E, R>(work: Effect.Effect<Iterable<Uri>, E, R>) => Effect.Effect<void, E, R>
  /** The same for work that affects no presentity. */
  readonly whilePaused: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until everything received or due so far is decided, stored and released. */
  readonly settle: Effect.Effect<void>
  /** Accepts no more requests, and waits until nothing is undecided. */
  readonly drain: Effect.Effect<void>
  /** Waits until every NOTIFY that has been sent has an outcome, and the outcomes are committed. */
  readonly answered: Effect.Effect<void>
  /** Writes the known outcomes of NOTIFYs to the log, and waits for the commit. */
  readonly record: Effect.Effect<void>
}

/** The pump over the store in the context. It does nothing before `recover` and `start`. */
export const makePump = Effect.fnUntraced(function* (options: PumpOptions, outbox: Outbox) {
  const store = yield* EventStore
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  return pumpOf(makeParts({ options, outbox, store, clock, run: Effect.runForkWith(context) }))
})

const makeParts = ({
  options,
  outbox,
  store,
  clock,
  run,
}: Pick<Parts, "options" | "store" | "run"> & {
  readonly outbox: Outbox
  readonly clock: Clock.Clock
}): Parts => {
  const listeners = makeListeners()
  listeners.add(outbox)
  const now = (): Millis => clock.currentTimeMillisUnsafe()
  let isScheduled = false
  const parts: Parts = {
    options,
    outbox,
    listeners,
    store,
    claim: store.claim ?? soleClaim,
    engine: makeEngine<Ticket>(options),
    counters: {
      decisions: 0,
      batches: 0,
      conflicts: 0,
      refusedBusy: 0,
      refusedUnavailable: 0,
      outages: 0,
    },
    machine: makeMachine(),
    waiting: makeWaiting(),
    front: makeFront({
      read: store.read,
      found: (row) => found(parts, row),
      seen: (decision) => seen(parts, decision),
      isUnderWay: ({ stream, version }) =>
        parts.underWay?.decisions.some((entry) => entry.stream === stream && entry.version === version) ===
        true,
      moved: listeners.passed,
      run: (effect) => void run(effect),
    }),
    now,
    run,
    schedule: () => {
      if (isScheduled) return
      isScheduled = true
      setImmediate(() => {
        isScheduled = false
        turn(parts)
      })
    },
    inbox: [],
    held: [],
    recovered: null,
    isPaused: false,
    pauses: Semaphore.makeUnsafe(1),
    underWay: null,
    appendedFrom: 0,
    loading: newLoading(),
    doubts: newDoubts(now()),
    outages: { upAt: Number.NEGATIVE_INFINITY, pauseMillis: 0, isTold: false, isDoubted: false },
    evicted: makeEvictedVersions(),
    settling: { waiters: 0, turns: 0, idleTurns: 0 },
  }
  return parts
}

const pumpOf = (parts: Parts): Pump => ({
  handler: {
    submit: (request) => submit(parts, request),
    delivered: (presentity, id, cseq, outcome) => {
      offerOwn(parts, presentity, { _tag: "ReportDelivery", no: id, cseq, outcome })
      parts.schedule()
    },
  },
  status: () => parts.machine.status,
  engine: parts.engine,
  counters: parts.counters,
  retryAfter: parts.options.retryAfter,
  listen: parts.listeners.add,
  ask: (presentity, command, origin) => ask(parts, presentity, command, origin),
  amend: (presentity, command, origin) => amend(parts, presentity, command, origin),
  committed: parts.front.last,
  oldestInFlight: () => oldestInFlight(parts),
  recover: readLog(parts),
  policyChanges: () => findPolicyChanges(parts),
  start: start(parts),
  pausedFor: (work) => pausedFor(parts, work),
  whilePaused: (work) => whilePaused(parts, work),
  settle: settled(parts),
  drain: drain(parts),
  answered: answered(parts),
  record: record(parts),
})

export { pumpDefaults } from "./pump/parts.ts"
export type { PumpCounters, PumpOptions } from "./pump/parts.ts"
export type { PumpListener } from "./pump/listeners.ts"
