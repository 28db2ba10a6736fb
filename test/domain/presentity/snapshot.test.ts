/**
 * A state as JSON and back.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { deadlineIn, nextDeadline } from "../../../src/domain/presentity/deadlines.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../src/domain/presentity/state.ts"
import {
  after,
  alice,
  answeredWith,
  at,
  bob,
  busy,
  deferred,
  dialogOf,
  happened,
  open,
  publicationRemoved,
  published,
  statusChanged,
  subscribed,
  subscriptionCreated,
  terminated,
} from "../../support/builders.ts"
import { given } from "../../support/given.ts"

describe("a snapshot", () => {
  it(
    "is plain JSON, in a fixed order, and gives the same state back",
    { tags: ["OPS-mem_copy_subs", "L04"] },
    () => {
      const { state } = given(
        published("tag-1", open),
        subscribed(2, bob, open),
        published("tag-3", busy, { packageName: "dialog;sla", sender: "sip:a@b" }),
        happened(at("10:00:01"), deferred([2], at("10:00:05"))),
      )
      const snapshot = freeze(state)
      deepStrictEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
      deepStrictEqual(freeze(thaw(snapshot)), snapshot)
      deepStrictEqual(snapshot, {
        shape: 1,
        presentity: alice,
        version: 4,
        decidedAt: at("10:00:01"),
        publications: [
          [
            "dialog;sla",
            [
              {
                entityTag: "tag-3",
                createdIn: 3,
                bodyFrom: 3,
                receivedAt: at("10:00:00"),
                expiresAt: at("11:00:00"),
                body: busy,
                sender: "sip:a@b",
                slot: 1,
              },
            ],
          ],
          [
            "stub",
            [
              {
                entityTag: "tag-1",
                createdIn: 1,
                bodyFrom: 1,
                receivedAt: at("10:00:00"),
                expiresAt: at("11:00:00"),
                body: open,
                sender: null,
                slot: 1,
              },
            ],
          ],
        ],
        subscriptions: [
          {
            no: 2,
            packageName: "stub",
            eventId: null,
            watcher: bob,
            status: "active",
            polite: false,
            matched: null,
            forced: false,
            event: "subscribe",
            changedIn: 2,
            createdAt: at("10:00:00"),
            expiresAt: at("11:00:00"),
            giveUpAt: null,
            dialog: 2,
            notified: 1,
            shown: snapshot.subscriptions[0]?.shown,
            spared: false,
            issuedAt: at("10:00:00"),
            toldIn: 2,
            pacedAt: 0,
            heardAt: 0,
            dueAt: at("10:00:05"),
            dormant: false,
            rates: null,
            repeatAt: null,
            recent: [],
          },
        ],
        waiting: [],
        rules: [],
        watchersChangedIn: [["stub", 2]],
        departed: [],
        dialogs: [
          {
            no: 2,
            start: dialogOf(2),
            remoteTarget: dialogOf(2).remoteTarget,
            remoteCseq: 1,
            localCseq: 1,
            usages: 1,
          },
        ],
      } satisfies Omit<Snapshot, "publications" | "subscriptions"> & Record<string, unknown>)
    },
  )

  it("of nothing is a version only", { tags: ["L04"] }, () => {
    const { state } = given(
      published("tag-1", open),
      subscribed(2),
      happened(at("10:00:01"), publicationRemoved("tag-1", "requested"), terminated(2, "timeout")),
    )
    deepStrictEqual(isEmpty(state), true)
    deepStrictEqual(freeze(state), { ...freeze(initial(alice)), version: 3, decidedAt: at("10:00:01") })
    deepStrictEqual(nextDeadline(state), null)
  })
})

describe("deadlines", () => {
  it(
    "the next one is the earliest of publications, subscriptions and held NOTIFYs",
    { tags: ["L09"] },
    () => {
      const some = [published("tag-1", open), subscribed(2, bob, open, { expiresAt: at("10:30:00") })]
      deepStrictEqual(nextDeadline(given(...some).state), at("10:30:00"))
      const held = happened(at("10:00:01"), deferred([2], at("10:00:05")))
      deepStrictEqual(nextDeadline(given(...some, held).state), at("10:00:05"))
      deepStrictEqual(nextDeadline(given(published("tag-1", open)).state), at("11:00:00"))
      deepStrictEqual(nextDeadline(initial(alice)), null)
    },
  )

  it("events tell the earliest deadline they bring", { tags: ["L09"] }, () => {
    const first = published("tag-1", open)
    const created = subscriptionCreated(1, { expiresAt: at("10:30:00") })
    const lasting = subscriptionCreated(1, { expiresAt: after("4 d") })
    const held = deferred([1], at("10:00:05"))
    const asked = { _tag: "RulesReplaced", packageName: "stub", rules: open, boundaryAt: null } as const
    const rules = { _tag: "RulesReviewed", packageName: "stub", boundaryAt: at("10:20:00") } as const
    deepStrictEqual(deadlineIn([first, created], given(first, created).state), at("10:30:00"))
    deepStrictEqual(deadlineIn([created, held], given(created, held).state), at("10:00:05"))
    deepStrictEqual(deadlineIn([answeredWith(1, open), deferred([1], null)], initial(alice)), null)
    deepStrictEqual(deadlineIn([], given(created).state), null)
    const pending = statusChanged(1, "pending")
    deepStrictEqual(deadlineIn([pending], given(lasting, pending).state), after("3 d"))
    const waits = terminated(1, "timeout", after("3 d"))
    deepStrictEqual(deadlineIn([waits], given(lasting, waits).state), after("3 d"))
    deepStrictEqual(deadlineIn([created, rules], given(asked, created, rules).state), at("10:20:00"))
  })
})
