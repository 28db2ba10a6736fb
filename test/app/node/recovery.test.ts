/**
 * Starts over a log: what is said again, and that nothing is when nothing happened.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { makeAnswered } from "../../../src/app/node/answered-up-to.ts"
import { answersIn } from "../../../src/domain/presentity/delivery-acks.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import {
  accepted,
  alice,
  bob,
  dialogOf,
  open,
  publish,
  refused,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { holds } from "../../support/condition.ts"
import { makeMemoryTables } from "../../support/memory-tables.ts"
import { begin } from "../../support/one-life.ts"
import type { Life } from "../../support/one-life.ts"

const brief = ({ no, cseq, state }: Notify): string => `${no}/${cseq} ${state}`

/** Everything under way is answered. */
const answerAll = async (life: Life): Promise<void> => {
  for (let quiet = 0; quiet < 2; quiet++) {
    await life.settled()
    for (const one of life.flying.slice()) {
      quiet = 0
      life.report(one, accepted())
    }
  }
}

describe("a start", () => {
  it(
    "fifty times over a log with watchers, and watchers gone, writes nothing when nothing happened",
    { tags: ["A3", "L08"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables)
      await first.ask(alice, publish({ body: open }))
      for (const dialog of [1, 2, 3]) await first.ask(alice, subscribe({ dialog: dialogOf(dialog) }))
      await first.ask(null, resubscribe(2, { expires: 0, cseq: 2 }))
      // two share a dialog, and one of them ends
      await first.ask(null, resubscribe(3, { eventId: "a", cseq: 2 }))
      await first.ask(null, resubscribe(3, { eventId: "a", expires: 0, cseq: 3 }))
      await first.ask(bob, subscribe({ dialog: dialogOf(4), expires: 0 }))
      await answerAll(first)
      await first.stop()
      const before = log.read(0, 1000).length
      for (let start = 1; start <= 50; start++) {
        const life = await begin(store, tables)
        await life.settled()
        deepStrictEqual(life.sent.map(brief), [])
        await (start % 3 === 0 ? life.kill() : life.stop())
        deepStrictEqual(log.read(0, 1000).length, before, `start ${start}`)
      }
    },
  )

  it(
    "a last NOTIFY of which nothing is known goes again as a request of its own, until it is answered",
    { tags: ["L08", "L12"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables)
      await first.ask(alice, publish({ body: open }))
      await first.ask(alice, subscribe({ dialog: dialogOf(1) }))
      await answerAll(first)
      await first.ask(null, resubscribe(1, { expires: 0, cseq: 2 }))
      await holds("the last NOTIFY", () => first.sent.some(({ state }) => state === "terminated"))
      deepStrictEqual(first.sent.map(brief), ["2/1 active", "2/2 terminated"])
      // the tables show the end already, as they may before the answer is there
      await Effect.runPromise(first.projector.flush)
      await first.kill()
      const sent: string[] = []
      for (let crash = 1; crash <= 2; crash++) {
        const life = await begin(store, tables)
        await holds("it goes again", () => life.sent.length > 0)
        sent.push(...life.sent.map(brief))
        await life.kill()
      }
      const life = await begin(store, tables)
      await holds("it goes again", () => life.sent.length > 0)
      sent.push(...life.sent.map(brief))
      life.report(life.flying[0]!, accepted())
      await life.stop()
      deepStrictEqual(sent, ["2/3 terminated", "2/4 terminated", "2/5 terminated"])
      const facts = log.read(0, 100).flatMap(({ decision }) => decision.events.map(({ _tag }) => _tag))
      deepStrictEqual(
        facts.filter((tag) => tag === "FarewellRepeated" || tag === "NotificationFailed"),
        ["FarewellRepeated", "FarewellRepeated", "FarewellRepeated"],
      )
      const last = await begin(store, tables)
      await last.settled()
      deepStrictEqual(last.sent.map(brief), [])
      await last.kill()
    },
  )

  it(
    "a last NOTIFY that was refused is not sent again, nor one that was answered before the tables were written",
    { tags: ["L08"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables, { recordAfterMillis: 1 })
      for (const dialog of [1, 2]) await first.ask(alice, subscribe({ dialog: dialogOf(dialog) }))
      await answerAll(first)
      for (const dialog of [1, 2]) await first.ask(null, resubscribe(dialog, { expires: 0, cseq: 2 }))
      await holds("both", () => first.flying.length === 2)
      const [one, other] = first.flying
      first.report(one!, refused(481))
      first.report(other!, accepted())
      await holds("both are on record", () => {
        const facts = log.read(0, 100).flatMap(({ decision }) => decision.events)
        return (
          facts.some(({ _tag }) => _tag === "NotificationFailed") &&
          facts.some(
            (event) =>
              event._tag === "NotificationsAccepted" &&
              answersIn(event, 0).some(({ no, cseq }) => no === other!.no && cseq === other!.cseq),
          )
        )
      })
      await first.kill()
      const second = await begin(store, tables)
      await second.settled()
      deepStrictEqual(second.sent.map(brief), [])
      await second.kill()
    },
  )

  it(
    "who still watches is told once more only when nothing is known of its last NOTIFY",
    { tags: ["L16"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables, { recordAfterMillis: 1 })
      for (const dialog of [1, 2]) await first.ask(alice, subscribe({ dialog: dialogOf(dialog) }))
      await holds("both", () => first.flying.length === 2)
      const answered = first.flying.find(({ no }) => no === 1)!
      first.report(answered, accepted())
      await holds("one is on record", () =>
        log
          .read(0, 100)
          .some(({ decision }) => decision.events.some(({ _tag }) => _tag === "NotificationsAccepted")),
      )
      await first.kill()
      const second = await begin(store, tables)
      await holds("the other is told", () => second.sent.length > 0)
      deepStrictEqual(second.sent.map(brief), ["2/2 active"])
      await second.kill()
    },
  )

  it(
    "a NOTIFY with the number of one that was never sent is in doubt like any other, be it the last or not",
    { tags: ["L08", "L12"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables)
      for (const dialog of [1, 2]) await first.ask(alice, subscribe({ dialog: dialogOf(dialog) }))
      await answerAll(first)
      await first.ask(alice, publish({ body: open }))
      await holds("both", () => first.flying.length === 2)
      for (const one of first.flying.slice()) first.report(one, { _tag: "Unproven" })
      await holds("both again", () => first.flying.length === 2)
      const other = first.flying.find(({ no }) => no === 2)!
      first.report(other, { _tag: "Unproven" })
      await first.ask(null, resubscribe(2, { expires: 0, cseq: 2 }))
      await holds("the last NOTIFY", () => first.sent.some(({ state }) => state === "terminated"))
      deepStrictEqual(first.sent.slice(2).map(brief), [
        "1/2 active",
        "2/2 active",
        "1/2 active",
        "2/2 active",
        "2/2 terminated",
      ])
      await first.kill()
      const second = await begin(store, tables)
      await holds("both are told again", () => second.sent.length === 2)
      deepStrictEqual(second.sent.map(brief).sort(), ["1/3 active", "2/3 terminated"])
      await second.kill()
    },
  )

  it(
    "a NOTIFY without an answer is one to repeat although the tables show its decision",
    { tags: ["L08", "L12"] },
    async () => {
      const log = makeMemoryLog()
      const store = makeMemoryStore(log)
      const tables = makeMemoryTables()
      const first = await begin(store, tables)
      await first.ask(alice, subscribe({ dialog: dialogOf(1) }))
      await Effect.runPromise(first.projector.flush)
      await Effect.runPromise(first.projector.flush)
      deepStrictEqual((await Effect.runPromise(store.checkpoint("answered")))?.position ?? 0, 0)
      await first.kill()
      const second = await begin(store, tables)
      await holds("it is told again", () => second.sent.length === 1)
      await second.kill()
    },
  )
})

describe("how far NOTIFYs are answered", () => {
  it(
    "is never beyond a decision whose NOTIFY is not, and comes to the end once all are",
    { tags: ["L08"] },
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ issues: fc.boolean(), takes: fc.nat({ max: 5 }), looks: fc.boolean() }), {
            minLength: 1,
            maxLength: 300,
          }),
          (steps) => {
            const answers = makeAnswered()
            /** By place: when its NOTIFY was issued, and when the answer comes. */
            let flying: { readonly position: number; readonly at: number; readonly until: number }[] = []
            for (const [index, { issues, takes, looks }] of steps.entries()) {
              const position = index + 1
              flying = flying.filter(({ until }) => until > index)
              if (issues) flying.push({ position, at: index, until: index + takes })
              const oldest = flying.length === 0 ? null : Math.min(...flying.map(({ at }) => at))
              if (looks) answers.note(position, index, oldest)
              for (const one of flying) ok(answers.upTo() < one.position)
            }
            answers.note(steps.length, steps.length, null)
            deepStrictEqual(answers.upTo(), steps.length)
          },
        ),
      )
    },
  )
})
