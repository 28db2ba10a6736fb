/**
 * Several dialog information documents into one: of several publications, of a publication and what changed of it, and
 * what changed between two documents.
 *
 * Everything here goes by dialog ids. What is published counts by dialog; documents are frames. A call that was said to
 * be over stays over, whoever says something else later: RFC 4235 §3.7.1 has no way out of `terminated`.
 */
import { dialogInfoNamespace, terminated } from "./dialog-info-document.ts"
import type { DialogEntry, DialogInfo, DialogState } from "./dialog-info-document.ts"
import { canonical, element } from "./element.ts"
import type { Composition } from "./event-package.ts"
import { once, rootAttributes } from "./pidf-compose.ts"

export interface CompositionOptions {
  /** Shows the dialogs of an ended publication terminated, once. */
  readonly generateTerminated: boolean
  /** Shows one dialog at most, for phones that look at one only (OpenSIPS `force_single_dialog`). */
  readonly forceSingleDialog: boolean
}

/** One full document, without dialogs when there are none. O(dialogs), times publications where ids clash. */
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
 * The dialogs of several documents, oldest first, each id once and in the place of the document it is taken from.
 *
 * Of one call that several know, the newest state holds, or `terminated` when any of them says so. Another call under
 * the same id is another one: the newest of those not known to be over holds.
 */
export const mergedDialogs = (documents: readonly DialogInfo[]): readonly DialogEntry[] => {
  const [first] = documents
  if (first === undefined || documents.length === 1) return first?.dialogs ?? []
  // one document may be there twice, so a claim is an object of its own
  const claims = documents.flatMap(({ dialogs }) => dialogs.map((dialog) => ({ dialog })))
  const byId = Map.groupBy(claims, ({ dialog }) => dialog.id)
  const holding = new Set(
    [...byId.values()].map((rivals) =>
      rivals.findLast(({ dialog }) => !rivals.some((rival) => isOutlived(dialog, rival.dialog))),
    ),
  )
  return claims.filter((claim) => holding.has(claim)).map(({ dialog }) => dialog)
}

/** Whether `other` says that this very call is over, which `dialog` does not know yet. */
const isOutlived = (dialog: DialogEntry, rival: DialogEntry): boolean =>
  dialog.state !== "terminated" && rival.state === "terminated" && mayBeSameCall(dialog, rival)

/** Of two dialogs with one id: nothing that both say tells them apart (RFC 4235 §4.1.1). */
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
 * What a publication says after a modification: all of it, whether the modification was full or partial.
 *
 * A modification that names a call by its Call-ID does not bring it back from `terminated`; without a Call-ID there is
 * nothing to tell a late state from a new call, and the entity-tag proves that the modification is the later word.
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

/** A publisher of partial documents never takes a dialog back, so that ended ones would gather for ever. */
const terminatedMax = 16

const forgetting = (dialogs: readonly DialogEntry[]): readonly DialogEntry[] => {
  let surplus = dialogs.filter(({ state }) => state === "terminated").length - terminatedMax
  return dialogs.filter(({ state }) => {
    if (state === "terminated") surplus -= 1
    return state !== "terminated" || surplus < 0
  })
}

/**
 * A partial document that leads from `before` to `after`: first what is gone, terminated, then what is new or changed.
 *
 * A dialog that was shown terminated and is gone is not said again. COMPAT(several phones): a document without dialogs
 * puts out the lamp even when it is partial, so when there is nothing to say the whole is said.
 *
 * @source RFC 4235 §3.7, §4.3
 * @returns null when only the whole document will do
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

/** What a document says besides its dialogs. */
const frame = ({ attributes, others }: DialogInfo): string =>
  attributes.length === 0 && others.length === 0
    ? ""
    : canonical({ ...element(dialogInfoNamespace, "dialog-info", {}, others), attributes })
