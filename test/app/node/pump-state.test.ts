/**
 * The states of the pump: every input in every state, and waiters that are never left waiting.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import { makeEvictedVersions } from "../../../src/app/node/pump/evicted-versions.ts"
import {
  appendInputs,
  appendStates,
  appendTransition,
  makeMachine,
  pumpInputs,
  pumpStates,
  transition,
} from "../../../src/app/node/pump/state.ts"
import type { PumpInput, PumpState } from "../../../src/app/node/pump/state.ts"
import { makeWaiting } from "../../../src/app/node/pump/waiting.ts"
import type { Answer } from "../../../src/domain/presentity/commands.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { accepted, dialogOf, open, publish, subscribe } from "../../support/builders.ts"
import { makeMemoryTables } from "../../support/memory-tables.ts"
import { begin, makeFaultyStore } from "../../support/one-life.ts"
import type { Fate, FaultyStore, Life } from "../../support/one-life.ts"

describe("the states of the pump", () => {
  /** Written once more, on purpose: what the life of a pump is, apart from how it is kept in a table. */
  const lives: Readonly<Record<string, readonly [phase: number, isAway: boolean]>> = {
    reading: [0, false],
    amending: [1, false],
    amendingAway: [1, true],
    serving: [2, false],
    servingAway: [2, true],
    draining: [3, false],
    drainingAway: [3, true],
    closed: [4, false],
    closedAway: [4, true],
  }
  const stateOf = (phase: number, isAway: boolean): string =>
    Object.entries(lives).find(([, life]) => life[0] === phase && life[1] === isAway)![0]
  const expected = (state: PumpState, input: PumpInput): string | null => {
    const [phase, isAway] = lives[state]!
    switch (input) {
      case "logRead":
        return phase === 0 ? "amending" : null
      case "start":
        return phase === 1 ? stateOf(2, isAway) : null
      case "drain":
        return phase < 2 ? null : stateOf(Math.max(3, phase), isAway)
      case "close":
        return phase === 2 || phase === 3 ? stateOf(4, isAway) : null
      case "storeLost":
        return phase > 0 && !isAway ? stateOf(phase, true) : null
      case "storeBack":
        // after the end nobody asks whether it is back
        return isAway && phase < 4 ? stateOf(phase, false) : null
    }
  }

  it("go on, each by each input, as the life of a pump does; any other input is a defect", () => {
    const table = (next: (state: PumpState, input: PumpInput) => string | null) =>
      pumpStates.map((state) => [state, pumpInputs.map((input) => [input, next(state, input)])])
    assert.deepEqual(table(transition), table(expected))
    assert.deepEqual(
      appendStates.map((state) => appendInputs.map((input) => appendTransition(state, input))),
      [
        ["underWay", null, "idle"],
        [null, "idle", "givenUp"],
        [null, "idle", "givenUp"],
      ],
    )
  })

  it("say of every way through them the same to whoever asks, and throw where there is none", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pumpInputs), { maxLength: 30 }), (inputs) => {
        const machine = makeMachine()
        for (const input of inputs) {
          const before = machine.state
          const next = transition(before, input)
          if (next === null) {
            assert.throws(() => machine.take(input), /takes no/)
            assert.equal(machine.state, before)
            continue
          }
          machine.take(input)
          assert.equal(machine.state, next)
          assert.equal(machine.isAway, machine.status === "down")
          assert.equal(machine.isOpen, machine.decides === "everything")
          assert.equal(machine.isClosed, machine.state.startsWith("closed"))
          if (machine.status === "ready") assert.equal(machine.state, "serving")
          // there is no way back to before it was open, or open again
          const [from, to] = [lives[before]![0], lives[next]![0]]
          assert.ok(to >= from, `${before} to ${next}`)
        }
      }),
    )
  })
})

describe("waiting for a condition", () => {
  it("ends when it holds, whenever that is told, and nobody else goes on", async () => {
    const waiting = makeWaiting()
    let value = 0
    const reached = (limit: number) => Effect.runPromise(waiting.until(() => value >= limit))
    await reached(0)
    const first = reached(1)
    const second = reached(2)
    assert.equal(waiting.count(), 2)
    value = 1
    waiting.changed()
    await first
    assert.equal(waiting.count(), 1)
    value = 2
    waiting.changed()
    await second
    assert.equal(waiting.count(), 0)
  })

  it("is given up with its fiber", async () => {
    const waiting = makeWaiting()
    await Effect.runPromise(
      Effect.timeoutOption(
        waiting.until(() => false),
        5,
      ),
    )
    assert.equal(waiting.count(), 0)
  })
})

describe("versions of what left memory", () => {
  it("are at most so many, the newest half always among them, and each is given once", () => {
    const max = 20
    const uris = fc.nat({ max: 60 }).map((no) => `sip:${no}@example.com` as Uri)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("keep", "take", "forget"), uris)), (steps) => {
        const versions = makeEvictedVersions(max)
        /** Newest last. */
        const model = new Map<Uri, number>()
        for (const [index, [does, uri]] of steps.entries()) {
          const known = model.get(uri)
          const isNewest = [...model.keys()].slice(-max / 2 + 1).includes(uri)
          model.delete(uri)
          if (does === "keep") {
            versions.keep(uri, { version: index, decidedAt: index })
            model.set(uri, index)
          } else if (does === "forget") versions.forget(uri)
          else {
            const version = versions.take(uri)?.version
            if (isNewest) assert.equal(version, known)
            assert.ok(version === undefined || version === known)
            assert.equal(versions.take(uri), undefined)
          }
          assert.ok(versions.size() <= max, `${versions.size()}`)
        }
      }),
      { numRuns: 300 },
    )
  })
})

