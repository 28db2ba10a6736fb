/**
 * Laws of the log: decisions are total and pure, states, rows and history are folds.
 */
import { deepStrictEqual, match, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { Command } from "../../src/domain/presentity/commands.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import { consider, decide } from "../../src/domain/presentity/decide.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { evolve, fold } from "../../src/domain/presentity/evolve.ts"
import { react } from "../../src/domain/presentity/react.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import {
  activeWatcherRow,
  allRows,
  presentityRow,
  touched,
  watcherRow,
} from "../../src/domain/projections/rows.ts"
import type { RowKey } from "../../src/domain/projections/rows.ts"
import { values } from "../../src/domain/table.ts"
import { dialogKey } from "../../src/domain/vocabulary.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anyExpires, anyOutcome, anySteps } from "../support/arbitraries.ts"
import { forEveryHistory, onEngine, parameters, play, replay } from "../support/history.ts"
import { beginning, keyOf, makeMachine, reactionOf, worlds } from "../support/machine.ts"
import type { Run } from "../support/machine.ts"

const stored = (state: State): State => thaw(JSON.parse(JSON.stringify(freeze(state))) as Snapshot)

const logOf = (run: Run, stream: Uri): readonly Decision[] => run.log.filter((one) => one.stream === stream)

describe("decisions", () => {
  const wildNumber = fc.oneof(
    anyExpires,
    fc.constantFrom(-1, Number.NaN, Number.POSITIVE_INFINITY, 0.5, -(2 ** 53)),
  )
  const wildText = fc.oneof(
    fc.constantFrom("", "stub", "presence", "toString", "\u0000", "x".repeat(70_000)),
    fc.string(),
  )
  const wildBody = fc.option(fc.record({ contentType: wildText, text: fc.oneof(wildText, fc.constant("<")) }))
  const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(some, { nil: null })

  const wild = (state: State): fc.Arbitrary<Command> => {
    const keys = [...values(state.dialogs)].map(({ start }) => keyOf(start))
    const asked = {
      packageName: maybe(wildText),
      eventId: maybe(wildText),
      watcher: wildText.map((one) => one as Uri),
      expires: wildNumber,
      accept: maybe(fc.array(wildText, { maxLength: 3 })),
      forceActive: fc.boolean(),
      bodyFault: fc.constant(null),
    }
    return fc.oneof(
      fc.record({
        _tag: fc.constant("Publish" as const),
        packageName: maybe(wildText),
        ifMatch: fc.array(wildText, { maxLength: 2 }),
        expires: wildNumber,
        body: wildBody,
        bodyFault: fc.constant(null),
        sender: maybe(wildText),
      }),
      fc.record({
        _tag: fc.constant("Subscribe" as const),
        ...asked,
        dialog: fc.record({
          callId: wildText,
          localTag: wildText,
          remoteTag: wildText,
          localUri: wildText,
          remoteUri: wildText,
          remoteTarget: wildText,
          routeSet: fc.array(wildText, { maxLength: 2 }),
          remoteCseq: fc.nat(),
          localContact: wildText,
          flow: wildText,
          source: wildText,
        }),
      }),
      fc.record({
        _tag: fc.constant("Resubscribe" as const),
        ...asked,
        dialog: fc.constantFrom(dialogKey("", "", ""), ...keys),
        cseq: fc.oneof(fc.nat(), fc.constantFrom(-1, Number.NaN)),
        remoteTarget: maybe(wildText),
      }),
      fc.constant<Command>({ _tag: "FallDue" }),
      fc.record({
        _tag: fc.constant("ReportDelivery" as const),
        no: fc.oneof(fc.nat(5), fc.constantFrom(-1, Number.NaN)),
        cseq: fc.nat(5),
        outcome: fc.oneof(
          anyOutcome,
          fc.record({
            _tag: fc.constant("Refused" as const),
            status: fc.integer({ min: -1, max: 1000 }),
            retryAfter: maybe(fc.constantFrom(-1, 0, 1, 4294967295)),
          }),
        ),
      }),
      fc.record({ _tag: fc.constant("Redeliver" as const), since: fc.constantFrom(0, Number.NaN, 2 ** 53) }),
    )
  }

  it(
    "decide, fold and react return for every state, command and time, with one answer",
    { tags: ["L01"] },
    () => {
      for (const world of worlds) {
        fc.assert(
          fc.property(anySteps, fc.gen(), fc.constantFrom(0, 1, 60_000, -1), (steps, pick, later) => {
            const run = play(world, steps)
            for (const state of [initial("" as Uri), ...run.states.values()]) {
              const command = pick(wild, state)
              const { context } = run.moments.at(-1) ?? makeStranger(world)
              const now = run.now + later
              const { events, answer } = decide(state, command, { ...context, now })
              const after = fold(state, { events, at: now, version: state.version + 1 })
              react(state, events, after, now, reactionOf(world))
              nextDeadline(after)
              if (
                answer._tag === "Rejected" &&
                (answer.rejection.status < 400 || answer.rejection.status > 599)
              ) {
                throw new Error(`status ${answer.rejection.status}`)
              }
            }
          }),
          parameters(),
        )
      }
    },
  )

  const makeStranger = (world: (typeof worlds)[number]) => {
    const machine = makeMachine(world)
    machine.apply({
      _tag: "Ask",
      id: 1,
      at: beginning,
      presentity: "sip:nobody@example.com" as Uri,
      command: { _tag: "FallDue" },
    })
    return machine.run().moments[0]!
  }

  it(
    "evolve applies an event or says what cannot be; on a state that is not whole it ignores it",
    { tags: ["L01"] },
    () => {
      forEveryHistory((run) => {
        const strangers = [initial("sip:x@example.com" as Uri), ...run.states.values()]
        for (const { events, at } of run.log) {
          for (const event of events)
            for (const state of strangers) {
              nextDeadline(evolve({ ...state, isIncomplete: true }, event, at))
              try {
                nextDeadline(evolve(state, event, at))
              } catch (cause) {
                ok(cause instanceof Error)
                match(cause.message, /^invariant broken: [a-z]/)
              }
            }
        }
      })
    },
  )

  it(
    "a refusal changes nothing and sends nothing; what was due before was decided before",
    { tags: ["L02"] },
    () => {
      forEveryHistory((run) => {
        for (const { before, after, answer, events, notifications, command } of run.moments) {
          if (answer._tag !== "Rejected") continue
          const ends =
            command._tag === "Resubscribe" && answer.rejection._tag === "Forbidden" && events.length > 0
          if (ends) {
            deepStrictEqual(
              events.map((event) => event._tag === "SubscriptionTerminated" && [event.reason, event.silent]),
              [["rejected", false]],
            )
            deepStrictEqual(
              notifications.map(({ reason, body }) => [reason, body]),
              [["rejected", null]],
            )
            continue
          }
          deepStrictEqual(events, [])
          deepStrictEqual(notifications, [])
          deepStrictEqual(after === before, true)
        }
      })
    },
  )

  it("the state is the fold of the log, and deciding again decides the same", { tags: ["L03"] }, () => {
    forEveryHistory((run) => {
      for (const [presentity, state] of run.states) {
        const again = logOf(run, presentity).reduce(fold, initial(presentity))
        deepStrictEqual(freeze(again), freeze(state))
      }
      const second = replay(run.world, run.inputs)
      deepStrictEqual(second.log, run.log)
      deepStrictEqual(
        second.moments.map(({ answer, notifications }) => [answer, notifications]),
        run.moments.map(({ answer, notifications }) => [answer, notifications]),
      )
      for (const { before, command, context, events, answer } of run.moments) {
        deepStrictEqual(decide(before, command, context), { events, answer })
        // states that a decision hands on are those that whoever reads the log computes
        let state = before
        const { states } = consider(before, command, context)
        deepStrictEqual(states.length, events.length)
        for (const [index, event] of events.entries()) {
          state = evolve(state, event, context.now)
          deepStrictEqual(freeze(states[index]!), freeze(state))
        }
      }
    })
  })

  it("the engine decides what a plain loop decides, however commits are batched", { tags: ["L03"] }, () => {
    forEveryHistory((run) => {
      for (const every of [1, 3, 1000]) {
        const { log, answers, notifications } = onEngine(run.world, run.inputs, every)
        for (const presentity of run.states.keys()) {
          deepStrictEqual(
            log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
            logOf(run, presentity).map(essence),
          )
          deepStrictEqual(
            notifications.filter((one) => one.presentity === presentity),
            run.moments.flatMap((one) => one.notifications).filter((one) => one.presentity === presentity),
          )
        }
        deepStrictEqual(
          answers.toSorted((one, other) => one.ticket - other.ticket),
          run.moments.flatMap(({ input, answer }) =>
            input?._tag === "Ask" ? [{ ticket: input.id, answer }] : [],
          ),
        )
      }
    })
  })

  const essence = ({ version, at, cause, events }: Decision) => ({ version, at, cause, events })
})

