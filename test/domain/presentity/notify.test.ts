/**
 * NOTIFY: pacing, one at a time, and what the end of each one means.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Limits } from "../../../src/domain/presentity/context.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { get } from "../../../src/domain/table.ts"
import type { Failure } from "../../support/builders.ts"
import {
  accepted,
  after,
  answeredWith,
  at,
  away,
  bob,
  busy,
  carol,
  deferred,
  delivery,
  dropped,
  failure,
  fallDue,
  happened,
  notified,
  open,
  publicationModified,
  publicationRemoved,
  publish,
  published,
  redeliver,
  refused,
  resubscribe,
  retargeted,
  subscribed,
  subscriptionCreated,
  timedOut,
  unreachable,
} from "../../support/builders.ts"
import { given, standing, tag } from "../../support/given.ts"
import { text } from "../../support/stub-package.ts"

const change = (ifMatch: string, body = busy) => publish({ ifMatch, body, expires: 3600 })

describe("pacing (a package that allows one NOTIFY in 5 s)", () => {
  /** Bob knows that it is open, and was last told of a change at 10:00:20. */
  const told = given(
    published("tag-1", away),
    subscribed(2, bob, away),
    happened(
      at("10:00:20"),
      publicationModified("tag-1", "tag-2", open, { expiresAt: at("12:00:00") }),
      notified("active", open),
    ),
  )

  it(
    "a burst is held back and goes at the first allowed instant, as one, with what is true then",
    { tags: ["3856-6.10-a", "L35"] },
    () => {
      const held = told
        .when(change("tag-2", busy), at("10:00:22"))
        .gives(
          publicationModified("tag-2", tag(4), busy, { expiresAt: at("11:00:22") }),
          deferred([2], at("10:00:25")),
        )
        .sends()
      const second = held
        .and()
        .when(change(tag(4), text("available")), at("10:00:23"))
        .gives(publicationModified(tag(4), tag(5), text("available"), { expiresAt: at("11:00:23") }))
        .sends()
      second.and().when(fallDue, at("10:00:24.999")).gives()
      second
        .and()
        .when(fallDue, at("10:00:25"))
        .gives(notified([2], text("available")))
        .sends("2/3 active;expires=3575 available")
        .and()
        .when(fallDue, at("10:00:30"))
        .gives()
    },
  )

  it("nothing is sent when the view has returned to what was shown", { tags: ["L35"] }, () => {
    told
      .when(change("tag-2", busy), at("10:00:22"))
      .and()
      .when(change(tag(4), open), at("10:00:23"))
      .gives(publicationModified(tag(4), tag(5), open, { expiresAt: at("11:00:23") }))
      .and()
      .when(fallDue, at("10:00:25"))
      .gives(deferred([2], null))
      .sends()
  })

  it("at the interval's end a change goes at once, a millisecond before it waits", { tags: ["L35"] }, () => {
    told.when(change("tag-2"), at("10:00:25")).sends("2/3 active;expires=3575 busy")
    told.when(change("tag-2"), at("10:00:24.999")).sends()
  })

  it(
    "what answers a SUBSCRIBE is never held back, counts for nothing, and takes the held change along",
    { tags: ["6446-5.2"] },
    () => {
      const held = told.when(change("tag-2", busy), at("10:00:22"))
      const refreshed = held.and().when(resubscribe(2), at("10:00:23")).sends("2/3 active;expires=3600 busy")
      refreshed.and().when(fallDue, at("10:00:25")).gives()
      refreshed
        .and()
        .when(change(tag(4), away), at("10:00:25"))
        .sends("2/4 active;expires=3598 away")
    },
  )

  it("an end is never held back, and drops what was", { tags: ["L35"] }, () => {
    told
      .when(change("tag-2", busy), at("10:00:22"))
      .and()
      .when(resubscribe(2, { expires: 0 }), at("10:00:23"))
      .sends("2/3 terminated;reason=timeout busy")
      .and()
      .when(fallDue, at("10:00:25"))
      .gives()
  })

  it("the first change after a SUBSCRIBE goes at once", { tags: ["3265-3.2.2-a"] }, () => {
    given(published("tag-1", open), subscribed(2, bob, open))
      .when(change("tag-1"), at("10:00:00"))
      .sends("2/2 active;expires=3600 busy")
  })

  it("0 turns pacing off", { tags: ["OPS-notify_interval"] }, () => {
    told
      .and({ limits: { notifyIntervalMillis: 0 } })
      .when(change("tag-2"), at("10:00:20"))
      .sends("2/3 active;expires=3580 busy")
  })

  it("each subscription has its own pace", { tags: ["L35"] }, () => {
    const both = given(
      published("tag-1", away),
      subscribed(2, bob, away),
      happened(at("10:00:20"), publicationModified("tag-1", "tag-2", open), notified("active", open)),
      happened(at("10:00:21"), subscriptionCreated(4, { watcher: carol }), answeredWith(4, open)),
    )
    both
      .when(change("tag-2", busy), at("10:00:22"))
      .gives(
        publicationModified("tag-2", tag(5), busy, { expiresAt: at("11:00:22") }),
        notified([4], busy),
        deferred([2], at("10:00:25")),
      )
  })
})

