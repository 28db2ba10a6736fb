/**
 * Inbox → engine → store → outbox: the only loop, and the only place where the core meets time and I/O.
 *
 * Requests are decided in batches, whatever arrived meanwhile together; one append is under way at a time. Answers and
 * NOTIFYs leave when their batch is committed. When the store is away, requests are answered 503, what was undecided
 * is given up after a while, and every stream whose outcome is in doubt is read again once the store is back.
 */
import { Clock, Effect, Exit, Option, Schedule, Semaphore, Tracer } from "effect"
import type { Scope } from "effect"
import { attention } from "../clock/attention.ts"
import { makeEngine } from "../../domain/engine/engine.ts"
import type {
  Batch,
  Doubtful,
  Engine,
  EngineOptions,
  Offer,
  Release,
  CommittedDecision,
} from "../../domain/engine/engine.ts"
import { EventStore, StoreUnavailable, soleClaim } from "../../ports/event-store.ts"
import type { Position, RecordedDecision, Request, SipHandler } from "../../ports/event-store.ts"
import type { Answer, Command, Rejection } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { policyChanges } from "../../domain/presentity/apply-policies.ts"
import type { PolicyChange } from "../../domain/presentity/apply-policies.ts"
import { standingAt } from "../../domain/presentity/context.ts"
import { initial, isEmpty } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { invariant } from "../../domain/vocabulary.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { freshNonce } from "../nonce.ts"
import type { PoliciesFound } from "./policy-changes.ts"
import type { Trace, Traced } from "../telemetry/tracing.ts"
import { makeFront, placeOf } from "./log-front.ts"
import { storedOf } from "../history/stored.ts"
import { recover, untoldIn } from "./recovery.ts"
import { AppendUnanswered, answerMillis, within, withinEach } from "./within.ts"
import type { Recovered } from "./recovery.ts"

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

/** What the pump tells of itself; plain numbers that only grow, except the gauges at the end. */
export interface PumpCounters {
  decisions: number
  batches: number
  conflicts: number
  refusedBusy: number
  refusedUnavailable: number
  outages: number
}

export interface Pump {
  readonly handler: SipHandler
  /** `starting` until the log is read, `down` while the store is away; requests are decided only when `ready`. */
  readonly status: () => "starting" | "ready" | "down" | "draining"
  readonly engine: Engine<Ticket>
  readonly counters: Readonly<PumpCounters>
  /** Decides a command that no request brought: by the operator, or by the server itself. */
  readonly ask: (presentity: Uri, command: Command, origin: string) => Effect.Effect<Answer>
  /**
   * The same, from when the log is read on: before `start` what is amended is decided before anything that fell due while the server
   * was down, and before any request. Its NOTIFYs leave at the start.
   */
  readonly amend: (presentity: Uri, command: Command, origin: string) => Effect.Effect<Answer>
  /** Position and time up to which everything is committed, and has been told to `stored`. */
  readonly committed: () => { readonly position: Position; readonly at: Millis }
  /** Issue time of the oldest NOTIFY that would have to be repeated if this process ended now; null: there is none. */
  readonly oldestInFlight: () => Millis | null
  /** Reads the log and re-arms all deadlines; retries until it can. */
  readonly recover: Effect.Effect<void>
  /** Whom the policies in force treat otherwise than the log does. O(watchers). */
  readonly policyChanges: () => PoliciesFound
  /** Decides what is overdue, sends what a crash may have kept from being sent, and takes requests. */
  readonly start: Effect.Effect<void, never, Scope.Scope>
  /**
   * Does something to the store while nothing is decided; requests wait meanwhile. The presentities it names are read again before
   * anything more is decided on them.
   */
  readonly pausedFor: <E, R>(work: Effect.Effect<Iterable<Uri>, E, R>) => Effect.Effect<void, E, R>
  /** The same, for what concerns no presentity. */
  readonly whilePaused: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until all that has come and fallen due so far is decided, stored and released. */
  readonly settle: Effect.Effect<void>
  /** Takes no more requests and waits until nothing is undecided. */
  readonly drain: Effect.Effect<void>
  /** Has written down what is known of NOTIFYs, and waits until it is. */
  readonly record: Effect.Effect<void>
}

