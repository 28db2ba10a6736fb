/**
 * A server's whole life in a plain loop: publishers, watchers and a second writer over a network that loses, delays and
 * repeats, a store that fails, crashes, a clock that jumps ahead or back and is set right again. Everything follows from a seed.
 *
 * It drives the very engine that the server runs (`offer`, `advance`, `takeBatch`, `committed`, `failed`) over the store in
 * memory, with integers for time. After every step `simulator-checks.ts` says what must hold.
 */
import { makeMemoryLog } from "../../adapters/store/memory.ts"
import type { MemoryLog } from "../../adapters/store/memory.ts"
import type {
  Batch,
  Engine,
  EngineOptions,
  Offer,
  Release,
  CommittedDecision,
} from "../../domain/engine/engine.ts"
import { makeEngine } from "../../domain/engine/make-engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import {
  clockOf,
  isSetBack,
  lastClock,
  nowFor,
  placedAt,
  slackMillis,
} from "../../domain/presentity/clock.ts"
import type { Answer, Command, DeliveryOutcome } from "../../domain/presentity/commands.ts"
import { defaultLimits } from "../../domain/presentity/context.ts"
import type { Limits } from "../../domain/presentity/context.ts"
import { nextDeadline } from "../../domain/presentity/deadlines.ts"
import { decide } from "../../domain/presentity/decide.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { react } from "../../domain/presentity/react.ts"
import { initial, isEmpty } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import type { Millis, PackageName, SubHandling, Uri } from "../../domain/vocabulary.ts"
import { makeAnswered } from "../node/answered-up-to.ts"
import { makeDeliveries } from "../node/deliveries.ts"
import { makeRandom } from "./random.ts"
import { makePeers } from "./simulated-peers.ts"
import type { Request, Universe } from "./simulated-peers.ts"
import { CheckFailed, makeChecks } from "./simulator-checks.ts"

export interface SimulationOptions {
  readonly seed: number
  readonly steps: number
  readonly packages: Packages
  readonly universe: Universe
  readonly limits?: Partial<Limits>
  /** What there is to know of what a watcher knows, without what it knows to be gone. */
  readonly present: (knows: string, packageName: PackageName) => string
  /** The same of what is there; left out: the body of the present view. */
  readonly truth?: (state: State, subscription: Subscription) => string
  /** Who follows the log, as tables do; left out: nobody. */
  readonly follow?: (log: MemoryLog) => Follower
  /** How many of the last happenings a failure tells. */
  readonly traceLines?: number
}

/** Told of what the server knows to be stored, and asked at quiet moments whether it has kept up. */
export interface Follower {
  /** @param position where the append ended */
  readonly stored: (stored: readonly CommittedDecision[], position: number) => void
  /** Decisions of appends that were given up turned out to be stored. */
  readonly late: (decisions: readonly CommittedDecision[]) => void
  /** Another process begins, and reads what the last one kept. */
  readonly restarted: () => void
  /** @throws Error that says what does not follow from the log */
  readonly quiet: (states: Iterable<State>) => void
}

export interface Simulation {
  readonly log: readonly Decision[]
  /** How each NOTIFY that left ended, for the process that sent it; `Forgotten`: that one had crashed. */
  readonly deliveries: readonly Delivered[]
  readonly counts: Readonly<Record<Happening, number>>
}

export interface Delivered {
  readonly presentity: Uri
  readonly no: number
  readonly cseq: number
  readonly outcome: DeliveryOutcome["_tag"] | "Forgotten"
}

export type Happening =
  | "requests"
  | "answers"
  | "notifications"
  | "lost"
  | "crashes"
  | "failures"
  | "conflicts"
  | "unproven"
  | "doubted"
  | "unrepeated"
  | "jumps"
  | "converged"