describe("one NOTIFY at a time", () => {
  const one = given(published("tag-1", open), subscribed(2, bob, open)).and({
    limits: { notifyIntervalMillis: 0 },
    inFlight: [2],
  })
  const waiting = one
    .when(change("tag-1"), at("10:00:10"))
    .gives(publicationModified("tag-1", tag(3), busy, { expiresAt: at("11:00:10") }))
    .sends()

  it("a change during one waits for its end and goes then", { tags: ["3856-6.10-a"] }, () => {
    waiting
      .and({ inFlight: [] })
      .when(delivery(2, 1, accepted()), at("10:00:11"))
      .gives(notified([2], busy))
      .sends("2/2 active;expires=3589 busy")
  })

  it("and for the interval, when that is later", { tags: ["3856-6.10-a"] }, () => {
    given(published("tag-1", away), subscribed(2, bob, away))
      .when(change("tag-1", open), at("10:00:00"))
      .and({ inFlight: [2] })
      .when(change(tag(3), busy), at("10:00:01"))
      .and({ inFlight: [] })
      .when(delivery(2, 2, accepted()), at("10:00:02"))
      .gives(deferred([2], at("10:00:05")))
  })

  it("an end that brings no news brings nothing", { tags: ["L36"] }, () => {
    waiting
      .and({ inFlight: [2] })
      .when(change(tag(3), open), at("10:00:11"))
      .and({ inFlight: [] })
      .when(delivery(2, 1, accepted()), at("10:00:12"))
      .gives()
  })

  it("of two under way only the end of the last one counts", { tags: ["L36"] }, () => {
    waiting
      .and({ inFlight: [2] })
      .when(delivery(2, 1, accepted()), at("10:00:11"))
      .gives()
  })

  it("a change held while one is under way is left to that one's end", { tags: ["L35"] }, () => {
    given(published("tag-1", away), subscribed(2, bob, away))
      .when(change("tag-1", open), at("10:00:00"))
      .and()
      .when(change(tag(3), busy), at("10:00:01"))
      .and({ inFlight: [2] })
      .when(fallDue, at("10:00:05"))
      .gives(deferred([2], null))
      .and({ inFlight: [] })
      .when(delivery(2, 2, accepted()), at("10:00:06"))
      .gives(notified([2], busy))
  })
})

