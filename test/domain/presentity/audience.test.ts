/**
 * Who is told of a change: active watchers of the package, but not the device that made it.
 */
import { describe, it } from "vitest"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import {
  after,
  at,
  away,
  bob,
  busy,
  carol,
  deferred,
  dialogOf,
  fallDue,
  happened,
  notified,
  open,
  publicationCreated,
  publicationModified,
  publicationRemoved,
  publish,
  published,
  subscribed,
} from "../../support/builders.ts"
import { given, tag } from "../../support/given.ts"
import { stub } from "../../support/stub-package.ts"

const unlimited = { limits: { notifyIntervalMillis: 0 } }

describe("who is told of a PUBLISH", () => {
  it("only active watchers of that package", { tags: ["3903-4-a"] }, () => {
    given(
      subscribed(1, bob),
      subscribed(2, carol, "nothing", { packageName: "stub-all" }),
      subscribed(3, carol, "hidden", { status: "pending" }),
      subscribed(4, carol, "nothing", { polite: true }),
      subscribed(5, carol),
    )
      .when(publish({ body: open, expires: 60 }), at("10:00:00"))
      .gives(
        publicationCreated(tag(6), open, { expiresAt: after("60 s") }),
        notified("active", open, { except: [4] }),
      )
      .sends("1/2 active;expires=3600 open", "5/2 active;expires=3600 open")
  })

  it("not the device that published, which counts as told", { tags: ["BLA-3", "L20"] }, () => {
    const phone = "sip:bob@192.0.2.20"
    const outcome = given(
      subscribed(1, bob),
      subscribed(2, carol, "nothing", { start: dialogOf(2, { remoteTarget: "sip:c@x" }) }),
    )
      .and(unlimited)
      .when(publish({ body: open, expires: 3600, sender: phone }), at("10:00:00"))
      .gives(publicationCreated(tag(3), open, { sender: phone }), notified([2], open, { suppressed: [1] }))
      .sends("2/2 active;expires=3600 open")
    // and is told of what others publish, also of the end of its own publication
    outcome
      .and()
      .when(publish({ ifMatch: tag(3), expires: 0 }), at("10:00:01"))
      .gives(publicationRemoved(tag(3), "requested"), notified("active", "nothing"))
  })

  it("a device that is owed an earlier change is told of that one", { tags: ["BLA-3", "L20"] }, () => {
    const phone = "sip:bob@192.0.2.20"
    given(subscribed(1, bob), happened(at("10:00:01"), published("tag-2", open), notified("active", open)))
      .when(publish({ body: busy, expires: 600 }), at("10:00:02"))
      .gives(publicationCreated(tag(3), busy, { expiresAt: at("10:10:02") }), deferred([1], at("10:00:06")))
      .and()
      .when(publish({ ifMatch: "tag-2", body: away, expires: 600, sender: phone }), at("10:00:03"))
      .gives(publicationModified("tag-2", tag(4), away, { expiresAt: at("10:10:03"), sender: phone }))
      .and()
      .when(fallDue, at("10:00:06"))
      .gives(notified([1], away))
  })

  it("with a package's own interval, or the operator's instead", { tags: ["3856-6.10-a"] }, () => {
    const slow = makeRegistry([stub({ notifyIntervalMillis: 60_000 })])
    const told = given(
      subscribed(1, bob),
      happened(at("10:00:01"), published("tag-2", open), notified("active", open)),
    )
    const change = publish({ ifMatch: "tag-2", body: busy, expires: 600 })
    const modified = publicationModified("tag-2", tag(3), busy, { expiresAt: at("10:10:02") })
    told
      .and({ packages: slow })
      .when(change, at("10:00:02"))
      .gives(modified, deferred([1], at("10:01:01")))
    told
      .and({ packages: slow, limits: { notifyIntervalMillis: 1500 } })
      .when(change, at("10:00:02"))
      .gives(modified, deferred([1], at("10:00:02.5")))
    told
      .and({ packages: slow, ...unlimited })
      .when(change, at("10:00:02"))
      .gives(modified, notified("active", busy))
  })
})
