/**
 * Sharing tags: which of several servers looks after a subscription.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { nextDeadline } from "../../../src/domain/presentity/deadlines.ts"
import { sharingTagsStream } from "../../../src/domain/presentity/sharing-tags.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { activeWatcherRow } from "../../../src/domain/projections/rows.ts"
import { values } from "../../../src/domain/table.ts"
import type { Millis } from "../../../src/domain/vocabulary.ts"
import {
  after,
  alice,
  bob,
  busy,
  carol,
  dialogOf,
  fallDue,
  open,
  publish,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { standing } from "../../support/given.ts"

const tag = "vip"
const switched = (role: "active" | "backup", epoch: number): Command => ({
  _tag: "SwitchSharingTag",
  tag,
  role,
  epoch,
})
const here = standing(initial(alice), { isTagActive: () => true })
const elsewhere = standing(initial(alice), { isTagActive: () => false })
const tagged = subscribe({ watcher: bob, dialog: dialogOf(1), sharingTag: tag, expires: 600 })
const untagged = subscribe({ watcher: carol, dialog: dialogOf(2), expires: 600 })

const keepsAll = (state: State): void => {
  const written = JSON.stringify(freeze(state))
  assert.equal(JSON.stringify(freeze(thaw(JSON.parse(written) as Snapshot))), written)
  assert.ok(written.includes(tag))
}

describe("the stream of tags", () => {
  it(
    "a tag's epoch rises whenever it changes hands, and only then",
    { tags: ["OPS-cluster_sharing_tags"] },
    () => {
      const set = (role: "active" | "backup"): Command => ({ _tag: "SetSharingTag", tag, role })
      let world = standing(initial(sharingTagsStream))
      for (const [role, epoch] of [
        ["backup", 1],
        ["backup", null],
        ["active", 2],
        ["active", null],
        ["backup", 3],
      ] as const) {
        const outcome = world.when(set(role), after("0 s"))
        outcome.gives(...(epoch === null ? [] : [{ _tag: "SharingTagSet" as const, tag, role, epoch }]))
        world = outcome.and()
      }
      keepsAll(world.state)
    },
  )
})

describe("a subscription whose tag is active elsewhere", () => {
  it(
    "is granted and answered, and told of nothing until the tag is active here",
    { tags: ["OPS-cluster_sharing_tags", "CLU-5"] },
    () => {
      const granted = elsewhere.when(tagged, after("0 s"))
      assert.equal(granted.sent.length, 1)
      const published = granted
        .and()
        .when(publish({ body: open }), after("1 s"))
        .sends()
      const again = published.and().when(resubscribe(1, { expires: 600 }), after("2 s"))
      assert.equal(again.sent.length, 1)
      const changed = again
        .and()
        .when(publish({ body: busy }), after("3 s"))
        .sends()
      const active = changed.and().when(switched("active", 2), after("4 s"))
      assert.equal(active.sent.length, 1)
      assert.ok(active.events.some(({ _tag }) => _tag === "SharingTagSwitched"))
      // and from now on as any other
      assert.equal(active.and().when(publish({ body: open }), after("20 s")).sent.length, 1)
    },
  )

  it(
    "is not ended here by time; when the tag comes here what is overdue ends at once",
    { tags: ["OPS-cluster_sharing_tags", "CLU-5"] },
    () => {
      const granted = elsewhere.when(tagged, after("0 s"))
      assert.equal(nextDeadline(granted.state), null)
      granted.and().when(fallDue, after("2 h")).gives()
      const active = granted.and().when(switched("active", 2), after("2 h"))
      assert.deepEqual(
        active.sent.map(({ state, reason }) => [state, reason]),
        [["terminated", "timeout"]],
      )
      assert.equal([...values(active.state.subscriptions)].length, 0)
    },
  )

  it(
    "a tag that goes to another server takes its subscriptions along, silently, and only those",
    { tags: ["OPS-cluster_sharing_tags"] },
    () => {
      const both = here.when(tagged, after("0 s")).and().when(untagged, after("0 s"))
      const parked = both.and().when(switched("backup", 2), after("1 s")).sends()
      parked.gives({ _tag: "SharingTagSwitched", tag, role: "backup", epoch: 2 })
      parked.and().when(switched("backup", 2), after("1 s")).gives()
      const told = parked.and().when(publish({ body: open }), after("10 s")).sent
      assert.deepEqual(
        told.map(({ no }) => no),
        [both.state.version],
      )
      parked
        .and()
        .when({ _tag: "SwitchSharingTag", tag: "other", role: "active", epoch: 9 }, after("2 s"))
        .gives()
    },
  )

  it(
    "its row has the tag, and a snapshot keeps all of it",
    { tags: ["TBL-2", "OPS-cluster_sharing_tags"] },
    () => {
      const { state } = elsewhere.when(tagged, after("0 s")).and().when(untagged, after("0 s"))
      assert.deepEqual(
        [...values(state.subscriptions)].map((one) => activeWatcherRow(state, one.no)?.sharing_tag ?? null),
        [tag, null],
      )
      keepsAll(state)
    },
  )
})

// ── histories ──

type Step =
  | { readonly _tag: "Publish"; readonly body: number }
  | { readonly _tag: "Subscribe"; readonly tagged: boolean; readonly expires: number }
  | { readonly _tag: "Again"; readonly which: number; readonly expires: number }
  | { readonly _tag: "Switch"; readonly role: "active" | "backup" }
  | { readonly _tag: "Advance"; readonly by: Millis }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("Publish" as const), body: fc.nat(1) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Subscribe" as const),
      tagged: fc.boolean(),
      expires: fc.constantFrom(60, 600, 3600),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("Again" as const),
      which: fc.nat(9),
      expires: fc.constantFrom(0, 60, 600),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("Switch" as const),
      role: fc.constantFrom("active" as const, "backup" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Advance" as const),
      by: fc.constantFrom(1000, 5000, 30_000, 300_000, 4_000_000),
    }),
  },
)

/** Plays steps; `parks` says whether switches happen. Time is looked at after every step, as a server does. */
const play = (steps: readonly Step[], parks: boolean) => {
  let active = true
  let world = standing(initial(alice), { isTagActive: () => active })
  let now = after("0 s")
  let dialogs = 0
  const told: { readonly callId: string; readonly isAsked: boolean; readonly isParked: boolean }[] = []
  const ended = new Set<string>()
  const ask = (command: Command, asked: string | null): void => {
    const before = world.state
    const outcome = world.when(command, now)
    for (const one of outcome.sent) {
      const subscription = [...values(before.subscriptions)].find(({ no }) => no === one.no)
      const { callId } = one.dialog
      told.push({
        callId,
        isAsked: callId === asked,
        isParked: subscription?.parked === true && command._tag !== "SwitchSharingTag",
      })
      if (one.state === "terminated") ended.add(callId)
    }
    world = outcome.and()
  }
  const time = (): void => {
    for (let due = nextDeadline(world.state); due !== null && due <= now; due = nextDeadline(world.state)) {
      const { version } = world.state
      ask(fallDue, null)
      if (world.state.version === version) break
    }
  }
  for (const [index, step] of steps.entries()) {
    switch (step._tag) {
      case "Publish":
        ask(publish({ body: step.body === 0 ? open : busy, expires: 36_000 }), null)
        break
      case "Subscribe": {
        const start = dialogOf(dialogs++)
        const over = step.tagged ? { sharingTag: tag } : {}
        ask(subscribe({ watcher: bob, dialog: start, expires: step.expires, ...over }), start.callId)
        break
      }
      case "Again": {
        if (dialogs === 0) break
        const which = step.which % dialogs
        const { callId } = dialogOf(which)
        // a parked one that is overdue can be refreshed, one that has ended cannot
        if (ended.has(callId)) break
        ask(resubscribe(which, { expires: step.expires }), callId)
        break
      }
      case "Switch":
        if (parks && (step.role === "active") !== active) {
          active = step.role === "active"
          ask(switched(step.role, index + 2), null)
        }
        break
      case "Advance":
        now += step.by
        break
    }
    time()
  }
  if (!active) {
    active = true
    ask(switched("active", steps.length + 2), null)
  }
  now += 60_000
  time()
  return { state: world.state, told }
}