describe("the end of a NOTIFY", () => {
  /** Two subscriptions in one dialog, and one elsewhere. */
  const world = given(
    published("tag-1", open),
    subscribed(2, bob, open),
    happened(
      at("10:00:00"),
      subscriptionCreated(3, { dialog: 2, start: null, eventId: "A", remoteCseq: 2 }),
      answeredWith(3, open),
    ),
    subscribed(4, carol, open),
  )

  it(
    "success says nothing, but a Contact in it is the new target",
    { tags: ["3265-3.2.2", "3261-12.2.1.2-b"] },
    () => {
      world.when(delivery(2, 1, accepted()), at("10:00:01")).gives()
      world.when(delivery(2, 1, accepted("sip:bob@192.0.2.20")), at("10:00:01")).gives()
      const moved = world
        .when(delivery(2, 1, accepted("sip:new@x")), at("10:00:01"))
        .gives(retargeted(2, "sip:new@x"))
      moved.and({ limits: { notifyIntervalMillis: 0 } }).when(change("tag-1"), at("10:00:02"))
      deepStrictEqual(get(moved.state.dialogs, 2)?.remoteTarget, "sip:new@x")
    },
  )

  it("a subscription that is gone needs no outcome, but a failure is on record", { tags: ["L37"] }, () => {
    world.when(delivery(9, 1, accepted("sip:x@y")), at("10:00:01")).gives()
    for (const outcome of [refused(481), timedOut]) {
      world.when(delivery(9, 1, outcome), at("10:00:01")).gives(failure(9, 1, outcome))
    }
  })

  /** RFC 3265 §3.2.2, RFC 6665 §4.2.2 and RFC 5057 §5.1, written out. */
  const ends = (status: number, profile: Limits["profile"]): readonly number[] => {
    const all = [404, 410, 416, 482, 483, 484, 485, 604]
    const one = [405, 480, 481, 489, 501]
    if (all.includes(status)) return [2, 3]
    if (one.includes(status) || status === 408) return [2]
    if (profile === "6665") return []
    // RFC 3265 §3.2.2: a further action is implied by which it can be retried (RFC 3261 §8.1.3.4, §8.1.3.5)
    const retriable = [401, 407, 413, 415, 420, 421, 430, 491, 494, 513]
    if (status < 400 || retriable.includes(status)) return []
    return status === 502 ? [2, 3] : [2]
  }

  const kept = deferred([2], null, true)

  it.each(["3265", "6665"] as const)(
    "every status from 300 to 699 in profile %s",
    { tags: ["3265-3.2.2-d", "6665-4.2.2-a", "5057-5.1-a", "3261-12.2.1.2-a", "L37"] },
    (profile) => {
      const found: [number, readonly unknown[]][] = []
      const expected: [number, readonly unknown[]][] = []
      for (let status = 300; status < 700; status++) {
        const before = world.and({ limits: { profile } })
        const outcome = before.when(delivery(2, 1, refused(status)), at("10:00:01")).sends()
        found.push([status, missing(outcome.state)])
        expected.push([status, ends(status, profile)])
        const gone = ends(status, profile)
        outcome.gives(failure(2, 1, refused(status)), ...(gone.length === 0 ? [kept] : gone.map(dropped)))
      }
      deepStrictEqual(found, expected)
    },
  )

  it.each(["3265", "6665"] as const)(
    "too large for a datagram: the subscription lives, and is told with the next change, in profile %s",
    { tags: ["L37"] },
    (profile) => {
      const tooLarge: Failure = { _tag: "TooLarge" }
      world
        .and({ limits: { profile, notifyIntervalMillis: 0 } })
        .when(delivery(2, 1, tooLarge), at("10:00:01"))
        .gives(failure(2, 1, tooLarge), kept)
        .and()
        .when(change("tag-1"), at("10:00:02"))
        .sends("2/3 active;expires=3598 busy", "3/4 active;expires=3598 busy", "4/2 active;expires=3598 busy")
    },
  )

  const passed = [
    { address: "tcp:192.0.2.20:5060", outcome: "unreachable" },
    { address: "tcp:192.0.2.21:5060", outcome: "refused", status: 503 },
  ] as const

  it(
    "places that failed before another one took it are on record, and nothing else follows from them",
    { tags: ["3263-4.3-a"] },
    () => {
      const tried = { _tag: "TargetsFailed", no: 2, cseq: 1, tried: passed } as const
      world.when(delivery(2, 1, { ...accepted(), tried: passed }), at("10:00:01")).gives(tried)
      world.when(delivery(2, 1, { ...accepted(), tried: [] }), at("10:00:01")).gives()
      world
        .when(delivery(2, 1, { ...refused(503, 20), tried: passed }), at("10:00:01"))
        .gives(tried, failure(2, 1, refused(503, 20)), deferred([2], at("10:00:21"), true))
      // an address of somebody who is gone is not kept: nobody's erasure would find it
      world.when(delivery(9, 1, { ...accepted(), tried: passed }), at("10:00:01")).gives()
    },
  )

  it(
    "a challenge that can be answered is answered at once, with the next CSeq and what is true then",
    { tags: ["3261-22.2-a"] },
    () => {
      for (const status of [401, 407]) {
        const challenged: Failure = { _tag: "Refused", status, retryAfter: null, credentials: true }
        for (const profile of ["3265", "6665"] as const)
          world
            .and({ limits: { profile } })
            .when(delivery(2, 1, challenged), at("10:00:01"))
            .gives(failure(2, 1, challenged), notified([2], open, { cause: "credentials" }))
            .sends("2/3 active;expires=3599 open")
      }
    },
  )

  const missing = (state: State): readonly number[] =>
    [2, 3, 4].filter((no) => get(state.subscriptions, no) === undefined)

  it(
    "no answer ends only its own subscription, unless the operator keeps it",
    { tags: ["3265-3.2.2-c", "5057-5.2-a"] },
    () => {
      const outcomes: readonly Failure[] = [timedOut, unreachable, refused(408)]
      for (const profile of ["3265", "6665"] as const) {
        for (const outcome of outcomes) {
          const report = delivery(2, 1, outcome)
          world
            .and({ limits: { profile } })
            .when(report, at("10:00:01"))
            .gives(failure(2, 1, outcome), dropped(2))
          world
            .and({ limits: { profile, endSubOnTimeout: false } })
            .when(report, at("10:00:01"))
            .gives(failure(2, 1, outcome), kept)
        }
      }
    },
  )

  it("with Retry-After it is sent again then, with what is true then", { tags: ["3265-3.2.2-b"] }, () => {
    const later = world
      .when(delivery(2, 1, refused(503, 20)), at("10:00:01"))
      .gives(failure(2, 1, refused(503, 20)), deferred([2], at("10:00:21"), true))
    later
      .and()
      .when(fallDue, at("10:00:21"))
      .gives(notified([2], open))
      .sends("2/3 active;expires=3579 open")
    // a change before that waits for it too, as the watcher asked; others do not
    const changed = later
      .and()
      .when(change("tag-1"), at("10:00:10"))
      .gives(
        publicationModified("tag-1", tag(6), busy, { expiresAt: at("11:00:10") }),
        notified("active", busy, { except: [2] }),
      )
    changed
      .and()
      .when(fallDue, at("10:00:21"))
      .gives(notified([2], busy))
    // a SUBSCRIBE does not wait
    later
      .and()
      .when(resubscribe(2, { cseq: 3 }), at("10:00:10"))
      .sends("2/3 active;expires=3600 open")
    world
      .when(delivery(2, 1, refused(500, 0)), at("10:00:01"))
      .gives(failure(2, 1, refused(500, 0)), deferred([2], at("10:00:02"), true))
  })

  it("Retry-After does not make it come sooner than the package allows", { tags: ["L35"] }, () => {
    given(published("tag-1", away), subscribed(2, bob, away))
      .when(change("tag-1", open), at("10:00:00"))
      .and()
      .when(delivery(2, 2, refused(503, 1)), at("10:00:01"))
      .gives(failure(2, 2, refused(503, 1)), deferred([2], at("10:00:05"), true))
  })

  it(
    "a failure alone sends nothing, but the next change goes even to the same view",
    { tags: ["6665-4.2.2-b"] },
    () => {
      const failed = world
        .and({ limits: { profile: "6665" } })
        .when(delivery(2, 1, refused(500)), at("10:00:01"))
        .gives(failure(2, 1, refused(500)), kept)
      failed.and().when(fallDue, at("10:00:59")).gives()
      failed
        .and()
        .when(publish({ body: open, expires: 3600 }), at("10:00:02"))
        .sends("2/3 active;expires=3598 open")
    },
  )

  it("a change that waited for a NOTIFY is not lost with it", { tags: ["L35"] }, () => {
    const lenient = given(published("tag-1", away), subscribed(2, bob, away))
      .and({ limits: { profile: "6665" } })
      .when(change("tag-1", open), at("10:00:00"))
      .and({ inFlight: [2] })
      .when(change(tag(3), busy), at("10:00:01"))
      .and({ inFlight: [] })
    lenient
      .when(delivery(2, 2, refused(500)), at("10:00:02"))
      .gives(failure(2, 2, refused(500)), deferred([2], at("10:00:05"), true))
    // told as somebody who knows nothing
    lenient
      .when(delivery(2, 2, refused(500)), at("10:00:06"))
      .gives(failure(2, 2, refused(500)), deferred([2], null, true), notified([2], busy))
  })

  it("a failure of a NOTIFY older than the last SUBSCRIBE says nothing", { tags: ["L37"] }, () => {
    const refreshed = world.when(resubscribe(2, { cseq: 3 }), at("10:00:01")).and()
    for (const outcome of [refused(481), refused(404), timedOut]) {
      refreshed.when(delivery(2, 1, outcome), at("10:00:02")).gives(failure(2, 1, outcome))
      refreshed.when(delivery(2, 2, outcome), at("10:00:02")).gives(failure(2, 2, outcome))
    }
    refreshed
      .when(delivery(2, 3, refused(481)), at("10:00:02"))
      .gives(failure(2, 3, refused(481)), dropped(2))
  })

  it(
    "nor does it take the sibling's word: a SUBSCRIBE vouches for its own subscription only",
    { tags: ["L13"] },
    () => {
      world
        .when(resubscribe(2, { cseq: 3, eventId: "A" }), at("10:00:01"))
        .and()
        .when(delivery(2, 1, timedOut), at("10:00:02"))
        .gives(failure(2, 1, timedOut), dropped(2))
    },
  )
})

