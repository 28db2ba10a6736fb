/**
 * Subscriptions that a registrar makes for phones that expect NOTIFYs without subscribing (message waiting). A phone that
 * subscribes by itself has none.
 */
import { get, values } from "../table.ts"
import { canonicalUri, sameUri } from "../uris.ts"
import type { Subscribe } from "./commands.ts"
import type { Event } from "./events.ts"
import type { State, Subscription } from "./state.ts"

/** The subscriptions of the same phone to the same package: same watcher, same Contact. O(subscriptions). */
const ofSamePhone = (state: State, { packageName, watcher, dialog }: Subscribe): readonly Subscription[] => {
  const target = canonicalUri(dialog.remoteTarget)
  return [...values(state.subscriptions)].filter(
    (subscription) =>
      subscription.packageName === packageName &&
      subscription.watcher === watcher &&
      sameUri(canonicalUri(get(state.dialogs, subscription.dialog)?.remoteTarget ?? ""), target),
  )
}

/** Whether the registrar need not make one, because the phone has subscribed, or has one already. */
export const isSolicited = (state: State, command: Subscribe): boolean =>
  command.unsolicited === true && ofSamePhone(state, command).length > 0

/** A phone that subscribes by itself is told in that dialog from now on, and in no other. */
export const supersededUnsolicited = (state: State, command: Subscribe): readonly Event[] =>
  command.unsolicited === true || command.watcher !== state.presentity || !hasUnsolicited(state)
    ? none
    : ofSamePhone(state, command)
        .filter(({ unsolicited }) => unsolicited === true)
        .map(({ no }) => ({
          _tag: "SubscriptionTerminated",
          no,
          reason: "noresource",
          silent: true,
          waitsUntil: null,
        }))

const hasUnsolicited = (state: State): boolean =>
  [...values(state.subscriptions)].some(({ unsolicited }) => unsolicited === true)

const none: readonly Event[] = []
