/**
 * Who may watch, and what becomes of watchers when that changes: every transition of a subscription, as its watcher and
 * the presentity, who watches her watchers, see it.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { nextDeadline } from "../../../src/domain/presentity/deadlines.ts"
import { size } from "../../../src/domain/table.ts"
import type { SubHandling } from "../../../src/domain/vocabulary.ts"
import {
  accepted,
  after,
  alice,
  at,
  bob,
  carol,
  delivery,
  fallDue,
  publish,
  refused,
  timedOut,
} from "../../support/builders.ts"
import { treatAs } from "../../support/given.ts"
import {
  brief,
  pidf,
  publishPidf,
  removeRules,
  replaceRules,
  ruledWorld,
  rulesBody,
  statusOf,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"
import type { SmallRule, Timed } from "../../support/ruled.ts"

const forBob = (treat: SubHandling, over: Partial<SmallRule> = {}): SmallRule => ({
  who: bob,
  treat,
  ...over,
})

/** Alice watches her watchers (1), has some rules (2) and is open (3); Bob's subscription, if any, is 4. */
const beginning = (...rules: readonly SmallRule[]): readonly [Timed, Timed, Timed] => [
  [after("0 s"), watch(9, alice, { packageName: "presence.winfo", expires: 3600 })],
  [after("10 s"), replaceRules(...rules)],
  [after("20 s"), publishPidf("t1=open", "t2=open")],
]

const bobAsks: Timed = [after("30 s"), watch(1, bob, { expires: 600 })]
const bobFetches: Timed = [after("30 s"), watch(1, bob, { expires: 0 })]
const refresh = (over: Parameters<typeof watchAgain>[2] = {}): Timed => [
  after("60 s"),
  watchAgain(1, bob, { expires: 600, ...over }),
]
const rulesBecome = (...rules: readonly SmallRule[]): Timed => [after("60 s"), replaceRules(...rules)]
const ended = (reason: "deactivated" | "probation" | "noresource"): Timed => [
  after("60 s"),
  { _tag: "Terminate", packageName: "presence", watcher: bob, reason },
]
const decided = (handling: SubHandling | null, when = after("40 s")): Timed => [
  when,
  { _tag: "DecideWatcher", packageName: "presence", watcher: bob, handling },
]
const time = (when: number): Timed => [when, fallDue]

interface Row {
  readonly row: string
  readonly what: string
  readonly steps: readonly [Timed, ...Timed[]]
  readonly status: string
  readonly sends: readonly string[]
}

