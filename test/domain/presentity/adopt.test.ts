/**
 * What another server has and goes on here: under the same entity-tag, in the same dialog, counted from where it was.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type {
  AdoptPublication,
  AdoptSubscription,
  AdoptWatcher,
} from "../../../src/domain/presentity/adopt-commands.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { activeWatcherRow, presentityRow, watcherRow } from "../../../src/domain/projections/rows.ts"
import type { EntityTag } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import {
  after,
  alice,
  at,
  away,
  bob,
  busy,
  carol,
  dialogOf,
  fallDue,
  open,
  publish,
  published,
  resubscribe,
  subscribed,
} from "../../support/builders.ts"
import {
  given,
  nobodyWaits,
  publishedAs,
  standing,
  subscribedFor,
  tag,
  treatAs,
} from "../../support/given.ts"
import { ruledPackages } from "../../support/ruled.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { text } from "../../support/stub-package.ts"

const publication = (over: Partial<AdoptPublication> = {}): AdoptPublication => ({
  _tag: "AdoptPublication",
  packageName: "stub",
  entityTag: "a.1.2" as EntityTag,
  expiresAt: after("30 min"),
  receivedAt: at("09:00:00"),
  body: open,
  sender: null,
  ...over,
})

const subscription = (over: Partial<AdoptSubscription> = {}): AdoptSubscription => ({
  _tag: "AdoptSubscription",
  packageName: "stub",
  eventId: null,
  watcher: bob,
  status: "active",
  polite: false,
  expiresAt: after("20 min"),
  dialog: dialogOf(1),
  takenOver: { localCseq: 7, notified: 5, createdAt: at("08:00:00") },
  ...over,
})

const waiting: AdoptWatcher = {
  _tag: "AdoptWatcher",
  packageName: "stub",
  watcher: bob,
  createdAt: at("08:00:00"),
}

const now = at("10:00:00")
const nothing = standing(initial(alice))

describe("a publication taken over", () => {
  it(
    "keeps entity-tag, lifetime and time of receipt, and nobody is told",
    { tags: ["OPS-import", "TBL-1"] },
    () => {
      const { state } = nothing
        .when(publication(), now)
        .answers(nobodyWaits)
        .gives({
          _tag: "PublicationCreated",
          packageName: "stub",
          entityTag: "a.1.2" as EntityTag,
          expiresAt: after("30 min"),
          body: open,
          sender: null,
          receivedAt: at("09:00:00"),
        })
      deepStrictEqual(presentityRow(state, "stub", "a.1.2")?.received_time, at("09:00:00") / 1000)
      standing(state)
        .when(publish({ ifMatch: "a.1.2", expires: 60 }), after("1 min"))
        .answers(publishedAs(tag(2), 60))
    },
  )

  it("is there once, however often it is taken over", { tags: ["OPS-import"] }, () => {
    given(published("a.1.2", busy)).when(publication(), after("1 s")).answers(nobodyWaits).gives()
  })

  it("is refused when it is over, unreadable, or one too many", { tags: ["OPS-import"] }, () => {
    nothing.when(publication({ expiresAt: now }), now).refused(400)
    nothing.when(publication({ body: text("!a") }), now).refused(400)
    nothing.when(publication({ body: { contentType: "image/png", text: "a" } }), now).refused(415)
    nothing.when(publication({ body: null }), now).refused(400)
    nothing.when(publication({ packageName: "nonesuch" }), now).refused(489)
    given(published("tag-1", open))
      .and({ limits: { publicationsMax: 1 } })
      .when(publication(), now)
      .refused(503)
  })

  it("watchers that are here already are told of it", { tags: ["OPS-import"] }, () => {
    given(subscribed(1, bob, "nothing"))
      .when(publication(), after("30 s"))
      .sends("1/2 active;expires=3570 open")
  })
})

describe("a subscription taken over", () => {
  it("goes on with the next CSeq and the next version in its dialog", { tags: ["OPS-import", "L05"] }, () => {
    const moved = nothing.when(publication(), now).and().when(subscription(), now).sends()
    const row = activeWatcherRow(moved.state, 2)
    deepStrictEqual([row?.local_cseq, row?.version, row?.callid], [7, 5, "call-1"])
    deepStrictEqual(watcherRow(moved.state, "stub", bob)?.inserted_time, at("08:00:00") / 1000)
    moved
      .and()
      .when(publish({ ifMatch: "a.1.2", body: away }), after("1 min"))
      .sends("2/8 active;expires=1140 away")
    moved
      .and()
      .when(resubscribe(1, { expires: 600 }), after("1 min"))
      .answers(subscribedFor(600))
      .sends("2/8 active;expires=600 open")
    moved
      .and()
      .when(resubscribe(1, { cseq: 1 }), after("1 min"))
      .refused(500)
    moved.and().when(fallDue, after("20 min")).sends("2/8 terminated;reason=timeout open")
  })

  it("events and snapshots keep what the other server has done", { tags: ["OPS-import"] }, () => {
    const { state, events } = nothing.when(subscription(), now)
    deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify(events))), events)
    deepStrictEqual(freeze(thaw(JSON.parse(JSON.stringify(freeze(state))))), freeze(state))
  })

  it("is there once; a further row of its dialog joins it", { tags: ["OPS-import"] }, () => {
    const first = nothing.when(subscription(), now)
    first
      .and()
      .when(subscription({ expiresAt: after("1 h") }), now)
      .gives()
    const joined = first
      .and()
      .when(
        subscription({ packageName: "stub-all", takenOver: { localCseq: 7, notified: 2, createdAt: now } }),
        now,
      )
    const rows = [1, 2].map((no) => activeWatcherRow(joined.state, no))
    deepStrictEqual(
      rows.map((row) => [row?.event, row?.callid, row?.local_cseq, row?.version]),
      [
        ["stub", "call-1", 7, 5],
        ["stub-all", "call-1", 7, 2],
      ],
    )
    first
      .and()
      .when(subscription({ packageName: "stub-all", watcher: carol }), now)
      .refused(403)
  })

  it(
    "the other server's decision stands where nobody asks rules, and rules in force here overrule it",
    { tags: ["OPS-import", "AUT-7"] },
    () => {
      const pending = nothing.when(subscription({ status: "pending" }), now)
      deepStrictEqual(activeWatcherRow(pending.state, 1)?.status, 2)
      const polite = nothing.when(subscription({ polite: true }), now)
      deepStrictEqual(activeWatcherRow(polite.state, 1)?.reason, "polite-block")
      const ruled = { packages: ruledPackages, authorize: () => null }
      const rules = (handling: "allow" | "block" | "confirm") =>
        standing(initial(alice), ruled).when(
          {
            _tag: "ReplaceRules",
            packageName: "presence",
            rules: { contentType: "application/auth-policy+xml", text: ruleset(ruleFor(bob, handling)) },
          },
          now,
        )
      const presence = subscription({ packageName: "presence" })
      rules("block").and().when(presence, now).refused(403)
      deepStrictEqual(activeWatcherRow(rules("confirm").and().when(presence, now).state, 2)?.status, 2)
      const allowed = rules("allow")
        .and()
        .when({ ...presence, status: "pending" }, now)
      deepStrictEqual(activeWatcherRow(allowed.state, 2)?.status, 1)
    },
  )

  it(
    "is refused when it is over, not known, or one too many, or may not be",
    { tags: ["OPS-import"] },
    () => {
      nothing.when(subscription({ expiresAt: now }), now).refused(400)
      nothing.when(subscription({ packageName: "nonesuch" }), now).refused(489)
      nothing
        .and({ limits: { subscriptionsMax: 0 } })
        .when(subscription(), now)
        .refused(503)
      nothing
        .and({ authorize: treatAs("block") })
        .when(subscription(), now)
        .refused(403)
    },
  )
})

describe("a watcher that waits, taken over", () => {
  it("waits here, and is given up like any other", { tags: ["OPS-import", "3857-4.7.1"] }, () => {
    const moved = nothing.when(waiting, now).gives({
      _tag: "WatcherRemembered",
      no: 1,
      packageName: "stub",
      watcher: bob,
      createdAt: at("08:00:00"),
      giveUpAt: after("3 d"),
    })
    deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify(moved.events))), moved.events)
    deepStrictEqual(watcherRow(moved.state, "stub", bob), {
      presentity_uri: alice,
      watcher_username: "bob",
      watcher_domain: "example.com",
      event: "stub",
      status: 2,
      reason: "",
      inserted_time: at("08:00:00") / 1000,
    })
    moved.and().when(waiting, now).gives()
    moved.and().when(fallDue, after("3 d")).gives({ _tag: "WaitingEnded", no: 1, event: "giveup" })
  })

  it(
    "is not remembered beside its subscription, and not when it may not watch",
    { tags: ["OPS-import"] },
    () => {
      given(subscribed(1)).when(waiting, now).gives()
      nothing
        .and({ authorize: treatAs("block") })
        .when(waiting, now)
        .refused(403)
      nothing.when({ ...waiting, packageName: "nonesuch" }, now).refused(489)
    },
  )
})
