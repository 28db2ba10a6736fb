/**
 * Publishers and watchers of a simulation, as the server meets them: what they ask, and how a watcher answers a NOTIFY. They know the
 * server only by its messages.
 */
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { hopOf, octetsOf } from "../../domain/presentity/targets.ts"
import type { DialogStart, Uri } from "../../domain/vocabulary.ts"
import type { Random } from "./random.ts"
import { allow, answers, deviceOf, newCrowd, nextRequest, placeOf } from "./simulated-requests.ts"
import type { Crowd, Request, Universe, WatcherDialog } from "./simulated-requests.ts"

export interface Peers {
  /** A request that somebody makes now; null when there is none. */
  readonly ask: () => Request | null
  /**
   * A NOTIFY is sent to its next hop.
   *
   * @returns why it must not be sent: more octets of documents would have gone there than are allowed before the first 2xx; null:
   *   it may be
   */
  readonly sending: (notify: Notify) => string | null
  /**
   * Whether what was proven about the next hop no longer holds: a connection is gone, or a name resolves differently.
   *
   * @param isCalm whether such things have stopped happening
   */
  readonly doubts: (notify: Notify, isCalm: boolean) => boolean
  /** A NOTIFY with a document to an unproven next hop is lost and must not be retransmitted; the server learns of it after a while. */
  readonly isUnrepeated: (notify: Notify) => boolean
  /** A NOTIFY reaches its watcher. */
  readonly take: (notify: Notify) => DeliveryOutcome
  /** A device made the change itself and is not notified of it; the last NOTIFY of its dialog had this CSeq. */
  readonly spared: (presentity: Uri, id: number, cseq: number) => void
  /** The document that a watcher shows; null: its device made the last change itself. Undefined when it knows nothing. */
  readonly shows: (presentity: Uri, id: number) => string | null | undefined
}

/** @param doubt a separate source of randomness for what is proven about next hops, so that everything else happens as it would without */
export const makePeers = (random: Random, universe: Universe, doubt: Random): Peers => {
  const crowd = newCrowd(random, universe, doubt)
  const { byCallId, byNo, ownUntil } = crowd
  return {
    ask: () => nextRequest(crowd),
    sending: (notify) => {
      const dialog = byCallId.get(notify.dialog.callId)
      // over its connection, whatever its Contact says
      if (dialog === undefined || notify.proof?._tag === "Connection") return null
      const place = dialog.places.get(placeOf(dialog, targetOf(notify.dialog)))
      if (place === undefined || place.answered) return null
      place.sent += octetsOf(notify.body, notify.headers)
      return place.sent <= place.allowed
        ? null
        : `${place.sent} octets of documents go to ${targetOf(notify.dialog)}, which has answered nothing: ${place.allowed} may`
    },
    doubts: (notify, isCalm) => {
      const dialog = byCallId.get(notify.dialog.callId)
      const { proof } = notify
      if (dialog === undefined || proof === undefined || proof._tag === "Unproven") return false
      // what no longer holds stays so until the server has learned of it
      const isTrue = proof._tag === "Connection" ? !dialog.isCut : proof.addresses.includes(addressOf(dialog))
      if (isTrue && (isCalm || !doubt.chance(0.1))) return false
      if (isTrue) {
        dialog.moves++
        dialog.isCut = true
      }
      const room = proof._tag === "Connection" ? proof.room : (dialog.start.room ?? 0)
      allow(dialog, notify.dialog.remoteTarget, room)
      return true
    },
    isUnrepeated: ({ proof, body, headers, state }) =>
      proof?._tag === "Unproven" &&
      state !== "terminated" &&
      octetsOf(body, headers) > 0 &&
      doubt.chance(0.4),
    take: (notify) => take(crowd, notify),
    spared: (presentity, id, cseq) => void ownUntil.set(`${presentity} ${id}`, cseq),
    shows: (presentity, id) => {
      const name = `${presentity} ${id}`
      return ownUntil.has(name) ? null : byNo.get(name)?.document
    },
  }
}

const take = (crowd: Crowd, notify: Notify): DeliveryOutcome => {
  const { random, byCallId, byNo, ownUntil, universe } = crowd
  const dialog = byCallId.get(notify.dialog.callId)
  const usage = dialog?.usages.find(
    (candidate) => candidate.packageName === notify.packageName && candidate.eventId === notify.eventId,
  )
  if (dialog === undefined || usage === undefined) return refused(481, null)
  if (notify.cseq < dialog.seen) return refused(500, null)
  // a busy device answers so before it reads the message
  if (random.chance(0.03)) return refused(503, random.chance(0.7) ? 1 + random.int(20) : null)
  if (random.chance(0.01)) return refused(random.pick([404, 480, 481, 500, 603]), null)
  dialog.seen = notify.cseq
  if (usage.no !== notify.no) usage.document = undefined
  usage.no = notify.no
  const name = `${notify.presentity} ${notify.no}`
  byNo.set(name, usage)
  if (notify.cseq > (ownUntil.get(name) ?? 0)) ownUntil.delete(name)
  if (notify.body !== null)
    usage.document = universe.read?.(usage.packageName, usage.document, notify.body.text) ?? notify.body.text
  if (notify.proof?._tag !== "Connection") answers(dialog, targetOf(notify.dialog))
  const device = random.chance(0.02) ? deviceOf(random, dialog.watcher) : null
  const isHere = device !== null && hopOf(device) === hopOf(notify.dialog.remoteTarget)
  const isNamed = dialog.isNamed && notify.proof?._tag !== "Connection"
  return {
    _tag: "Accepted",
    remoteTarget: isHere ? device : null,
    ...(isNamed ? { address: addressOf(dialog) } : {}),
  }
}

/** Where a NOTIFY goes: to its Contact, or where its watcher was heard from. */
const targetOf = ({ reach, source, remoteTarget }: DialogStart): string =>
  reach === undefined ? remoteTarget : `sip:${source}`

/** The address to which the name of its next hop resolves. */
const addressOf = ({ moves }: WatcherDialog): string => `udp:192.0.2.${20 + moves}:5060`

const refused = (status: number, retryAfter: number | null): DeliveryOutcome => ({
  _tag: "Refused",
  status,
  retryAfter,
})