const standingOf = (state: State) =>
  [...values(state.subscriptions)]
    .map(({ dialog, status, shown, expiresAt }) => ({
      dialog: [...values(state.dialogs)].find(({ no }) => no === dialog)?.start.callId,
      status,
      shown,
      expiresAt,
    }))
    .sort((one, other) => (one.dialog! < other.dialog! ? -1 : 1))

describe("histories with a tag that comes and goes", () => {
  it(
    "while it is elsewhere nobody is told but who asks",
    { tags: ["OPS-cluster_sharing_tags", "CLU-5"] },
    () => {
      fc.assert(
        fc.property(fc.array(anyStep, { maxLength: 30, size: "max" }), (steps) => {
          for (const one of play(steps, true).told) assert.ok(!one.isParked || one.isAsked, one.callId)
        }),
        { numRuns: 1000 },
      )
    },
  )

  it(
    "when it is here again all is as if it had never been away",
    { tags: ["OPS-cluster_sharing_tags"] },
    () => {
      let compared = 0
      fc.assert(
        fc.property(fc.array(anyStep, { maxLength: 30, size: "max" }), (all) => {
          // a refresh that is too late where time ends things may be in time where it does not
          const steps = all.filter(({ _tag }) => _tag !== "Again")
          const stayed = standingOf(play(steps, false).state)
          assert.deepEqual(standingOf(play(steps, true).state), stayed)
          compared += stayed.length
        }),
        { numRuns: 1000 },
      )
      assert.ok(compared > 500, `${compared} subscriptions`)
    },
  )

  it(
    "when it is here again everybody has been shown what there is",
    { tags: ["OPS-cluster_sharing_tags"] },
    () => {
      let compared = 0
      fc.assert(
        fc.property(fc.array(anyStep, { maxLength: 30, size: "max" }), (steps) => {
          const shown = new Map(standingOf(play(steps, true).state).map((one) => [one.dialog, one.shown]))
          for (const one of standingOf(play(steps, false).state)) {
            assert.equal(shown.get(one.dialog), one.shown)
            compared += 1
          }
        }),
        { numRuns: 1000 },
      )
      assert.ok(compared > 500, `${compared} subscriptions`)
    },
  )
})