describe("a watcher that is silent and kept", () => {
  const silences: readonly Failure[] = [timedOut, unreachable, refused(408)]
  const world = given(published("tag-1", open), subscribed(2, bob, open), subscribed(3, carol, open)).and({
    limits: { endSubOnTimeout: false, probeSeconds: 60 },
  })
  const silent = world.when(delivery(2, 1, timedOut), at("10:00:32"))

  it("OPS-end_sub_on_timeout notify_probe_interval: is asked again after the interval, with what is true then", () => {
    for (const outcome of silences) {
      const kept = world
        .when(delivery(2, 1, outcome), at("10:00:32"))
        .gives(failure(2, 1, outcome), deferred([2], at("10:01:32"), true))
        .sends()
      kept.and().when(fallDue, at("10:01:31.999")).gives()
      kept
        .and()
        .when(fallDue, at("10:01:32"))
        .gives(notified([2], open))
        .sends("2/2 active;expires=3508 open")
    }
  })

  it("notify_probe_interval: is asked again and again, as long as its subscription lasts", () => {
    let asked = silent.and().when(fallDue, at("10:01:32"))
    for (const [cseq, clock, next] of [
      [2, "10:02:04", "10:03:04"],
      [3, "10:03:36", "10:04:36"],
      [4, "10:05:08", "10:06:08"],
    ] as const) {
      const again = asked.and().when(delivery(2, cseq, timedOut), at(clock))
      asked = again
        .gives(failure(2, cseq, timedOut), deferred([2], at(next), true))
        .and()
        .when(fallDue, at(next))
        .gives(notified([2], open))
    }
    asked
      .and()
      .when(delivery(2, 5, timedOut), at("10:59:50"))
      .and()
      .when(fallDue, at("11:00:00"))
      .sends("2/6 terminated;reason=timeout -open", "3/2 terminated;reason=timeout -open")
  })

  it("notify_probe_interval: is told at its next probe what changed meanwhile, and others at once", () => {
    const changed = silent
      .and()
      .when(change("tag-1"), at("10:00:40"))
      .gives(publicationModified("tag-1", tag(5), busy, { expiresAt: at("11:00:40") }), notified([3], busy))
    changed
      .and()
      .when(fallDue, at("10:01:32"))
      .gives(notified([2], busy))
      .sends("2/2 active;expires=3508 busy")
  })

  it("notify_probe_interval: is left alone again once it answers, or asks by itself", () => {
    const probed = silent.and().when(fallDue, at("10:01:32"))
    const answered = probed
      .and()
      .when(delivery(2, 2, accepted()), at("10:01:33"))
      .gives()
    answered.and().when(fallDue, at("10:59:59")).gives()
    const asking = silent.and().when(resubscribe(2), at("10:01:00")).sends("2/2 active;expires=3600 open")
    asking.and().when(fallDue, at("10:01:32")).gives()
  })

  it("notify_probe_interval: does not come sooner than the package allows", () => {
    given(published("tag-1", away), subscribed(2, bob, away))
      .and({ limits: { endSubOnTimeout: false, probeSeconds: 1 } })
      .when(change("tag-1", open), at("10:00:00"))
      .and()
      .when(delivery(2, 2, unreachable), at("10:00:01"))
      .gives(failure(2, 2, unreachable), deferred([2], at("10:00:05"), true))
  })

  it("an interval of 0 waits for the next change", { tags: ["OPS-end_sub_on_timeout"] }, () => {
    const never = world
      .and({ limits: { endSubOnTimeout: false, probeSeconds: 0 } })
      .when(delivery(2, 1, timedOut), at("10:00:32"))
      .gives(failure(2, 1, timedOut), deferred([2], null, true))
    never.and().when(fallDue, at("10:59:59")).gives()
    never
      .and()
      .when(change("tag-1"), at("10:30:00"))
      .sends("2/2 active;expires=1800 busy", "3/2 active;expires=1800 busy")
  })

  it("OPS-end_sub_on_timeout notify_probe_interval: who is not kept is not asked again, and who answers badly is not silent", () => {
    for (const outcome of silences) {
      world
        .and({ limits: { endSubOnTimeout: true, probeSeconds: 60 } })
        .when(delivery(2, 1, outcome), at("10:00:32"))
        .gives(failure(2, 1, outcome), dropped(2))
    }
    world
      .and({ limits: { endSubOnTimeout: false, probeSeconds: 60, profile: "6665" } })
      .when(delivery(2, 1, refused(500)), at("10:00:32"))
      .gives(failure(2, 1, refused(500)), deferred([2], null, true))
    world.when(delivery(2, 1, refused(481)), at("10:00:32")).gives(failure(2, 1, refused(481)), dropped(2))
  })
})

