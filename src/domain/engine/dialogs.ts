/**
 * Which presentity a dialog belongs to: an index over all dialogs in memory, folded from decisions.
 */
import type { Decision } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import { dialogKey } from "../vocabulary.ts"
import type { DialogKey, DialogNo, DialogStart, Uri } from "../vocabulary.ts"

export interface Dialogs {
  readonly find: (key: DialogKey) => DialogPlace | null
  /** Notes the dialogs that one decision opened and closed. O(its events). */
  readonly follow: (before: State, decision: Decision) => void
  readonly remember: (state: State) => void
  readonly forget: (state: State) => void
  readonly size: () => number
}

export interface DialogPlace {
  readonly presentity: Uri
  readonly no: DialogNo
}

export const makeDialogs = (): Dialogs => {
  const places = new Map<DialogKey, DialogPlace>()
  return {
    find: (key) => places.get(key) ?? null,
    follow: (before, decision) => {
      // how many subscriptions this decision adds to, or takes from, a dialog that existed before
      let opened: Map<DialogNo, DialogStart> | null = null
      let closed: Map<DialogNo, number> | null = null
      for (const event of decision.events) {
        if (event._tag === "SubscriptionCreated" && event.start !== null) {
          opened ??= new Map()
          opened.set(event.dialog, event.start)
        } else if (event._tag === "SubscriptionTerminated") {
          const dialog = get(before.subscriptions, event.no)?.dialog ?? event.no
          closed ??= new Map()
          closed.set(dialog, (closed.get(dialog) ?? 0) + 1)
        }
      }
      for (const [no, start] of opened ?? []) {
        if (!closed?.has(no)) places.set(keyOf(start), { presentity: before.presentity, no })
      }
      for (const [no, count] of closed ?? []) {
        const dialog = get(before.dialogs, no)
        if (dialog !== undefined && dialog.usages <= count) places.delete(keyOf(dialog.start))
      }
    },
    remember: (state) => {
      for (const dialog of values(state.dialogs)) {
        places.set(keyOf(dialog.start), { presentity: state.presentity, no: dialog.no })
      }
    },
    forget: (state) => {
      for (const dialog of values(state.dialogs)) places.delete(keyOf(dialog.start))
    },
    size: () => places.size,
  }
}

const keyOf = ({ callId, localTag, remoteTag }: DialogStart): DialogKey =>
  dialogKey(callId, localTag, remoteTag)
