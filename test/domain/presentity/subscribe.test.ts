/**
 * SUBSCRIBE: creating, refreshing, ending and fetching, and everything that is refused, in its order.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Rejection } from "../../../src/domain/presentity/commands.ts"
import type { Authorize, Limits } from "../../../src/domain/presentity/context.ts"
import { size } from "../../../src/domain/table.ts"
import {
  after,
  alice,
  answeredWith,
  at,
  busy,
  carol,
  dialogOf,
  open,
  publish,
  published,
  resubscribe,
  subscribe,
  subscribed,
  subscriptionCreated,
  terminated,
} from "../../support/builders.ts"
import { given, subscribedFor, treatAs } from "../../support/given.ts"
import { packages, stub } from "../../support/stub-package.ts"

const strict: Limits["profile"] = "6665"
const forbidden: Rejection = { _tag: "Forbidden", status: 403, why: "not authorized to watch" }

describe("a SUBSCRIBE outside a dialog", () => {
  it(
    "begins a subscription and is answered with the present state",
    { tags: ["3265-3.1.6.2-a", "T1"] },
    () => {
      given(published("tag-1", open))
        .when(subscribe({ expires: 600, dialog: dialogOf(7), eventId: "x" }), at("10:00:30"))
        .gives(
          subscriptionCreated(2, { expiresAt: at("10:10:30"), start: dialogOf(7), eventId: "x" }),
          answeredWith(2, open),
        )
        .answers(subscribedFor(600))
        .sends("2/1 active;expires=600 open")
    },
  )

  it(
    "with nothing published the NOTIFY has no body, or shows absence where the package does",
    { tags: ["3265-3.1.6.2-c"] },
    () => {
      given()
        .when(subscribe(), at("10:00:00"))
        .gives(subscriptionCreated(1, { expiresAt: at("11:00:00") }), answeredWith(1, "nothing"))
        .sends("1/1 active;expires=3600 (no body)")
      given()
        .and({ packages: makeRegistry([stub({ showsAbsence: true })]) })
        .when(subscribe(), at("10:00:00"))
        .sends("1/1 active;expires=3600 offline")
    },
  )

  it(
    "is granted what it asks, its package's default, or the maximum when that is less",
    { tags: ["3265-3.1.1-b", "3265-3.1.1-d"] },
    () => {
      const short = given().and({ limits: { maxExpiresSubscribe: 1800 } })
      for (const [expires, granted] of [
        [null, 1800],
        [1799, 1799],
        [1801, 1800],
        [4294967295, 1800],
        [1, 1],
      ] as const) {
        short.when(subscribe({ expires }), at("10:00:00")).answers(subscribedFor(granted))
      }
    },
  )

  it("lives that much longer than anybody is told", { tags: ["OPS-expires_offset"] }, () => {
    given()
      .and({ limits: { expiresOffset: 30 } })
      .when(subscribe({ expires: 60 }), at("10:00:00"))
      .gives(subscriptionCreated(1, { expiresAt: after("90 s") }), answeredWith(1, "nothing"))
      .answers(subscribedFor(60))
      .sends("1/1 active;expires=60 (no body)")
  })

  it(
    "with Expires 0 is a fetch: one NOTIFY with the state, and nothing is left",
    { tags: ["3265-3.3.6-a", "T5"] },
    () => {
      const outcome = given(published("tag-1", open))
        .when(subscribe({ expires: 0 }), at("10:00:30"))
        .gives(
          subscriptionCreated(2, { expiresAt: at("10:00:30"), start: dialogOf(1) }),
          terminated(2, "timeout"),
        )
        .answers(subscribedFor(0))
        .sends("2/1 terminated;reason=timeout open")
      deepStrictEqual([size(outcome.state.subscriptions), size(outcome.state.dialogs)], [0, 0])
    },
  )

  it("a fetch by someone undecided on shows nothing", { tags: ["3857-4.7.1-g", "T6"] }, () => {
    given(published("tag-1", open))
      .and({ authorize: treatAs("confirm") })
      .when(subscribe({ expires: 0 }), at("10:00:30"))
      .answers(subscribedFor(0, 202))
      .sends("2/1 terminated;reason=timeout (no body)")
  })

  it(
    "is answered 202 and shown nothing while the decision is open; in profile 6665 200",
    { tags: ["3265-3.1.6.1-d", "T3"] },
    () => {
      const open202 = given(published("tag-1", open)).and({ authorize: treatAs("confirm") })
      open202
        .when(subscribe(), at("10:00:00"))
        .gives(subscriptionCreated(2, { status: "pending", start: dialogOf(1) }), answeredWith(2, "hidden"))
        .answers(subscribedFor(3600, 202))
        .sends("2/1 pending;expires=3600 (no body)")
      open202
        .and({ authorize: treatAs("confirm"), limits: { profile: strict } })
        .when(subscribe(), at("10:00:00"))
        .answers(subscribedFor(3600, 200))
    },
  )

  it(
    "of a blocked watcher is refused with 403 and leaves nothing",
    { tags: ["3265-3.1.6.3-b", "T4"] },
    () => {
      const blocked = given().and({ authorize: treatAs("block") })
      for (const expires of [null, 0, 60]) {
        blocked.when(subscribe({ expires }), at("10:00:30")).refused(forbidden).sends()
      }
    },
  )

  it(
    "of a politely blocked watcher shows what nobody published would show",
    { tags: ["5025-3.2.1-e", "T2"] },
    () => {
      const polite = { authorize: treatAs("polite-block") }
      const seen = given(published("tag-1", open)).and(polite).when(subscribe(), at("10:00:00"))
      seen.answers(subscribedFor(3600)).sends("2/1 active;expires=3600 (no body)")
      // and nothing of what happens later
      seen
        .and()
        .when(publish({ body: busy }), at("10:10:00"))
        .sends()
      const shows = { packages: makeRegistry([stub({ showsAbsence: true })]) }
      given(published("tag-1", open))
        .and({ ...polite, ...shows })
        .when(subscribe(), at("10:00:00"))
        .sends("2/1 active;expires=3600 offline")
    },
  )

  it("forced active does not ask the rules", { tags: ["OPS-handle_subscribe"] }, () => {
    given()
      .and({ authorize: treatAs("block") })
      .when(subscribe({ forceActive: true }), at("10:00:00"))
      .answers(subscribedFor(3600))
  })

  it("the rules are asked about this watcher, package and instant", { tags: ["3265-3.1.6.4-a"] }, () => {
    const asked: unknown[] = []
    const authorize: Authorize = (question) => {
      asked.push(question)
      return "allow"
    }
    given()
      .and({ authorize })
      .when(subscribe({ watcher: carol }), at("10:00:30"))
    deepStrictEqual(asked, [{ presentity: alice, packageName: "stub", watcher: carol, now: at("10:00:30") }])
  })
})

describe("a SUBSCRIBE that cannot be taken", () => {
  it(
    "of no or of an unknown package gets 489 with Allow-Events",
    { tags: ["3265-3.1.6.1-b", "3265-3.3.8-a", "3265-7.2-a"] },
    () => {
      const badEvent: Rejection = { _tag: "BadEvent", status: 489, allowEvents: packages.allowEvents }
      for (const packageName of [null, "nonesuch", "STUB"]) {
        given().when(subscribe({ packageName }), at("10:00:30")).refused(badEvent)
        given(subscribed(1)).when(resubscribe(1, { packageName }), at("10:00:30")).refused(badEvent)
      }
    },
  )

  it("with a body that cannot be taken gets 415", { tags: ["3856-6.3-a"] }, () => {
    const bodyFault: Rejection = { _tag: "UnsupportedMediaType", status: 415, accept: [] }
    given().when(subscribe({ bodyFault }), at("10:00:30")).refused(bodyFault)
    given(subscribed(1)).when(resubscribe(1, { bodyFault }), at("10:00:30")).refused(bodyFault)
  })

  it("that accepts nothing we can produce gets 406 with what we can", { tags: ["6665-4.1.2.1-a"] }, () => {
    for (const accept of [[], ["text/html"], ["application/*"]]) {
      given()
        .when(subscribe({ accept }), at("10:00:30"))
        .refused({ _tag: "NotAcceptable", status: 406, accept: ["text/plain"] })
    }
    for (const accept of [["text/plain"], ["text/*"], ["*/*"], ["text/html", "text/plain"]]) {
      given().when(subscribe({ accept }), at("10:00:30")).answers(subscribedFor(3600))
    }
  })

  it(
    "shorter than the minimum gets 423 with Min-Expires, but never 0, nor an hour or more",
    { tags: ["3265-3.1.6.1-c"] },
    () => {
      const minimum = (minExpiresSubscribe: number) =>
        given().and({ limits: { minExpiresSubscribe, maxExpiresSubscribe: 9000 } })
      for (const expires of [1, 59]) {
        minimum(60)
          .when(subscribe({ expires }), at("10:00:30"))
          .refused({ _tag: "IntervalTooBrief", status: 423, minExpires: 60 })
      }
      for (const expires of [0, 60, 61]) {
        minimum(60).when(subscribe({ expires }), at("10:00:30")).answers(subscribedFor(expires))
      }
      minimum(7200)
        .when(subscribe({ expires: 3600 }), at("10:00:30"))
        .answers(subscribedFor(3600))
      minimum(7200)
        .when(subscribe({ expires: 3599 }), at("10:00:30"))
        .refused(423)
    },
  )

  it(
    "is put off with 503 when the presentity has too many watchers; a fetch or a refresh is not",
    { tags: ["3856-9.6-a"] },
    () => {
      const full = given(subscribed(1), subscribed(2, carol)).and({
        limits: { subscriptionsMax: 2, retryAfter: 9 },
      })
      const unavailable: Rejection = {
        _tag: "ServiceUnavailable",
        status: 503,
        why: "too many watchers for this presentity",
        retryAfter: 9,
      }
      full.when(subscribe({ dialog: dialogOf(3) }), at("10:00:30")).refused(unavailable)
      full.when(resubscribe(1, { eventId: "more" }), at("10:00:30")).refused(unavailable)
      full.when(subscribe({ dialog: dialogOf(3), expires: 0 }), at("10:00:30")).answers(subscribedFor(0))
      full.when(resubscribe(1), at("10:00:30")).answers(subscribedFor(3600))
    },
  )

  it(
    "is answered for the first fault in the order 481, 500, 489, 415, 406, 423, 403",
    { tags: ["L18"] },
    () => {
      const bodyFault: Rejection = { _tag: "UnsupportedMediaType", status: 415, accept: [] }
      const world = given(subscribed(1)).and({
        authorize: treatAs("block"),
        limits: { minExpiresSubscribe: 60 },
      })
      const faults = { packageName: "nonesuch", bodyFault, accept: ["text/html"], expires: 1 } as const
      const known = { ...faults, packageName: "stub" } as const
      const plain = { ...known, bodyFault: null } as const
      const wide = { ...plain, accept: null } as const
      for (const [over, status] of [
        [faults, 489],
        [known, 415],
        [plain, 406],
        [wide, 423],
      ] as const) {
        world.when(subscribe(over), at("10:00:30")).refused(status)
        world.when(resubscribe(2, { ...over, cseq: 1 }), at("10:00:30")).refused(481)
        world.when(resubscribe(1, { ...over, cseq: 1 }), at("10:00:30")).refused(500)
        world.when(resubscribe(1, over), at("10:00:30")).refused(status)
      }
      world.when(subscribe({ ...wide, expires: 60 }), at("10:00:30")).refused(403)
      world
        .when(resubscribe(1, { ...wide, expires: 60 }), at("10:00:30"))
        .gives(terminated(1, "rejected"))
        .answersRefusal(403)
    },
  )
})