describe("after a restart", () => {
  it("what was issued since the checkpoint is said once more, as it is now", { tags: ["L36"] }, () => {
    const before = given(
      published("tag-1", open),
      subscribed(2, bob, open),
      happened(at("10:00:30"), subscriptionCreated(3, { watcher: carol }), answeredWith(3, open)),
    )
    before
      .when(redeliver(at("10:00:30")), at("10:01:00"))
      .gives(notified([3], open, { cause: "recovery" }))
      .sends("3/2 active;expires=3540 open")
    before
      .when(redeliver(after("0 s")), at("10:01:00"))
      .sends("2/2 active;expires=3540 open", "3/2 active;expires=3540 open")
    before.when(redeliver(at("10:00:31")), at("10:01:00")).gives()
  })

  it(
    "that nothing is left is said as a document: nobody knows whether it has been heard",
    { tags: ["L36"] },
    () => {
      given(published("tag-1", open), subscribed(2, bob, open))
        .when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:00:10"))
        .gives(publicationRemoved("tag-1", "requested"), notified("active", "nothing"))
        .and()
        .when(redeliver(at("10:00:00")), at("10:01:00"))
        .sends("2/3 active;expires=3540 offline")
    },
  )

  it("a pending watcher is still shown nothing", { tags: ["3856-6.6.2-a"] }, () => {
    given(published("tag-1", open), subscribed(2, bob, "hidden", { status: "pending" }))
      .when(redeliver(0), at("10:01:00"))
      .sends("2/2 pending;expires=3540 (no body)")
  })

  it("does not count for pacing", { tags: ["L35"] }, () => {
    const again = given(published("tag-1", open), subscribed(2, bob, open)).when(redeliver(0), at("10:01:00"))
    standing(again.state).when(change("tag-1"), at("10:01:01")).sends("2/3 active;expires=3539 busy")
  })
})
