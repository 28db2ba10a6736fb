/**
 * Watchers who ask not to be named to others (RFC 3323, RFC 3325), and refreshes that a trusted peer passes on without
 * saying whose they are.
 */
import { deepStrictEqual, equal, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { presentityIn } from "../../../src/domain/history/at.ts"
import { callInfo } from "../../../src/domain/packages/call-info.ts"
import { lineSeize } from "../../../src/domain/packages/line-seize.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { activeWatcherRow } from "../../../src/domain/projections/rows.ts"
import { get, values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  after,
  alice,
  bob,
  carol,
  dialogOf,
  fallDue,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { standing } from "../../support/given.ts"
import {
  brief,
  replaceRules,
  ruledPackages,
  ruledWorld,
  statusOf,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"
import type { Timed } from "../../support/ruled.ts"

const winfo = "presence.winfo"
const anonymous = "sip:anonymous@anonymous.invalid" as Uri
const hidden = { private: true } as const
const allowBob = replaceRules({ who: bob, treat: "allow" })
const confirmAll = replaceRules({ who: null, treat: "confirm" })
const ownerWatches: Timed = [after("1 s"), watch(9, alice, { packageName: winfo })]
const allowed = story(ruledWorld, [after("0 s"), allowBob], ownerWatches)
const undecided = story(ruledWorld, [after("0 s"), confirmAll], ownerWatches)

/** What the owner is told by the last of the NOTIFYs. */
const told = (done: typeof allowed): string =>
  done.sent
    .map(brief)
    .filter((one) => one.startsWith("2/"))
    .at(-1) ?? "-"

describe("a watcher who asks not to be named", () => {
  it(
    "is anonymous in partial and full documents, judged by its true address, with a number of its own",
    { tags: ["3325-9.3-a"] },
    () => {
      const watching = allowed.and().when(watch(1, bob, hidden), after("10 s"))
      equal(statusOf(watching.answer), "200")
      equal(told(watching), "2/2 active partial 1: w3 anonymous active/subscribe")
      // bob is who may watch, and nobody else is
      equal(statusOf(allowed.and().when(watch(1, carol, hidden), after("10 s")).answer), "403")
      const both = watching.and().when(watch(2, bob), after("20 s"))
      const full = both.and().when(watchAgain(9, alice, { packageName: winfo }), after("30 s"))
      equal(told(full), "2/4 active full 3: w3 anonymous active/subscribe, w4 bob active/subscribe")
      const ended = watching.and().when(watchAgain(1, bob, { expires: 0 }), after("40 s"))
      equal(told(ended), "2/3 active partial 2: w3 anonymous terminated/timeout")
      const rejected = watching.and().when(replaceRules({ who: bob, treat: "block" }), after("40 s"))
      equal(told(rejected), "2/3 active partial 2: w3 anonymous terminated/rejected")
    },
  )

  it("is so while it is pending, when it waits, and when it is given up", { tags: ["3325-9.3-a"] }, () => {
    const pending = undecided.and().when(watch(1, bob, { ...hidden, expires: 600 }), after("10 s"))
    equal(told(pending), "2/2 active partial 1: w3 anonymous pending/subscribe")
    const waiting = pending.and().when(fallDue, after("610 s"))
    equal(told(waiting), "2/3 active partial 2: w3 anonymous waiting/timeout")
    const again = waiting.and().when(watch(2, bob), after("620 s"))
    equal(told(again), "2/4 active partial 3: w3 anonymous terminated/giveup, w5 bob pending/subscribe")
    const fetched = undecided.and().when(watch(1, bob, { ...hidden, expires: 0 }), after("10 s"))
    equal(told(fetched), "2/2 active partial 1: w3 anonymous waiting/timeout")
    const decided = waiting
      .and()
      .when(
        { _tag: "DecideWatcher", packageName: "presence", watcher: bob, handling: "block" },
        after("620 s"),
      )
    equal(told(decided), "2/4 active partial 3: w3 anonymous terminated/rejected")
  })

  it(
    "stays so until a refresh says otherwise; whoever watches is told under which name it goes",
    { tags: ["3325-9.3-a"] },
    () => {
      const watching = allowed.and().when(watch(1, bob, hidden), after("10 s"))
      const silent = watching.and().when(watchAgain(1, bob), after("20 s"))
      equal(told(silent), "-")
      const named = silent.and().when(watchAgain(1, bob, { cseq: 3, private: false }), after("30 s"))
      equal(told(named), "2/3 active partial 2: w3 bob active/subscribe")
      const nameless = named.and().when(watchAgain(1, bob, { cseq: 4, private: true }), after("40 s"))
      equal(told(nameless), "2/4 active partial 3: w3 anonymous active/subscribe")
      // said once more it is no news
      const same = nameless.and().when(watchAgain(1, bob, { cseq: 5, private: true }), after("50 s"))
      equal(told(same), "-")
      ok(!JSON.stringify(same.events).includes("private"))
      // one dialog is one phone
      const further = same.and().when(watchAgain(1, bob, { cseq: 6, eventId: "2" }), after("60 s"))
      equal(told(further), "2/5 active partial 4: w8 anonymous active/subscribe")
    },
  )

  it("is so after a snapshot, and operators see who it is, with a mark", { tags: ["L10"] }, () => {
    const { state } = undecided
      .and()
      .when(watch(1, bob, hidden), after("10 s"))
      .and()
      .when(watch(2, carol, { ...hidden, expires: 0 }), after("11 s"))
    const again = thaw(JSON.parse(JSON.stringify(freeze(state))) as ReturnType<typeof freeze>)
    deepStrictEqual(freeze(again), freeze(state))
    const { watchers } = presentityIn(state, ruledPackages, after("12 s"))
    deepStrictEqual(
      watchers.map(({ watcher, status, private: isPrivate }) => [watcher, status, isPrivate]),
      [
        [alice, "active", undefined],
        [bob, "pending", true],
        [carol, "waiting", true],
      ],
    )
    const [one] = [...values(state.subscriptions)].filter(({ watcher }) => watcher === bob)
    equal(activeWatcherRow(state, one!.no)?.watcher_username, "bob")
  })

  it("takes an appearance of a line without a word of itself", { tags: ["SCA-5", "3325-9.3-a"] }, () => {
    const packages = makeRegistry([callInfo(), lineSeize()])
    const world = standing(initial(alice), { packages })
    const seize = subscribe({
      packageName: "line-seize",
      watcher: carol,
      dialog: dialogOf(2),
      argument: "<sip:carol@elsewhere.example>;appearance-index=1;x-owner=carol",
    })
    const watched = world.when(subscribe({ packageName: "call-info" }), after("0 s")).and()
    const shown = (command: typeof seize): string =>
      JSON.stringify(
        watched.when(command, after("1 s")).sent.filter(({ packageName }) => packageName === "call-info"),
      )
    ok(shown(seize).includes("carol"))
    const quiet = shown({ ...seize, private: true })
    ok(
      !quiet.includes("carol") &&
        quiet.includes("<sip:alice@example.com>;appearance-index=1;appearance-state=seized"),
    )
    // what is taken is taken
    watched
      .when({ ...seize, private: true }, after("1 s"))
      .and()
      .when({ ...seize, dialog: dialogOf(3), watcher: bob }, after("2 s"))
      .refused(480)
  })
})

describe("a refresh that a trusted peer passes on without a name", () => {
  const proxy = "192.0.2.20"
  const unnamed = { watcher: anonymous, through: proxy }
  const lamp = story(ruledWorld, [after("0 s"), allowBob], [after("1 s"), watch(1, bob)])

  it(
    "keeps the lamp of the dialog it belongs to, moves its target, and ends it",
    { tags: ["3325-5-a"] },
    () => {
      const target = "sip:bob@192.0.2.99"
      const kept = lamp
        .and()
        .when(resubscribe(1, { packageName: "presence", ...unnamed, remoteTarget: target }), after("10 s"))
      equal(statusOf(kept.answer), "200")
      deepStrictEqual(
        [...values(kept.state.subscriptions)].map(({ watcher }) => watcher),
        [bob],
      )
      equal(get(kept.state.dialogs, 2)?.remoteTarget, target)
      const ended = kept
        .and()
        .when(resubscribe(1, { packageName: "presence", ...unnamed, cseq: 3, expires: 0 }), after("20 s"))
      equal(statusOf(ended.answer), "200")
    },
  )

  it("is judged as that watcher, and gains nothing more than it has", { tags: ["3325-5-a"] }, () => {
    const blocked = lamp
      .and()
      .when(
        { _tag: "DecideWatcher", packageName: "presence", watcher: bob, handling: "confirm" },
        after("5 s"),
      )
      .and()
      .when(resubscribe(1, { packageName: "presence", ...unnamed }), after("10 s"))
    equal(statusOf(blocked.answer), "202")
    // a further subscription in the dialog is a new one
    for (const more of [{ eventId: "2" }, { packageName: winfo }])
      lamp
        .and()
        .when(resubscribe(1, { packageName: "presence", ...unnamed, ...more }), after("10 s"))
        .refused(403)
  })

  it(
    "is not believed from elsewhere than the dialog came from, and not under another name",
    { tags: ["T17", "3325-5-a"] },
    () => {
      const from = (over: Parameters<typeof resubscribe>[1]) =>
        lamp.and().when(resubscribe(1, { packageName: "presence", ...over }), after("10 s"))
      from({ watcher: anonymous, through: "192.0.2.21" }).refused(403)
      from({ watcher: anonymous }).refused(403)
      from({ watcher: carol }).refused(403)
      // nobody's subscription is an anonymous one's
      const nobodys = story(ruledWorld, [after("1 s"), watch(1, anonymous)])
      nobodys
        .and()
        .when(resubscribe(1, { packageName: "presence", watcher: bob }), after("10 s"))
        .refused(403)
      equal(
        statusOf(
          nobodys.and().when(resubscribe(1, { packageName: "presence", ...unnamed }), after("10 s")).answer,
        ),
        "202",
      )
    },
  )

  it(
    "goes on with a dialog that was taken over, wherever it came from, also over IPv6",
    { tags: ["OPS-import", "3325-5-a"] },
    () => {
      const takenOver = (source: string) =>
        story(
          ruledWorld,
          [after("0 s"), allowBob],
          [after("1 s"), watch(1, bob, { dialog: dialogOf(1, { source }) })],
        )
      const again = (source: string, through: string): string =>
        statusOf(
          takenOver(source)
            .and()
            .when(resubscribe(1, { packageName: "presence", watcher: anonymous, through }), after("10 s"))
            .answer,
        )
      equal(again("", proxy), "200")
      equal(again("[2001:db8::1]:5060", "[2001:db8::1]"), "200")
      equal(again("[2001:db8::1]:5060", "[2001:db8::2]"), "403")
    },
  )
})
