/**
 * Somebody with two addresses, a sip and a tel URI (RFC 3325 §9.1): what belongs to one of them is his, whichever he is known
 * by; what rules keep from the first they keep from him.
 */
import { deepStrictEqual, equal } from "node:assert/strict"
import { describe, it } from "vitest"
import type { State } from "../../../src/domain/presentity/state.ts"
import type { Watching } from "../../../src/domain/presentity/watching.ts"
import { get } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { alice, at, bob, carol, open, published, resubscribe, subscribe } from "../../support/builders.ts"
import { given, treatAs } from "../../support/given.ts"

const number = "tel:+15550100" as Uri
const watching = (over: Partial<Watching>): { readonly limits: { readonly watching: Watching } } => ({
  limits: { watching: { policies: {}, lineMembers: {}, mailboxOwners: {}, ...over } },
})
const watcherIn = (state: State): Uri | undefined => get(state.subscriptions, 2)?.watcher
const here = given(published("tag-1", open)).and({ authorize: () => null })
const owners = watching({ policies: { stub: "owner" } })

describe("an owner with two addresses", () => {
  it("watches what is its own by either, and nobody else does", { tags: ["AUT-13", "3325-9.1-a"] }, () => {
    const asked = here.and(owners)
    for (const [watcher, also] of [
      [carol, [alice]],
      [alice, [number]],
      [number, [alice]],
    ] as const) {
      const begun = asked.when(subscribe({ watcher, also, expires: 600 }), at("10:00:00"))
      equal(begun.answer._tag, "Accepted", watcher)
      // and goes on being it, whenever the policy is asked again
      equal(watcherIn(begun.state), alice)
      const again = begun
        .and()
        .when({ _tag: "RefreshWatchers", packageName: "stub", kind: "rules" }, at("10:00:01"))
      deepStrictEqual(again.events, [])
    }
    for (const also of [undefined, [], [carol], [number]])
      asked
        .when(subscribe({ watcher: bob, ...(also === undefined ? {} : { also }) }), at("10:00:00"))
        .refused(403)
  })

  it(
    "is known again within its dialog, in whatever order it is named",
    { tags: ["AUT-13", "3325-9.1-a"] },
    () => {
      const begun = here
        .and(owners)
        .when(subscribe({ watcher: carol, also: [alice], expires: 600 }), at("10:00:00"))
      for (const [watcher, also] of [
        [carol, [alice]],
        [alice, [carol]],
        [alice, undefined],
      ] as const) {
        const named = { watcher, ...(also === undefined ? {} : { also }) }
        const again = begun.and().when(resubscribe(1, { ...named, expires: 600 }), at("10:00:01"))
        equal(again.answer._tag, "Accepted")
        const second = begun
          .and()
          .when(resubscribe(1, { ...named, eventId: "2", expires: 600 }), at("10:00:01"))
        equal(second.answer._tag, "Accepted")
      }
      const other = begun.and().when(resubscribe(1, { watcher: carol, expires: 600 }), at("10:00:01"))
      equal(other.answer._tag, "Rejected")
    },
  )

  it("is not let in by rules that keep the first of its addresses out", { tags: ["AUT-13"] }, () => {
    const ruled = here.and(watching({ policies: { stub: "rules" } }))
    ruled
      .and({ authorize: ({ watcher }) => (watcher === bob ? "block" : "allow") })
      .when(subscribe({ watcher: bob, also: [number] }), at("10:00:00"))
      .refused(403)
    here
      .and({ ...owners, authorize: treatAs("block") })
      .when(subscribe({ watcher: carol, also: [alice] }), at("10:00:00"))
      .refused(403)
  })
})
