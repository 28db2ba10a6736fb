/**
 * SUBSCRIBE: creating, refreshing, ending and fetching, and everything that is refused, in its order.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Rejection } from "../../../src/domain/presentity/commands.ts"
import type { Authorize, Limits } from "../../../src/domain/presentity/context.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  after,
  alice,
  answeredWith,
  at,
  bob,
  busy,
  carol,
  deferred,
  dialogOf,
  given,
  happened,
  notified,
  open,
  published,
  publish,
  resubscribe,
  retargeted,
  statusChanged,
  subscribe,
  subscribed,
  subscribedFor,
  subscriptionCreated,
  subscriptionRefreshed,
  terminated,
  treatAs,
} from "../../support/builders.ts"
import { packages, stub } from "../../support/stub-package.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"

const strict: Limits["profile"] = "6665"
const forbidden: Rejection = { _tag: "Forbidden", status: 403, why: "not authorized to watch" }

describe("a SUBSCRIBE outside a dialog", () => {
  it("3265-3.1.6.2-a / T1: begins a subscription and is answered with the present state", () => {
    given(published("tag-1", open))
      .when(subscribe({ expires: 600, dialog: dialogOf(7), eventId: "x" }), at("10:00:30"))
      .then(
        subscriptionCreated(2, { expiresAt: at("10:10:30"), start: dialogOf(7), eventId: "x" }),
        answeredWith(2, open),
      )
      .answers(subscribedFor(600))
      .sends("2/1 active;expires=600 open")
  })

  it("3265-3.1.6.2-c: with nothing published the NOTIFY has no body, or shows absence where the package does", () => {
    given()
      .when(subscribe(), at("10:00:00"))
      .then(subscriptionCreated(1, { expiresAt: at("11:00:00") }), answeredWith(1, "nothing"))
      .sends("1/1 active;expires=3600 (no body)")
    given()
      .and({ packages: makeRegistry([stub({ showsAbsence: true })]) })
      .when(subscribe(), at("10:00:00"))
      .sends("1/1 active;expires=3600 offline")
  })

  it("3265-3.1.1-b, -d: is granted what it asks, its package's default, or the maximum when that is less", () => {
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
  })

  it("OPS-expires_offset: lives that much longer than anybody is told", () => {
    given()
      .and({ limits: { expiresOffset: 30 } })
      .when(subscribe({ expires: 60 }), at("10:00:00"))
      .then(subscriptionCreated(1, { expiresAt: after("90 s") }), answeredWith(1, "nothing"))
      .answers(subscribedFor(60))
      .sends("1/1 active;expires=60 (no body)")
  })

  it("3265-3.3.6-a / T5: with Expires 0 is a fetch: one NOTIFY with the state, and nothing is left", () => {
    const outcome = given(published("tag-1", open))
      .when(subscribe({ expires: 0 }), at("10:00:30"))
      .then(subscriptionCreated(2, { expiresAt: at("10:00:30"), start: dialogOf(1) }), terminated(2, "timeout"))
      .answers(subscribedFor(0))
      .sends("2/1 terminated;reason=timeout open")
    deepStrictEqual([[...outcome.state.subscriptions], [...outcome.state.dialogs]], [[], []])
  })

  it("3857-4.7.1-g / T6: a fetch by someone undecided on shows nothing", () => {
    given(published("tag-1", open))
      .and({ authorize: treatAs("confirm") })
      .when(subscribe({ expires: 0 }), at("10:00:30"))
      .answers(subscribedFor(0, 202))
      .sends("2/1 terminated;reason=timeout (no body)")
  })

  it("3265-3.1.6.1-d / T3: is answered 202 and shown nothing while the decision is open; in profile 6665 200", () => {
    const open202 = given(published("tag-1", open)).and({ authorize: treatAs("confirm") })
    open202
      .when(subscribe(), at("10:00:00"))
      .then(
        subscriptionCreated(2, { status: "pending", start: dialogOf(1) }),
        answeredWith(2, "nothing"),
      )
      .answers(subscribedFor(3600, 202))
      .sends("2/1 pending;expires=3600 (no body)")
    open202
      .and({ authorize: treatAs("confirm"), limits: { profile: strict } })
      .when(subscribe(), at("10:00:00"))
      .answers(subscribedFor(3600, 200))
  })

  it("3265-3.1.6.3-b / T4: of a blocked watcher is refused with 403 and leaves nothing", () => {
    const blocked = given().and({ authorize: treatAs("block") })
    for (const expires of [null, 0, 60]) {
      blocked.when(subscribe({ expires }), at("10:00:30")).refused(forbidden).sends()
    }
  })

  it("5025-3.2.1-e / T2: of a politely blocked watcher shows what nobody published would show", () => {
    const polite = { authorize: treatAs("polite-block") }
    const seen = given(published("tag-1", open)).and(polite).when(subscribe(), at("10:00:00"))
    seen.answers(subscribedFor(3600)).sends("2/1 active;expires=3600 (no body)")
    // and nothing of what happens later
    seen.and().when(publish({ body: busy }), at("10:10:00")).sends()
    const shows = { packages: makeRegistry([stub({ showsAbsence: true })]) }
    given(published("tag-1", open))
      .and({ ...polite, ...shows })
      .when(subscribe(), at("10:00:00"))
      .sends("2/1 active;expires=3600 offline")
  })

  it("OPS-handle_subscribe: forced active does not ask the rules", () => {
    given()
      .and({ authorize: treatAs("block") })
      .when(subscribe({ forceActive: true }), at("10:00:00"))
      .answers(subscribedFor(3600))
  })

  it("3265-3.1.6.4-a: the rules are asked about this watcher, package and instant", () => {
    const asked: unknown[] = []
    const authorize: Authorize = (question) => {
      asked.push(question)
      return "allow"
    }
    given().and({ authorize }).when(subscribe({ watcher: carol }), at("10:00:30"))
    deepStrictEqual(asked, [{ presentity: alice, packageName: "stub", watcher: carol, now: at("10:00:30") }])
  })
})

describe("a SUBSCRIBE that cannot be taken", () => {
  it("3265-3.1.6.1-b, 3265-3.3.8-a, 3265-7.2-a: of no or of an unknown package gets 489 with Allow-Events", () => {
    const badEvent: Rejection = { _tag: "BadEvent", status: 489, allowEvents: packages.allowEvents }
    for (const packageName of [null, "nonesuch", "STUB"]) {
      given().when(subscribe({ packageName }), at("10:00:30")).refused(badEvent)
      given(subscribed(1)).when(resubscribe(1, { packageName }), at("10:00:30")).refused(badEvent)
    }
  })

  it("3856-6.3-a: with a body that cannot be taken gets 415", () => {
    const bodyFault: Rejection = { _tag: "UnsupportedMediaType", status: 415, accept: [] }
    given().when(subscribe({ bodyFault }), at("10:00:30")).refused(bodyFault)
    given(subscribed(1)).when(resubscribe(1, { bodyFault }), at("10:00:30")).refused(bodyFault)
  })

  it("6665-4.1.2.1-a: that accepts nothing we can produce gets 406 with what we can", () => {
    for (const accept of [[], ["text/html"], ["application/*"]]) {
      given()
        .when(subscribe({ accept }), at("10:00:30"))
        .refused({ _tag: "NotAcceptable", status: 406, accept: ["text/plain"] })
    }
    for (const accept of [["text/plain"], ["text/*"], ["*/*"], ["text/html", "text/plain"]]) {
      given().when(subscribe({ accept }), at("10:00:30")).answers(subscribedFor(3600))
    }
  })

  it("3265-3.1.6.1-c: shorter than the minimum gets 423 with Min-Expires, but never 0, nor an hour or more", () => {
    const minimum = (minExpiresSubscribe: number) => given().and({ limits: { minExpiresSubscribe, maxExpiresSubscribe: 9000 } })
    for (const expires of [1, 59]) {
      minimum(60)
        .when(subscribe({ expires }), at("10:00:30"))
        .refused({ _tag: "IntervalTooBrief", status: 423, minExpires: 60 })
    }
    for (const expires of [0, 60, 61]) {
      minimum(60).when(subscribe({ expires }), at("10:00:30")).answers(subscribedFor(expires))
    }
    minimum(7200).when(subscribe({ expires: 3600 }), at("10:00:30")).answers(subscribedFor(3600))
    minimum(7200).when(subscribe({ expires: 3599 }), at("10:00:30")).refused(423)
  })

  it("3856-9.6-a: is put off with 503 when the presentity has too many watchers; a fetch or a refresh is not", () => {
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
  })

  it("L18: is answered for the first fault in the order 481, 500, 489, 415, 406, 423, 403", () => {
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
      .then(terminated(1, "rejected"))
      .answersRefusal(403)
  })
})

