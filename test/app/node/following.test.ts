/**
 * Whatever the log comes to hold reaches those who follow it, whoever was told what of it: tables, snapshots, watchers.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../../src/adapters/store/memory.ts"
import type { Answer, Command } from "../../../src/domain/presentity/commands.ts"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { react } from "../../../src/domain/presentity/react.ts"
import { freeze } from "../../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  accepted,
  alice,
  bob,
  busy,
  dialogOf,
  open,
  publish,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { holds } from "../../support/condition.ts"
import { makeMemoryTables, rowsNamed } from "../../support/memory-tables.ts"
import type { MemoryTables } from "../../support/memory-tables.ts"
import { begin, makeFaultyStore } from "../../support/one-life.ts"
import type { Fate, FaultyStore, Life } from "../../support/one-life.ts"
import { packages } from "../../support/stub-package.ts"

const reaction = { packages, limits: defaultLimits }

/** What the log says: every state, and every NOTIFY that a decision after a place brought about. */
const meaningOf = (log: MemoryLog, from: number, orphans: ReadonlySet<string> = new Set()) => {
  const states = new Map<Uri, State>()
  const issued: Notify[] = []
  for (const { position, decision } of log.read(0, 1_000_000)) {
    const before = states.get(decision.stream) ?? initial(decision.stream)
    const after = fold(before, decision)
    states.set(decision.stream, after)
    if (position > from && !orphans.has(decision.nonce))
      issued.push(...react(before, decision.events, after, decision.at, reaction))
  }
  return { states: [...states.values()], issued }
}

const placeOf = ({ stream, version }: Decision): string => `${stream} ${version}`
const nameOf = ({ presentity, no, cseq }: Notify): string => `${presentity} ${no} ${cseq}`

/** The tables, the snapshots and how far they say they are, against the log. */
const follows = async (
  log: MemoryLog,
  store: FaultyStore,
  tables: MemoryTables,
  life: Life,
): Promise<void> => {
  await life.settled()
  const end = () => log.read(0, 1_000_000).length
  await holds("everything is handed over", () => life.pump.committed().position === end(), 20_000)
  await holds(
    "nothing in memory is behind",
    () =>
      meaningOf(log, 0).states.every(
        ({ presentity, version }) => (life.pump.engine.state(presentity)?.version ?? version) === version,
      ),
    20_000,
  )
  await life.settled()
  await Effect.runPromise(life.projector.flush)
  const { states } = meaningOf(log, 0)
  deepStrictEqual(tables.rows(), rowsNamed(states))
  const snapshots = await Effect.runPromise(store.service.snapshots("", 1000))
  const frozen = (some: readonly State[]) =>
    some.map(freeze).sort((one, other) => (one.presentity < other.presentity ? -1 : 1))
  deepStrictEqual(frozen(snapshots), frozen(states.filter((state) => !isEmpty(state))))
  deepStrictEqual((await Effect.runPromise(store.service.checkpoint("tables")))?.position ?? 0, end())
  // what is in memory is what is written
  for (const state of states) {
    const known = life.pump.engine.state(state.presentity)
    if (known !== undefined) deepStrictEqual(freeze(known), freeze(state))
    else ok(isEmpty(state), `${state.presentity} is not in memory`)
  }
}

type Step =
  | { readonly does: "publish" | "subscribe" | "refresh" | "leave"; readonly of: number; readonly fate: Fate }
  | { readonly does: "answer" | "flush" | "comeThrough" | "kill" | "stop" }

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        does: fc.constantFrom("publish", "subscribe", "refresh", "leave"),
        of: fc.nat({ max: 2 }),
        fate: fc.constantFrom<Fate>("stored", "stored", "unanswered", "failed", "late"),
      }) as fc.Arbitrary<Step>,
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constant("answer") }) as fc.Arbitrary<Step> },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constantFrom("flush", "comeThrough", "kill", "stop"),
      }) as fc.Arbitrary<Step>,
    },
  ),
  { minLength: 6, maxLength: 16 },
)

const presentities = [alice, bob, "sip:carol@example.com" as Uri]

