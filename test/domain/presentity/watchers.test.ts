/**
 * Watcher information: what the presentity is told of who watches her.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { size } from "../../../src/domain/table.ts"
import {
  accepted,
  after,
  alice,
  bob,
  carol,
  delivery,
  fallDue,
  redeliver,
  refused,
  timedOut,
} from "../../support/builders.ts"
import {
  bodyInShort,
  brief,
  publishPidf,
  replaceRules,
  ruledWorld,
  statusOf,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"
import type { Timed } from "../../support/ruled.ts"
import { watcherList } from "../../support/watcher-info-reader.ts"

const winfo = "presence.winfo"
const allowAll = replaceRules({ who: null, treat: "allow" })
const confirmAll = replaceRules({ who: null, treat: "confirm" })
const blockAll = replaceRules({ who: null, treat: "block" })

const ownerWatches: Timed = [after("1 s"), watch(9, alice, { packageName: winfo })]
/** The rules are decision 1, Alice's subscription 2. */
const allowed = story(ruledWorld, [after("0 s"), allowAll], ownerWatches)
const undecided = story(ruledWorld, [after("0 s"), confirmAll], ownerWatches)

describe("a watcher information document", () => {
  it(
    "is full for whoever the last one did not reach, also when there is news at that moment",
    { tags: ["3857-4.3-a", "L33"] },
    () => {
      const kept = { limits: { endSubOnTimeout: false, notifyIntervalMillis: 0 } }
      const full = story(
        ruledWorld.and(kept),
        [after("0 s"), confirmAll],
        [after("1 s"), watch(1, bob, { expires: 600 })],
        ownerWatches,
      )
      const missed = full
        .and({ ...kept, inFlight: [3] })
        .when(watch(2, carol, { expires: 600 }), after("2 s"))
        .and({ ...kept, inFlight: [] })
        .when(delivery(3, 1, timedOut), after("32 s"))
      deepStrictEqual(missed.sent.map(brief), [
        "3/2 active full 1: w2 bob pending/subscribe, w4 carol pending/subscribe",
      ])
    },
  )

  it(
    "is full and version 0 for the SUBSCRIBE, with everybody who watches or waits",
    { tags: ["3857-4.3-a", "3858-3-b"] },
    () => {
      const outcome = story(
        ruledWorld,
        [after("0 s"), confirmAll],
        [after("1 s"), watch(1, bob, { expires: 600 })],
        [after("2 s"), watch(2, carol, { expires: 0 })],
        [after("12 s"), watch(9, alice, { packageName: winfo })],
      )
      deepStrictEqual(outcome.sent.map(brief), [
        "4/1 active full 0: w2 bob pending/subscribe, w3 carol waiting/timeout",
      ])
      // 3858-3-c, 3858-3-g
      deepStrictEqual(watcherList(outcome.sent[0]!.body!), {
        version: 0,
        isFull: true,
        resource: alice,
        packageName: "presence",
        entries: [
          { id: "w2", uri: bob, status: "pending", event: "subscribe", expiration: "589", duration: "11" },
          { id: "w3", uri: carol, status: "waiting", event: "timeout", expiration: null, duration: "10" },
        ],
      })
    },
  )

  it("is partial after a change, with exactly the watchers that changed", { tags: ["3857-4.3-a"] }, () => {
    const first = allowed.and().when(watch(1, bob), after("10 s"))
    deepStrictEqual(first.sent.map(brief), ["3/1 active -", "2/2 active partial 1: w3 bob active/subscribe"])
    const second = first.and().when(watch(2, carol), after("20 s"))
    deepStrictEqual(second.sent.map(brief), [
      "4/1 active -",
      "2/3 active partial 2: w4 carol active/subscribe",
    ])
    const third = second.and().when(watchAgain(1, bob, { expires: 0 }), after("30 s"))
    deepStrictEqual(third.sent.map(brief), [
      "3/2 terminated;timeout -",
      "2/4 active partial 3: w3 bob terminated/timeout",
    ])
  })

  it(
    "counts on over a refresh and a snapshot, and each subscription by itself",
    { tags: ["3858-3-b"] },
    () => {
      const both = story(
        allowed.and(),
        [after("10 s"), watch(1, bob)],
        [after("20 s"), watch(8, alice, { packageName: winfo })],
      )
      deepStrictEqual(both.sent.map(brief), ["4/1 active full 0: w3 bob active/subscribe"])
      deepStrictEqual(freeze(thaw(freeze(both.state))), freeze(both.state))
      const refreshed = both.and().when(watchAgain(9, alice, { packageName: winfo }), after("30 s"))
      deepStrictEqual(refreshed.sent.map(brief), ["2/3 active full 2: w3 bob active/subscribe"])
      const changed = refreshed.and().when(watch(2, carol), after("40 s"))
      deepStrictEqual(changed.sent.map(brief), [
        "6/1 active -",
        "2/4 active partial 3: w6 carol active/subscribe",
        "4/2 active partial 1: w6 carol active/subscribe",
      ])
    },
  )

  it("is full when it repeats what a crash may have lost", { tags: ["3857-4.3-a"] }, () => {
    const outcome = story(
      allowed.and(),
      [after("10 s"), watch(1, bob)],
      [after("11 s"), redeliver(after("0 s"))],
    )
    const bodies = outcome.sent.filter(({ no }) => no === 2).map(({ body }) => bodyInShort(body))
    deepStrictEqual(bodies, ["full 2: w3 bob active/subscribe"])
  })

  it("is full when the last one did not arrive", { tags: ["L33"] }, () => {
    const lost = story(
      allowed.and(),
      [after("10 s"), watch(1, bob)],
      [after("11 s"), delivery(2, 2, refused(503, 30))],
    )
    deepStrictEqual(lost.and().when(fallDue, after("41 s")).sent.map(brief), [
      "2/3 active full 2: w3 bob active/subscribe",
    ])
  })

  it("is full and last when the owner unsubscribes", { tags: ["3857-4.7.2-b"] }, () => {
    const outcome = story(
      allowed.and(),
      [after("10 s"), watch(1, bob)],
      [after("20 s"), watchAgain(9, alice, { packageName: winfo, expires: 0 })],
    )
    deepStrictEqual(outcome.sent.map(brief), ["2/3 terminated;timeout full 2: w3 bob active/subscribe"])
  })

  it(
    "gives every subscription its own id, also those of one watcher in one dialog",
    { tags: ["3858-3-d"] },
    () => {
      const outcome = story(
        allowed.and(),
        [after("10 s"), watch(1, bob)],
        [after("20 s"), watchAgain(1, bob, { eventId: "1" })],
        [after("30 s"), watch(3, bob)],
        [after("40 s"), watchAgain(9, alice, { packageName: winfo })],
      )
      const { entries } = watcherList(outcome.sent[0]!.body!)!
      deepStrictEqual(
        entries.map(({ id, uri }) => [id, uri]),
        [
          ["w3", bob],
          ["w4", bob],
          ["w5", bob],
        ],
      )
    },
  )

  it(
    "says what led to a status: subscribe, approved, rejected, timeout, giveup",
    { tags: ["3858-3-f"] },
    () => {
      const pending = undecided.and().when(watch(1, bob, { expires: 600 }), after("10 s"))
      deepStrictEqual(pending.sent.map(brief)[1], "2/2 active partial 1: w3 bob pending/subscribe")
      const approved = pending.and().when(allowAll, after("20 s"))
      deepStrictEqual(approved.sent.map(brief)[1], "2/3 active partial 2: w3 bob active/approved")
      const rejected = approved.and().when(blockAll, after("30 s"))
      deepStrictEqual(rejected.sent.map(brief)[1], "2/4 active partial 3: w3 bob terminated/rejected")
      const timedOutOne = approved.and().when(fallDue, after("610 s"))
      deepStrictEqual(timedOutOne.sent.map(brief)[1], "2/4 active partial 3: w3 bob terminated/timeout")
      const waiting = pending.and().when(fallDue, after("610 s"))
      deepStrictEqual(waiting.sent.map(brief)[1], "2/3 active partial 2: w3 bob waiting/timeout")
      const asksAgain = waiting.and().when(watch(2, bob), after("620 s"))
      deepStrictEqual(
        asksAgain.sent.map(brief)[1],
        "2/4 active partial 3: w3 bob terminated/giveup, w5 bob pending/subscribe",
      )
      const lost = pending.and().when(delivery(3, 1, timedOut), after("42 s"))
      deepStrictEqual(lost.sent.map(brief), ["2/3 active partial 2: w3 bob terminated/giveup"])
    },
  )

  it("says how long a watcher has watched and will, unless it is told anew", { tags: ["3858-3-g"] }, () => {
    const outcome = story(
      allowed.and(),
      [after("10 s"), watch(1, bob, { expires: 600 })],
      [after("100 s"), watchAgain(1, bob, { expires: 900 })],
      [after("130 s"), watchAgain(9, alice, { packageName: winfo })],
    )
    const [entry] = watcherList(outcome.sent[0]!.body!)!.entries
    deepStrictEqual([entry?.expiration, entry?.duration], ["870", "120"])
  })
})