interface Real {
  readonly life: Life
  readonly store: FaultyStore
  /** What is waited for, each with its name. */
  readonly waits: { readonly name: string; readonly done: Promise<unknown> }[]
  dialogs: number
}

/** What is expected of it is said at the end: nothing is left waiting. */
type Model = { isDraining: boolean }

const presentities = ["alice", "bob", "carol"].map((name) => `sip:${name}@example.com` as Uri)

class Request implements fc.AsyncCommand<Model, Real> {
  readonly #of: number
  readonly #isWatching: boolean
  readonly #fate: Fate
  constructor(of: number, isWatching: boolean, fate: Fate) {
    this.#of = of
    this.#isWatching = isWatching
    this.#fate = fate
  }
  check = (): boolean => true
  async run(_: Model, real: Real): Promise<void> {
    real.store.next(this.#fate)
    const command = this.#isWatching
      ? subscribe({ dialog: dialogOf(++real.dialogs) })
      : publish({ body: open })
    const done: Promise<Answer> = real.life.ask(presentities[this.#of]!, command)
    real.waits.push({ name: `${command._tag} ${this.#fate}`, done })
    // a moment in which it goes on, or not
    await new Promise((resolve) => setImmediate(resolve))
  }
  toString = (): string => `${this.#isWatching ? "subscribe" : "publish"} (${this.#fate})`
}

class Wait implements fc.AsyncCommand<Model, Real> {
  readonly #name: string
  readonly #wait: (real: Real) => Effect.Effect<unknown>
  constructor(name: string, wait: (real: Real) => Effect.Effect<unknown>) {
    this.#name = name
    this.#wait = wait
  }
  check = (): boolean => true
  async run(model: Model, real: Real): Promise<void> {
    if (this.#name === "drain") model.isDraining = true
    real.waits.push({ name: this.#name, done: Effect.runPromise(this.#wait(real)) })
  }
  toString = (): string => this.#name
}

class Act implements fc.AsyncCommand<Model, Real> {
  readonly #name: string
  readonly #act: (real: Real) => void | Promise<void>
  constructor(name: string, act: (real: Real) => void | Promise<void>) {
    this.#name = name
    this.#act = act
  }
  check = (): boolean => true
  async run(_: Model, real: Real): Promise<void> {
    await this.#act(real)
  }
  toString = (): string => this.#name
}

const answerAll = ({ life }: Real): void => {
  for (const notify of life.flying.slice()) life.report(notify, accepted())
}

const commands = fc.commands(
  [
    fc
      .tuple(
        fc.nat({ max: 2 }),
        fc.boolean(),
        fc.constantFrom<Fate>("stored", "stored", "stored", "unanswered", "failed", "late"),
      )
      .map((of) => new Request(...of)),
    fc.constant(new Wait("settle", ({ life }) => life.pump.settle)),
    fc.constant(new Wait("answered", ({ life }) => life.pump.answered)),
    fc.constant(new Wait("pause", ({ life }) => life.pump.whilePaused(Effect.sleep(2)))),
    fc
      .nat({ max: 2 })
      .map(
        (of) =>
          new Wait("pause and read again", ({ life }) =>
            life.pump.pausedFor(Effect.succeed([presentities[of]!])),
          ),
      ),
    fc.constant(new Act("answer", answerAll)),
    fc.constant(new Act("come through", ({ store }) => store.comeThrough())),
    fc.constant(new Act("time passes", () => new Promise((resolve) => setTimeout(resolve, 10)))),
    fc.constant(new Wait("drain", ({ life }) => life.pump.drain)),
    fc.constant(new Wait("record", ({ life }) => life.pump.record)),
  ],
  { maxCommands: 20 },
)

describe("whoever waits for the pump", () => {
  it("goes on in the end, whatever the store did and however waits, pauses and a stop overlap", async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const store = makeFaultyStore(makeMemoryLog())
        const real: Real = {
          life: await begin(store.service, makeMemoryTables()),
          store,
          waits: [],
          dialogs: 0,
        }
        const model: Model = { isDraining: false }
        await fc.asyncModelRun(() => ({ model, real }), sequence)
        // from now on all goes well, and every NOTIFY is answered
        store.next("stored")
        store.comeThrough()
        const left = new Set(real.waits.map(({ name }, index) => `${index} ${name}`))
        for (const [index, { name, done }] of real.waits.entries())
          void done.then(() => left.delete(`${index} ${name}`))
        const until = performance.now() + 10_000
        while (left.size > 0 && performance.now() < until) {
          answerAll(real)
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
        assert.deepEqual([...left], [])
        await real.life.settled()
        const { undecided } = real.life.pump.engine.counts()
        assert.deepEqual([undecided, real.life.pump.status()], [0, model.isDraining ? "draining" : "ready"])
        await real.life.kill()
      }),
      { numRuns: Number(process.env["PRESENTLY_TEST_RUNS"] ?? 40) },
    )
  })
})
