/**
 * Which dialogs hold when several publications of one presentity are composed.
 *
 * A dialog id is unique among the present dialogs of one user agent (RFC 4235 §4.1.1), so several publications may use
 * one id: for one call, for calls of several phones, or, as a PBX does that names dialogs after extensions, for one call
 * after the other. The law:
 *
 * 1. Of the dialogs with one id, the newest that is alive is shown; if none is, the newest that is over.
 * 2. Which of two contents is the newer one is the order in which they were stored.
 * 3. `terminated` ends the older dialogs of that id in other publications, except those that are known to be others:
 *    another Call-ID or tag, another device, or a leg of the same Call-ID that states a tag which this one does not
 *    state (a forked call, of which one leg was cancelled). What is known of a dialog's identity only grows.
 * 4. A publication may be late: sent before the call was over, and stored afterwards. So where both state the Call-ID,
 *    and the other parts do not tell them apart, `terminated` also ends a newer dialog, unless that one is known to be
 *    news: its entity-tag was issued after the call was over (RFC 3903 §6), or it came later than a request can be on
 *    its way (RFC 3261 §17.1.2.2).
 *
 * A modification is never compared with the content that it replaces: its entity-tag proves that it is newer.
 */
import type { DialogEntry, DialogInfo } from "./dialog-info-document.ts"
import { isAnotherCall, isCoveredBy } from "./dialog-info-identity.ts"
import { unorderedDialogs } from "./dialog-info-unordered.ts"
import type { Order, Source } from "./event-package.ts"

/** 64·T1: a client gives up a request then, so that none is stored later than that after it was sent. */
const lateMillis = 32_000

/**
 * The dialogs of several publications, oldest first, each id once and in the place of the publication from which it is
 * taken. O(dialogs), times publications where ids collide.
 */
export const mergedDialogs = (sources: readonly Source<DialogInfo>[]): readonly DialogEntry[] => {
  const [first] = sources
  if (first === undefined || sources.length === 1) return first?.document.dialogs ?? []
  if (!isOrdered(sources)) return unorderedDialogs(sources.map(({ document }) => document))
  const claims = sources.flatMap(({ document, order }, place) =>
    document.dialogs.map((dialog): Claim => ({ dialog, place, order })),
  )
  const byId = Map.groupBy(claims, ({ dialog }) => dialog.id)
  const shown = new Set([...byId.values()].map(holding))
  return claims.filter((claim) => shown.has(claim)).map(({ dialog }) => dialog)
}

/**
 * Whether the law applies: the newest content says what it is newer than. Hard state has no order, and is no rival of a
 * publication that was stored before order was recorded.
 */
export const isOrdered = (sources: readonly Source<DialogInfo>[]): boolean =>
  sources.at(-1)?.order?.after !== undefined

/** A dialog as one publication has it. */
interface Claim {
  readonly dialog: DialogEntry
  /** The place of its publication, oldest content first. */
  readonly place: number
  readonly order: Order | undefined
}

const holding = (rivals: readonly Claim[]): Claim | undefined =>
  rivals.length === 1
    ? rivals[0]
    : (rivals.findLast(
        (claim) => claim.dialog.state !== "terminated" && !rivals.some((rival) => ends(rival, claim)),
      ) ?? rivals.findLast(({ dialog }) => dialog.state === "terminated"))

/** Whether `rival` says that the call of `claim`, which is alive, is over. */
const ends = (rival: Claim, claim: Claim): boolean => {
  if (rival.dialog.state !== "terminated" || isAnotherCall(rival.dialog, claim.dialog)) return false
  if (areApart(rival.order, claim.order)) return false
  const isNewer = rival.place > claim.place
  if (rival.dialog.callId === null || claim.dialog.callId === null) return isNewer
  return isCoveredBy(claim.dialog, rival.dialog) && (isNewer || mayBeLate(claim.order, rival.order))
}

/** Whether a content that was stored after `over` may have been sent before it. */
const mayBeLate = (order: Order | undefined, over: Order | undefined): boolean =>
  order !== undefined &&
  over !== undefined &&
  over.at > (order.after ?? 0) &&
  order.receivedAt - over.receivedAt <= lateMillis

/** Of two devices: their instance ids differ (RFC 5626 §4.1). A Contact that differs may be that of a moved phone. */
const areApart = (left: Order | undefined, right: Order | undefined): boolean => {
  const [first, second] = [left?.device, right?.device]
  return first !== second && isInstance(first) && isInstance(second)
}

const isInstance = (device: string | undefined): boolean => device?.startsWith(instancePrefix) === true

/** How the text for a device begins whose Contact states `+sip.instance`. */
export const instancePrefix = "instance "

/** Whether composition still needs the earlier publication: it says that a call of the later one is over. */
export const isNeededBeside = (earlier: Source<DialogInfo>, later: Source<DialogInfo>): boolean =>
  later.document.dialogs.some((dialog) =>
    earlier.document.dialogs.some(
      (before) =>
        before.id === dialog.id &&
        dialog.state !== "terminated" &&
        ends({ dialog: before, place: 0, order: earlier.order }, { dialog, place: 1, order: later.order }),
    ),
  )
