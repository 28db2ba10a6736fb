/**
 * From a decision's events to the NOTIFYs they stand for, and the views in them.
 */
import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { tagOfBody } from "../../../src/domain/presentity/notification-tags.ts"
import { react } from "../../../src/domain/presentity/react.ts"
import { parseBody } from "../../../src/domain/presentity/sources.ts"
import { digest } from "../../../src/domain/presentity/view-digest.ts"
import { absentView, currentView } from "../../../src/domain/presentity/view.ts"
import {
  alice,
  answeredWith,
  at,
  away,
  bob,
  busy,
  carol,
  dialogOf,
  happened,
  notified,
  open,
  publish,
  published,
  resubscribe,
  shownAs,
  subscribe,
  subscribed,
  subscriptionCreated,
} from "../../support/builders.ts"
import { given } from "../../support/given.ts"
import { packages, stub, text } from "../../support/stub-package.ts"

const reaction = { packages, limits: defaultLimits }

describe("a NOTIFY", () => {
  it(
    "carries everything its message needs, and nothing else",
    { tags: ["3265-3.2.1-a", "3265-3.2.1-b", "3265-3.3.4-a"] },
    () => {
      const start = dialogOf(7, { routeSet: ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"] })
      const outcome = given(published("tag-1", open)).when(
        subscribe({ dialog: start, eventId: "x", expires: 60 }),
        at("10:00:30"),
      )
      deepStrictEqual(outcome.sent, [
        {
          _tag: "Notify",
          presentity: alice,
          no: 2,
          cseq: 1,
          packageName: "stub",
          eventId: "x",
          dialog: start,
          state: "active",
          expires: 60,
          reason: null,
          retryAfter: null,
          body: open,
          rates: null,
          entityTag: tagOfBody(open),
        },
      ])
    },
  )

  it(
    "that ends a subscription has a reason and no expires",
    { tags: ["3265-3.2.2-i", "6665-4.1.3-a"] },
    () => {
      const { sent } = given(subscribed(1)).when(resubscribe(1, { expires: 0 }), at("10:00:30"))
      deepStrictEqual(
        sent.map(({ state, expires, reason, retryAfter }) => ({ state, expires, reason, retryAfter })),
        [{ state: "terminated", expires: null, reason: "timeout", retryAfter: null }],
      )
    },
  )

  it("says what is left, rounded up, at least 1", { tags: ["3265-3.2.2-g"] }, () => {
    const one = given(published("tag-1", open), subscribed(2, bob, open))
    one.when(publish({ body: busy }), at("10:00:00.001")).sends("2/2 active;expires=3600 busy")
    one.when(publish({ body: busy }), at("10:59:58.999")).sends("2/2 active;expires=2 busy")
    one.when(publish({ body: busy }), at("10:59:59.999")).sends("2/2 active;expires=1 busy")
  })

  it("two of one dialog in one decision take two numbers", { tags: ["L12"] }, () => {
    const { state } = given(
      subscribed(1),
      happened(
        at("10:00:00"),
        subscriptionCreated(2, { dialog: 1, start: null, eventId: "A", remoteCseq: 2 }),
        answeredWith(2, "nothing"),
      ),
      subscribed(3, carol),
    )
    const events = [notified("active", "nothing")]
    const after = fold(state, { events, at: at("10:00:01"), version: 4 })
    deepStrictEqual(
      react(state, events, after, at("10:00:01"), reaction).map(({ no, cseq }) => [no, cseq]),
      [
        [1, 3],
        [2, 4],
        [3, 2],
      ],
    )
  })

  it("of a package that is not served any more has no body", { tags: ["L03"] }, () => {
    const { state } = given(published("tag-1", open), subscribed(2, bob, open))
    const events = [notified([2], open)]
    const sent = react(state, events, fold(state, { events, at: 0, version: 3 }), 0, {
      ...reaction,
      packages: { ...packages, find: () => null },
    })
    deepStrictEqual(
      sent.map(({ body }) => body),
      [null],
    )
  })
})

describe("what is shown", () => {
  it(
    "removing two of three publications shows both ended forms, in one NOTIFY, where all is shown",
    { tags: ["3903-4.5-a"] },
    () => {
      const all = { packageName: "stub-all" }
      const world = given(
        published("tag-1", open, all),
        published("tag-2", busy, all),
        subscribed(3, bob, text("open\nbusy"), { ...all, expiresAt: at("12:00:00") }),
      )
      world.when({ _tag: "FallDue" }, at("11:00:00")).sends("3/2 active;expires=3600 -open+-busy")
      world
        .when(publish({ ifMatch: "tag-1", expires: 0, packageName: "stub-all" }), at("10:30:00"))
        .sends("3/2 active;expires=5400 busy+-open")
        // the ended form is said once
        .and()
        .when(resubscribe(3, { packageName: "stub-all" }), at("10:30:01"))
        .sends("3/3 active;expires=3600 busy")
    },
  )

  it("the ended form is not for those who see nothing", { tags: ["3856-6.7-b"] }, () => {
    given(
      published("tag-1", open),
      subscribed(2, bob, "nothing", { polite: true }),
      subscribed(3, carol, "hidden", { status: "pending" }),
    )
      .when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:30:00"))
      .sends()
  })

  it(
    "publications compose in the order of their content; a refresh keeps its place, a modification is newest",
    { tags: ["L19"] },
    () => {
      const two = given(published("tag-1", open), published("tag-2", busy), subscribed(3, bob, busy))
      two
        .when(publish({ ifMatch: "tag-1" }), at("10:00:30"))
        .and()
        .when(resubscribe(3), at("10:00:31"))
        .sends("3/2 active;expires=3600 busy")
      two
        .when(publish({ ifMatch: "tag-1", body: away }), at("10:00:30"))
        .sends("3/2 active;expires=3570 away")
    },
  )

  it("a stored body that cannot be read any more hides nothing else", { tags: ["L22"] }, () => {
    given(published("tag-1", open), published("tag-2", text("!unreadable")))
      .when(subscribe(), at("10:00:30"))
      .sends("3/1 active;expires=3600 open")
  })

  it(
    "absence is one and the same for nobody there and for nobody to see",
    { tags: ["5025-3.2.1-e", "L24"] },
    () => {
      const { state } = given()
      for (const eventPackage of [stub(), stub({ showsAbsence: true })]) {
        deepStrictEqual(currentView(state, eventPackage), absentView(alice, eventPackage))
      }
    },
  )

  it("caches follow the package and the content, not the instant", { tags: ["L03"] }, () => {
    const { state } = given(published("tag-1", open), published("tag-2", busy))
    let parsed = 0
    const counting = (lines: string): EventPackage => {
      const eventPackage = stub({ composition: "all" })
      return {
        ...eventPackage,
        parse: (body) => {
          parsed++
          return eventPackage.parse(body)
        },
        render: () => text(lines),
      }
    }
    const [one, other] = [counting("one"), counting("other")]
    strictEqual(currentView(state, one), currentView(state, one))
    strictEqual(parsed, 2)
    deepStrictEqual(currentView(state, other).body, text("other"))
    deepStrictEqual(currentView(state, one).body, text("one"))
    strictEqual(parseBody(one, open), parseBody(one, open))
  })

  it(
    "digests tell texts apart, also when they differ in one place or in length only",
    { tags: ["L36"] },
    () => {
      const texts = [
        "",
        "a",
        "b",
        "ab",
        "ba",
        "aa",
        "open",
        "opem",
        `${"x".repeat(1000)}a`,
        `${"x".repeat(1000)}b`,
      ]
      strictEqual(new Set(texts.map(digest)).size, texts.length)
      notStrictEqual(shownAs("nothing"), digest(""))
      const many = Array.from({ length: 20_000 }, (_, index) => digest(`status ${index}`))
      strictEqual(new Set(many).size, many.length)
    },
  )
})
