/**
 * SUBSCRIBE inside a dialog: refreshing, ending, rules asked again, and several subscriptions in one dialog.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Rejection } from "../../../src/domain/presentity/commands.ts"
import type { Limits } from "../../../src/domain/presentity/context.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { values } from "../../../src/domain/table.ts"
import { dialogKey } from "../../../src/domain/vocabulary.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  after,
  answeredWith,
  at,
  bob,
  busy,
  carol,
  deferred,
  dialogOf,
  happened,
  keyOf,
  notified,
  open,
  publish,
  published,
  resubscribe,
  retargeted,
  statusChanged,
  subscribe,
  subscribed,
  subscriptionCreated,
  subscriptionRefreshed,
  terminated,
} from "../../support/builders.ts"
import { given, subscribedFor, treatAs } from "../../support/given.ts"

const strict: Limits["profile"] = "6665"
const forbidden: Rejection = { _tag: "Forbidden", status: 403, why: "not authorized to watch" }

describe("a SUBSCRIBE inside a dialog", () => {
  const one = given(published("tag-1", open), subscribed(2, bob, open))

  it(
    "refreshes, and is answered with the present state though nothing changed",
    { tags: ["3265-3.1.4.2-a", "T14"] },
    () => {
      one
        .when(resubscribe(2, { cseq: 5, expires: 600 }), at("10:30:00"))
        .gives(subscriptionRefreshed(2, 5, at("10:40:00")), answeredWith(2, open))
        .answers(subscribedFor(600))
        .sends("2/2 active;expires=600 open")
    },
  )

  it(
    "each decision gives a table of its own, where a dialog finds its subscription; older tables stay as they were",
    {
      tags: [
        "OPS-new_shtable",
        "OPS-insert_shtable",
        "OPS-search_shtable",
        "OPS-update_shtable",
        "OPS-delete_shtable",
        "OPS-destroy_shtable",
      ],
    },
    () => {
      const found = (state: State, no: number): string => {
        const dialog = [...values(state.dialogs)].find(
          ({ start }) => dialogKey(start.callId, start.localTag, start.remoteTag) === keyOf(no),
        )
        const subscription = [...values(state.subscriptions)].find((each) => each.dialog === dialog?.no)
        if (dialog === undefined || subscription === undefined) return "-"
        return `${dialog.remoteCseq} ${dialog.localCseq} ${(subscription.expiresAt - at("10:00:00")) / 1000}`
      }
      const none = given()
      const inserted = none.when(subscribe({ expires: 100 }), at("10:00:00"))
      const updated = inserted.and().when(resubscribe(1, { cseq: 5, expires: 600 }), at("10:00:30"))
      const deleted = updated.and().when(resubscribe(1, { cseq: 6, expires: 0 }), at("10:00:40"))
      const states = [none.state, inserted.state, updated.state, deleted.state]
      deepStrictEqual(
        states.map((state) => found(state, 1)),
        ["-", "1 1 100", "5 2 630", "-"],
      )
      deepStrictEqual(
        states.map((state) => found(state, 2)),
        ["-", "-", "-", "-"],
      )
      deepStrictEqual(deleted.state.subscriptions, none.state.subscriptions)
    },
  )

  it("takes the Contact for the remote target from now on", { tags: ["6665-3.2-a"] }, () => {
    const moved = "sip:bob@192.0.2.77"
    const outcome = one
      .when(resubscribe(2, { expires: 600, remoteTarget: moved }), at("10:00:00"))
      .gives(subscriptionRefreshed(2, 2, at("10:10:00"), moved), answeredWith(2, open))
    deepStrictEqual(outcome.sent[0]?.dialog, dialogOf(2, { remoteTarget: moved }))
    // the same once more is no change
    outcome
      .and()
      .when(resubscribe(2, { cseq: 3, expires: 600, remoteTarget: moved }), at("10:00:00"))
      .gives(subscriptionRefreshed(2, 3, at("10:10:00")), answeredWith(2, open))
  })

  it("with Expires 0 ends it, with one last NOTIFY of the state", { tags: ["3265-3.1.4.3-a", "T15"] }, () => {
    const outcome = one
      .when(resubscribe(2, { expires: 0 }), at("10:30:00"))
      .gives(terminated(2, "timeout"))
      .answers(subscribedFor(0))
      .sends("2/2 terminated;reason=timeout open")
    outcome
      .and()
      .when(resubscribe(2, { cseq: 9 }), at("10:30:01"))
      .refused({ _tag: "CallDoesNotExist", status: 481 })
  })

  it("the last NOTIFY goes to the Contact of the SUBSCRIBE that ends it", { tags: ["6665-3.2-a"] }, () => {
    const moved = "sip:bob@192.0.2.77"
    const outcome = one
      .when(resubscribe(2, { expires: 0, remoteTarget: moved }), at("10:30:00"))
      .gives(subscriptionRefreshed(2, 2, at("10:30:00"), moved), terminated(2, "timeout"))
    deepStrictEqual(outcome.sent[0]?.dialog.remoteTarget, moved)
  })

  it(
    "in an unknown dialog gets 481; nothing to end gets 481 as well",
    { tags: ["3265-3.1.4.2-c", "T27"] },
    () => {
      const gone: Rejection = { _tag: "CallDoesNotExist", status: 481 }
      one.when(resubscribe(3), at("10:00:30")).refused(gone)
      one.when(resubscribe(2, { eventId: "x", expires: 0 }), at("10:00:30")).refused(gone)
    },
  )

  it("with a CSeq that does not grow gets 500 and changes nothing", { tags: ["3261-12.2.2-b"] }, () => {
    for (const cseq of [1, 0]) {
      one
        .when(resubscribe(2, { cseq, remoteTarget: "sip:elsewhere@x" }), at("10:00:30"))
        .refused({ _tag: "OutOfOrder", status: 500 })
    }
  })

  it("from somebody who is not the dialog's watcher gets 403", { tags: ["3265-5.3-a"] }, () => {
    one.when(resubscribe(2, { watcher: carol }), at("10:00:30")).refused(forbidden)
  })

  it("is told that nothing is left when what it knew has gone meanwhile", { tags: ["3856-6.8-a"] }, () => {
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
      .gives(
        subscriptionRefreshed(2, 3, at("11:00:13")),
        deferred([2], null, true),
        answeredWith(2, "nothing"),
      )
      .sends("2/4 active;expires=3600 offline")
  })
})

describe("rules asked again at a refresh", () => {
  const active = given(published("tag-1", open), subscribed(2, bob, open))
  const pending = given(published("tag-1", open), subscribed(2, bob, "hidden", { status: "pending" }))
  const refresh = resubscribe(2, { expires: 600 })
  const refreshed = subscriptionRefreshed(2, 2, at("10:10:00"))

  it(
    "allow → block ends it with rejected, without body, and refuses the refresh",
    { tags: ["3265-3.1.6.4-a", "T16"] },
    () => {
      for (const from of [active, pending]) {
        from
          .and({ authorize: treatAs("block") })
          .when(refresh, at("10:00:00"))
          .gives(terminated(2, "rejected"))
          .answersRefusal(forbidden)
          .sends("2/2 terminated;reason=rejected (no body)")
      }
    },
  )

  it("confirm → allow shows the state", { tags: ["3856-6.7-c", "T7", "T10"] }, () => {
    pending
      .when(refresh, at("10:00:00"))
      .gives(statusChanged(2, "active"), refreshed, answeredWith(2, open))
      .answers(subscribedFor(600))
      .sends("2/2 active;expires=600 open")
  })

  it("still undecided is answered 202 again, and shown nothing", { tags: ["T9"] }, () => {
    pending
      .and({ authorize: treatAs("confirm") })
      .when(refresh, at("10:00:00"))
      .gives(refreshed, answeredWith(2, "hidden"))
      .answers(subscribedFor(600, 202))
      .sends("2/2 pending;expires=600 (no body)")
  })

  it("allow → confirm shows nothing any more", { tags: ["5025-3.2.1", "T17"] }, () => {
    active
      .and({ authorize: treatAs("confirm") })
      .when(refresh, at("10:00:00"))
      .gives(statusChanged(2, "pending"), refreshed, answeredWith(2, "hidden"))
      .sends("2/2 pending;expires=600 (no body)")
  })

  it(
    "who comes back from undecided is told that what it knew has gone meanwhile",
    { tags: ["3856-6.8-a", "T17", "T7"] },
    () => {
      active
        .and({ authorize: treatAs("confirm") })
        .when(refresh, at("10:00:00"))
        .sends("2/2 pending;expires=600 (no body)")
        .and()
        .when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:00:01"))
        .sends()
        .and({ authorize: treatAs("allow") })
        .when(resubscribe(2, { cseq: 3, expires: 600 }), at("10:00:02"))
        .sends("2/3 active;expires=600 offline")
    },
  )

  it(
    "allow → polite-block looks like going offline, and back like coming online",
    { tags: ["5025-3.2.1-e", "T18"] },
    () => {
      const outcome = active
        .and({ authorize: treatAs("polite-block") })
        .when(refresh, at("10:00:00"))
        .gives(statusChanged(2, "active", true), refreshed, answeredWith(2, "nothing"))
        .answers(subscribedFor(600))
        .sends("2/2 active;expires=600 offline")
      outcome
        .and({ authorize: treatAs("allow") })
        .when(resubscribe(2, { cseq: 3, expires: 600 }), at("10:00:00"))
        .gives(statusChanged(2, "active"), subscriptionRefreshed(2, 3, at("10:10:00")), answeredWith(2, open))
        .sends("2/3 active;expires=600 open")
    },
  )

  it("an unsubscribe is asked about as well", { tags: ["T11"] }, () => {
    active
      .and({ authorize: treatAs("confirm") })
      .when(resubscribe(2, { expires: 0 }), at("10:00:00"))
      .gives(statusChanged(2, "pending"), terminated(2, "timeout", after("3 d")))
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

  it(
    "an Event that matches none asks for a new one; ids are compared byte by byte",
    { tags: ["3265-3.1.4.2-b"] },
    () => {
      for (const [eventId, packageName] of [
        ["a", "stub"],
        ["", "stub"],
        ["A", "stub-all"],
        [null, "stub-all"],
      ] as const) {
        shared
          .when(resubscribe(2, { eventId, packageName, cseq: 3 }), at("10:00:00"))
          .gives(
            subscriptionCreated(4, { dialog: 2, start: null, eventId, packageName, remoteCseq: 3 }),
            answeredWith(4, packageName === "stub" ? open : "nothing", { packageName }),
          )
          .answers(subscribedFor(3600))
      }
    },
  )

  it("they count one CSeq and refresh and end one by one", { tags: ["L12", "L15"] }, () => {
    const refreshed = shared
      .when(resubscribe(2, { eventId: "A", cseq: 3, expires: 60 }), at("10:00:00"))
      .gives(subscriptionRefreshed(3, 3, after("60 s")), answeredWith(3, open))
      .sends("3/3 active;expires=60 open")
    refreshed
      .and({ limits: { notifyIntervalMillis: 0 } })
      .when(publish({ ifMatch: "tag-1", body: busy }), at("10:00:01"))
      .sends("2/4 active;expires=3599 busy", "3/5 active;expires=59 busy")
    refreshed
      .and()
      .when(resubscribe(2, { cseq: 4, expires: 0 }), at("10:00:01"))
      .gives(subscriptionRefreshed(2, 4, at("10:00:01")), terminated(2, "timeout"))
      .sends("2/4 terminated;reason=timeout open")
      .and()
      .when(resubscribe(2, { eventId: "A", cseq: 4 }), at("10:00:02"))
      .refused(500)
  })

  it("a further one moves the target of all", { tags: ["6665-3.2-a"] }, () => {
    shared
      .when(resubscribe(2, { eventId: "B", cseq: 3, remoteTarget: "sip:new@x" }), at("10:00:00"))
      .gives(
        retargeted(2, "sip:new@x"),
        subscriptionCreated(4, { dialog: 2, start: null, eventId: "B", remoteCseq: 3 }),
        answeredWith(4, open),
      )
  })

  it("profile 6665 does not begin a further one", { tags: ["6665-4.5.2-a"] }, () => {
    shared
      .and({ limits: { profile: strict } })
      .when(resubscribe(2, { eventId: "B", cseq: 3 }), at("10:00:00"))
      .refused({ _tag: "Forbidden", status: 403, why: "sharing a dialog is not supported" })
  })

  it(
    "a further one of a blocked watcher is refused and leaves the others",
    { tags: ["3265-3.1.6.3-b"] },
    () => {
      const outcome = shared
        .and({ authorize: ({ packageName }) => (packageName === "stub" ? "allow" : "block") })
        .when(resubscribe(2, { packageName: "stub-all", cseq: 3, remoteTarget: "sip:new@x" }), at("10:00:00"))
        .refused(forbidden)
      outcome
        .and({ authorize: treatAs("allow") })
        .when(publish({ body: busy }), at("10:10:00"))
        .gives(
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
    },
  )

  it("the same watcher may have several dialogs", { tags: ["L15"] }, () => {
    given(subscribed(1), subscribed(2))
      .when(resubscribe(2, { expires: 0 }), at("10:00:30"))
      .gives(terminated(2, "timeout"))
      .and()
      .when(resubscribe(1, { watcher: bob as Uri }), at("10:00:31"))
      .answers(subscribedFor(3600))
  })
})
