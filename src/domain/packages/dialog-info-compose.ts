/**
 * Combines dialog information documents: several publications, a publication and its modification, and the difference
 * between two documents.
 *
 * Everything here is by dialog id. Publications contribute dialogs; the rest of a document is only a frame. Which of
 * several dialogs with one id is shown is the law in `dialog-info-merge.ts`.
 */
import { dialogInfoNamespace, terminated } from "./dialog-info-document.ts"
import type { DialogEntry, DialogInfo, DialogState } from "./dialog-info-document.ts"
import { isOrdered, mergedDialogs } from "./dialog-info-merge.ts"
import { withoutDescription } from "./dialog-info-tailor.ts"
import { canonical, element } from "./element.ts"
import type { Composition } from "./event-package.ts"
import { once, rootAttributes } from "./pidf-compose.ts"

export interface CompositionOptions {
  /** Shows the dialogs of an expired publication as terminated, once. */
  readonly generateTerminated: boolean
  /** Shows at most one dialog, for phones that evaluate only one (OpenSIPS `force_single_dialog`). */
  readonly forceSingleDialog: boolean
}

/** One full document, without dialogs if there are none. O(dialogs), times publications where ids collide. */
export const compose = (input: Composition<DialogInfo>, options: CompositionOptions): DialogInfo => {
  const { presentity, documents, ended } = input
  const live = mergedDialogs(documents)
  const parting = options.generateTerminated ? mergedDialogs(ended).map(terminated) : []
  const names = new Set(live.map(({ id }) => id))
  const merged = [...parting.filter(({ id }) => !names.has(id)), ...live]
  // logs from before order was recorded showed session descriptions to everybody
  const dialogs = isOrdered(documents) || isOrdered(ended) ? merged.map(withoutDescription) : merged
  return {
    entity: presentity,
    state: "full",
    version: null,
    attributes: rootAttributes(documents),
    dialogs: options.forceSingleDialog ? foremost(dialogs) : dialogs,
    others: once(documents.map(({ document }) => document.others)),
  }
}

const ranks: Readonly<Record<DialogState, number>> = {
  early: 4,
  confirmed: 3,
  proceeding: 2,
  trying: 1,
  terminated: 0,
}

const foremost = (dialogs: readonly DialogEntry[]): readonly DialogEntry[] => {
  const highest = Math.max(...dialogs.map(({ state }) => ranks[state]))
  const found = dialogs.findLast(({ state }) => ranks[state] === highest)
  return found === undefined ? [] : [found]
}

/**
 * The full content of a publication after a modification, whether the modification was full or partial. Its entity-tag
 * proves that it is newer than what was there, so a dialog id that it uses again names the dialog that is there now:
 * park orbits have one id and Call-ID for all their calls.
 *
 * @source RFC 4235 §4.1 (partial), RFC 3903 §4.4 (modification)
 */
export const amend = (before: DialogInfo, modification: DialogInfo): DialogInfo => {
  if (modification.state === "full") return modification
  const { dialogs } = modification
  const names = new Set(dialogs.map(({ id }) => id))
  return {
    ...modification,
    state: "full",
    attributes: rootAttributes([before, modification].map((document) => ({ key: "", document }))),
    dialogs: forgetting([...before.dialogs.filter(({ id }) => !names.has(id)), ...dialogs]),
    others: modification.others.length === 0 ? before.others : modification.others,
  }
}

/** A publisher of partial documents never removes a dialog, so that terminated ones would accumulate for ever. */
const terminatedMax = 16

const forgetting = (dialogs: readonly DialogEntry[]): readonly DialogEntry[] => {
  let surplus = dialogs.filter(({ state }) => state === "terminated").length - terminatedMax
  return dialogs.filter(({ state }) => {
    if (state === "terminated") surplus -= 1
    return state !== "terminated" || surplus < 0
  })
}

/**
 * A partial document that leads from `before` to `after`: first dialogs that are gone, as terminated, then those that
 * are new or changed.
 *
 * A dialog that was shown as terminated and is gone is not repeated. COMPAT(several phones): a document without dialogs
 * turns off the lamp even if it is partial, so if nothing has changed the full document is used.
 *
 * @source RFC 4235 §3.7, §4.3
 * @returns null if only the full document can express the difference
 */
export const difference = (before: DialogInfo, after: DialogInfo): DialogInfo | null => {
  if (before.entity !== after.entity || frame(before) !== frame(after)) return null
  const left = new Map(before.dialogs.map((dialog) => [dialog.id, dialog]))
  const changed = after.dialogs.filter((dialog) => {
    const previous = left.get(dialog.id)
    left.delete(dialog.id)
    return previous === undefined || !isUnchanged(previous.element, dialog.element)
  })
  const gone = [...left.values()].filter(({ state }) => state !== "terminated").map(terminated)
  const dialogs = [...gone, ...changed]
  return dialogs.length === 0 ? null : { ...after, state: "partial", dialogs }
}

const isUnchanged = (before: DialogEntry["element"], after: DialogEntry["element"]): boolean =>
  before === after || canonical(before) === canonical(after)

/** The content of a document besides its dialogs. */
const frame = ({ attributes, others }: DialogInfo): string =>
  attributes.length === 0 && others.length === 0
    ? ""
    : canonical({ ...element(dialogInfoNamespace, "dialog-info", {}, others), attributes })