const rows: readonly Row[] = [
  {
    row: "T1 / 3857-4.7.1-b",
    what: "an allowed watcher is active at once and sees what is there",
    steps: [...beginning(forBob("allow")), bobAsks],
    status: "200",
    sends: ["4/1 active t1=open t2=open", "1/2 active partial 1: w4 bob active/subscribe"],
  },
  {
    row: "T1 / 5025-3.3.1-a",
    what: "an allowed watcher sees what its rules provide",
    steps: [...beginning(forBob("allow", { tuples: ["t2"] })), bobAsks],
    status: "200",
    sends: ["4/1 active t2=open", "1/2 active partial 1: w4 bob active/subscribe"],
  },
  {
    row: "T2 / 5025-3.2.1-e",
    what: "a politely blocked watcher is active and sees somebody absent; its owner learns of it as of any other",
    steps: [...beginning(forBob("polite-block")), bobAsks],
    status: "200",
    sends: ["4/1 active -", "1/2 active partial 1: w4 bob active/subscribe"],
  },
  {
    row: "T3 / 5025-3.2.1-c",
    what: "an undecided watcher is pending and sees nothing",
    steps: [...beginning(forBob("confirm")), bobAsks],
    status: "202",
    sends: ["4/1 pending -", "1/2 active partial 1: w4 bob pending/subscribe"],
  },
  {
    row: "T3 / 3857-4.7.1-b",
    what: "a watcher of somebody without rules is pending",
    steps: [...beginning(), [after("25 s"), removeRules], bobAsks],
    status: "202",
    sends: ["5/1 pending -", "1/2 active partial 1: w5 bob pending/subscribe"],
  },
  {
    row: "T4 / 5025-3.2.1-b",
    what: "a blocked watcher is refused, and nobody hears of it",
    steps: [...beginning(forBob("block")), bobAsks],
    status: "403",
    sends: [],
  },
  {
    row: "T4 / 5025-3.2.1-a",
    what: "a watcher that no rule mentions is blocked",
    steps: [...beginning({ who: carol, treat: "allow" }), bobAsks],
    status: "403",
    sends: [],
  },
  {
    row: "T5 / 3857-4.7.2-c",
    what: "a fetch by an allowed watcher shows what is there, and nobody hears of it",
    steps: [...beginning(forBob("allow")), bobFetches],
    status: "200",
    sends: ["4/1 terminated;timeout t1=open t2=open"],
  },
  {
    row: "T5 / 5025-3.2.1-e",
    what: "a fetch by a politely blocked watcher shows somebody absent",
    steps: [...beginning(forBob("polite-block")), bobFetches],
    status: "200",
    sends: ["4/1 terminated;timeout -"],
  },
  {
    row: "T6 / 3857-4.7.1-g",
    what: "a fetch by an undecided watcher leaves it waiting",
    steps: [...beginning(forBob("confirm")), bobFetches],
    status: "202",
    sends: ["4/1 terminated;timeout -", "1/2 active partial 1: w4 bob waiting/timeout"],
  },
  {
    row: "T7 / 5025-3.2.1-d",
    what: "a pending watcher that is allowed sees what is there at once",
    steps: [...beginning(forBob("confirm")), bobAsks, rulesBecome(forBob("allow", { tuples: ["t1"] }))],
    status: "-",
    sends: ["4/2 active t1=open", "1/3 active partial 2: w4 bob active/approved"],
  },
  {
    row: "T7 / 5025-3.2.1-d",
    what: "a pending watcher that is politely blocked is approved as far as it can tell",
    steps: [...beginning(forBob("confirm")), bobAsks, rulesBecome(forBob("polite-block"))],
    status: "-",
    sends: ["4/2 active offline=closed", "1/3 active partial 2: w4 bob active/approved"],
  },
  {
    row: "T8 / 5025-3.2.1-b",
    what: "a pending watcher that is blocked is rejected",
    steps: [...beginning(forBob("confirm")), bobAsks, rulesBecome(forBob("block"))],
    status: "-",
    sends: ["4/2 terminated;rejected -", "1/3 active partial 2: w4 bob terminated/rejected"],
  },
  {
    row: "OPS-decide / 3857-4.7.1-d",
    what: "the operator approves a pending watcher, who sees what is there at once",
    steps: [...beginning(forBob("confirm")), bobAsks, decided("allow")],
    status: "-",
    sends: ["4/2 active t1=open t2=open", "1/3 active partial 2: w4 bob active/approved"],
  },
  {
    row: "OPS-decide / 3857-4.7.1-e",
    what: "the operator denies a watcher whom the rules allow",
    steps: [...beginning(forBob("allow")), bobAsks, decided("block")],
    status: "-",
    sends: ["4/2 terminated;rejected -", "1/3 active partial 2: w4 bob terminated/rejected"],
  },
  {
    row: "OPS-decide / T4",
    what: "a watcher denied beforehand is refused, whatever the rules say",
    steps: [...beginning(forBob("allow")), decided("block", after("26 s")), bobAsks],
    status: "403",
    sends: [],
  },
  {
    row: "OPS-decide / T4",
    what: "nor does force_active help one whom the operator denied",
    steps: [
      ...beginning(forBob("allow")),
      decided("block", after("26 s")),
      [after("30 s"), watch(5, bob, { forceActive: true })],
    ],
    status: "403",
    sends: [],
  },
  {
    row: "OPS-decide / T3",
    what: "a decision taken back leaves it to the rules again",
    steps: [...beginning(forBob("confirm")), bobAsks, decided("allow"), decided(null, after("50 s"))],
    status: "-",
    sends: ["4/3 pending -", "1/4 active partial 3: w4 bob pending/subscribe"],
  },
  {
    row: "T9",
    what: "a pending watcher that refreshes is pending, and nobody hears of it",
    steps: [...beginning(forBob("confirm")), bobAsks, refresh()],
    status: "202",
    sends: ["4/2 pending -"],
  },
  {
    row: "T11 / 3857-4.7.1-d",
    what: "a pending subscription that times out leaves its watcher waiting",
    steps: [...beginning(forBob("confirm")), bobAsks, time(after("630 s"))],
    status: "-",
    sends: ["4/2 terminated;timeout -", "1/3 active partial 2: w4 bob waiting/timeout"],
  },
  {
    row: "T11",
    what: "a pending watcher that unsubscribes waits",
    steps: [...beginning(forBob("confirm")), bobAsks, refresh({ expires: 0 })],
    status: "202",
    sends: ["4/2 terminated;timeout -", "1/3 active partial 2: w4 bob waiting/timeout"],
  },
  {
    row: "T14",
    what: "an active watcher that refreshes sees what is there, and nobody hears of it",
    steps: [...beginning(forBob("allow", { tuples: ["t1"] })), bobAsks, refresh()],
    status: "200",
    sends: ["4/2 active t1=open"],
  },
  {
    row: "T15",
    what: "an active subscription that times out ends with what is there",
    steps: [...beginning(forBob("allow", { tuples: ["t1"] })), bobAsks, time(after("630 s"))],
    status: "-",
    sends: ["4/2 terminated;timeout t1=open", "1/3 active partial 2: w4 bob terminated/timeout"],
  },
  {
    row: "T15",
    what: "an active watcher that unsubscribes sees what is there",
    steps: [...beginning(forBob("allow")), bobAsks, refresh({ expires: 0 })],
    status: "200",
    sends: ["4/2 terminated;timeout t1=open t2=open", "1/3 active partial 2: w4 bob terminated/timeout"],
  },
  {
    row: "T16 / 5025-3.2.1-b",
    what: "an active watcher that is blocked is rejected and shown nothing",
    steps: [...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("block"))],
    status: "-",
    sends: ["4/2 terminated;rejected -", "1/3 active partial 2: w4 bob terminated/rejected"],
  },
  {
    row: "T17 / 5025-3.2.1-c",
    what: "an active watcher that is to be confirmed is pending and shown nothing",
    steps: [...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("confirm"))],
    status: "-",
    sends: ["4/2 pending -", "1/3 active partial 2: w4 bob pending/subscribe"],
  },
  {
    row: "T18 / 5025-3.2.1-f",
    what: "from allow to polite block the presentity goes, and nobody hears of a change",
    steps: [...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("polite-block"))],
    status: "-",
    sends: ["4/2 active offline=closed"],
  },
  {
    row: "T18 / 5025-3.2.1-f",
    what: "from polite block to allow the presentity comes",
    steps: [...beginning(forBob("polite-block")), bobAsks, rulesBecome(forBob("allow"))],
    status: "-",
    sends: ["4/2 active t1=open t2=open"],
  },
  {
    row: "T18 / 5025-3.2.1-f",
    what: "other transformations show something else at once",
    steps: [...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("allow", { tuples: ["t2"] }))],
    status: "-",
    sends: ["4/2 active t2=open"],
  },
  {
    row: "T18",
    what: "another document that says the same is no reason to say anything",
    steps: [...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("allow"), forBob("block"))],
    status: "-",
    sends: [],
  },
  {
    row: "T19",
    what: "an active watcher is told of a change that it may see",
    steps: [
      ...beginning(forBob("allow", { tuples: ["t1"] })),
      bobAsks,
      [after("60 s"), publishPidf("t1=closed")],
    ],
    status: "200",
    sends: ["4/2 active t1=closed"],
  },
  {
    row: "T19 / L23",
    what: "an active watcher is not told of a change that it may not see",
    steps: [
      ...beginning(forBob("allow", { tuples: ["t1"] })),
      bobAsks,
      [after("60 s"), publishPidf("t2=closed")],
    ],
    status: "200",
    sends: [],
  },
  {
    row: "T20 / 3857-4.7.1-c",
    what: "a pending watcher is not told of any change",
    steps: [...beginning(forBob("confirm")), bobAsks, [after("60 s"), publishPidf("t1=closed")]],
    status: "200",
    sends: [],
  },
  {
    row: "T21",
    what: "an active watcher that does not answer is gone, as if it had timed out",
    steps: [...beginning(forBob("allow")), bobAsks, [after("62 s"), delivery(4, 1, timedOut)]],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/timeout"],
  },
  {
    row: "T13 / 3857-4.7.1-j",
    what: "an active watcher is sent away when its server moves",
    steps: [...beginning(forBob("allow")), bobAsks, ended("deactivated")],
    status: "-",
    sends: [
      "4/2 terminated;deactivated t1=open t2=open",
      "1/3 active partial 2: w4 bob terminated/deactivated",
    ],
  },
  {
    row: "T13 / 3857-4.7.1-j",
    what: "a pending watcher is told to come back later, after a while",
    steps: [...beginning(forBob("confirm")), bobAsks, ended("probation")],
    status: "-",
    sends: ["4/2 terminated;probation -", "1/3 active partial 2: w4 bob terminated/probation"],
  },
  {
    row: "T13 / T23 / 3857-4.7.1-j",
    what: "a waiting watcher is forgotten when what it waits for is gone",
    steps: [...beginning(forBob("confirm")), bobFetches, ended("noresource")],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/noresource"],
  },
  {
    row: "T26 / 3857-4.7.1-j",
    what: "a waiting watcher has no subscription that could be deactivated",
    steps: [...beginning(forBob("confirm")), bobFetches, ended("deactivated")],
    status: "-",
    sends: [],
  },
  {
    row: "T22",
    what: "a pending watcher that does not answer is given up",
    steps: [...beginning(forBob("confirm")), bobAsks, [after("62 s"), delivery(4, 1, timedOut)]],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/giveup"],
  },
  {
    row: "T23 / 3857-4.7.1-e",
    what: "a waiting watcher that is allowed is told nothing and forgotten as approved",
    steps: [...beginning(forBob("confirm")), bobFetches, rulesBecome(forBob("allow"))],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/approved"],
  },
  {
    row: "T23 / 3857-4.7.1-e",
    what: "a waiting watcher that is politely blocked is forgotten as approved",
    steps: [...beginning(forBob("confirm")), bobFetches, rulesBecome(forBob("polite-block"))],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/approved"],
  },
  {
    row: "T23 / 3857-4.7.1-e",
    what: "a waiting watcher that is blocked is forgotten as rejected",
    steps: [...beginning(forBob("confirm")), bobFetches, rulesBecome(forBob("block"))],
    status: "-",
    sends: ["1/3 active partial 2: w4 bob terminated/rejected"],
  },
  {
    row: "T25 / 3857-4.7.1-f",
    what: "a waiting watcher that asks again waits no longer",
    steps: [...beginning(forBob("confirm")), bobFetches, [after("60 s"), watch(2, bob)]],
    status: "202",
    sends: ["5/1 pending -", "1/3 active partial 2: w4 bob terminated/giveup, w5 bob pending/subscribe"],
  },
  {
    row: "T26 / 5025-3.2.1-c",
    what: "a waiting watcher stays one while it is to be confirmed",
    steps: [
      ...beginning(forBob("confirm")),
      bobFetches,
      rulesBecome(forBob("confirm"), { who: carol, treat: "allow" }),
    ],
    status: "-",
    sends: [],
  },
  {
    row: "T26",
    what: "a waiting watcher is not told of any change",
    steps: [...beginning(forBob("confirm")), bobFetches, [after("60 s"), publishPidf("t1=closed")]],
    status: "200",
    sends: [],
  },
  {
    row: "T27 / 3261-12.2.2",
    what: "a subscription that is over is not found again",
    steps: [...beginning(forBob("confirm")), bobFetches, refresh()],
    status: "481",
    sends: [],
  },
  {
    row: "T28",
    what: "of two undecided subscriptions of one watcher that time out the newer waits",
    steps: [
      ...beginning(forBob("confirm")),
      bobAsks,
      [after("40 s"), watch(2, bob, { expires: 700 })],
      time(after("630 s")),
      time(after("740 s")),
    ],
    status: "-",
    sends: [
      "5/2 terminated;timeout -",
      "1/5 active partial 4: w4 bob terminated/giveup, w5 bob waiting/timeout",
    ],
  },
  {
    row: "T28",
    what: "an undecided watcher that fetches twice waits once",
    steps: [...beginning(forBob("confirm")), bobFetches, [after("60 s"), watch(2, bob, { expires: 0 })]],
    status: "202",
    sends: [
      "5/1 terminated;timeout -",
      "1/3 active partial 2: w4 bob terminated/giveup, w5 bob waiting/timeout",
    ],
  },
]