describe("a SUBSCRIBE inside a dialog", () => {
  const one = given(published("tag-1", open), subscribed(2, bob, open))

  it("3265-3.1.4.2-a / T14: refreshes, and is answered with the present state though nothing changed", () => {
    one
      .when(resubscribe(2, { cseq: 5, expires: 600 }), at("10:30:00"))
      .then(subscriptionRefreshed(2, 5, at("10:40:00")), answeredWith(2, open))
      .answers(subscribedFor(600))
      .sends("2/2 active;expires=600 open")
  })

  it("6665-3.2-a: takes the Contact for the remote target from now on", () => {
    const moved = "sip:bob@192.0.2.77"
    const outcome = one
      .when(resubscribe(2, { expires: 600, remoteTarget: moved }), at("10:00:00"))
      .then(subscriptionRefreshed(2, 2, at("10:10:00"), moved), answeredWith(2, open))
    deepStrictEqual(outcome.sent[0]?.dialog, dialogOf(2, { remoteTarget: moved }))
    // the same once more is no change
    outcome
      .and()
      .when(resubscribe(2, { cseq: 3, expires: 600, remoteTarget: moved }), at("10:00:00"))
      .then(subscriptionRefreshed(2, 3, at("10:10:00")), answeredWith(2, open))
  })

  it("3265-3.1.4.3-a / T15: with Expires 0 ends it, with one last NOTIFY of the state", () => {
    const outcome = one
      .when(resubscribe(2, { expires: 0 }), at("10:30:00"))
      .then(terminated(2, "timeout"))
      .answers(subscribedFor(0))
      .sends("2/2 terminated;reason=timeout open")
    outcome
      .and()
      .when(resubscribe(2, { cseq: 9 }), at("10:30:01"))
      .refused({ _tag: "CallDoesNotExist", status: 481 })
  })

  it("6665-3.2-a: the last NOTIFY goes to the Contact of the SUBSCRIBE that ends it", () => {
    const moved = "sip:bob@192.0.2.77"
    const outcome = one
      .when(resubscribe(2, { expires: 0, remoteTarget: moved }), at("10:30:00"))
      .then(subscriptionRefreshed(2, 2, at("10:30:00"), moved), terminated(2, "timeout"))
    deepStrictEqual(outcome.sent[0]?.dialog.remoteTarget, moved)
  })

  it("3265-3.1.4.2-c / T27: in an unknown dialog gets 481; nothing to end gets 481 as well", () => {
    const gone: Rejection = { _tag: "CallDoesNotExist", status: 481 }
    one.when(resubscribe(3), at("10:00:30")).refused(gone)
    one.when(resubscribe(2, { eventId: "x", expires: 0 }), at("10:00:30")).refused(gone)
  })

  it("3261-12.2.2-b: with a CSeq that does not grow gets 500 and changes nothing", () => {
    for (const cseq of [1, 0]) {
      one
        .when(resubscribe(2, { cseq, remoteTarget: "sip:elsewhere@x" }), at("10:00:30"))
        .refused({ _tag: "OutOfOrder", status: 500 })
    }
  })

  it("3265-5.3-a: from somebody who is not the dialog's watcher gets 403", () => {
    one.when(resubscribe(2, { watcher: carol }), at("10:00:30")).refused(forbidden)
  })

  it("3856-6.8-a: is told that nothing is left when what it knew has gone meanwhile", () => {
    const held = one
      .when(publish({ ifMatch: "tag-1", body: busy }), at("10:00:10"))
      .and()
      .when(publish({ ifMatch: "n.3", expires: 0 }), at("10:00:11"))
    held.and().when(resubscribe(2), at("10:00:12")).sends("2/3 active;expires=3600 offline")
    // once it knows, nothing is said
    held
      .and()
      .when(resubscribe(2), at("10:00:12"))
      .and()
      .when(resubscribe(2, { cseq: 3 }), at("10:00:13"))
      .sends("2/4 active;expires=3600 (no body)")
    // unless the NOTIFY that said so may be lost
    held
      .and()
      .when(resubscribe(2), at("10:00:12"))
      .and({ inFlight: [2] })
      .when(resubscribe(2, { cseq: 3 }), at("10:00:13"))
      .then(subscriptionRefreshed(2, 3, at("11:00:13")), deferred([2], null, true), answeredWith(2, "nothing"))
      .sends("2/4 active;expires=3600 offline")
  })
})