/** Versions kept of presentities with nothing alive: they save a second attempt when such a one comes back. */
const dormantMax = 100_000

/** How long an append that was given up may yet come through: so long a connection may keep it (RFC 1122 §4.2.3.5). */
const doubtSeconds = 15 * 60

/** How long a store that is away is left alone, and at most when it goes again within `shortMillis` of being back. */
const backMillis = 250
const backMillisMax = 5_000
const shortMillis = 1_000

/** How long a presentity that cannot be read is left alone, and at most when that goes on. */
const unreadMillis = 1_000
const unreadMillisMax = 60_000

/** What a store gave of what it was asked for. */
interface Loaded {
  readonly states: readonly State[]
  readonly failed: readonly (readonly [Uri, unknown])[]
}

const nothingLoaded: Loaded = { states: [], failed: [] }

/** Null: nobody waits for an answer. */
type Ticket = {
  readonly answer: (answer: Answer) => void
  readonly arrivedAt: Millis
  readonly trace: Trace | null
} | null

export const makePump = Effect.fnUntraced(function* (
  options: PumpOptions,
  outbox: {
    /** `since`: when what they tell of came, or fell due. */
    readonly notify: (notifications: readonly Notify[], since: Millis) => void
    /** How long an append took. */
    readonly appended?: (millis: number) => void
    /** Whether and how a request is traced; absent: nothing is. */
    readonly trace?: (request: Request, parent: Tracer.AnySpan | null) => Traced | null
    /** `present`: the state now, of what the log turned out to hold besides; absent: that after the last of them. */
    readonly stored: (stored: readonly CommittedDecision[], present?: State) => void
    /** What the log holds of one presentity cannot be read, or can be again (`cause` null): all others go on. */
    readonly unreadable?: (presentity: Uri, cause: unknown) => void
    /** `committed` has moved on: the log can be read up to there. */
    readonly passed?: () => void
    /** The store went away or came back: said once each time. */
    readonly outage: (state: "down" | "up", cause: unknown) => void
  },
) {
  const store = yield* EventStore
  const claim = store.claim ?? soleClaim
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const run = Effect.runForkWith(context)
  const engine: Engine<Ticket> = makeEngine<Ticket>(options)
  const counters: PumpCounters = {
    decisions: 0,
    batches: 0,
    conflicts: 0,
    refusedBusy: 0,
    refusedUnavailable: 0,
    outages: 0,
  }

  const now = (): Millis => clock.currentTimeMillisUnsafe()

  let status: ReturnType<Pump["status"]> = "starting"
  /** Requests are decided, unless the store is away. */
  let isOpen = false
  let inbox: Offer<Ticket>[] = []
  let scheduled = false
  let appending = false
  /** When the append under way began, by the process's own clock. */
  let appendedFrom = 0
  let loading = false
  let paused = false
  let recovered: Recovered | null = null
  /** The log is read, and requests are not taken yet. */
  let amending = false
  /** What is to leave when they are, and when it is sure that nobody else has the log. */
  let held: Notify[] = []
  const unloaded = new Map<Uri, Offer<Ticket>[]>()
  /** Versions of presentities that had nothing alive when they left memory, oldest first. */
  const evictedVersions = new Map<Uri, { readonly version: number; readonly decidedAt: Millis }>()
  /** Streams that were not where memory thought: they are read before anything is decided on them. */
  const staleStreams = new Set<Uri>()
  /** What the store was asked to keep and never said whether it has, by place in the log. */
  const doubtful = new Map<string, Doubtful<Ticket>[]>()
  /** What of that is stored, until its presentity is in memory with it. */
  const late = new Map<Uri, Doubtful<Ticket>[]>()
  /** What was offered and is decided and stored after all. */
  const done = new WeakSet<Offer<Ticket>>()
  let anyDone = false
  /** Whoever decides after that and is not this process sends its own NOTIFYs. */
  const beganAt = now()
  let isWatching = false
  /** Until when what is in doubt may yet come through, by the process's own clock. */
  let doubtsUntil = 0
  /** What is being appended; null: nothing is, or it was given up. */
  let underWay: Batch | null = null
  let isClosed = false
  /** No more requests are taken, whatever becomes of the store. */
  let isDraining = false
  /** When the store came back last, and how long to wait until it may again: one that goes at once comes back later. */
  let upAt = Number.NEGATIVE_INFINITY
  let pauseMillis = 0
  /** Presentities that alone cannot be read; `until` by the process's own clock. */
  const unreadable = new Map<Uri, { readonly until: number; readonly wait: number }>()
  const pauses = yield* Semaphore.make(1)

  const front = makeFront({
    read: store.read,
    found: (row) => found(row),
    seen: (decision) => {
      // whatever else was to stand there never will
      const place = placeOf(decision)
      const left = doubtful.get(place)?.filter((one) => one.decision.nonce === decision.nonce)
      if (left?.length === 0) doubtful.delete(place)
      else if (left !== undefined) doubtful.set(place, left)
    },
    isUnderWay: ({ stream, version }) =>
      underWay !== null && underWay.decisions.some((one) => one.stream === stream && one.version === version),
    staleStreams: () => outbox.passed?.(),
    run: (effect) => void run(effect),
  })

  /** A decision that the log holds and nobody here knew to be stored, ours or not: whoever follows the log is told. */
  const found = (row: RecordedDecision): Effect.Effect<void, StoreUnavailable> =>
    Effect.gen(function* () {
      const place = placeOf(row.decision)
      const { stream } = row.decision
      const doubt = doubtful.get(place)?.[0]
      const stored = doubt ?? (yield* storedOf(store, row.decision))
      // one that cannot be read keeps nobody from what else there is
      const [loaded] = yield* store
        .load([stream])
        .pipe(Effect.catch(() => Effect.as(store.checkpoint("delivery"), [] as readonly State[])))
      const present = [loaded, engine.state(stream), stored.after]
        .filter((state) => state !== undefined)
        .reduce((one, other) => (other.version > one.version ? other : one))
      outbox.stored([stored], present)
      if (doubt !== undefined) {
        doubtful.delete(place)
        if (doubt.offer !== null) {
          done.add(doubt.offer)
          anyDone = true
        }
        const others = late.get(stream)
        if (others === undefined) late.set(stream, [doubt])
        else others.push(doubt)
      }
      const known = engine.state(stream)
      const isBehind =
        known === undefined ? !staleStreams.has(stream) && !isEmpty(present) : known.version < present.version
      if (isBehind) yield* Effect.forkDetach(pausedFor(Effect.succeed([stream])))
      // an append of an earlier process that came through after this one began: its NOTIFYs have not left
      if (doubt === undefined && row.decision.at < beganAt)
        for (const command of untoldIn(stored)) offerOwn(stream, command)
    })

  /** Streams as they are, with what the log has of them handed over before. */
  const loadFresh = (streams: readonly Uri[]): Effect.Effect<readonly State[], StoreUnavailable> =>
    Effect.gen(function* () {
      for (let tries = 0; ; tries++) {
        if (doubtful.size > 0) yield* front.catchUp
        const states = yield* within(answerMillis, store.load(streams))
        const open = states.flatMap(({ presentity, version }) =>
          [...doubtful].filter(([, some]) =>
            some.some(({ decision }) => decision.stream === presentity && decision.version <= version),
          ),
        )
        // it came through between the two
        if (open.length === 0) return states
        if (tries > 2) for (const [place] of open) doubtful.delete(place)
      }
    })

  /** The same, but those that alone cannot be read stand in nobody else's way. */
  const loadEach = (streams: readonly Uri[]): Effect.Effect<Loaded, StoreUnavailable> =>
    loadFresh(streams).pipe(
      Effect.map((states): Loaded => ({ states, failed: [] })),
      Effect.catch((cause) =>
        Effect.gen(function* () {
          if (streams.length === 0) return yield* Effect.fail(cause)
          // the store answers, so it is about these
          yield* within(answerMillis, store.checkpoint("delivery"))
          if (streams.length === 1) return { states: [], failed: [[streams[0]!, cause] as const] }
          const middle = Math.ceil(streams.length / 2)
          const one = yield* loadEach(streams.slice(0, middle))
          const other = yield* loadEach(streams.slice(middle))
          return { states: [...one.states, ...other.states], failed: [...one.failed, ...other.failed] }
        }),
      ),
    )

  const takeLoaded = ({ states, failed }: Loaded): void => {
    for (const [presentity, cause] of failed) leaveUnread(presentity, cause)
    for (const state of states) {
      const { presentity } = state
      staleStreams.delete(presentity)
      if (unreadable.delete(presentity)) outbox.unreadable?.(presentity, null)
      if (!engine.isLoaded(presentity)) load(state)
    }
  }

  /** Whoever asks of it is refused until it can be read; its deadlines go on then as well. */
  const leaveUnread = (presentity: Uri, cause: unknown): void => {
    const known = unreadable.get(presentity)
    if (known === undefined) outbox.unreadable?.(presentity, cause)
    const wait = Math.min((known?.wait ?? unreadMillis / 2) * 2, unreadMillisMax)
    unreadable.set(presentity, { until: performance.now() + wait, wait })
    staleStreams.add(presentity)
    run(Effect.sleep(wait)).addObserver(() => {
      if (isClosed || !unreadable.has(presentity)) return
      readAgain(presentity)
      schedule()
    })
  }

  /** What is in doubt may come through as long as some connection lives: the log is looked at until all is known. */
  const watchDoubts = (): void => {
    // time counts from when the store is back: while it is away nothing is known of anything
    doubtsUntil = performance.now() + doubtSeconds * 1000
    if (isWatching || doubtful.size === 0) return
    isWatching = true
    const look = Effect.gen(function* () {
      for (let second = 0; doubtful.size > 0 && performance.now() < doubtsUntil && !isClosed; second++) {
        yield* Effect.sleep("1 second")
        if (second < 60 || second % 10 === 0) yield* Effect.ignore(whilePaused(front.catchUp))
      }
      doubtful.clear()
    })
    run(
      Effect.ensuring(
        look,
        Effect.sync(() => (isWatching = false)),
      ),
    )
  }

  /** Puts a presentity in memory; whom the policies treat otherwise than the log does is seen to before anything else. */
  const load = (state: State): void => {
    engine.load(state)
    leaveLate(state.presentity)
    applyPolicies(state)
  }
  /** The NOTIFYs of what turned out to be stored. */
  const leaveLate = (presentity: Uri): void => {
    for (const one of late.get(presentity) ?? []) {
      engine.leaveLate(one)
      const { notifications } = one
      const answer = { _tag: "Accepted", reply: { _tag: "Done" } } as const
      send({ ticket: null, at: one.decision.at, answer, notifications }, true)
    }
    late.delete(presentity)
  }
  const changesIn = (state: State): readonly PolicyChange[] => {
    if (options.limits.watching === undefined) return []
    try {
      return policyChanges(state, standingAt(options, now()))
    } catch (defect) {
      if (options.onDefect === undefined) throw defect
      // decided all the same, where a defect costs this presentity and no other
      offerPolicies(state)
      return []
    }
  }
  const applyPolicies = (state: State): void => {
    if (changesIn(state).length > 0) offerPolicies(state)
  }
  const offerPolicies = ({ presentity }: State): void => {
    const command = { _tag: "ApplyPolicies" } as const
    const offer = { presentity, command, origin: policiesOrigin, ticket: null, amends: true } as const
    const offered = engine.offer(offer, now(), freshNonce)
    if (offered._tag === "Released") send(offered.release, false)
  }

  const refuse = (ticket: Pick<NonNullable<Ticket>, "answer"> | null, why: string): void => {
    if (ticket === null) return
    counters.refusedUnavailable++
    ticket.answer({ _tag: "Rejected", rejection: unavailable(why, options.retryAfter) })
  }

  /** @param isStored what it says was in the log at a moment after it was asked; else it is from memory, which must be sure */
  const send = ({ ticket, at, answer, notifications }: Release<Ticket>, isStored: boolean): void => {
    const isSure = claim.isSure()
    if (isStored || isSure) ticket?.answer(answer)
    else refuse(ticket, unsure)
    if (notifications.length === 0) return
    if (!isOpen || !isSure) {
      held.push(...notifications)
      return
    }
    // in the order of their numbers
    if (held.length > 0) sendHeld()
    ticket?.trace?.notifies(notifications)
    outbox.notify(notifications, ticket?.arrivedAt ?? at)
  }

  const sendHeld = (): void => {
    const notifications = held
    held = []
    outbox.notify(notifications, now())
  }

  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(turn)
  }

  /** One turn: everything that has arrived is decided, and the next batch goes to the store. */
  const turn = (): void => {
    scheduled = false
    if (status === "starting" && !amending) return
    if (held.length > 0 && isOpen && claim.isSure()) sendHeld()
    // what is decided already goes to the store all the same
    if (paused) return append()
    const at = now()
    // after a stop of the process, what waited in sockets comes before what fell due meanwhile
    const stopped = attention.late()
    if (stopped > 0) attention.whenRead(schedule)
    if (status !== "down" && isOpen) engine.advance(at - stopped, freshNonce)
    const offers = isOpen ? inbox : inbox.filter(({ amends }) => amends === true)
    inbox = isOpen ? [] : inbox.filter(({ amends }) => amends !== true)
    for (const offer of offers) decideOne(offer, at, stopped > 0)
    if (unloaded.size > 0 && !loading && status !== "down") loadMissing()
    append()
  }

  /** @param amends decided before what is overdue, whatever the offer says */
  const decideOne = (offer: Offer<Ticket>, at: Millis, amends = false): void => {
    if (anyDone && offer.ticket === null && done.has(offer)) return
    if (status === "down" && offer.ticket !== null) return refuse(offer.ticket, "the store is away")
    const queue = offer.presentity === null ? undefined : unloaded.get(offer.presentity)
    if (queue !== undefined) {
      queue.push(offer)
      return
    }
    const offered = engine.offer(amends ? { ...offer, amends: true } : offer, at, freshNonce)
    if (offered._tag === "Released") send(offered.release, false)
    else if (offered._tag === "Missing") {
      const { until = 0 } = unreadable.get(offered.presentity) ?? {}
      if (until > performance.now()) refuse(offer.ticket, "what the log holds of it cannot be read")
      else if (staleStreams.has(offered.presentity)) awaitLoad(offered.presentity, offer)
      else {
        assumeEmpty(offered.presentity)
        decideOne(offer, at, amends)
      }
    }
  }

  /** A request in a dialog does not name its presentity, so others may wait for the same one already. */
  const awaitLoad = (presentity: Uri, offer: Offer<Ticket>): void => {
    const others = unloaded.get(presentity)
    if (others === undefined) unloaded.set(presentity, [offer])
    else others.push(offer)
  }

  /**
   * Whatever is alive is in memory, so a presentity that is not has nothing alive; only its version may be unknown. It
   * is taken for new: when it is not, the append finds out, and what was decided is decided again on what is true.
   */
  const assumeEmpty = (presentity: Uri): void => {
    engine.load({ ...initial(presentity), ...evictedVersions.get(presentity) })
    evictedVersions.delete(presentity)
  }

  const rememberEvicted = (stored: readonly CommittedDecision[]): void => {
    for (const { decision, after } of stored) {
      if (!isEmpty(after)) continue
      const { version, decidedAt } = after
      evictedVersions.delete(decision.stream)
      evictedVersions.set(decision.stream, { version, decidedAt })
    }
    for (const presentity of evictedVersions.keys()) {
      if (evictedVersions.size <= dormantMax) break
      evictedVersions.delete(presentity)
    }
  }

  const loadMissing = (): void => {
    loading = true
    const streams = [...unloaded.keys()]
    run(loadEach(streams)).addObserver((exit) => {
      loading = false
      if (Exit.isSuccess(exit)) takeLoaded(exit.value)
      else goDown(exit.cause)
      const at = now()
      for (const stream of streams) {
        const offers = unloaded.get(stream) ?? []
        unloaded.delete(stream)
        for (const offer of offers) decideOne(offer, at)
      }
      schedule()
    })
  }

  const append = (): void => {
    if (appending || status === "down") return
    const batch = engine.seal(options.decisionsMax)
    if (batch === null) return
    appending = true
    underWay = batch
    if (batch.decisions.length === 0) settle(new Set(), null)
    // by the process's own clock: a program's may stand still, or jump
    else tryAppend(batch, performance.now())
  }

  const tryAppend = (batch: Batch, since: number): void => {
    // a store that hangs is as good as one that is away; a timer of our own costs less than a race of fibers
    appendedFrom = performance.now()
    const fiber = run(store.append(batch.decisions, batch.requesters))
    let isSilent = false
    const callOff = attention.after(options.patienceMillis, () => {
      isSilent = true
      fiber.interruptUnsafe()
    })
    fiber.addObserver((exit) => {
      callOff()
      // given up meanwhile: what became of it the log will tell
      if (underWay !== batch) {
        appending = false
        return schedule()
      }
      if (Exit.isSuccess(exit)) {
        outbox.appended?.(performance.now() - appendedFrom)
        counters.batches++
        counters.decisions += batch.decisions.length
        counters.conflicts += exit.value.conflicts.size
        settle(exit.value.conflicts, exit.value.position)
      } else if (performance.now() - since < options.patienceMillis) {
        // whether it was stored or not, the same append again gives the same result
        run(Effect.sleep(100)).addObserver(() => {
          if (underWay === batch && !isClosed) return tryAppend(batch, since)
          appending = false
          schedule()
        })
      } else {
        appending = false
        goDown(isSilent ? new AppendUnanswered({ millis: options.patienceMillis }) : exit.cause)
      }
    })
  }

  /** @param position where the append ended; null: there was nothing to append */
  const settle = (conflicts: ReadonlySet<Uri>, position: Position | null): void => {
    appending = false
    underWay = null
    const { release, stored, again } = engine.committed(conflicts)
    for (const stream of conflicts) readAgain(stream)
    if (stored.length > 0) {
      rememberEvicted(stored)
      outbox.stored(stored)
    }
    if (position !== null) {
      const decisions = stored.map(({ decision }) => decision)
      if (doubtful.size > 0) for (const one of decisions) doubtful.delete(placeOf(one))
      front.passed(decisions, position)
    }
    for (const one of release) {
      one.ticket?.trace?.appended(appendedFrom)
      send(one, position !== null)
    }
    if (again.length > 0) inbox = [...again, ...inbox]
    schedule()
  }

  /** Gives up what is undecided and waits for the store. */
  const goDown = (cause: unknown): void => {
    if (status === "down") return
    status = "down"
    counters.outages++
    const failed = engine.failed()
    const { streams } = failed
    underWay = null
    // first: what is refused now is refused for this
    outbox.outage("down", cause)
    if (failed.doubtful.length > 0) doubtsUntil = Number.POSITIVE_INFINITY
    for (const one of failed.doubtful) {
      const place = placeOf(one.decision)
      doubtful.set(place, [...(doubtful.get(place) ?? []), one])
    }
    // what nobody waits for is not lost with it
    inbox = [...failed.offers.filter(({ ticket }) => ticket === null), ...inbox]
    for (const { ticket } of failed.offers) refuse(ticket, "the store is away")
    for (const stream of streams) staleStreams.add(stream)
    // one that goes as soon as it is back is not asked all the time
    pauseMillis =
      performance.now() - upAt < shortMillis
        ? Math.min(Math.max(2 * pauseMillis, backMillis), backMillisMax)
        : 0
    run(Effect.andThen(Effect.sleep(pauseMillis), comeBack(streams)))
  }

  const comeBack = (streams: readonly Uri[]): Effect.Effect<void> =>
    Effect.suspend(() => (isClosed ? Effect.succeed(nothingLoaded) : loadEach(streams))).pipe(
      // loading nothing would succeed without asking anybody
      Effect.tap(() => within(answerMillis, store.checkpoint("delivery"))),
      // one that only lets itself be read, or that is somebody else's by now, is not back
      Effect.filterOrFail(
        () => claim.isSure(),
        () => new StoreUnavailable({ cause: claim.taken() ?? unsure }),
      ),
      Effect.tap((loaded) =>
        Effect.sync(() => {
          if (isClosed) return
          takeLoaded(loaded)
          upAt = performance.now()
          status = isDraining ? "draining" : isOpen ? "ready" : "starting"
          outbox.outage("up", null)
          watchDoubts()
          schedule()
        }),
      ),
      Effect.catch(() =>
        isClosed ? Effect.void : Effect.flatMap(Effect.sleep(backMillis), () => comeBack(streams)),
      ),
      Effect.asVoid,
    )

  /** Nobody waits for an answer. */
  const offerOwn = (presentity: Uri, command: Command): void => {
    inbox.push({ presentity, command, origin: "", ticket: null })
  }

  /** Even when nobody asks, so that its deadlines go on. What has left has left, and what has not is decided again. */
  const readAgain = (presentity: Uri): void => {
    evictedVersions.delete(presentity)
    staleStreams.add(presentity)
    offerOwn(presentity, { _tag: "Redeliver", since: 0, only: [] })
  }

  const submit = (request: Request, parent: Tracer.AnySpan | null = null): void => {
    if (status !== "ready") {
      const why = status === "starting" ? "starting" : status === "down" ? "the store is away" : "stopping"
      refuse(request, why)
      return
    }
    if (inbox.length >= options.inboxMax) {
      counters.refusedBusy++
      request.answer({ _tag: "Rejected", rejection: unavailable("busy", options.retryAfter) })
      return
    }
    const traced = outbox.trace?.(request, parent) ?? null
    const { presentity, command, origin, answer } = traced?.request ?? request
    const ticket: Ticket = { answer, arrivedAt: now(), trace: traced?.trace ?? null }
    inbox.push({ presentity, command, origin, ticket })
    schedule()
  }

  const quiet = Effect.gen(function* () {
    while (status === "draining" && (engine.counts().undecided > 0 || inbox.length > 0 || appending)) {
      yield* Effect.sleep(10)
    }
  })

  const whilePaused: Pump["whilePaused"] = (work) =>
    pauses.withPermits(1)(
      Effect.gen(function* () {
        paused = true
        while (appending || loading || engine.counts().undecided > 0) {
          schedule()
          yield* Effect.sleep(1)
        }
        return yield* work
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            paused = false
            schedule()
          }),
        ),
      ),
    )

  const pausedFor: Pump["pausedFor"] = (work) =>
    whilePaused(
      Effect.gen(function* () {
        // whoever follows the log is not told afterwards of what was before; a log that cannot be read keeps nobody waiting
        yield* front.catchUp.pipe(Effect.timeoutOption("5 seconds"), Effect.ignore)
        for (const stream of yield* work) {
          engine.unload(stream)
          readAgain(stream)
        }
      }),
    )

  const ask: Pump["ask"] = (presentity, command, origin) =>
    Effect.flatMap(Effect.serviceOption(Tracer.ParentSpan), (parent) =>
      Effect.callback<Answer>((resume) => {
        const answer = (given: Answer): void => resume(Effect.succeed(given))
        submit({ presentity, command, origin, answer }, Option.getOrNull(parent))
      }),
    )

  const pump: Pump = {
    handler: {
      submit: (request) => submit(request),
      delivered: (presentity, no, cseq, outcome) => {
        inbox.push({
          presentity,
          command: { _tag: "ReportDelivery", no, cseq, outcome },
          origin: "",
          ticket: null,
        })
        schedule()
      },
    },
    ask,
    amend: (presentity, command, origin) =>
      Effect.suspend(() =>
        isOpen
          ? ask(presentity, command, origin)
          : Effect.callback<Answer>((resume) => {
              const answer = (given: Answer): void => resume(Effect.succeed(given))
              const ticket: Ticket = { answer, arrivedAt: now(), trace: null }
              if (!amending) return refuse(ticket, "starting")
              inbox.push({ presentity, command, origin, ticket, amends: true })
              schedule()
            }),
      ),
    status: () => status,
    engine,
    counters,
    committed: front.last,
    oldestInFlight: () => {
      const tells = ({ command }: Offer<Ticket>): boolean =>
        command._tag === "Redeliver" || command._tag === "RepeatFarewells"
      const isWaiting = recovered !== null || late.size > 0 || inbox.some(tells)
      return isWaiting || [...unloaded.values()].some((offers) => offers.some(tells))
        ? 0
        : engine.oldestInFlight()
    },
    policyChanges: () => {
      const found = new Map<Uri, readonly PolicyChange[]>()
      for (const presentity of engine.presentities()) {
        const state = engine.state(presentity)
        const changes = state === undefined ? [] : changesIn(state)
        if (changes.length > 0) found.set(presentity, changes)
      }
      return { changes: found, state: engine.state, context: standingAt(options, now()) }
    },
    recover: Effect.gen(function* () {
      let told = false
      recovered = yield* recover((one) => outbox.stored([one]), options.isWithinProgram !== true).pipe(
        Effect.provideService(EventStore, withinEach(store)),
        Effect.tapError((cause) =>
          Effect.sync(() => {
            if (!told) outbox.outage("down", cause)
            told = true
          }),
        ),
        Effect.retry(Schedule.spaced("500 millis")),
        Effect.orDie,
      )
      if (told) outbox.outage("up", null)
      for (const state of recovered.states) engine.load(state)
      front.begin(recovered.position, recovered.at)
      amending = true
    }),
    start: Effect.gen(function* () {
      invariant(recovered !== null, "the log is read before requests are taken")
      if (status === "starting") status = "ready"
      isOpen = true
      amending = false
      yield* Effect.addFinalizer(() => Effect.sync(() => (isClosed = true)))
      yield* Effect.acquireRelease(Effect.sync(attention.begin), (end) => Effect.sync(end))
      const { farewells, unconfirmed: unsure, ended, abandoned } = recovered
      recovered = null
      // before anything that fell due is told to somebody who is not there
      const first = (presentity: Uri, command: Command): void =>
        decideOne({ presentity, command, origin: "", ticket: null, amends: true }, now())
      for (const presentity of abandoned) first(presentity, { _tag: "Abandon" })
      for (const [presentity, last] of ended) evictedVersions.set(presentity, last)
      // and before anybody else takes a number in their dialogs
      for (const [presentity, repeated] of farewells)
        first(presentity, { _tag: "RepeatFarewells", farewells: repeated })
      for (const [presentity, only] of unsure) offerOwn(presentity, { _tag: "Redeliver", since: 0, only })
      schedule()
      yield* Effect.sync(schedule).pipe(
        Effect.andThen(Effect.sleep(options.tickMillis)),
        Effect.forever,
        Effect.forkScoped,
      )
    }),
    whilePaused,
    pausedFor,
    settle: Effect.callback<void>((resume) => {
      // twice in a row: an answer may have brought something new
      let quiet = 0
      const look = (): void => {
        const isBusy = inbox.length > 0 || appending || loading || engine.counts().undecided > 0
        quiet = isBusy ? 0 : quiet + 1
        if (quiet > 1) return resume(Effect.void)
        schedule()
        setImmediate(look)
      }
      look()
    }),
    drain: Effect.gen(function* () {
      isDraining = true
      if (status === "ready") status = "draining"
      yield* quiet
    }),
    record: Effect.gen(function* () {
      if (status === "draining") engine.record(now(), freshNonce)
      schedule()
      yield* quiet
    }),
  }
  return pump
})

/** Why nothing is said from memory. */
const unsure = "somebody else may have the log by now"

/** The origin of what policies do to those who watch already. */
export const policiesOrigin = "watch policy"

const unavailable = (why: string, retryAfter: number): Rejection => ({
  _tag: "ServiceUnavailable",
  status: 503,
  why,
  retryAfter,
})
