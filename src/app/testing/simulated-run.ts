/**
 * One simulation while it runs: the server's process, what is under way around it, and what has been counted.
 */
import { makeMemoryLog } from "../../adapters/store/memory.ts"
import type { MemoryLog } from "../../adapters/store/memory.ts"
import type { Batch, CommittedDecision, Engine, EngineOptions } from "../../domain/engine/engine.ts"
import { makeEngine } from "../../domain/engine/make-engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Answer, DeliveryOutcome } from "../../domain/presentity/commands.ts"
import { defaultLimits } from "../../domain/presentity/context.ts"
import type { Limits } from "../../domain/presentity/context.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import type { Millis, PackageName, SubHandling, Uri } from "../../domain/vocabulary.ts"
import { makeAnswered } from "../node/answered-up-to.ts"
import { makeRandom } from "./random.ts"
import type { Random } from "./random.ts"
import { makePeers } from "./simulated-peers.ts"
import type { Peers } from "./simulated-peers.ts"
import type { Universe } from "./simulated-requests.ts"
import { makeChecks } from "./simulator-checks.ts"
import type { Checks } from "./simulator-checks.ts"

export interface SimulationOptions {
  readonly seed: number
  readonly steps: number
  readonly packages: Packages
  readonly universe: Universe
  readonly limits?: Partial<Limits>
  /** What of a watcher's knowledge is to be compared, without what it knows to have ended. */
  readonly present: (knows: string, packageName: PackageName) => string
  /** The same for the present state; left out: the body of the present view. */
  readonly truth?: (state: State, subscription: Subscription) => string
  /** A follower of the log, such as the tables; left out: none. */
  readonly follow?: (log: MemoryLog) => Follower
  /** How many of the last events a failure shows. */
  readonly traceLines?: number
}

/** Told of what the server knows to be stored, and asked at quiet moments whether it has kept up. */
export interface Follower {
  /** @param position where the append ended */
  readonly stored: (stored: readonly CommittedDecision[], position: number) => void
  /** Decisions of abandoned appends turned out to be stored. */
  readonly late: (decisions: readonly CommittedDecision[]) => void
  /** Another process starts, and reads what the last one kept. */
  readonly restarted: () => void
  /** @throws Error that says what does not follow from the log */
  readonly quiet: (states: Iterable<State>) => void
}

export interface Simulation {
  readonly log: readonly Decision[]
  /** The outcome of each NOTIFY sent, for the process that sent it; `Forgotten`: that one had crashed. */
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

interface Message {
  readonly at: Millis
  readonly arrive: () => void
}

/** What the driver needs to know of an offer when its answer leaves. */
export interface Ticket {
  readonly origin: string | null
  readonly answered: (answer: Answer) => void
}

export const nobody: Ticket = { origin: null, answered: () => {} }

export interface Run {
  readonly options: SimulationOptions
  readonly note: (line: string) => void
  readonly random: Random
  /** Separate randomness for the clock, so that everything else happens as it would without. */
  readonly tide: Random
  readonly peers: Peers
  readonly log: MemoryLog
  readonly follower: Follower | undefined
  readonly treated: Map<Uri, SubHandling>
  readonly engineOptions: EngineOptions
  readonly checks: Checks
  readonly counts: Record<Happening, number>
  readonly deliveries: Delivered[]
  engine: Engine<Ticket>
  now: Millis
  /** How far the server's clock is wrong. */
  skew: number
  /** Counts crashes: what an earlier process had under way dies with it. */
  life: number
  network: Message[]
  appending: Batch | null
  /** As the server keeps it: no NOTIFY of a decision up to there can have been lost. */
  readonly answers: ReturnType<typeof makeAnswered>
  /** NOTIFYs of the other writer without a response, and when they were issued. */
  readonly foreign: Map<Notify, Millis>
  committedAt: Millis
  /** Nothing fails any more. */
  calm: boolean
  quietTurns: number
}

const beginning = Date.UTC(2026, 10, 20, 10)

export const newRun = (options: SimulationOptions, note: (line: string) => void): Run => {
  const { packages, universe, seed } = options
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const random = makeRandom(seed)
  const log = makeMemoryLog()
  const treated = new Map<Uri, SubHandling>()
  const hasRules = universe.rules !== undefined
  const engineOptions: EngineOptions = {
    packages,
    limits,
    // the seed determines whether this server records answers to NOTIFYs
    ...(seed % 7 === 0 ? {} : { recordAfterMillis: 10_000 }),
    authorize: ({ watcher }) => treated.get(watcher) ?? (hasRules ? null : "allow"),
    // every third life starts with a source of rules that cannot be read
    isUnread: () => hasRules && !run.calm && run.life % 3 === 2,
  }
  const run: Run = {
    options,
    note,
    random,
    tide: makeRandom(seed ^ 0x2c1b3c6d),
    peers: makePeers(random, universe, makeRandom(seed ^ 0x5bd1e995)),
    log,
    follower: options.follow?.(log),
    treated,
    engineOptions,
    checks: makeChecks(log, engineOptions),
    counts: noCounts(),
    deliveries: [],
    engine: makeEngine(engineOptions),
    now: beginning,
    skew: 0,
    life: 0,
    network: [],
    appending: null,
    answers: makeAnswered(),
    foreign: new Map(),
    committedAt: 0,
    calm: false,
    quietTurns: 0,
  }
  return run
}

const noCounts = (): Record<Happening, number> => ({
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
})

/** What the server's clock says. */
export const clockOfServer = ({ now, skew }: Run): Millis => now + skew

export const post = (run: Run, delay: Millis, arrive: () => void): void => {
  run.network.push({ at: run.now + delay, arrive })
}

/** Whether the network loses something now. */
export const isLost = ({ calm, random, counts }: Run, probability: number): boolean => {
  const lost = !calm && random.chance(probability)
  if (lost) counts.lost++
  return lost
}

export const delayOf = ({ calm, random }: Run): Millis =>
  calm ? 0 : random.chance(0.8) ? random.int(200) : random.int(8_000)