describe("rules asked again at a refresh", () => {
  const active = given(published("tag-1", open), subscribed(2, bob, open))
  const pending = given(published("tag-1", open), subscribed(2, bob, "nothing", { status: "pending" }))
  const refresh = resubscribe(2, { expires: 600 })
  const refreshed = subscriptionRefreshed(2, 2, at("10:10:00"))

  it("3265-3.1.6.4-a / T16: allow → block ends it with rejected, without body, and refuses the refresh", () => {
    for (const from of [active, pending]) {
      from
        .and({ authorize: treatAs("block") })
        .when(refresh, at("10:00:00"))
        .then(terminated(2, "rejected"))
        .answersRefusal(forbidden)
        .sends("2/2 terminated;reason=rejected (no body)")
    }
  })

  it("3856-6.7-c / T7, T10: confirm → allow shows the state", () => {
    pending
      .when(refresh, at("10:00:00"))
      .then(statusChanged(2, "active"), refreshed, answeredWith(2, open))
      .answers(subscribedFor(600))
      .sends("2/2 active;expires=600 open")
  })

  it("T9: still undecided is answered 202 again, and shown nothing", () => {
    pending
      .and({ authorize: treatAs("confirm") })
      .when(refresh, at("10:00:00"))
      .then(refreshed, answeredWith(2, "nothing"))
      .answers(subscribedFor(600, 202))
      .sends("2/2 pending;expires=600 (no body)")
  })

  it("5025-3.2.1 / T17: allow → confirm shows nothing any more", () => {
    active
      .and({ authorize: treatAs("confirm") })
      .when(refresh, at("10:00:00"))
      .then(statusChanged(2, "pending"), refreshed, answeredWith(2, "nothing"))
      .sends("2/2 pending;expires=600 (no body)")
  })

  it("5025-3.2.1-e / T18: allow → polite-block looks like going offline, and back like coming online", () => {
    const outcome = active
      .and({ authorize: treatAs("polite-block") })
      .when(refresh, at("10:00:00"))
      .then(statusChanged(2, "active", true), refreshed, answeredWith(2, "nothing"))
      .answers(subscribedFor(600))
      .sends("2/2 active;expires=600 offline")
    outcome
      .and({ authorize: treatAs("allow") })
      .when(resubscribe(2, { cseq: 3, expires: 600 }), at("10:00:00"))
      .then(statusChanged(2, "active"), subscriptionRefreshed(2, 3, at("10:10:00")), answeredWith(2, open))
      .sends("2/3 active;expires=600 open")
  })

  it("T11: an unsubscribe is asked about as well", () => {
    active
      .and({ authorize: treatAs("confirm") })
      .when(resubscribe(2, { expires: 0 }), at("10:00:00"))
      .then(statusChanged(2, "pending"), terminated(2, "timeout"))
      .answers(subscribedFor(0, 202))
      .sends("2/2 terminated;reason=timeout (no body)")
  })
})

