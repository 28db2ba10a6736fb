/**
 * A watcher's own pace (RFC 6446), and documents it has already (RFC 5839).
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"
import { nextDeadline } from "../../../src/domain/presentity/deadlines.ts"
import { tagOfBody } from "../../../src/domain/presentity/notification-tags.ts"
import { grantedRates } from "../../../src/domain/presentity/pace.ts"
import { get, values } from "../../../src/domain/table.ts"
import type { Rates } from "../../../src/domain/vocabulary.ts"
import {
  accepted,
  after,
  at,
  away,
  bob,
  busy,
  delivery,
  fallDue,
  open,
  publish,
  published,
  redeliver,
  resubscribe,
  subscribe,
  subscribed,
} from "../../support/builders.ts"
import { given, subscribedFor, tag, treatAs } from "../../support/given.ts"
import { stub } from "../../support/stub-package.ts"

const none: Rates = { max: null, min: null, adaptiveMin: null }
const change = (ifMatch: string, body = busy) => publish({ ifMatch, body, expires: 3600 })

describe("the pace a watcher asks for", () => {
  it(
    "holds changes back longer than the package does, from the last NOTIFY whatever its reason was",
    { tags: ["6446-5.2-b", "6446-5.5-a"] },
    () => {
      const slow = given(published("tag-1", open))
        .when(subscribe({ rates: { ...none, max: 0.05 } }), at("10:00:00"))
        .sends("2/1 active;expires=3600 open")
        .and()
        .when(delivery(2, 1, accepted()), at("10:00:01"))
        .and()
      const held = slow.when(change("tag-1"), at("10:00:19")).sends()
      held.and().when(fallDue, at("10:00:20")).sends("2/2 active;expires=3580 busy")
      slow.when(change("tag-1"), at("10:00:20")).sends("2/2 active;expires=3580 busy")
    },
  )

  it("but not what answers a SUBSCRIBE, ends it, or decides on it", { tags: ["6446-5.2-b"] }, () => {
    const slow = given(published("tag-1", open))
      .when(subscribe({ rates: { ...none, max: 0.01 } }), at("10:00:00"))
      .and()
    slow.when(resubscribe(1), at("10:00:01")).sends("2/2 active;expires=3600 open")
    slow.when(resubscribe(1, { expires: 0 }), at("10:00:01")).sends("2/2 terminated;reason=timeout open")
  })

  it("a SUBSCRIBE without a wish takes it back", { tags: ["6446-5.2-a"] }, () => {
    const slow = given(published("tag-1", open))
      .when(subscribe({ rates: { ...none, max: 0.01 } }), at("10:00:00"))
      .and()
    deepStrictEqual(get(slow.state.subscriptions, 2)?.rates, { ...none, max: 0.01 })
    const free = slow.when(resubscribe(1), at("10:00:01")).and()
    deepStrictEqual(get(free.state.subscriptions, 2)?.rates, null)
    const off = given()
      .and({ limits: { rateControl: false } })
      .when(subscribe({ rates: { ...none, max: 0.01 } }), at("10:00:00"))
    deepStrictEqual(get(off.state.subscriptions, 1)?.rates, null)
  })

  it("is told the present state again and again, though nothing changes", { tags: ["6446-6.2-a"] }, () => {
    let told = given(published("tag-1", open))
      .when(subscribe({ rates: { ...none, min: 0.1 } }), at("10:00:00"))
      .and()
    for (const [cseq, time, left] of [
      [2, "10:00:10", 3590],
      [3, "10:00:20", 3580],
    ] as const) {
      told = told.when(delivery(2, cseq - 1, accepted()), at("10:00:05")).and()
      told = told.when(fallDue, at(time)).sends(`2/${cseq} active;expires=${left} open`).and()
    }
    // one that has no answer yet is not followed by another; the turn after it is taken again
    const skipped = told
      .and({ inFlight: [2] })
      .when(fallDue, at("10:00:30"))
      .sends()
    skipped.and({ inFlight: [] }).when(fallDue, at("10:00:40")).sends("2/4 active;expires=3560 open")
  })

  it("nobody who is not decided on is told anything for that", { tags: ["6446-6.2-a"] }, () => {
    const pending = given()
      .and({ authorize: treatAs("confirm") })
      .when(subscribe({ rates: { ...none, min: 0.1 } }), at("10:00:00"))
    deepStrictEqual(get(pending.state.subscriptions, 1)?.repeatAt, null)
  })

  it("an adaptive pace is the slower the less there was to tell lately", { tags: ["6446-7.4-a"] }, () => {
    const rate = 0.1
    const asked = given(published("tag-1", open))
      .when(subscribe({ rates: { ...none, adaptiveMin: rate } }), at("10:00:00"))
      .and()
    // one NOTIFY in the last 200 s: 1 / (0.1² · 200) = 0.5 s, but never more often than once a second
    deepStrictEqual(get(asked.state.subscriptions, 2)?.repeatAt, at("10:00:01"))
    let now = at("10:00:01")
    let told = asked
    const issued: number[] = [at("10:00:00")]
    for (let turn = 0; turn < 60; turn++) {
      const outcome = told.when(fallDue, now)
      deepStrictEqual(outcome.sent.length, 1)
      issued.push(now)
      told = outcome.and()
      now = get(told.state.subscriptions, 2)!.repeatAt!
      const count = issued.filter((one) => one > issued.at(-1)! - 200_000).length
      deepStrictEqual(now - issued.at(-1)!, Math.max(1000, count * 500))
    }
    // it comes to rest at the rate asked for
    ok(Math.abs(now - issued.at(-1)! - 10_000) <= 1_000)
  })

  it("what is granted is possible and consistent", { tags: ["6446-5.3-a", "6446-8-a"] }, () => {
    const rate = fc.option(fc.double({ min: 1e-10, max: 99, noNaN: true }), { nil: null })
    const asked = fc.record({ max: rate, min: rate, adaptiveMin: rate })
    fc.assert(
      fc.property(
        asked,
        fc.integer({ min: 1, max: 7200 }),
        fc.constantFrom(null, 0, 5000),
        (rates, granted, interval) => {
          const limits = { ...defaultLimits, notifyIntervalMillis: interval }
          const got = grantedRates(rates, stub(), limits, granted)
          deepStrictEqual(
            got === null,
            rates.max === null && rates.min === null && rates.adaptiveMin === null,
          )
          if (got === null) return
          deepStrictEqual(got.max === null, rates.max === null)
          if (got.max !== null) ok(got.max * granted >= 1 - 1e-9, "none before it expires")
          const ceiling = (got.max ?? Number.POSITIVE_INFINITY) + 1e-9
          ok((got.min ?? 0) <= ceiling && (got.adaptiveMin ?? 0) <= ceiling)
          if (got.min !== null && got.adaptiveMin !== null) ok(got.min < got.adaptiveMin)
          deepStrictEqual(grantedRates(got, stub(), limits, granted), got)
        },
      ),
    )
  })
})

describe("a document the watcher has", () => {
  const knowing = given(published("tag-1", open), subscribed(2, bob, open))
  const has = tagOfBody(open)

  it("every NOTIFY names its document, and one that has none names that", { tags: ["5839-6.1-a"] }, () => {
    deepStrictEqual(
      given(published("tag-1", open))
        .when(subscribe(), at("10:00:00"))
        .sent.map(({ entityTag }) => entityTag),
      [has],
    )
    deepStrictEqual(
      given()
        .when(subscribe(), at("10:00:00"))
        .sent.map(({ entityTag }) => entityTag),
      ["n"],
    )
    const off = given().and({ limits: { conditionalNotify: false } })
    deepStrictEqual(
      off.when(subscribe({ suppressIfMatch: "*" }), at("10:00:00")).sent.map(({ entityTag }) => entityTag),
      [null],
    )
  })

  it("outside a dialog spares the body, and only that", { tags: ["5839-6.2-a"] }, () => {
    const again = given(published("tag-1", open)).when(subscribe({ suppressIfMatch: has }), at("10:00:00"))
    again.answers(subscribedFor(3600)).sends("2/1 active;expires=3600 (no body)")
    deepStrictEqual(again.sent[0]?.entityTag, has)
    given(published("tag-1", open))
      .when(subscribe({ suppressIfMatch: tagOfBody(busy) }), at("10:00:00"))
      .sends("2/1 active;expires=3600 open")
  })

  it(
    "inside a dialog spares the NOTIFY: 204, and the time is longer all the same",
    { tags: ["5839-6.3-a", "5839-6.3-c"] },
    () => {
      for (const suppressIfMatch of [has, "*"]) {
        const spared = knowing.when(resubscribe(2, { suppressIfMatch, expires: 600 }), at("10:30:00"))
        spared.answers({ _tag: "Subscribed", status: 204, expires: 600 }).sends()
        deepStrictEqual(get(spared.state.subscriptions, 2)?.expiresAt, at("10:40:00"))
      }
      knowing
        .when(resubscribe(2, { suppressIfMatch: tagOfBody(busy) }), at("10:30:00"))
        .answers(subscribedFor(3600))
        .sends("2/2 active;expires=3600 open")
    },
  )

  it("the next change is told as ever, also the one that leads back", { tags: ["5839-6.3-b"] }, () => {
    const spared = knowing.when(resubscribe(2, { suppressIfMatch: has }), at("10:30:00")).and()
    const changed = spared.when(change("tag-1"), at("10:30:10")).sends("2/2 active;expires=3590 busy").and()
    changed.when(change(tag(4), open), at("10:30:20")).sends("2/3 active;expires=3580 open")
  })

  it("a watcher that is let in is told so, without the document it has", { tags: ["5839-6.3-b"] }, () => {
    const pending = given(published("tag-1", open))
      .and({ authorize: treatAs("confirm") })
      .when(subscribe(), at("10:00:00"))
      .and()
    pending
      .and({ authorize: treatAs("allow") })
      .when(resubscribe(1, { suppressIfMatch: has }), at("10:00:10"))
      .answers(subscribedFor(3600))
      .sends("2/2 active;expires=3600 (no body)")
    pending
      .when(resubscribe(1, { suppressIfMatch: has }), at("10:00:10"))
      .sends("2/2 pending;expires=3600 (no body)")
  })

  it(
    "`*` puts a subscription to sleep: no documents, only what becomes of itself, until it asks again",
    { tags: ["5839-6.3-c"] },
    () => {
      const asleep = knowing
        .when(resubscribe(2, { suppressIfMatch: "*" }), at("10:30:00"))
        .answers({ _tag: "Subscribed", status: 204, expires: 3600 })
        .sends()
        .and()
      const missed = asleep.when(change("tag-1"), at("10:30:10")).sends().and()
      deepStrictEqual(nextDeadline(missed.state), at("11:30:00"))
      missed.when(fallDue, at("11:30:00")).sends("2/2 terminated;reason=timeout (no body)")
      missed.when(redeliver(0), at("10:40:00")).sends("2/2 active;expires=3000 (no body)")
      missed.when(resubscribe(2, { cseq: 3 }), at("10:40:00")).sends("2/2 active;expires=3600 busy")
      missed
        .when(resubscribe(2, { cseq: 3, suppressIfMatch: has }), at("10:40:00"))
        .sends("2/2 active;expires=3600 busy")
      const asleepFromTheStart = given(published("tag-1", open)).when(
        subscribe({ suppressIfMatch: "*" }),
        at("10:00:00"),
      )
      asleepFromTheStart.sends("2/1 active;expires=3600 (no body)")
      asleepFromTheStart.and().when(change("tag-1"), at("10:30:10")).sends()
    },
  )

  it("a fetch says that nothing is new", { tags: ["5839-5.4"] }, () => {
    const fetch = (suppressIfMatch: string) =>
      given(published("tag-1", open)).when(subscribe({ expires: 0, suppressIfMatch }), at("10:00:00"))
    fetch(has).sends("2/1 terminated;reason=timeout (no body)")
    deepStrictEqual(fetch(has).sent[0]?.entityTag, has)
    fetch("nothing").sends("2/1 terminated;reason=timeout open")
  })

  it("the end needs no NOTIFY either", { tags: ["5839-5.7-a"] }, () => {
    const ended = knowing.when(resubscribe(2, { suppressIfMatch: has, expires: 0 }), at("10:30:00"))
    ended.answers({ _tag: "Subscribed", status: 204, expires: 0 }).sends()
    deepStrictEqual(values(ended.state.subscriptions), [])
  })

  it(
    "who proves to have the present document, though it was told in vain, is told the next one only",
    { tags: ["L36"] },
    () => {
      const held = knowing
        .and({ inFlight: [2] })
        .when(change("tag-1", away), at("10:00:10"))
        .sends()
        .and({ inFlight: [] })
      const shown = held
        .when(resubscribe(2, { suppressIfMatch: tagOfBody(away) }), at("10:00:11"))
        .answers({ _tag: "Subscribed", status: 204, expires: 3600 })
      deepStrictEqual(get(shown.state.subscriptions, 2)?.dueAt, null)
      shown
        .and()
        .when(delivery(2, 1, accepted()), after("20 s"))
        .sends()
    },
  )
})