/** A failed check, with everything needed to see it again. */
export class SimulationFailed extends Error {
  constructor(seed: number, step: number, trace: readonly string[], cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${seed}, step ${step}: ${why}\n${trace.join("\n")}`, { cause })
  }
}

/**
 * Runs one simulation.
 *
 * @throws SimulationFailed naming seed and step, with the last happenings
 */
export const simulate = (options: SimulationOptions): Simulation => {
  const trace: string[] = []
  const simulator = makeSimulator(options, (line) => {
    trace.push(line)
    if (trace.length > (options.traceLines ?? 40)) trace.shift()
  })
  let step = 0
  try {
    for (; step < options.steps; step++) simulator.step()
    simulator.settle()
    return simulator.result()
  } catch (cause) {
    throw new SimulationFailed(options.seed, step, trace, cause)
  }
}

const beginning = Date.UTC(2026, 10, 20, 10)

interface Message {
  readonly at: Millis
  readonly arrive: () => void
}

/** What the driver needs to know of an offer when its answer leaves. */
interface Ticket {
  readonly origin: string | null
  readonly answered: (answer: Answer) => void
}

const jumps: readonly Millis[] = [
  -365 * 86_400_000,
  -86_400_000,
  -3_600_000,
  -5000,
  -700,
  5000,
  40_000,
  1_800_000,
  3_600_000,
  86_400_000,
  365 * 86_400_000,
  730 * 86_400_000,
]

/** The later of two instants; the second when it is earlier by more than that: then the clock was set back. */
const laterOf = (one: Millis, other: Millis, slack: Millis): Millis =>
  other < one - slack ? other : Math.max(one, other)

const nobody: Ticket = { origin: null, answered: () => {} }

const makeSimulator = (options: SimulationOptions, note: (line: string) => void) => {
  const { packages, universe } = options
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const random = makeRandom(options.seed)
  const doubt = makeRandom(options.seed ^ 0x5bd1e995)
  const tide = makeRandom(options.seed ^ 0x2c1b3c6d)
  const peers = makePeers(random, universe, doubt)
  const log: MemoryLog = makeMemoryLog()
  const follower = options.follow?.(log)
  let quietTurns = 0
  const treated = new Map<Uri, SubHandling>()
  const engineOptions: EngineOptions = {
    packages,
    limits,
    // seeds tell whether this server writes down that NOTIFYs were answered
    ...(options.seed % 7 === 0 ? {} : { recordAfterMillis: 10_000 }),
    authorize: ({ watcher }) => treated.get(watcher) ?? (universe.rules === undefined ? "allow" : null),
    // every third life begins with a source of rules that cannot be read
    isUnread: () => universe.rules !== undefined && !calm && life % 3 === 2,
  }
  const checks = makeChecks(log, engineOptions)
  const counts: Record<Happening, number> = {
    requests: 0,
    answers: 0,
    notifications: 0,
    lost: 0,
    crashes: 0,
    failures: 0,
    conflicts: 0,
    unproven: 0,
    doubted: 0,
    unrepeated: 0,
    jumps: 0,
    converged: 0,
  }

  const deliveries: Delivered[] = []
  let engine: Engine<Ticket> = makeEngine(engineOptions)
  let now = beginning
  /** How far the server's clock is wrong. */
  let skew = 0
  const clock = (): Millis => now + skew
  /** Counts crashes: what an earlier process had under way dies with it. */
  let life = 0
  let network: Message[] = []
  let appending: Batch | null = null
  /** As the server keeps it: no NOTIFY of a decision up to there can have been lost. */
  const answers = makeAnswered()
  /** Those of another writer without an answer, and when they were issued. */
  const foreign = new Map<Notify, Millis>()
  let committedAt = 0
  let calm = false

  const post = (delay: Millis, arrive: () => void): void => {
    network.push({ at: now + delay, arrive })
  }

  const lose = (probability: number): boolean => {
    const isLost = !calm && random.chance(probability)
    if (isLost) counts.lost++
    return isLost
  }

  const delay = (): Millis => (calm ? 0 : random.chance(0.8) ? random.int(200) : random.int(8_000))

  // ── the server's side of the network ──

  const offer = (presentity: Uri | null, command: Command, ticket: Ticket): void => {
    offerAgain({ presentity, command, origin: ticket.origin ?? "", ticket })
  }

  const offerAgain = (one: Offer<Ticket>): void => {
    const offered = engine.offer(one, clock(), random.token)
    if (offered._tag === "Released") send(offered.release)
    else if (offered._tag === "Missing") {
      engine.load(log.load(offered.presentity))
      offerAgain(one)
    }
  }

  const send = (release: Release<Ticket>): void => {
    const { ticket, answer, notifications } = release
    checks.released(release, ticket?.origin ?? null)
    if (ticket !== null && ticket.origin !== null) {
      counts.answers++
      if (!lose(0.05)) post(delay(), () => ticket.answered(answer))
    }
    for (const one of notifications) transmit(one)
  }

  /** One NOTIFY transaction: one outcome for the process that began it. */
  const transmit = (one: Notify): void => {
    counts.notifications++
    note(
      `${now} NOTIFY ${one.presentity} ${one.no} CSeq ${one.cseq} ${one.state} ${JSON.stringify(one.body?.text)}`,
    )
    const began = life
    const report = (outcome: DeliveryOutcome): void => {
      foreign.delete(one)
      const isForgotten = life !== began
      deliveries.push({
        presentity: one.presentity,
        no: one.no,
        cseq: one.cseq,
        outcome: isForgotten ? "Forgotten" : outcome._tag,
      })
      if (isForgotten) return
      note(`${now} outcome ${one.no} CSeq ${one.cseq} ${JSON.stringify(outcome)}`)
      const { no, cseq } = one
      offer(one.presentity, { _tag: "ReportDelivery", no, cseq, outcome }, nobody)
    }
    if (peers.doubts(one, calm)) {
      counts.doubted++
      checks.unsent(one)
      return post(0, () => report({ _tag: "Unproven" }))
    }
    const why = peers.sending(one)
    if (why !== null) throw new CheckFailed(why)
    if (one.proof?._tag === "Unproven") counts.unproven++
    if (!calm && peers.isUnrepeated(one)) {
      counts.unrepeated++
      return post(8_000, () => report({ _tag: "Unproven", room: 0 }))
    }
    if (lose(0.01)) return post(0, () => report({ _tag: "Unreachable" }))
    if (lose(0.04)) return post(32_000, () => report({ _tag: "TimedOut" }))
    post(delay(), () => {
      const outcome = peers.take(one)
      if (lose(0.02)) post(32_000, () => report({ _tag: "TimedOut" }))
      else post(delay(), () => report(outcome))
    })
  }

  // ── the store ──

  const spare = (decision: Decision): void => {
    const state = checks.states().get(decision.stream)
    for (const event of decision.events) {
      if (event._tag !== "NotificationsIssued") continue
      for (const no of event.suppressed) {
        const dialog = state && get(state.dialogs, get(state.subscriptions, no)?.dialog ?? -1)
        peers.spared(decision.stream, no, dialog?.localCseq ?? 0)
      }
    }
  }

  const append = (decisions: readonly Decision[]): ReadonlySet<Uri> => {
    const { conflicts } = log.append(decisions)
    checks.follow()
    for (const one of decisions) if (!conflicts.has(one.stream)) spare(one)
    return conflicts
  }

  const finishAppend = ({ decisions }: Batch): void => {
    if (!calm && random.chance(0.03)) return failAppend(decisions)
    const streams = [...new Set(decisions.map(({ stream }) => stream))]
    if (!calm && streams.length > 0 && random.chance(0.04)) interfere(random.pick(streams))
    const conflicts = append(decisions)
    const { release, again, stored } = engine.committed(conflicts)
    if (stored.length > 0) follower?.stored(stored, log.read(0, Number.MAX_SAFE_INTEGER).length)
    const newest = decisions.at(-1)
    if (newest !== undefined) committedAt = laterOf(committedAt, clockOf(newest), slackMillis)
    for (const one of release) send(one)
    reload(conflicts)
    for (const one of again) offerAgain(one)
    if (conflicts.size > 0) counts.conflicts++
  }

  /** The store does not answer; whether it did what it was asked nobody knows. */
  const failAppend = (decisions: readonly Decision[]): void => {
    counts.failures++
    note(`${now} the append fails`)
    if (random.chance(0.5)) append(decisions)
    const { offers, streams, doubtful } = engine.failed()
    for (const { ticket } of offers) {
      if (ticket.origin === null) continue
      const rejection = { _tag: "ServiceUnavailable", status: 503, why: "store", retryAfter: 1 } as const
      post(delay(), () => ticket.answered({ _tag: "Rejected", rejection }))
    }
    reload(streams)
    // what is stored after all has its consequences now
    const done = new Set<Offer<Ticket> | null>()
    for (const one of doubtful) {
      const { stream, version, nonce } = one.decision
      if (log.history(stream, version - 1, 1)[0]?.decision.nonce !== nonce) continue
      done.add(one.offer)
      follower?.late([one])
      engine.leaveLate(one)
      const { notifications } = one
      send({ ticket: null, at: now, answer: { _tag: "Accepted", reply: { _tag: "Done" } }, notifications })
    }
    for (const one of offers) if (one.ticket.origin === null && !done.has(one)) offerAgain(one)
  }

  /** Puts streams back into memory as they are written. */
  const reload = (streams: Iterable<Uri>): void => {
    for (const stream of streams) {
      if (!engine.isLoaded(stream)) engine.load(log.load(stream))
      offer(stream, { _tag: "Redeliver", since: 0, only: [] }, nobody)
    }
  }

  /** Another writer decides something on the stream, and sends what follows. */
  const interfere = (stream: Uri): void => {
    let state = log.load(stream)
    const body = random.pick(universe.bodies.get("stub") ?? [...universe.bodies.values()][0]!)
    const asked = { ifMatch: [], expires: 60, body, bodyFault: null, sender: null }
    const packageName = [...universe.bodies.keys()][0]!
    const publish = { _tag: "Publish", packageName, ...asked } as const
    const follow = { _tag: "FollowClock", from: lastClock(state) } as const
    for (const command of [follow, { _tag: "FallDue" }, publish] as const) {
      if (command._tag === "FollowClock" && (!isSetBack(state, clock()) || isEmpty(state))) continue
      const nonce = random.token()
      const at = nowFor(state, clock())
      const { events: decided } = decide(state, command, {
        now: at,
        nonce,
        limits,
        packages,
        authorize: engineOptions.authorize,
        inFlight: () => false,
        findDialog: () => null,
      })
      if (decided.length === 0) continue
      const version = state.version + 1
      const placed = placedAt(state, at, decided)
      const decision: Decision = { stream, version, cause: command._tag, origin: "", nonce, ...placed }
      const after = fold(state, decision)
      append([decision])
      note(`${now} another writer: ${stream} ${version} ${command._tag}`)
      const reaction = { packages, limits }
      const notifications = react(state, decision.events, after, at, reaction)
      for (const one of notifications) foreign.set(one, at)
      send({ ticket: null, at, answer: { _tag: "Accepted", reply: { _tag: "Done" } }, notifications })
      state = after
    }
  }

  const crash = (): void => {
    counts.crashes++
    life++
    note(`${now} crash`)
    // the append under way may have come through
    if (appending !== null && random.chance(0.5)) append(appending.decisions)
    appending = null
    engine = makeEngine(engineOptions)
    const alive = [...checks.states().keys()]
      .map((stream) => log.load(stream))
      .filter((state) => !isEmpty(state))
    follower?.restarted()
    const { farewells, unsure } = inDoubt(alive, answers.upTo())
    for (const state of alive) engine.load(state)
    if (universe.rules !== undefined) judgeAgain(alive.map((one) => one.presentity))
    for (const [presentity, repeated] of farewells) {
      const command = { _tag: "RepeatFarewells", farewells: repeated } as const
      offerAgain({ presentity, command, origin: "", ticket: nobody, amends: true })
    }
    engine.advance(now, random.token)
    for (const [presentity, only] of unsure) offer(presentity, { _tag: "Redeliver", since: 0, only }, nobody)
  }

  /** What the log leaves open of NOTIFYs of decisions after a place. */
  const inDoubt = (alive: readonly State[], from: number) => {
    const deliveries = makeDeliveries()
    const states = new Map<Uri, State>()
    for (const { position, decision } of log.read(0, Number.MAX_SAFE_INTEGER)) {
      const before = states.get(decision.stream) ?? initial(decision.stream)
      const after = fold(before, decision)
      states.set(decision.stream, after)
      if (position <= from) continue
      deliveries.read(decision)
      deliveries.folded({ decision, before, after })
    }
    const unsure = alive.flatMap((state): [Uri, readonly number[]][] => {
      const nos = deliveries.unsureIn(state, (one) => deliveries.isReadFrom(state.presentity, one.toldIn))
      return nos.length === 0 ? [] : [[state.presentity, nos]]
    })
    return { farewells: deliveries.farewells(), unsure }
  }

  const oldestInFlight = (): Millis | null => {
    const all = [engine.oldestInFlight(), ...foreign.values()].filter((at) => at !== null)
    return all.length === 0 ? null : Math.min(...all)
  }

  /** As a start does before anything that fell due meanwhile, and when the source of rules has been read at last. */
  const judgeAgain = (presentities: readonly Uri[]): void => {
    for (const presentity of presentities) {
      for (const packageName of universe.bodies.keys()) {
        const command = { _tag: "RefreshWatchers", packageName, kind: "rules" } as const
        offerAgain({ presentity, command, origin: "", ticket: nobody, amends: true })
      }
    }
  }

  const store = (eager: boolean): void => {
    if (appending === null) appending = engine.takeBatch(calm ? 1000 : 1 + random.int(20))
    if (appending === null || !(eager || random.chance(0.6))) return
    const batch = appending
    appending = null
    finishAppend(batch)
    if (random.chance(0.2))
      answers.note(
        log.read(0, Number.MAX_SAFE_INTEGER).length,
        laterOf(clock(), committedAt, slackMillis),
        oldestInFlight(),
      )
  }

  // ── time ──

  const arrivals = (): void => {
    const due = network.filter(({ at }) => at <= now).sort((one, other) => one.at - other.at)
    network = network.filter(({ at }) => at > now)
    for (const { arrive } of due) arrive()
  }

  const nearestDeadline = (): Millis | null => {
    const all = [...checks.states().values()].flatMap((state) => nextDeadline(state) ?? [])
    return all.length === 0 ? null : Math.min(...all) - skew
  }

  const moveClock = (): void => {
    if (random.chance(0.1)) {
      const deadline = nearestDeadline()
      if (deadline !== null) now = Math.max(now, deadline + random.int(3) - 1)
    } else if (random.chance(0.005)) now += 3_600_000
    else if (random.chance(0.01)) now += 40_000
    else now += random.chance(0.3) ? 0 : random.int(1_500)
  }

  /** Every fourth life has a clock that jumps, and is set right sooner or later. */
  const moveTide = (): void => {
    if (options.seed % 4 !== 0) return
    if (skew !== 0 ? tide.chance(0.04) : tide.chance(0.01)) {
      skew = skew === 0 ? tide.pick(jumps) : tide.chance(0.8) ? 0 : tide.pick(jumps)
      counts.jumps++
      note(`${now} the clock is ${skew} ms wrong`)
    }
  }

  const ask = (): void => {
    const request = peers.ask()
    if (request === null) return
    counts.requests++
    if (lose(0.05)) return
    post(delay(), () => receive(request))
    // the same once more, as from a device that lost its memory
    if (request.command._tag !== "Subscribe" && random.chance(0.03)) post(delay(), () => receive(request))
  }

  const receive = ({ presentity, command, answered, arrives }: Request): void => {
    arrives?.()
    const origin = `r${random.token()}`
    note(`${now} ${origin} ${JSON.stringify(command)}`)
    offer(presentity, command, { origin, answered })
  }

  const turn = (eager: boolean): void => {
    engine.advance(clock(), random.token)
    arrivals()
    store(eager)
    const isQuiet = engine.counts().undecided === 0 && appending === null
    checks.step(engine, clock(), isQuiet)
    if (isQuiet && ++quietTurns % 20 === 0) follower?.quiet(checks.states().values())
  }

  return {
    step: (): void => {
      moveClock()
      moveTide()
      for (let some = random.int(3); some > 0; some--) ask()
      if (random.chance(0.02)) {
        treated.set(
          random.pick(universe.watchers),
          random.pick(["allow", "allow", "confirm", "polite-block", "block"]),
        )
      }
      turn(false)
      if (random.chance(0.01)) crash()
    },
    /** Nobody asks any more and nothing goes wrong, until all is said. */
    settle: (): void => {
      calm = true
      skew = 0
      treated.clear()
      if (universe.rules !== undefined) judgeAgain([...engine.presentities()])
      for (let quiet = 0; quiet < 3;) {
        turn(true)
        const held = [...checks.states().values()].some((state) =>
          [...values(state.subscriptions)].some(({ dueAt }) => dueAt !== null),
        )
        const busy = network.length > 0 || held || engine.counts().undecided > 0 || appending !== null
        quiet = busy ? 0 : quiet + 1
        const next = [...network.map(({ at }) => at), ...(held ? [nearestDeadline() ?? now] : [])]
        if (next.length > 0) now = Math.max(now, Math.min(...next))
      }
      checks.granted(clock())
      follower?.quiet(checks.states().values())
      counts.converged = checks.converged((state, one) => {
        const shown = peers.shows(state.presentity, one.no)
        if (shown === null) return null
        const eventPackage = packages.find(one.packageName)
        const there =
          options.truth?.(state, one) ?? (eventPackage && viewFor(state, one, eventPackage).body?.text) ?? ""
        return { shown: options.present(shown ?? "", one.packageName), there }
      })
    },
    result: (): Simulation => ({
      log: log.read(0, Number.MAX_SAFE_INTEGER).map(({ decision }) => decision),
      deliveries,
      counts,
    }),
  }
}
