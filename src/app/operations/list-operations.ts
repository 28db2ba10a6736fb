/**
 * Lists and views of what is alive now, for operators and programs, made from committed state.
 */
import { Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { PackageName } from "../../domain/vocabulary.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import { Refused } from "../../ports/operation-refused.ts"
import { wholeList } from "../../ports/operations.ts"
import type { ExposedRow, Operations } from "../../ports/operations.ts"
import type { Feed } from "../node/feed.ts"
import {
  exposedRows,
  paged,
  presentityView,
  publicationRows,
  subscriptionRows,
  watcherRows,
  watchingRows,
} from "./lists.ts"
import type { States } from "./lists.ts"
import { uriOf } from "./uri-arguments.ts"

type ListOperations = Pick<
  Operations,
  "publications" | "subscriptions" | "presentity" | "watchers" | "watching" | "expose"
>

export const makeListOperations = (
  states: States,
  packages: Packages,
  feed: Feed,
  now: () => number,
): ListOperations => ({
  publications: (event, page) =>
    paged(states, page, (state) => publicationRows(state, packages, event, now())),
  subscriptions: (from, to, page) =>
    paged(states, page, (state) =>
      to !== null && !matchesWildcard(to, state.presentity)
        ? []
        : subscriptionRows(state, ({ watcher }) => from === null || matchesWildcard(from, watcher)),
    ),
  presentity: (uri) =>
    Effect.flatMap(uriOf(uri), (presentity) => {
      const state = states.state(presentity)
      const view = state === undefined ? null : presentityView(state, packages, now())
      return view === null
        ? Effect.fail(new Refused({ status: 404, why: `nothing is known of ${presentity}` }))
        : Effect.succeed(view)
    }),
  watchers: (uri, event) =>
    Effect.map(uriOf(uri), (presentity) => {
      const state = states.state(presentity)
      return state === undefined ? [] : watcherRows(state, packages, event)
    }),
  watching: (wanted, page) => paged(states, page, (state) => watchingRows(state, packages, wanted)),
  expose: (event, matches) =>
    Effect.suspend(() =>
      packages.find(event) === null
        ? Effect.fail(new Refused({ status: 404, why: `event = ${event}: there is no such event package` }))
        : Effect.succeed(exposePublications(states, feed, event, matches)),
    ),
})

/** Live publications of a package whose presentity matches; each one is also sent to the feed. O(presentities). */
export const exposePublications = (
  states: States,
  feed: Feed,
  event: PackageName,
  matches: (presentity: string) => boolean,
): readonly ExposedRow[] => {
  const { items } = paged(states, wholeList, (state) =>
    matches(state.presentity) ? exposedRows(state, event) : [],
  )
  feed.expose(items)
  return items
}