describe("what makes watcher information", () => {
  it("a fetch by an allowed watcher does not", { tags: ["3857-4.7.2-c"] }, () => {
    const fetched = allowed.and().when(watch(1, bob, { expires: 0 }), after("10 s"))
    deepStrictEqual(fetched.sent.map(brief), ["3/1 terminated;timeout -"])
    const refreshed = fetched.and().when(watchAgain(9, alice, { packageName: winfo }), after("20 s"))
    deepStrictEqual(refreshed.sent.map(brief), ["2/2 active full 1"])
  })

  it("a refresh and a publication do not", { tags: ["T14"] }, () => {
    const watching = allowed.and().when(watch(1, bob), after("10 s"))
    const refreshed = watching.and().when(watchAgain(1, bob), after("20 s"))
    deepStrictEqual(refreshed.sent.map(brief), ["3/2 active -"])
    deepStrictEqual(watching.and().when(publishPidf("t1=open"), after("20 s")).sent.map(brief), [
      "3/2 active t1=open",
    ])
  })

  it(
    "a change between allow and polite block does not, and its owner sees no difference",
    { tags: ["T18"] },
    () => {
      const watching = allowed.and().when(watch(1, bob), after("10 s"))
      const polite = watching.and().when(replaceRules({ who: bob, treat: "polite-block" }), after("20 s"))
      deepStrictEqual(
        polite.sent.filter(({ no }) => no === 2),
        [],
      )
    },
  )

  it("what comes too soon is told late, and then all of it since", { tags: ["3857-4.10-a", "L35"] }, () => {
    const first = allowed.and().when(watch(1, bob), after("10 s"))
    const inFlight = first.and({ inFlight: [2] }).when(watch(2, carol), after("16 s"))
    deepStrictEqual(inFlight.sent.map(brief), ["4/1 active -"])
    const arrived = inFlight.and({ inFlight: [] }).when(delivery(2, 2, accepted()), after("17 s"))
    deepStrictEqual(arrived.sent.map(brief), ["2/3 active partial 2: w4 carol active/subscribe"])
    const soon = first.and().when(watch(2, carol), after("11 s"))
    deepStrictEqual(soon.sent.map(brief), ["4/1 active -"])
    const gone = soon.and().when(watchAgain(1, bob, { expires: 0 }), after("12 s"))
    deepStrictEqual(gone.sent.map(brief), ["3/2 terminated;timeout -"])
    const late = gone.and().when(fallDue, after("15 s"))
    deepStrictEqual(late.sent.map(brief), [
      "2/3 active partial 2: w3 bob terminated/timeout, w4 carol active/subscribe",
    ])
  })

  it(
    "who is gone is remembered until every winfo subscription has been told, and no longer",
    { tags: ["L33"] },
    () => {
      const two = story(
        allowed.and(),
        [after("5 s"), watch(8, alice, { packageName: winfo })],
        [after("10 s"), watch(1, bob)],
      )
      const gone = two.and({ inFlight: [3] }).when(watchAgain(1, bob, { expires: 0 }), after("20 s"))
      deepStrictEqual(gone.sent.map(brief).slice(1), ["2/3 active partial 2: w4 bob terminated/timeout"])
      deepStrictEqual(size(gone.state.departed), 1)
      const told = gone.and({ inFlight: [] }).when(delivery(3, 2, accepted()), after("21 s"))
      deepStrictEqual(told.sent.map(brief), ["3/3 active partial 2: w4 bob terminated/timeout"])
      deepStrictEqual(size(told.state.departed), 0)
      // or until that one ends
      const left = gone.and().when(watchAgain(8, alice, { packageName: winfo, expires: 0 }), after("21 s"))
      deepStrictEqual(size(left.state.departed), 0)
      // where nobody watches the watchers nobody is remembered
      const unwatched = story(
        ruledWorld,
        [after("0 s"), allowAll],
        [after("1 s"), watch(1, bob)],
        [after("2 s"), watchAgain(1, bob, { expires: 0 })],
      )
      deepStrictEqual(size(unwatched.state.departed), 0)
    },
  )
})

