/**
 * What a SUBSCRIBE within a dialog changes in where its NOTIFYs go: the target, the way by which the watcher last spoke, and
 * what may be sent there.
 */
import type { Arrival, Reach } from "../vocabulary.ts"
import type { Resubscribe } from "./commands.ts"
import type { Dialog } from "./state.ts"
import type { ArrivalChange } from "./target-events.ts"
import { arrivalChange, arrivalOf, isSameHop, isSourceReached, isStream, withTarget } from "./targets.ts"

/** What a request changes in where NOTIFYs of its dialog are sent. */
interface Way {
  /** Null: the target is as before. */
  readonly remoteTarget: string | null
  readonly room?: number | null
  readonly arrival?: ArrivalChange
}

export const wayAfter = (dialog: Dialog, command: Resubscribe): Way => {
  const remoteTarget = movedTarget(dialog, command)
  const arrival = arrivalAfter(dialog, command, remoteTarget)
  const after = withTarget(dialog, remoteTarget, undefined, arrival)
  const room = roomAfter(dialog, command, after)
  return {
    remoteTarget,
    ...(room === undefined ? {} : { room }),
    ...(arrival === undefined ? {} : { arrival }),
  }
}

/** What differs in where the request arrived; undefined: nothing. */
const arrivalAfter = (
  dialog: Dialog,
  { arrival, remoteTarget }: Resubscribe,
  moved: string | null,
): ArrivalChange | undefined => {
  if (arrival === undefined) return undefined
  const before = arrivalOf(dialog)
  // without a Contact nothing is known anew; one that was silent is not asked again until it is another
  const isKept =
    remoteTarget === null || (moved === null && before.reach === "silence" && arrival.reach === undefined)
  return arrivalChange(before, isKept ? withReach(arrival, before.reach) : arrival)
}

const withReach = ({ localContact, flow, source }: Arrival, reach: Reach | undefined): Arrival =>
  reach === undefined ? { localContact, flow, source } : { localContact, flow, source, reach }

/** What the request changes in what may be sent to the target; undefined: nothing. */
const roomAfter = (dialog: Dialog, { room }: Resubscribe, after: Dialog): number | null | undefined => {
  const { proof } = dialog
  if (!isSameHop(dialog, after)) return room === undefined && proof === undefined ? undefined : (room ?? null)
  if (proof?._tag === "Connection") {
    // the connection of the newest request is the one that is proven; a datagram proves nothing of the kind
    return isStream(arrivalOf(after)) ? undefined : (room ?? null)
  }
  if (proof?._tag !== "Unproven") return undefined
  // a request extends what may be sent; its source address says nothing about where a route leads
  if (room !== undefined) return room
  const isRouted =
    dialog.start.routeSet.length > 0 && !isSourceReached(arrivalOf(after).reach, dialog.start.routeSet)
  return isRouted ? undefined : null
}

const movedTarget = (dialog: Dialog, command: Resubscribe): string | null =>
  command.remoteTarget === null || command.remoteTarget === dialog.remoteTarget ? null : command.remoteTarget
