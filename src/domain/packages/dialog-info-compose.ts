/**
 * Combines dialog information documents: several publications, a publication and its modification, and the difference
 * between two documents.
 *
 * Everything here is by dialog id. Publications contribute dialogs; the rest of a document is only a frame. A call that
 * was reported as terminated stays so, whatever another document says later: RFC 4235 §3.7.1 has no transition out of
 * `terminated`.
 */
import { dialogInfoNamespace, terminated } from "./dialog-info-document.ts"
import type { DialogEntry, DialogInfo, DialogState } from "./dialog-info-document.ts"
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
  const live = mergedDialogs(documents.map(({ document }) => document))
  const parting = options.generateTerminated
    ? mergedDialogs(ended.map(({ document }) => document)).map(terminated)
    : []
  const names = new Set(live.map(({ id }) => id))
  const dialogs = [...parting.filter(({ id }) => !names.has(id)), ...live]
  return {
    entity: presentity,
    state: "full",
    version: null,
    attributes: rootAttributes(documents),
    dialogs: options.forceSingleDialog ? foremost(dialogs) : dialogs,
    others: once(documents.map(({ document }) => document.others)),
  }
}

/**
 * The dialogs of several documents, oldest first, each id once and in the place of the document from which it is taken.
 *
 * If several documents know the same call, the newest state holds, or `terminated` if any of them says so. Different
 * calls under one id are distinct: the newest of those not known to have ended holds.
 */
export const mergedDialogs = (documents: readonly DialogInfo[]): readonly DialogEntry[] => {
  const [first] = documents
  if (first === undefined || documents.length === 1) return first?.dialogs ?? []
  // one document may occur twice, so each claim is an object of its own
  const claims = documents.flatMap(({ dialogs }) => dialogs.map((dialog) => ({ dialog })))
  const byId = Map.groupBy(claims, ({ dialog }) => dialog.id)
  const holding = new Set(
    [...byId.values()].map((rivals) =>
      rivals.findLast(({ dialog }) => !rivals.some((rival) => isOutlived(dialog, rival.dialog))),
    ),
  )
  return claims.filter((claim) => holding.has(claim)).map(({ dialog }) => dialog)
}

/** Whether `rival` says that this very call has ended, which `dialog` does not know yet. */
const isOutlived = (dialog: DialogEntry, rival: DialogEntry): boolean =>
  dialog.state !== "terminated" && rival.state === "terminated" && mayBeSameCall(dialog, rival)

/** Of two dialogs with one id: no part that both state distinguishes them (RFC 4235 §4.1.1). */
const mayBeSameCall = (left: DialogEntry, right: DialogEntry): boolean =>
  identity.every((part) => left[part] === null || right[part] === null || left[part] === right[part])

const identity = ["callId", "localTag", "remoteTag"] as const

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
 * The full content of a publication after a modification, whether the modification was full or partial.
 *
 * A modification that names a call by its Call-ID does not bring it back from `terminated`. Without a Call-ID a late
 * state cannot be distinguished from a new call, and the entity-tag proves that the modification is newer.
 *
 * @source RFC 4235 §4.1 (partial), RFC 3903 §4.3 (modification)
 */
export const amend = (before: DialogInfo, modification: DialogInfo): DialogInfo => {
  const known = new Map(before.dialogs.map((dialog) => [dialog.id, dialog]))
  const dialogs = modification.dialogs.map((dialog) => {
    const previous = known.get(dialog.id)
    return previous !== undefined &&
      dialog.callId === previous.callId &&
      previous.callId !== null &&
      isOutlived(dialog, previous)
      ? previous
      : dialog
  })
  if (modification.state === "full") return { ...modification, dialogs }
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
