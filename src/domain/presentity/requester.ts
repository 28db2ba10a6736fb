/**
 * Whose request a decision answers: the addresses and the Call-ID recorded with it are personal data of that person,
 * not of the presentity.
 */
import { isAnonymous } from "../privacy.ts"
import { get } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import type { About, Requester } from "./about.ts"
import type { Command } from "./commands.ts"
import type { Event } from "./events.ts"
import type { State } from "./state.ts"

/**
 * @param before the state on which the decision was made
 * @param about what else is known of the request
 * @returns the watcher that sent the request, or whose NOTIFY was answered, or who asked for something about somebody else;
 *   null: the presentity itself, an operator, or the server
 */
export const requesterOf = (
  before: State,
  command: Command,
  events: readonly Event[],
  about?: About,
): Uri | null => {
  switch (command._tag) {
    case "Subscribe":
      return command.watcher
    case "Resubscribe": {
      // whoever sent it, what it refreshes belongs to the watcher that created it
      for (const event of events) {
        const known = "no" in event ? get(before.subscriptions, event.no) : undefined
        if (known !== undefined) return known.watcher
      }
      return command.watcher
    }
    case "ReportDelivery":
      return get(before.subscriptions, command.no)?.watcher ?? null
    default:
      return askerIn(before.presentity, about)
  }
}

/**
 * What of it is kept. It is encrypted with the key of one person, and gone when that person is erased: an address of anybody else would
 * stay, and the erasure of that person would not find it.
 *
 * @param owner the person whose key it is
 */
export const partsOf = (by: Requester, owner: Uri): Requester | undefined => {
  const { identity, from, ...rest } = by
  const parts: Requester = {
    ...rest,
    ...(identity === owner ? { identity } : {}),
    ...(from === owner ? { from } : {}),
  }
  return Object.keys(parts).length === 0 ? undefined : parts
}

/** Null: the presentity itself, as far as is known. */
const askerIn = (presentity: Uri, about: About | undefined): Uri | null => {
  const by = about?.by
  if (by === undefined || typeof by === "number") return null
  const asker = (by.identity ?? by.from) as Uri | undefined
  return asker === undefined || asker === presentity || isAnonymous(asker) ? null : asker
}
