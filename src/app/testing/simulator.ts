/**
 * A server's whole life in a plain loop: publishers, watchers and a second writer over a network that loses, delays and
 * duplicates messages, a store that fails, crashes, and a clock that jumps ahead or back and is corrected again. Everything is
 * determined by a seed.
 *
 * It drives the same engine that the server runs (`offer`, `advance`, `takeBatch`, `committed`, `failed`) over the store in
 * memory, with integers for time. After every step `simulator-checks.ts` checks the invariants.
 */
import { nextDeadline } from "../../domain/presentity/deadlines.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { values } from "../../domain/table.ts"
import type { Millis } from "../../domain/vocabulary.ts"
import type { Request } from "./simulated-requests.ts"
import { clockOfServer, delayOf, isLost, newRun, post } from "./simulated-run.ts"
import type { Run, Simulation, SimulationOptions } from "./simulated-run.ts"
import { offer } from "./simulated-server.ts"
import { crash, judgeAgain, store } from "./simulated-store.ts"

export type { Follower, Happening, Simulation, SimulationOptions } from "./simulated-run.ts"

/** A failed check, with everything needed to reproduce it. */
export class SimulationFailed extends Error {
  constructor(seed: number, step: number, trace: readonly string[], cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${seed}, step ${step}: ${why}\n${trace.join("\n")}`, { cause })
  }
}

/**
 * Runs one simulation.
 *
 * @throws SimulationFailed naming seed and step, with the last events
 */
export const simulate = (options: SimulationOptions): Simulation => {
  const trace: string[] = []
  const run = newRun(options, (line) => {
    trace.push(line)
    if (trace.length > (options.traceLines ?? 40)) trace.shift()
  })
  let step = 0
  try {
    for (; step < options.steps; step++) takeStep(run)
    settle(run)
    return resultOf(run)
  } catch (cause) {
    throw new SimulationFailed(options.seed, step, trace, cause)
  }
}

const takeStep = (run: Run): void => {
  const { random, options, treated } = run
  moveClock(run)
  moveTide(run)
  for (let count = random.int(3); count > 0; count--) ask(run)
  if (random.chance(0.02)) {
    treated.set(
      random.pick(options.universe.watchers),
      random.pick(["allow", "allow", "confirm", "polite-block", "block"]),
    )
  }
  turn(run, false)
  if (random.chance(0.01)) crash(run)
}

/** No more requests, and nothing fails any more, until everything is delivered. */
const settle = (run: Run): void => {
  const { checks, treated, options, follower } = run
  run.calm = true
  run.skew = 0
  treated.clear()
  if (options.universe.rules !== undefined) judgeAgain(run, [...run.engine.presentities()])
  for (let quiet = 0; quiet < 3;) {
    turn(run, true)
    const isHeld = [...checks.states().values()].some((state) =>
      [...values(state.subscriptions)].some(({ dueAt }) => dueAt !== null),
    )
    const isBusy =
      run.network.length > 0 || isHeld || run.engine.counts().undecided > 0 || run.appending !== null
    quiet = isBusy ? 0 : quiet + 1
    const next = [...run.network.map(({ at }) => at), ...(isHeld ? [nearestDeadline(run) ?? run.now] : [])]
    if (next.length > 0) run.now = Math.max(run.now, Math.min(...next))
  }
  checks.granted(clockOfServer(run))
  follower?.quiet(checks.states().values())
  run.counts.converged = converged(run)
}

/** How many watchers show what is there now. */
const converged = ({ checks, peers, options }: Run): number =>
  checks.converged((state, subscription) => {
    const { packageName } = subscription
    const shown = peers.shows(state.presentity, subscription.no)
    if (shown === null) return null
    const eventPackage = options.packages.find(packageName)
    const there =
      options.truth?.(state, subscription) ??
      (eventPackage && viewFor(state, subscription, eventPackage).body?.text) ??
      ""
    return { shown: options.present(shown ?? "", packageName), there }
  })

const resultOf = ({ log, deliveries, counts }: Run): Simulation => ({
  log: log.read(0, Number.MAX_SAFE_INTEGER).map(({ decision }) => decision),
  deliveries,
  counts,
})

const turn = (run: Run, eager: boolean): void => {
  const { checks, random, follower } = run
  run.engine.advance(clockOfServer(run), random.token)
  arrivals(run)
  store(run, eager)
  const isQuiet = run.engine.counts().undecided === 0 && run.appending === null
  checks.step(run.engine, clockOfServer(run), isQuiet)
  if (isQuiet && ++run.quietTurns % 20 === 0) follower?.quiet(checks.states().values())
}

const arrivals = (run: Run): void => {
  const due = run.network.filter(({ at }) => at <= run.now).sort((left, right) => left.at - right.at)
  run.network = run.network.filter(({ at }) => at > run.now)
  for (const { arrive } of due) arrive()
}

const ask = (run: Run): void => {
  const { peers, counts, random } = run
  const request = peers.ask()
  if (request === null) return
  counts.requests++
  if (isLost(run, 0.05)) return
  post(run, delayOf(run), () => receive(run, request))
  // the same request again, as from a device that lost its memory
  if (request.command._tag !== "Subscribe" && random.chance(0.03))
    post(run, delayOf(run), () => receive(run, request))
}

const receive = (run: Run, { presentity, command, answered, arrives }: Request): void => {
  arrives?.()
  const origin = `r${run.random.token()}`
  run.note(`${run.now} ${origin} ${JSON.stringify(command)}`)
  offer(run, presentity, command, { origin, answered })
}

// ── time ──

const nearestDeadline = ({ checks, skew }: Run): Millis | null => {
  const all = [...checks.states().values()].flatMap((state) => nextDeadline(state) ?? [])
  return all.length === 0 ? null : Math.min(...all) - skew
}

const moveClock = (run: Run): void => {
  const { random } = run
  if (random.chance(0.1)) {
    const deadline = nearestDeadline(run)
    if (deadline !== null) run.now = Math.max(run.now, deadline + random.int(3) - 1)
  } else if (random.chance(0.005)) run.now += 3_600_000
  else if (random.chance(0.01)) run.now += 40_000
  else run.now += random.chance(0.3) ? 0 : random.int(1_500)
}

/** Every fourth life has a clock that jumps, and is corrected sooner or later. */
const moveTide = (run: Run): void => {
  const { options, tide, counts } = run
  if (options.seed % 4 !== 0) return
  if (run.skew !== 0 ? tide.chance(0.04) : tide.chance(0.01)) {
    run.skew = run.skew === 0 ? tide.pick(jumps) : tide.chance(0.8) ? 0 : tide.pick(jumps)
    counts.jumps++
    run.note(`${run.now} the clock is ${run.skew} ms wrong`)
  }
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