describe("who may watch the watchers", () => {
  it(
    "the presentity herself, whatever her rules say, and nobody else",
    { tags: ["3857-4.6-b", "L34"] },
    () => {
      const blocked = story(ruledWorld, [after("0 s"), blockAll], ownerWatches)
      deepStrictEqual(statusOf(blocked.answer), "200")
      for (const packageName of [winfo, "presence.winfo.winfo"]) {
        allowed
          .and()
          .when(watch(1, bob, { packageName }), after("10 s"))
          .refused(403)
        allowed
          .and()
          .when(watch(1, bob, { packageName, expires: 0 }), after("10 s"))
          .refused(403)
        allowed
          .and()
          .when(watch(1, bob, { packageName, forceActive: true }), after("10 s"))
          .refused(403)
      }
    },
  )

  it("watchers of watchers of watchers are known of, deeper ones are not", { tags: ["3857-4.6-d"] }, () => {
    const outcome = story(allowed.and(), [
      after("10 s"),
      watch(8, alice, { packageName: "presence.winfo.winfo" }),
    ])
    deepStrictEqual(outcome.sent.map(brief), ["3/1 active full 0: w2 alice active/subscribe"])
    const more = outcome.and().when(watch(7, alice, { packageName: winfo }), after("20 s"))
    deepStrictEqual(more.sent.map(brief), [
      "4/1 active full 0",
      "3/2 active partial 1: w4 alice active/subscribe",
    ])
    allowed
      .and()
      .when(watch(8, alice, { packageName: "presence.winfo.winfo.winfo" }), after("10 s"))
      .refused(489)
  })

  it("a watcher's own NOTIFYs never say how it is treated", { tags: ["3857-4.7.2-a"] }, () => {
    const polite = story(
      ruledWorld,
      [after("0 s"), replaceRules({ who: bob, treat: "polite-block" })],
      [after("1 s"), watch(1, bob)],
    )
    ok(!JSON.stringify(polite.sent).includes("polite"))
  })
})
