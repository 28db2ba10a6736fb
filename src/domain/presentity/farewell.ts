/**
 * The last NOTIFY of a subscription that has ended, sent once more after a restart: whether its document may still be shown.
 *
 * Nobody else can tell its watcher, so it is repeated as it was; but what it shows was let through by the rules of then.
 */
import { get } from "../table.ts"
import { judge } from "./authorize.ts"
import type { Context } from "./context.ts"
import type { Notify } from "./intents.ts"
import type { State, Subscription } from "./state.ts"

export interface Farewell {
  readonly notify: Notify
  /** The subscription as it ended. */
  readonly one: Subscription
  /** The decision that put the rules of then in force; null: there were none. */
  readonly rulesFrom: number | null
}

/** The decision that put the present rules of a package in force; null: there are none. */
export const rulesFrom = (state: State, packageName: string): number | null =>
  get(state.rules, packageName)?.replacedIn ?? null

/**
 * As it was when its watcher is treated now as it was then, by the same rules; else without its document, which other rules
 * might hide or show otherwise.
 *
 * @param state of its presentity, now
 */
export const farewellNow = (
  { notify, one, rulesFrom: from }: Farewell,
  state: State,
  context: Context,
): Notify => {
  if (notify.body === null && notify.headers === undefined) return notify
  if (one.forced) return notify
  const pack = context.packages.find(one.packageName)
  if (pack === null) return withoutDocument(notify)
  const { handling, matched } = judge(state, pack, one.watcher, context)
  const isShown = handling === "allow" || handling === "polite-block"
  const isSame = (handling === "polite-block") === one.polite && matched === one.matched
  return isShown && isSame && rulesFrom(state, one.packageName) === from ? notify : withoutDocument(notify)
}

const withoutDocument = (notify: Notify): Notify => {
  const { headers: _, ...rest } = notify
  return { ...rest, body: null, entityTag: null }
}