describe("who follows the log", () => {
  it(
    "is told of everything that it holds, once and in order, whatever appends were said to have done",
    { tags: ["T40", "L05", "L08", "L12"] },
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (list) => {
          const log = makeMemoryLog()
          const store = makeFaultyStore(log)
          const tables = makeMemoryTables()
          let life = await begin(store.service, tables)
          let began = 0
          const orphans = new Set<string>()
          let dialogs = 0
          const cseqs = new Map<number, number>()
          const command = (does: string, dialog: number): readonly [Uri | null, Command] => {
            if (does === "publish") return [null, publish({ body: dialogs % 2 === 0 ? open : busy })]
            if (does === "subscribe") return [null, subscribe({ dialog: dialogOf(++dialogs) })]
            const cseq = (cseqs.get(dialog) ?? 1) + 1
            cseqs.set(dialog, cseq)
            return [null, resubscribe(dialog, { cseq, ...(does === "leave" ? { expires: 0 } : {}) })]
          }
          const waiting: Promise<Answer>[] = []
          /** What was told in this life, and what left in it. */
          const judge = (): void => {
            const places = life.told.map(placeOf)
            deepStrictEqual(new Set(places).size, places.length, "told twice")
            const names = life.sent.map(nameOf)
            deepStrictEqual(new Set(names).size, names.length, "sent twice")
            const numbers = new Map<string, number>()
            for (const { dialog, cseq } of life.sent) {
              ok(cseq > (numbers.get(dialog.callId) ?? 0), `CSeq ${cseq} in ${dialog.callId}`)
              numbers.set(dialog.callId, cseq)
            }
          }
          for (const step of list) {
            switch (step.does) {
              case "answer":
                for (const one of life.flying.slice()) life.report(one, accepted())
                break
              case "flush":
                await life.settled()
                await Effect.runPromise(life.projector.flush)
                break
              case "comeThrough":
                store.comeThrough()
                break
              case "kill":
              case "stop":
                await (step.does === "kill" ? life.kill() : life.stop())
                judge()
                for (const nonce of store.orphaned()) orphans.add(nonce)
                began = log.read(0, 1_000_000).length
                life = await begin(store.service, tables)
                break
              default: {
                store.next(step.fate)
                const [presentity, asked] = command(step.does, 1 + (step.of % Math.max(1, dialogs)))
                waiting.push(
                  life.ask(asked._tag === "Resubscribe" ? presentity : presentities[step.of]!, asked),
                )
                await life.settled()
              }
            }
          }
          store.next("stored")
          store.comeThrough()
          // somebody else's request shows that something is in between
          await life.ask("sip:zoe@example.com" as Uri, publish({ body: open }))
          await follows(log, store, tables, life)
          await life.settled()
          judge()
          const { issued } = meaningOf(log, began, orphans)
          deepStrictEqual(life.sent.map(nameOf).sort(), issued.map(nameOf).sort(), "sent what was issued")
          await life.kill()
        }),
        { numRuns: Number(process.env["PRESENTLY_TEST_RUNS"] ?? 10) },
      )
    },
  )

  it(
    "what comes through long after it was given up is found though nobody asks for anything",
    { tags: ["T40"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeFaultyStore(log)
      const tables = makeMemoryTables()
      const life = await begin(store.service, tables)
      store.next("late")
      const answer = await life.ask(alice, subscribe({ dialog: dialogOf(1) }))
      deepStrictEqual(answer._tag, "Rejected")
      await life.settled()
      deepStrictEqual([log.read(0, 10).length, life.sent.length], [0, 0])
      store.comeThrough()
      await holds("the NOTIFY of what is stored leaves", () => life.sent.length === 1)
      await follows(log, store, tables, life)
      await life.kill()
    },
  )

  it(
    "what left before an outage is not sent again after it, and its answer is written down",
    { tags: ["A3"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeFaultyStore(log)
      const life = await begin(store.service, makeMemoryTables(), { recordAfterMillis: 1 })
      await life.ask(alice, subscribe({ dialog: dialogOf(1) }))
      await holds("the first NOTIFY", () => life.flying.length === 1)
      store.next("failed")
      await life.ask(alice, publish({ body: open }))
      await life.settled()
      life.report(life.flying[0]!, accepted())
      await holds("its answer is in the log", () =>
        log
          .read(0, 10)
          .some(({ decision }) => decision.events.some(({ _tag }) => _tag === "NotificationsAccepted")),
      )
      deepStrictEqual(life.sent.length, 1)
      await life.kill()
    },
  )
})