describe("the life of a subscription under rules", () => {
  it.each(rows)("$row: $what", ({ steps, status, sends }) => {
    const outcome = story(ruledWorld, ...steps)
    deepStrictEqual({ status: statusOf(outcome.answer), sends: outcome.sent.map(brief) }, { status, sends })
  })

  it(
    "a refresh asks the rules again, be it that nobody replaced them",
    { tags: ["T10", "3265-3.1.6.4"] },
    () => {
      const until = after("45 s")
      const pending = story(
        ruledWorld,
        ...beginning(forBob("confirm"), forBob("allow", { from: until, until: after("60 s") })),
        bobAsks,
      )
      deepStrictEqual(pending.sent.map(brief)[0], "4/1 pending -")
      // time itself has changed what they say
      const outcome = pending.and().when(fallDue, until)
      deepStrictEqual(outcome.sent.map(brief), [
        "4/2 active t1=open t2=open",
        "1/3 active partial 2: w4 bob active/approved",
      ])
    },
  )

  it(
    "a hook that has changed its mind is heard at the refresh: allowed, or rejected and refused",
    { tags: ["T10"] },
    () => {
      const hooked = ruledWorld.and({ authorize: treatAs("confirm") })
      const pending = story(hooked, ...beginning(), bobAsks)
      const [when, again] = refresh()
      const allowed = pending.and({ authorize: treatAs("allow") }).when(again, when)
      deepStrictEqual(
        [statusOf(allowed.answer), ...allowed.sent.map(brief)],
        ["200", "4/2 active t1=open t2=open", "1/3 active partial 2: w4 bob active/approved"],
      )
      const blocked = pending.and({ authorize: treatAs("block") }).when(again, when)
      deepStrictEqual(
        [statusOf(blocked.answer), ...blocked.sent.map(brief)],
        ["403", "4/2 terminated;rejected -", "1/3 active partial 2: w4 bob terminated/rejected"],
      )
    },
  )

  it(
    "nobody decides in three days: given up with a time to come back, refreshed or not",
    { tags: ["T12", "3857-4.7.1-h", "3265-3.2.2-j"] },
    () => {
      let world = story(ruledWorld, ...beginning(forBob("confirm")), [
        after("30 s"),
        watch(1, bob, { expires: 3600 }),
      ])
      const givenUp = after("30 s") + 3 * 86_400_000
      let cseq = 2
      for (let now = after("30 s") + 3_000_000; now < givenUp; now += 3_000_000) {
        world = world.and().when(watchAgain(1, bob, { cseq: cseq++ }), now)
      }
      // Alice's own subscription and her publication are long over
      deepStrictEqual(nextDeadline(world.state)! <= givenUp, true)
      const outcome = world.and().when(fallDue, givenUp)
      const last = outcome.sent.find(({ no }) => no === 4)
      deepStrictEqual([last?.state, last?.reason, last?.body], ["terminated", "giveup", null])
      deepStrictEqual((last?.retryAfter ?? 0) > 0, true)
      deepStrictEqual(size(outcome.state.waiting), 0)
    },
  )

  it(
    "nobody decides on a waiting watcher in three days: forgotten, and the owner told",
    { tags: ["T24", "3857-4.7.1-h"] },
    () => {
      const waiting = story(ruledWorld, ...beginning(forBob("confirm")), bobFetches)
      const givenUp = after("30 s") + 3 * 86_400_000
      waiting.and().when(fallDue, givenUp - 1)
      const outcome = waiting
        .and()
        .when(watch(8, alice, { packageName: "presence.winfo" }), givenUp - 60_000)
        .and()
        .when(fallDue, givenUp)
      deepStrictEqual(size(outcome.state.waiting), 0)
      deepStrictEqual(outcome.sent.map(brief).at(-1), "5/2 active partial 1: w4 bob terminated/giveup")
    },
  )
})

