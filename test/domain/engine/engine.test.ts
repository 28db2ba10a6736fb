/**
 * The engine: batches, commits, what happens when they fail, and what stays in memory.
 */
import { deepStrictEqual, throws } from "node:assert/strict"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import type { EngineOptions, Release } from "../../../src/domain/engine/engine.ts"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import { clockOf } from "../../../src/domain/presentity/clock.ts"
import type { Answer, Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import { freeze } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  accepted,
  alice,
  at,
  bob,
  busy,
  delivery,
  dialogOf,
  open,
  publish,
  published,
  redeliver,
  refused,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { summary } from "../../support/given.ts"
import { packages } from "../../support/stub-package.ts"

/** An engine with its log, and everything that has left it as text. */
const start = (over: Partial<EngineOptions> = {}) => {
  const log = makeMemoryLog()
  const engine = makeEngine<string>({ packages, limits: defaultLimits, authorize: allowEveryone, ...over })
  const left: string[] = []
  let minted = 0
  const nonce = (): string => `n${minted++}`
  const answerText = (answer: Answer): string =>
    answer._tag === "Rejected"
      ? `${answer.rejection.status}`
      : answer.reply._tag === "Published"
        ? `200 ${answer.reply.entityTag}`
        : answer.reply._tag === "Subscribed"
          ? `${answer.reply.status}`
          : "done"
  const send = ({ ticket, answer, notifications }: Release<string>): void => {
    if (ticket !== null) left.push(`${ticket}: ${answerText(answer)}`)
    left.push(...notifications.map(summary))
  }
  const self = {
    log,
    engine,
    nonce,
    /** What has left since this was last asked. */
    left: () => left.splice(0),
    send,
    ask: (ticket: string, command: Command, now: number, presentity: Uri | null = alice): string => {
      const offered = engine.offer({ presentity, command, origin: ticket, ticket }, now, nonce)
      if (offered._tag === "Missing") {
        engine.load(log.load(offered.presentity))
        return self.ask(ticket, command, now, presentity)
      }
      if (offered._tag === "Released") send(offered.release)
      return offered._tag
    },
    commit: (decisionsMax = 100): readonly Decision[] => {
      const batch = engine.takeBatch(decisionsMax)
      if (batch === null) return []
      const { release } = engine.committed(log.append(batch.decisions).conflicts)
      for (const one of release) send(one)
      return batch.decisions
    },
  }
  return self
}

const noon = at("12:00:00")

describe("a batch", () => {
  it(
    "nothing leaves before it is committed; then each answer goes before its NOTIFYs",
    { tags: ["3903-6-c"] },
    () => {
      const one = start()
      deepStrictEqual(one.ask("sub", subscribe(), noon), "Held")
      deepStrictEqual(one.ask("pub", publish({ body: open }), noon), "Held")
      const batch = one.engine.takeBatch(100)
      deepStrictEqual(
        batch?.decisions.map(({ version, cause, origin }) => [version, cause, origin]),
        [
          [1, "Subscribe", "sub"],
          [2, "Publish", "pub"],
        ],
      )
      deepStrictEqual([one.left(), one.engine.state(alice)?.version], [[], 0])
      const { release, stored, again } = one.engine.committed(one.log.append(batch!.decisions).conflicts)
      for (const some of release) one.send(some)
      deepStrictEqual(one.left(), ["sub: 200", "1/1 active;expires=3600 (no body)", "pub: 200 n1.2"])
      deepStrictEqual(again, [])
      deepStrictEqual(
        stored.map(({ before, after }) => [before.version, after.version]),
        [
          [0, 1],
          [1, 2],
        ],
      )
      deepStrictEqual(freeze(one.engine.state(alice)!), freeze(one.log.load(alice)))
    },
  )

  it("decisions of one batch build on each other, in the order of arrival", { tags: ["3903-6-b"] }, () => {
    const one = start()
    one.ask("first", publish({ body: open }), noon)
    one.ask("second", publish({ ifMatch: "n0.1", body: busy }), noon)
    one.ask("third", publish({ ifMatch: "n0.1" }), noon)
    one.commit()
    deepStrictEqual(one.left(), ["first: 200 n0.1", "second: 200 n1.2", "third: 412"])
  })

  it("a refusal that rests on what is not stored yet waits for it", { tags: ["3903-6-c"] }, () => {
    const one = start()
    one.ask("first", publish({ body: open }), noon)
    deepStrictEqual(one.ask("second", publish({ ifMatch: "other" }), noon), "Held")
    deepStrictEqual(one.ask("elsewhere", publish({ ifMatch: "other" }), noon, bob), "Released")
    deepStrictEqual(one.left(), ["elsewhere: 412"])
    deepStrictEqual(one.commit().length, 1)
    deepStrictEqual(one.left(), ["first: 200 n0.1", "second: 412"])
  })

  it("one batch is out at a time, and no larger than asked", { tags: ["3903-6-b"] }, () => {
    const one = start()
    for (let index = 0; index < 5; index++) one.ask(`${index}`, publish({ body: open }), noon)
    deepStrictEqual(one.engine.takeBatch(2)?.decisions.length, 2)
    deepStrictEqual(one.engine.takeBatch(2), null)
    deepStrictEqual(one.engine.counts(), { presentities: 1, dialogs: 0, undecided: 5 })
    throws(() => start().engine.committed(new Set()))
  })
})

describe("a batch that is not stored", () => {
  const prepared = () => {
    const one = start()
    one.ask("pub", publish({ body: open }), noon)
    one.ask("sub", subscribe(), noon)
    one.commit()
    one.left()
    return one
  }

  it("is dropped with all that was decided on top of it", { tags: ["3903-6-c"] }, () => {
    const one = prepared()
    one.ask("a", publish({ ifMatch: "n0.1", body: busy }), noon)
    one.engine.takeBatch(100)
    one.ask("b", publish({ ifMatch: "n2.3" }), noon)
    one.ask("c", subscribe({ dialog: dialogOf(9) }), noon)
    one.ask("d", publish({ body: open }), noon, bob)
    const { offers, streams, doubtful } = one.engine.failed()
    deepStrictEqual(
      [offers.map(({ ticket }) => ticket), streams],
      [
        ["a", "b", "c", "d"],
        [alice, bob],
      ],
    )
    // what the store was never asked to keep is not in doubt
    deepStrictEqual(
      doubtful.map(({ decision, notifications }) => [decision.version, notifications.length]),
      [[3, 0]],
    )
    deepStrictEqual([one.engine.isLoaded(alice), one.engine.counts().undecided], [false, 0])
    // as it was: the old tag is good, the new dialog unknown, the old one known
    one.ask("e", publish({ ifMatch: "n0.1" }), noon)
    one.ask("f", resubscribe(9), noon, null)
    one.ask("g", resubscribe(1), noon, null)
    one.commit()
    deepStrictEqual(one.left(), ["f: 481", "e: 200 n6.3", "g: 200", "2/2 active;expires=3600 open"])
  })

  it("its numbers are given again, for nobody has seen them", { tags: ["L12"] }, () => {
    const one = prepared()
    one.ask("a", resubscribe(1), noon, null)
    one.engine.takeBatch(100)
    one.engine.failed()
    one.ask("a", resubscribe(1), noon, null)
    one.commit()
    deepStrictEqual(one.left(), ["a: 200", "2/2 active;expires=3600 open"])
  })

  it(
    "what a NOTIFY's lost outcome would have said is asked again: its issue time is not forgotten",
    { tags: ["L36"] },
    () => {
      const one = prepared()
      deepStrictEqual(one.engine.oldestInFlight(), noon)
      one.ask("r", delivery(2, 1, refused(503, 5)), noon + 1000)
      deepStrictEqual(one.engine.oldestInFlight(), noon)
      for (const { ticket, command } of one.engine.failed().offers) {
        // it has left, and how it ended is not written: that it is not in memory for a moment changes nothing
        deepStrictEqual(one.engine.oldestInFlight(), noon)
        one.ask(ticket, command, noon + 1000)
      }
      deepStrictEqual(one.engine.oldestInFlight(), noon)
      one.commit()
      deepStrictEqual(one.left(), ["r: done"])
      deepStrictEqual(one.engine.oldestInFlight(), null)
      one.engine.advance(noon + 6000, one.nonce)
      one.commit()
      deepStrictEqual(one.left(), ["2/2 active;expires=3594 open"])
    },
  )

  it("outcomes of NOTIFYs from before a reload say nothing of newer ones", { tags: ["L36"] }, () => {
    const one = prepared()
    one.ask("a", publish({ body: busy }), noon)
    one.engine.failed()
    one.ask("again", redeliver(noon), noon)
    one.commit()
    one.left()
    // CSeq 1 was sent before, CSeq 2 is under way: a change waits for the latter
    one.ask("late", delivery(2, 1, accepted()), noon)
    one.ask("pub", publish({ body: busy }), noon)
    one.commit()
    deepStrictEqual(one.left(), ["late: done", "pub: 200 n5.4"])
    one.ask("ok", delivery(2, 2, accepted()), noon)
    one.commit()
    deepStrictEqual(one.left(), ["ok: done", "2/3 active;expires=3600 busy"])
  })
})

describe("a stream that another writer has moved", () => {
  it(
    "is read again and decided again; other streams of the batch are not concerned",
    { tags: ["3903-6-c"] },
    () => {
      const one = start()
      one.ask("sub", subscribe(), noon)
      one.commit()
      one.left()
      one.ask("a", publish({ body: open }), noon)
      one.ask("b", resubscribe(1), noon, null)
      one.ask("c", publish({ body: open }), noon, bob)
      const foreign: Decision = {
        stream: alice,
        version: 2,
        at: noon,
        cause: "Publish",
        origin: "elsewhere",
        nonce: "foreign",
        events: [published("tag-2", busy, { expiresAt: at("13:00:00") })],
      }
      one.log.append([foreign])
      const batch = one.engine.takeBatch(100)!
      one.ask("d", publish({ body: busy }), noon)
      const { conflicts } = one.log.append(batch.decisions)
      deepStrictEqual(conflicts, new Set([alice]))
      const { release, again } = one.engine.committed(conflicts)
      for (const some of release) one.send(some)
      deepStrictEqual(one.left(), ["c: 200 n3.1"])
      deepStrictEqual(
        again.map(({ ticket }) => ticket),
        ["a", "b", "d"],
      )
      for (const { ticket, command, presentity } of again) one.ask(ticket, command, noon, presentity)
      one.commit()
      deepStrictEqual(one.left(), ["a: 200 n5.3", "b: 200", "1/2 active;expires=3600 open", "d: 200 n7.5"])
      deepStrictEqual(freeze(one.engine.state(alice)!), freeze(one.log.load(alice)))
      deepStrictEqual(one.engine.counts().dialogs, 1)
    },
  )
})

describe("time", () => {
  it(
    "what was due is decided at its own deadlines, before what is asked now",
    { tags: ["L09", "L10"] },
    () => {
      const one = start({ limits: { ...defaultLimits, notifyIntervalMillis: 0 } })
      one.ask("pub", publish({ body: open, expires: 60 }), noon)
      one.ask("sub", subscribe({ expires: 100 }), noon)
      one.ask("ok", delivery(2, 1, accepted()), noon)
      one.commit()
      one.left()
      one.ask("late", publish({ ifMatch: "n0.1" }), noon + 3_600_000)
      const decisions = one.commit()
      deepStrictEqual(
        decisions.map((some) => [some.cause, some.at - noon]),
        [
          ["FallDue", 60_000],
          ["FallDue", 100_000],
        ],
      )
      deepStrictEqual(one.left(), [
        "2/2 active;expires=40 -open",
        "2/3 terminated;reason=timeout (no body)",
        "late: 412",
      ])
    },
  )

  it(
    "advancing in vain decides nothing; a deadline that has moved is looked at in vain",
    { tags: ["L10"] },
    () => {
      const one = start()
      one.ask("pub", publish({ body: open, expires: 60 }), noon)
      one.ask("refresh", publish({ ifMatch: "n0.1", expires: 600 }), noon + 59_999)
      one.commit()
      for (const now of [noon + 60_000, noon + 60_000, noon + 300_000]) one.engine.advance(now, one.nonce)
      deepStrictEqual(one.commit(), [])
      one.engine.advance(noon + 659_999, one.nonce)
      deepStrictEqual(
        one.commit().map((some) => some.at - noon),
        [659_999],
      )
    },
  )

  it("the time of a stream does not go back when the clock does", { tags: ["L03"] }, () => {
    const one = start()
    one.ask("a", publish({ body: open }), noon)
    one.ask("b", publish({ body: open }), noon - 5000)
    const decisions = one.commit()
    deepStrictEqual(
      decisions.map((some) => some.at),
      [noon, noon, noon],
    )
    deepStrictEqual(decisions.map(clockOf), [noon, noon - 5000, noon - 5000])
  })
})

describe("memory", () => {
  it(
    "a presentity is asked for when it is missing, and forgotten when nothing lives",
    { tags: ["OPS-fallback2db"] },
    () => {
      const one = start()
      const offer = {
        presentity: alice,
        command: publish({ body: open, expires: 60 }),
        origin: "",
        ticket: "a",
      }
      deepStrictEqual(one.engine.offer(offer, noon, one.nonce), { _tag: "Missing", presentity: alice })
      one.engine.load(initial(alice))
      throws(() => one.engine.load(initial(alice)))
      one.engine.offer(offer, noon, one.nonce)
      one.commit()
      deepStrictEqual([...one.engine.presentities()], [alice])
      one.engine.advance(noon + 60_000, one.nonce)
      deepStrictEqual(one.engine.isLoaded(alice), true)
      one.commit()
      deepStrictEqual(one.engine.counts(), { presentities: 0, dialogs: 0, undecided: 0 })
      // its version goes on
      one.ask("b", publish({ body: open }), noon + 60_000)
      deepStrictEqual(
        one.commit().map(({ version }) => version),
        [3],
      )
    },
  )

  it("stays while a NOTIFY is under way, and is not read again for an outcome", { tags: ["L37"] }, () => {
    const one = start()
    one.ask("fetch", subscribe({ expires: 0 }), noon)
    one.commit()
    deepStrictEqual([one.engine.isLoaded(alice), one.engine.oldestInFlight()], [true, noon])
    deepStrictEqual(one.ask("ok", delivery(1, 1, accepted()), noon), "Released")
    deepStrictEqual([one.engine.isLoaded(alice), one.engine.oldestInFlight()], [false, null])
    deepStrictEqual(
      one.engine.offer(
        { presentity: alice, command: delivery(1, 1, accepted()), origin: "", ticket: "" },
        noon,
        one.nonce,
      )._tag,
      "Released",
    )
  })

  it("a refusal leaves nothing in memory", { tags: ["L07"] }, () => {
    const one = start()
    one.ask("a", publish({ ifMatch: "x" }), noon)
    deepStrictEqual(one.engine.counts(), { presentities: 0, dialogs: 0, undecided: 0 })
  })

  it(
    "a request inside an unknown dialog is answered 481 without reading anything",
    { tags: ["3265-3.1.4.2-c"] },
    () => {
      const one = start()
      deepStrictEqual(one.ask("a", resubscribe(1), noon, null), "Released")
      deepStrictEqual(one.left(), ["a: 481"])
    },
  )

  it("a dialog of one presentity is none of another's", { tags: ["L39"] }, () => {
    const one = start()
    one.ask("sub", subscribe(), noon)
    one.ask("other", subscribe({ dialog: dialogOf(2) }), noon, bob)
    one.commit()
    one.left()
    one.ask("cross", resubscribe(1), noon, bob)
    deepStrictEqual(one.left(), ["cross: 481"])
  })
})

describe("a defect", () => {
  it(
    "stops one presentity, is told of, and leaves the others; without a listener it is thrown",
    { tags: ["OPS-defect"] },
    () => {
      const told: unknown[] = []
      const authorize: EngineOptions["authorize"] = ({ presentity }) => {
        if (presentity === alice) throw new Error("a defect")
        return "allow"
      }
      const one = start({ authorize, onDefect: (presentity, command) => told.push([presentity, command]) })
      one.ask("a", subscribe(), noon)
      one.ask("b", publish({ body: open }), noon)
      one.ask("c", subscribe(), noon, bob)
      one.commit()
      deepStrictEqual(told, [[alice, "Subscribe"]])
      deepStrictEqual(one.left(), ["a: 500", "b: 500", "c: 200", "1/1 active;expires=3600 (no body)"])
      throws(() => start({ authorize }).ask("a", subscribe(), noon), /a defect/)
    },
  )
})