describe("folds", () => {
  it("a snapshot anywhere and the rest of the log give the state", { tags: ["L04"] }, () => {
    forEveryHistory((run) => {
      for (const [presentity, state] of run.states) {
        const log = logOf(run, presentity)
        const expected = freeze(state)
        let prefix = initial(presentity)
        for (let split = 0; split <= log.length; split++) {
          deepStrictEqual(freeze(log.slice(split).reduce(fold, stored(prefix))), expected)
          const next = log[split]
          if (next !== undefined) prefix = fold(prefix, next)
        }
      }
    }, 0.2)
  })

  it("what is decided on a snapshot is what is decided on the state", { tags: ["L04"] }, () => {
    forEveryHistory((run) => {
      for (const { before, command, context, events, answer, at, notifications } of run.moments) {
        const state = stored(before)
        deepStrictEqual(decide(state, command, context), { events, answer })
        if (events.length === 0) continue
        const after = fold(state, { events, at, version: state.version + 1 })
        deepStrictEqual(react(state, events, after, at, reactionOf(run.world)), notifications)
      }
    }, 0.5)
  })

  it(
    "rows kept up to date by what each event touched are the rows of the state",
    { tags: ["OPS-update_db_subs", "L05"] },
    () => {
      forEveryHistory((run) => {
        const eager = new Map<string, unknown>()
        const dirty = new Map<string, RowKey>()
        for (const { before, after, events } of run.moments) {
          for (const event of events) {
            for (const key of touched(event, before, after)) {
              dirty.set(nameOf(after, key), key)
              // once more does no harm
              put(eager, after, key)
              put(eager, after, key)
            }
          }
        }
        const lazy = new Map<string, unknown>()
        for (const [name, key] of dirty) {
          const presentity = JSON.parse(name)[0] as Uri
          put(lazy, run.states.get(presentity)!, key)
        }
        const full = new Map<string, unknown>()
        for (const state of run.states.values()) for (const key of allRows(state)) put(full, state, key)
        deepStrictEqual(sorted(eager), sorted(full))
        deepStrictEqual(sorted(lazy), sorted(full))
      })
    },
  )

  const nameOf = (state: State, key: RowKey): string => {
    const { presentity } = state
    if (key.table === "active_watchers") return JSON.stringify([presentity, key.table, key.no])
    return JSON.stringify([
      presentity,
      key.table,
      key.packageName,
      key.table === "presentity" ? key.etag : key.watcher,
    ])
  }

  const put = (rows: Map<string, unknown>, state: State, key: RowKey): void => {
    const row =
      key.table === "presentity"
        ? presentityRow(state, key.packageName, key.etag)
        : key.table === "active_watchers"
          ? activeWatcherRow(state, key.no)
          : watcherRow(state, key.packageName, key.watcher)
    if (row === undefined) rows.delete(nameOf(state, key))
    else rows.set(nameOf(state, key), row)
  }

  const sorted = (rows: ReadonlyMap<string, unknown>) =>
    [...rows].toSorted(([one], [other]) => (one < other ? -1 : 1))

  it(
    "the state as of an instant is what was live then, also where expiry was written down later",
    { tags: ["L38"] },
    () => {
      forEveryHistory((run) => {
        const machine = makeMachine(run.world)
        const instants: { readonly at: number; readonly states: ReadonlyMap<Uri, Snapshot> }[] = []
        for (const input of run.inputs) {
          if (input._tag === "Advance" && input.to > machine.now()) {
            const states = [...machine.states()]
            const from = machine.now()
            // between now and then nobody writes anything but what falls due: reading does the same, and writes nothing
            for (const at of new Set([from, Math.floor((from + input.to) / 2), input.to - 1, input.to])) {
              instants.push({
                at,
                states: new Map(states.map((state) => [state.presentity, freeze(asOf(run, state, at))])),
              })
            }
            // what happens at `input.to` itself may go on after this input
            instants.pop()
          }
          machine.apply(input)
        }
        for (const { at, states } of instants) {
          for (const [presentity, expected] of states) {
            const until = logOf(run, presentity).filter((one) => one.at <= at)
            deepStrictEqual(freeze(until.reduce(fold, initial(presentity))), expected)
          }
        }
      }, 0.5)
    },
  )

  /** What is written down, and what else has fallen due by then, without writing. */
  const asOf = (run: Run, written: State, at: number): State => {
    let state = written
    const moment = run.moments.find(({ after }) => after === written) ?? run.moments.at(-1)!
    for (;;) {
      const deadline = nextDeadline(state)
      if (deadline === null || deadline > at) return state
      const airborne = (no: number): boolean => flightsAt(run, state.presentity, deadline).has(no)
      const context = { ...moment.context, now: deadline, inFlight: airborne }
      const { events } = decide(state, { _tag: "FallDue" }, context)
      state = fold(state, { events, at: deadline, version: state.version + 1 })
    }
  }

  /** Subscriptions with a NOTIFY under way when something fell due then. */
  const flightsAt = (run: Run, presentity: Uri, at: number): ReadonlySet<number> => {
    const found = run.moments.find(
      (one) => one.command._tag === "FallDue" && one.at === at && one.before.presentity === presentity,
    )
    return new Set(
      found === undefined
        ? []
        : [...values(found.before.subscriptions)].map(({ no }) => no).filter(found.context.inFlight),
    )
  }
})