describe("rules and the hook", () => {
  it(
    "what the hook says goes before the rules; when it says nothing they are asked",
    { tags: ["5025-3.2.1-a"] },
    () => {
      const steps = [...beginning(forBob("block")), bobAsks] as const
      deepStrictEqual(statusOf(story(ruledWorld, ...steps).answer), "403")
      const hooked = ruledWorld.and({ authorize: treatAs("allow") })
      deepStrictEqual(story(hooked, ...steps).sent.map(brief)[0], "4/1 active t1=open t2=open")
      const halfHooked = ruledWorld.and({ authorize: ({ watcher }) => (watcher === carol ? "allow" : null) })
      deepStrictEqual(statusOf(story(halfHooked, ...steps).answer), "403")
    },
  )

  it(
    "whom the operator admits stays when rules change, until it asks again without",
    { tags: ["OPS-force_active", "OPS-handle_subscribe"] },
    () => {
      const forced = story(ruledWorld, ...beginning(forBob("block")), [
        after("30 s"),
        watch(1, bob, { expires: 600, forceActive: true }),
      ])
      deepStrictEqual(forced.sent.map(brief)[0], "4/1 active t1=open t2=open")
      forced
        .and()
        .when(replaceRules(forBob("polite-block")), after("60 s"))
        .sends()
      const removed = forced.and().when(removeRules, after("60 s"))
      deepStrictEqual(removed.sent, [])
      const asksAgain = forced.and().when(watchAgain(1, bob), after("70 s"))
      deepStrictEqual(
        [statusOf(asksAgain.answer), brief(asksAgain.sent[0]!)],
        ["403", "4/2 terminated;rejected -"],
      )
      const stillForced = forced.and().when(watchAgain(1, bob, { forceActive: true }), after("70 s"))
      deepStrictEqual(brief(stillForced.sent[0]!), "4/2 active t1=open t2=open")
      // and the other way round: once forced, no longer judged
      const judged = story(ruledWorld, ...beginning(forBob("allow")), bobAsks, [
        after("40 s"),
        watchAgain(1, bob, { forceActive: true }),
      ])
      judged
        .and()
        .when(replaceRules(forBob("block")), after("60 s"))
        .sends()
    },
  )

  it(
    "what somebody without rules, or with rules for others only, means is the operator's choice",
    { tags: ["3857-4.7.1-b"] },
    () => {
      const lenient = ruledWorld.and({ limits: { noRules: "allow", noMatch: "confirm" } })
      deepStrictEqual(statusOf(lenient.when(watch(1, bob), after("0 s")).answer), "200")
      deepStrictEqual(
        statusOf(story(lenient, ...beginning({ who: carol, treat: "allow" }), bobAsks).answer),
        "202",
      )
    },
  )

  it(
    "a document that cannot be read is refused, and the old one stays in force",
    { tags: ["4745-6-b"] },
    () => {
      const body = rulesBody([forBob("block")])
      const broken = { ...body, text: body.text.slice(1) }
      const outcome = story(ruledWorld, ...beginning(forBob("allow")), bobAsks, [
        after("60 s"),
        { _tag: "ReplaceRules", packageName: "presence", rules: broken },
      ])
      outcome.refused(400)
      deepStrictEqual(
        outcome.and().when(watch(2, bob), after("61 s")).sent.map(brief)[0],
        "5/1 active t1=open t2=open",
      )
    },
  )

  it("only packages that have rules take some", { tags: ["3265-7.2-a"] }, () => {
    ruledWorld
      .when({ _tag: "ReplaceRules", packageName: "presence.winfo", rules: null }, after("0 s"))
      .refused(489)
    ruledWorld.when({ _tag: "ReplaceRules", packageName: "nonesuch", rules: null }, after("0 s")).refused(489)
  })

  it("the same document once more is nothing", { tags: ["L36"] }, () => {
    story(ruledWorld, ...beginning(forBob("allow")), bobAsks, rulesBecome(forBob("allow")))
      .gives()
      .sends()
  })

  it(
    "another sphere is another rule, by publication, by its end and by its expiry",
    { tags: ["5025-3.1.2-a", "L29"] },
    () => {
      const world = ruledWorld.and({ limits: { sphereCheck: true } })
      const watching = story(
        world,
        [after("0 s"), replaceRules(forBob("allow", { sphere: "home" }), forBob("polite-block"))],
        [after("1 s"), publishPidf("t1=open", "@work")],
        [after("2 s"), watch(1, bob)],
      )
      deepStrictEqual(watching.sent.map(brief), ["3/1 active -"])
      const home = watching.and().when(
        {
          _tag: "Publish",
          packageName: "presence",
          ifMatch: ["n.2"],
          expires: 60,
          body: pidf("t1=open", "@home"),
          bodyFault: null,
          sender: null,
        },
        after("3 s"),
      )
      deepStrictEqual(home.sent.map(brief), ["3/2 active t1=open @home"])
      const gone = home.and().when(fallDue, after("63 s"))
      deepStrictEqual(gone.sent.map(brief), ["3/3 active offline=closed"])
      // without the check nobody's sphere is looked at (`enable_sphere_check`)
      deepStrictEqual(
        story(
          ruledWorld,
          [after("0 s"), replaceRules(forBob("allow", { sphere: "home" }))],
          [after("1 s"), publishPidf("t1=open", "@home")],
        )
          .and()
          .when(watch(1, bob), after("2 s")).answer._tag,
        "Rejected",
      )
    },
  )

  it(
    "who is treated as before is told of a change of sphere no sooner than of any other",
    { tags: ["L35"] },
    () => {
      const world = ruledWorld.and({ limits: { sphereCheck: true } })
      const watching = story(
        world,
        [
          after("0 s"),
          replaceRules({ who: bob, treat: "allow" }, { who: carol, treat: "allow", sphere: "home" }),
        ],
        [after("1 s"), watch(1, bob)],
        [after("2 s"), publishPidf("t1=open", "@work")],
      )
      deepStrictEqual(watching.sent.map(brief), ["2/2 active t1=open @work"])
      const held = watching.and().when(publishPidf("t1=closed", "@home"), after("3 s"))
      deepStrictEqual(held.sent.map(brief), [])
      deepStrictEqual(nextDeadline(held.state), after("7 s"))
    },
  )

  it(
    "a NOTIFY that did not arrive at one politely blocked is not repeated because of what it may not see",
    { tags: ["L24"] },
    () => {
      const failed = story(
        ruledWorld.and({ limits: { profile: "6665" } }),
        ...beginning(forBob("polite-block")),
        bobAsks,
        [after("31 s"), delivery(4, 1, refused(500))],
      )
      deepStrictEqual(failed.and().when(publishPidf("t1=closed"), after("40 s")).sent.map(brief), [])
      deepStrictEqual(
        failed
          .and()
          .when(fallDue, after("3620 s"))
          .sent.filter(({ no }) => no === 4).length,
        1,
      )
    },
  )

  it("a rule that ends together with a publication ends all the same", { tags: ["L29"] }, () => {
    const until = after("60 s")
    const outcome = story(
      ruledWorld.and({ limits: { sphereCheck: true } }),
      [
        after("0 s"),
        replaceRules(forBob("allow", { from: after("0 s"), until }), forBob("confirm", { sphere: "home" })),
      ],
      [after("0 s"), publish({ packageName: "presence", body: pidf("t1=open"), expires: 60 })],
      [after("1 s"), watch(1, bob)],
      time(until),
    )
    deepStrictEqual(outcome.sent.map(brief), ["3/2 terminated;rejected -"])
  })

  it("a rule ends the moment it says, and begins so", { tags: ["4745-7.4-a", "L29"] }, () => {
    const validity = { from: at("10:01:00"), until: at("10:02:00") }
    const world = story(ruledWorld, [
      after("0 s"),
      replaceRules(forBob("confirm"), forBob("allow", validity)),
    ])
    deepStrictEqual(nextDeadline(world.state), at("10:01:00"))
    const watching = story(
      world.and(),
      [after("1 s"), watch(1, bob)],
      [after("2 s"), delivery(2, 1, accepted())],
    )
    const allowed = watching.and().when(fallDue, at("10:01:00"))
    deepStrictEqual(allowed.sent.map(brief), ["2/2 active offline=closed"])
    deepStrictEqual(nextDeadline(allowed.state), at("10:02:00"))
    const pending = allowed.and().when(fallDue, at("10:02:00"))
    deepStrictEqual(pending.sent.map(brief), ["2/3 pending -"])
    // and nothing further is to come but the end of the subscription
    deepStrictEqual(nextDeadline(pending.state), after("3601 s"))
  })
})
