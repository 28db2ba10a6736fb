/**
 * Inbox → engine → store → outbox: the only loop, and the only place where the core meets time and I/O.
 *
 * Requests are decided in batches, whatever arrived meanwhile together; one append is under way at a time. Answers and
 * NOTIFYs leave when their batch is committed. When the store is away, requests are answered 503, what was undecided
 * is given up after a while, and every stream whose outcome is in doubt is read again once the store is back.
 */
import { randomFillSync } from "node:crypto"
import { Clock, Effect, Exit, Option, Schedule, Semaphore, Tracer } from "effect"
import type { Scope } from "effect"
import { makeEngine } from "../domain/engine/engine.ts"
import type { Batch, Engine, EngineOptions, Offer, Release, Stored } from "../domain/engine/engine.ts"
import { EventStore, StoreUnavailable, soleClaim } from "../domain/ports.ts"
import type { Position, Request, SipHandler } from "../domain/ports.ts"
import type { Answer, Command, Rejection } from "../domain/presentity/commands.ts"
import { farewellNow } from "../domain/presentity/farewell.ts"
import type { Notify } from "../domain/presentity/intents.ts"
import { policyChanges } from "../domain/presentity/apply-policies.ts"
import type { PolicyChange } from "../domain/presentity/apply-policies.ts"
import { standingAt } from "../domain/presentity/context.ts"
import { initial, isEmpty } from "../domain/presentity/state.ts"
import type { State } from "../domain/presentity/state.ts"
import { invariant } from "../domain/vocabulary.ts"
import type { Millis, Uri } from "../domain/vocabulary.ts"
import type { PoliciesFound } from "./watch-advice.ts"
import type { Trace, Traced } from "./tracing.ts"
import { recover } from "./recovery.ts"
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
  /** Position and time up to which everything is committed. */
  readonly committed: () => { readonly position: Position; readonly at: Millis }
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
    readonly stored: (stored: readonly Stored[]) => void
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
  const dormant = new Map<Uri, number>()
  /** Streams that were not where memory thought: they are read before anything is decided on them. */
  const moved = new Set<Uri>()
  const last = { position: 0, at: 0 }
  const pauses = yield* Semaphore.make(1)

  const now = (): Millis => clock.currentTimeMillisUnsafe()

  /** Puts a presentity in memory; whom the policies treat otherwise than the log does is seen to before anything else. */
  const load = (state: State): void => {
    engine.load(state)
    applyPolicies(state)
  }
  const changesIn = (state: State): readonly PolicyChange[] =>
    options.limits.watching === undefined ? [] : policyChanges(state, standingAt(options, now()))
  const applyPolicies = (state: State): void => {
    if (changesIn(state).length === 0) return
    const { presentity } = state
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
    // in the order of their numbers: what was read anew meanwhile is told under a higher one
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
    if (status !== "down" && isOpen) engine.advance(at, freshNonce)
    const offers = isOpen ? inbox : inbox.filter(({ amends }) => amends === true)
    inbox = isOpen ? [] : inbox.filter(({ amends }) => amends !== true)
    for (const offer of offers) decideOne(offer, at)
    if (unloaded.size > 0 && !loading && status !== "down") loadMissing()
    append()
  }

  const decideOne = (offer: Offer<Ticket>, at: Millis): void => {
    if (status === "down" && offer.ticket !== null) return refuse(offer.ticket, "the store is away")
    const queue = offer.presentity === null ? undefined : unloaded.get(offer.presentity)
    if (queue !== undefined) {
      queue.push(offer)
      return
    }
    const offered = engine.offer(offer, at, freshNonce)
    if (offered._tag === "Released") send(offered.release, false)
    else if (offered._tag === "Missing") {
      if (moved.has(offered.presentity)) awaitLoad(offered.presentity, offer)
      else {
        presume(offered.presentity)
        decideOne(offer, at)
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
  const presume = (presentity: Uri): void => {
    engine.load({ ...initial(presentity), version: dormant.get(presentity) ?? 0 })
    dormant.delete(presentity)
  }

  const rememberDormant = (stored: readonly Stored[]): void => {
    for (const { decision, after } of stored) {
      if (!isEmpty(after)) continue
      dormant.delete(decision.stream)
      dormant.set(decision.stream, after.version)
    }
    for (const presentity of dormant.keys()) {
      if (dormant.size <= dormantMax) break
      dormant.delete(presentity)
    }
  }

  const loadMissing = (): void => {
    loading = true
    const streams = [...unloaded.keys()]
    run(store.load(streams)).addObserver((exit) => {
      loading = false
      if (Exit.isSuccess(exit)) {
        for (const state of exit.value) {
          moved.delete(state.presentity)
          if (!engine.isLoaded(state.presentity)) load(state)
        }
      } else goDown(exit.cause)
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
    if (batch.decisions.length === 0) settle(new Set(), false)
    else tryAppend(batch, now())
  }

  const tryAppend = (batch: Batch, since: Millis): void => {
    // a store that hangs is as good as one that is away; a timer of our own costs less than a race of fibers
    appendedFrom = performance.now()
    const fiber = run(store.append(batch.decisions, batch.requesters))
    const timer = setTimeout(() => fiber.interruptUnsafe(), options.patienceMillis)
    fiber.addObserver((exit) => {
      clearTimeout(timer)
      if (Exit.isSuccess(exit)) {
        outbox.appended?.(performance.now() - appendedFrom)
        counters.batches++
        counters.decisions += batch.decisions.length
        counters.conflicts += exit.value.conflicts.size
        last.position = Math.max(last.position, exit.value.position)
        last.at = Math.max(last.at, batch.decisions.at(-1)?.at ?? 0)
        settle(exit.value.conflicts, true)
      } else if (now() - since < options.patienceMillis) {
        // whether it was stored or not, the same append again gives the same result
        run(Effect.sleep(100)).addObserver(() => tryAppend(batch, since))
      } else {
        appending = false
        goDown(exit.cause)
      }
    })
  }

  const settle = (conflicts: ReadonlySet<Uri>, isStored: boolean): void => {
    appending = false
    const since = conflicts.size === 0 ? 0 : (engine.oldestInFlight() ?? now())
    const { release, stored, again } = engine.committed(conflicts)
    for (const stream of conflicts) {
      readAgain(stream, since)
    }
    if (stored.length > 0) {
      rememberDormant(stored)
      outbox.stored(stored)
    }
    for (const one of release) {
      one.ticket?.trace?.appended(appendedFrom)
      send(one, isStored)
    }
    if (again.length > 0) inbox = [...again, ...inbox]
    schedule()
  }

  /** Gives up what is undecided and waits for the store. */
  const goDown = (cause: unknown): void => {
    if (status === "down") return
    status = "down"
    counters.outages++
    const since = Math.min(engine.oldestInFlight() ?? now(), now()) - options.patienceMillis
    const { tickets, streams } = engine.failed()
    for (const ticket of tickets) refuse(ticket, "the store is away")
    for (const stream of streams) moved.add(stream)
    outbox.outage("down", cause)
    run(comeBack(streams, since))
  }

  const comeBack = (streams: readonly Uri[], since: Millis): Effect.Effect<void> =>
    store.load(streams).pipe(
      // loading nothing would succeed without asking anybody
      Effect.tap(() => store.checkpoint("delivery")),
      // one that only lets itself be read, or that is somebody else's by now, is not back
      Effect.filterOrFail(
        () => claim.isSure(),
        () => new StoreUnavailable({ cause: claim.taken() ?? unsure }),
      ),
      Effect.tap((states) =>
        Effect.sync(() => {
          for (const state of states) {
            moved.delete(state.presentity)
            if (!engine.isLoaded(state.presentity)) load(state)
          }
          status = isOpen ? "ready" : "starting"
          outbox.outage("up", null)
          for (const presentity of streams) redeliver(presentity, since)
          schedule()
        }),
      ),
      Effect.catch(() => Effect.flatMap(Effect.sleep(250), () => comeBack(streams, since))),
      Effect.asVoid,
    )

  const redeliver = (presentity: Uri, since: Millis): void => {
    inbox.push({ presentity, command: { _tag: "Redeliver", since }, origin: "", ticket: null })
  }

  /** Even when nobody asks, so that its deadlines go on; repeats what may not have been sent. */
  const readAgain = (presentity: Uri, since: Millis): void => {
    dormant.delete(presentity)
    moved.add(presentity)
    redeliver(presentity, since)
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
    committed: () => last,
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
      recovered = yield* recover(options, (one) => outbox.stored([one])).pipe(
        Effect.provideService(EventStore, store),
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
      last.position = recovered.position
      last.at = recovered.at
      amending = true
    }),
    start: Effect.gen(function* () {
      invariant(recovered !== null, "the log is read before requests are taken")
      if (status === "starting") status = "ready"
      isOpen = true
      amending = false
      const { farewells, unsure, since } = recovered
      recovered = null
      const repeated = farewells.map((one) =>
        farewellNow(
          one,
          engine.state(one.notify.presentity) ?? initial(one.notify.presentity),
          standingAt(options, now()),
        ),
      )
      if (repeated.length > 0) outbox.notify(repeated, now())
      if (held.length > 0) outbox.notify(held, now())
      held = []
      for (const presentity of unsure) redeliver(presentity, since)
      schedule()
      yield* Effect.sync(schedule).pipe(
        Effect.andThen(Effect.sleep(options.tickMillis)),
        Effect.forever,
        Effect.forkScoped,
      )
    }),
    whilePaused,
    pausedFor: (work) =>
      whilePaused(
        Effect.gen(function* () {
          const since = engine.oldestInFlight() ?? now()
          for (const stream of yield* work) {
            engine.unload(stream)
            readAgain(stream, since)
          }
        }),
      ),
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

/** Every entity-tag has it, and every row of the log has two or three: more would weigh, and serve nobody. */
const nonceOctets = 12

/**
 * 96 bits from the system's generator, as a token of 16 characters; drawn 256 at a time.
 *
 * It never begins with a hyphen: entity-tags are given on command lines too.
 */
export const freshNonce = ((): (() => string) => {
  const pool = Buffer.alloc(nonceOctets * 256)
  let next = pool.length
  return () => {
    if (next >= pool.length) {
      randomFillSync(pool)
      next = 0
    }
    const nonce = pool.toString("base64url", next, next + nonceOctets)
    next += nonceOctets
    return nonce.startsWith("-") ? `~${nonce.slice(1)}` : nonce
  }
})()
