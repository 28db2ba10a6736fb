/**
 * Time: what ends when, and who is told.
 */
import { describe, it } from "vitest"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import {
  after,
  answeredWith,
  at,
  away,
  bob,
  busy,
  carol,
  fallDue,
  happened,
  notified,
  open,
  publicationCreated,
  publicationRemoved,
  published,
  subscribed,
  subscriptionCreated,
  terminated,
} from "../../support/builders.ts"
import { given, nobodyWaits } from "../../support/given.ts"
import { packages, stub, text } from "../../support/stub-package.ts"

describe("what falls due", () => {
  it(
    "a publication ends exactly at its deadline, and its ended form is shown once",
    { tags: ["3903-4.2", "L09", "P6"] },
    () => {
      const one = given(published("tag-1", open), subscribed(2, bob, open, { expiresAt: at("12:00:00") }))
      one.when(fallDue, at("10:59:59.999")).gives().answers(nobodyWaits)
      one
        .when(fallDue, at("11:00:00"))
        .gives(publicationRemoved("tag-1", "expired"), notified("active", "nothing"))
        .answers(nobodyWaits)
        .sends("2/2 active;expires=3600 -open")
        .and()
        .when(fallDue, at("11:30:00"))
        .gives()
    },
  )

  it(
    "a subscription ends exactly at its deadline, with a last NOTIFY of the state",
    { tags: ["3265-3.1.6.4-d", "L09", "T15"] },
    () => {
      const one = given(published("tag-1", open, { expiresAt: at("12:00:00") }), subscribed(2, bob, open))
      one.when(fallDue, at("10:59:59.999")).gives()
      one
        .when(fallDue, at("11:00:00"))
        .gives(terminated(2, "timeout"))
        .sends("2/2 terminated;reason=timeout open")
    },
  )

  it("a pending one ends without body", { tags: ["T11"] }, () => {
    given(
      published("tag-1", open, { expiresAt: at("12:00:00") }),
      subscribed(2, bob, "hidden", { status: "pending" }),
    )
      .when(fallDue, at("11:00:00"))
      .sends("2/2 terminated;reason=timeout (no body)")
  })

  it(
    "everything of one instant ends together, each once, and who ends is not told twice",
    { tags: ["L09"] },
    () => {
      given(
        published("tag-1", open),
        published("tag-2", busy),
        subscribed(3, bob, busy),
        subscribed(4, carol, busy, { expiresAt: at("12:00:00") }),
      )
        .when(fallDue, at("11:00:00"))
        .gives(
          publicationRemoved("tag-1", "expired"),
          publicationRemoved("tag-2", "expired"),
          terminated(3, "timeout"),
          notified("active", "nothing"),
        )
        .sends("3/2 terminated;reason=timeout -busy", "4/2 active;expires=3600 -busy")
    },
  )

  it(
    "what is left is shown, and the end of something that was not shown tells nobody",
    { tags: ["L22"] },
    () => {
      given(
        published("tag-1", open),
        published("tag-2", busy, { expiresAt: at("12:00:00") }),
        subscribed(3, bob, busy, { expiresAt: at("12:00:00") }),
      )
        .when(fallDue, at("11:00:00"))
        .gives(publicationRemoved("tag-1", "expired"))
        .sends()
      given(
        published("tag-1", open, { expiresAt: at("12:00:00") }),
        published("tag-2", busy),
        subscribed(3, bob, busy, { expiresAt: at("12:00:00") }),
      )
        .when(fallDue, at("11:00:00"))
        .gives(publicationRemoved("tag-2", "expired"), notified("active", open))
        .sends("3/2 active;expires=3600 open")
    },
  )

  it("a merging package shows what is left and what just ended", { tags: ["L22"] }, () => {
    const all = { packageName: "stub-all" }
    given(
      published("tag-1", open, all),
      published("tag-2", busy, { ...all, expiresAt: at("12:00:00") }),
      subscribed(3, bob, text("open\nbusy"), { ...all, expiresAt: at("12:00:00") }),
    )
      .when(fallDue, at("11:00:00"))
      .gives(publicationRemoved("tag-1", "expired", "stub-all"), notified("active", busy, all))
      .sends("3/2 active;expires=3600 busy+-open")
  })

  it("packages fall due together and are told of by name", { tags: ["L09"] }, () => {
    const other = { packageName: "stub-all" }
    given(
      published("tag-1", open),
      published("tag-2", away, other),
      subscribed(3, bob, away, { ...other, expiresAt: at("12:00:00") }),
      subscribed(4, carol, open, { expiresAt: at("12:00:00") }),
    )
      .when(fallDue, at("11:00:00"))
      .sends("4/2 active;expires=3600 -open", "3/2 active;expires=3600 -away")
  })

  it(
    "a watcher that was held back when the last publication went is shown absence, not an empty NOTIFY",
    { tags: ["3856-6.8-a"] },
    () => {
      const late = given(
        published("tag-1", open),
        subscribed(2, bob, open),
        happened(at("10:00:01"), publicationCreated("tag-3", busy), notified("active", busy)),
        happened(
          at("10:00:02"),
          publicationRemoved("tag-1", "requested"),
          publicationRemoved("tag-3", "requested"),
          {
            _tag: "NotificationsDeferred",
            to: [2],
            until: at("10:00:06"),
            undelivered: false,
          },
        ),
      )
      late
        .when(fallDue, at("10:00:06"))
        .gives(notified([2], "nothing"))
        .sends("2/3 active;expires=3594 offline")
      // where absence is a document anyway it is that document
      late
        .and({ packages: makeRegistry([stub({ showsAbsence: true })]) })
        .when(fallDue, at("10:00:06"))
        .sends("2/3 active;expires=3594 offline")
    },
  )

  it("whose package is no longer served ends all the same", { tags: ["L09"] }, () => {
    given(published("tag-1", open), subscribed(2))
      .and({ packages: makeRegistry([]) })
      .when(fallDue, at("11:00:00"))
      .gives(publicationRemoved("tag-1", "expired"), terminated(2, "timeout"))
      .sends("2/2 terminated;reason=timeout (no body)")
  })

  it(
    "Subscription-State counts the announced time, and never says 0",
    { tags: ["OPS-expires_offset"] },
    () => {
      const grace = given(
        published("tag-1", open, { expiresAt: at("10:00:58") }),
        published("tag-2", away, { expiresAt: at("10:01:05") }),
        happened(at("10:00:00"), subscriptionCreated(3, { expiresAt: after("70 s") }), answeredWith(3, open)),
      ).and({ limits: { expiresOffset: 10 } })
      grace.when(fallDue, at("10:00:58")).sends("3/2 active;expires=2 away")
      grace.when(fallDue, at("10:01:05")).sends("3/2 active;expires=1 -away")
    },
  )

  it("nothing due, nothing decided", { tags: ["L10"] }, () => {
    given().when(fallDue, at("23:00:00")).gives().answers(nobodyWaits)
    given(subscribed(1)).and({ packages }).when(fallDue, at("10:00:00")).gives()
  })
})
