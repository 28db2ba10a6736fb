/**
 * Arbitrary histories, played on the reference machine and on the real engine, and laws about them.
 *
 * A history is a list of steps that only refer to things ("the second live entity-tag, or an old one instead"); playing
 * it turns each step into inputs that name them. Inputs can be replayed, rearranged and given to the engine.
 */
import { strictEqual } from "node:assert/strict"
import type fc from "fast-check"
import { makeMemoryLog } from "../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../src/adapters/store/memory.ts"
import type { Engine, Offer, Release } from "../../src/domain/engine/engine.ts"
import { makeEngine } from "../../src/domain/engine/make-engine.ts"
import type { Answer, Command, DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { values } from "../../src/domain/table.ts"
import type { Millis, SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "./arbitraries.ts"
import type { Step } from "./arbitraries.ts"
import { hookOf, makeMachine, packagesOf, worlds } from "./machine.ts"
import type { Input, Run, World } from "./machine.ts"
import { makePlayed } from "./played.ts"
import { resolve } from "./resolve.ts"

/** Plays the steps of a history from the beginning of time. */
export const play = (world: World, steps: readonly Step[]): Run => {
  const machine = makeMachine(world)
  for (const [index, step] of steps.entries()) {
    for (const input of resolve(machine, step, (index + 1) * 100)) machine.apply(input)
  }
  return machine.run()
}

export const replay = (world: World, inputs: readonly Input[]): Run => {
  const machine = makeMachine(world)
  for (const input of inputs) machine.apply(input)
  return machine.run()
}

/** Delivers every NOTIFY and every deferred one, until nothing is left but expiries. */
export const settle = (run: Run): Run => {
  const machine = makeMachine(run.world)
  for (const input of run.inputs) machine.apply(input)
  for (let id = 1_000_000; ;) {
    const flying = machine.flying()
    const held = [...machine.states()].flatMap((state) =>
      [...values(state.subscriptions)].flatMap(({ dueAt }) => dueAt ?? []),
    )
    if (flying.length === 0 && held.length === 0) return machine.run()
    for (const { presentity, no: subscription, cseq } of flying) {
      const command: Command = { _tag: "ReportDelivery", no: subscription, cseq, outcome: arrived }
      machine.apply({ _tag: "Ask", id: id++, at: machine.now(), presentity, command })
    }
    if (held.length > 0) machine.apply({ _tag: "Advance", to: Math.min(...held) })
  }
}

const arrived: DeliveryOutcome = { _tag: "Accepted", remoteTarget: null }

export interface EngineRun {
  readonly engine: Engine<number>
  readonly log: MemoryLog
  /** In the order in which they were released. */
  readonly answers: readonly { readonly ticket: number; readonly answer: Answer }[]
  readonly notifications: readonly Notify[]
}

/** The same inputs through the real engine and the memory log, committed after each `every` inputs. */
export const onEngine = (world: World, inputs: readonly Input[], every = 1): EngineRun => {
  const log = makeMemoryLog()
  const treated = new Map<Uri, SubHandling>()
  const engine = makeEngine<number>({
    packages: packagesOf(world),
    limits: world.limits,
    authorize: ({ watcher }) => treated.get(watcher) ?? hookOf(world),
  })
  const answers: { ticket: number; answer: Answer }[] = []
  const notifications: Notify[] = []
  const send = ({ ticket, answer, notifications: released }: Release<number>): void => {
    if (ticket !== null) answers.push({ ticket, answer })
    notifications.push(...released)
  }
  const offer = (request: Offer<number>, at: Millis): void => {
    const nonce = (): string => `i${request.ticket}`
    const offered = engine.offer(request, at, nonce)
    if (offered._tag === "Missing") {
      engine.load(log.load(offered.presentity))
      offer(request, at)
    } else if (offered._tag === "Released") send(offered.release)
  }
  const commit = (): void => {
    for (let batch = engine.takeBatch(7); batch !== null; batch = engine.takeBatch(7)) {
      for (const release of engine.committed(log.append(batch.decisions).conflicts).release) send(release)
    }
  }
  /** Whether NOTIFYs are under way is told alike in both ways: held, out and left. */
  const told = (): void => strictEqual(engine.hasInFlight(), engine.oldestInFlight() !== null)
  let count = 0
  for (const input of inputs) {
    if (input._tag === "Treat") treated.set(input.watcher, input.handling)
    else if (input._tag === "Advance") engine.advance(input.to, () => "i0")
    else {
      const { presentity, command, id } = input
      offer({ presentity, command, origin: "", ticket: id }, input.at)
    }
    told()
    if (++count % every === 0) commit()
    told()
  }
  commit()
  return { engine, log, answers, notifications }
}

// ── laws ──

const runs = Number(process.env["PRESENTLY_TEST_RUNS"] ?? 200)
const seed = process.env["PRESENTLY_TEST_SEED"]

export const parameters = <T>(share = 1): fc.Parameters<T> => ({
  numRuns: Math.max(1, Math.ceil(runs * share)),
  ...(seed === undefined ? {} : { seed: Number(seed) }),
})

const onPlayed = makePlayed(anySteps, worlds, play)

/** Checks a property of every history in every world; a failing history is shrunk and printed with its seed. */
export const forEveryHistory = (check: (run: Run) => void, share = 1): void =>
  onPlayed(check, parameters(share))
