/**
 * Which dialogs hold in publications of which the log does not record the order: those of logs that were written before
 * it did. What their watchers were shown does not change (`dialog-info-merge.ts` has the rule of today).
 *
 * A call that was reported as terminated stays so, whatever another publication says later.
 */
import type { DialogEntry, DialogInfo } from "./dialog-info-document.ts"
import { isAnotherCall } from "./dialog-info-identity.ts"

/**
 * The dialogs of several documents, oldest first, each id once and in the place of the document from which it is taken.
 *
 * If several documents know the same call, the newest state holds, or `terminated` if any of them says so. Different
 * calls under one id are distinct: the newest of those not known to have ended holds.
 */
export const unorderedDialogs = (documents: readonly DialogInfo[]): readonly DialogEntry[] => {
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
  dialog.state !== "terminated" && rival.state === "terminated" && !isAnotherCall(dialog, rival)
