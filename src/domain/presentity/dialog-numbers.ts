/**
 * CSeq numbers of a dialog that is known only by its tags, because a subscription in it has ended while others may
 * still be live.
 */
import { set, values } from "../table.ts"
import type { DialogStart } from "../vocabulary.ts"
import type { Dialog, State } from "./state.ts"

/** Whether two records name the same dialog. */
export const isSameDialog = (left: DialogStart, right: DialogStart): boolean =>
  left.callId === right.callId && left.localTag === right.localTag && left.remoteTag === right.remoteTag

/** The dialog, if other subscriptions use it. O(dialogs). */
export const livingDialog = (state: State, start: DialogStart): Dialog | undefined => {
  for (const dialog of values(state.dialogs)) if (isSameDialog(dialog.start, start)) return dialog
  return undefined
}

/** The state in which that CSeq number of a dialog is used; unchanged if no subscription uses the dialog any more. */
export const withNumberTaken = (state: State, start: DialogStart, cseq: number): State => {
  const dialog = livingDialog(state, start)
  return dialog === undefined || dialog.localCseq >= cseq
    ? state
    : { ...state, dialogs: set(state.dialogs, dialog.no, { ...dialog, localCseq: cseq }) }
}