describe("several subscriptions in one dialog", () => {
  const shared = given(
    published("tag-1", open),
    subscribed(2, bob, open),
    happened(
      at("10:00:00"),
      subscriptionCreated(3, { dialog: 2, start: null, eventId: "A", remoteCseq: 2 }),
      answeredWith(3, open),
    ),
  )

  it("3265-3.1.4.2-b: an Event that matches none asks for a new one; ids are compared byte by byte", () => {
    for (const [eventId, packageName] of [
      ["a", "stub"],
      ["", "stub"],
      ["A", "stub-all"],
      [null, "stub-all"],
    ] as const) {
      shared
        .when(resubscribe(2, { eventId, packageName, cseq: 3 }), at("10:00:00"))
        .then(
          subscriptionCreated(4, { dialog: 2, start: null, eventId, packageName, remoteCseq: 3 }),
          answeredWith(4, packageName === "stub" ? open : "nothing", { packageName }),
        )
        .answers(subscribedFor(3600))
    }
  })

  it("L12, L15: they count one CSeq and refresh and end one by one", () => {
    const refreshed = shared
      .when(resubscribe(2, { eventId: "A", cseq: 3, expires: 60 }), at("10:00:00"))
      .then(subscriptionRefreshed(3, 3, after("60 s")), answeredWith(3, open))
      .sends("3/3 active;expires=60 open")
    refreshed
      .and({ limits: { notifyIntervalMillis: 0 } })
      .when(publish({ ifMatch: "tag-1", body: busy }), at("10:00:01"))
      .sends("2/4 active;expires=3599 busy", "3/5 active;expires=59 busy")
    refreshed
      .and()
      .when(resubscribe(2, { cseq: 4, expires: 0 }), at("10:00:01"))
      .then(subscriptionRefreshed(2, 4, at("10:00:01")), terminated(2, "timeout"))
      .sends("2/4 terminated;reason=timeout open")
      .and()
      .when(resubscribe(2, { eventId: "A", cseq: 4 }), at("10:00:02"))
      .refused(500)
  })

  it("6665-3.2-a: a further one moves the target of all", () => {
    shared
      .when(resubscribe(2, { eventId: "B", cseq: 3, remoteTarget: "sip:new@x" }), at("10:00:00"))
      .then(
        retargeted(2, "sip:new@x"),
        subscriptionCreated(4, { dialog: 2, start: null, eventId: "B", remoteCseq: 3 }),
        answeredWith(4, open),
      )
  })

  it("6665-4.5.2-a: profile 6665 does not begin a further one", () => {
    shared
      .and({ limits: { profile: strict } })
      .when(resubscribe(2, { eventId: "B", cseq: 3 }), at("10:00:00"))
      .refused({ _tag: "Forbidden", status: 403, why: "sharing a dialog is not supported" })
  })

  it("3265-3.1.6.3-b: a further one of a blocked watcher is refused and leaves the others", () => {
    const outcome = shared
      .and({ authorize: ({ packageName }) => (packageName === "stub" ? "allow" : "block") })
      .when(resubscribe(2, { packageName: "stub-all", cseq: 3, remoteTarget: "sip:new@x" }), at("10:00:00"))
      .refused(forbidden)
    outcome.and({ authorize: treatAs("allow") }).when(publish({ body: busy }), at("10:10:00")).then(
      {
        _tag: "PublicationCreated",
        packageName: "stub",
        entityTag: "n.4" as never,
        expiresAt: at("11:10:00"),
        body: busy,
        sender: null,
      },
      notified("active", busy),
    )
  })

  it("L15: the same watcher may have several dialogs", () => {
    given(subscribed(1), subscribed(2))
      .when(resubscribe(2, { expires: 0 }), at("10:00:30"))
      .then(terminated(2, "timeout"))
      .and()
      .when(resubscribe(1, { watcher: bob as Uri }), at("10:00:31"))
      .answers(subscribedFor(3600))
  })
})
