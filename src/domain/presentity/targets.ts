/**
 * Where the NOTIFYs of a dialog are sent, and what is known of that target. No document goes to a target that has not
 * shown that NOTIFYs are wanted there.
 *
 * A next hop is proven by a 2xx to a NOTIFY, or by what the SIP adapter knows of the request (then `DialogStart.room`
 * is absent). Until then at most one document of bounded size is sent there; a larger one waits for the 2xx.
 */
import { get, remove, set, setAll, values } from "../table.ts"
import { canonicalHost } from "../uris.ts"
import type {
  Arrival,
  Body,
  DialogNo,
  DialogStart,
  Header,
  Proof,
  Reach,
  SubscriptionNo,
} from "../vocabulary.ts"
import type { NotificationFailed, NotificationsAccepted } from "./events.ts"
import type { Dialog, State, Subscription } from "./state.ts"
import type { ArrivalChange } from "./target-events.ts"

/** The value of `shown` while the document waits for the response to a NOTIFY without it; no view has this digest. */
export const withheldDigest = "!"

const portDefault = "5060"
const addressesMax = 8

/**
 * Host, port and transport to which a request to this URI is sent, in one spelling: equal values are the same next hop.
 *
 * @source RFC 3263 §4, RFC 3261 §19.1.4
 */
export const hopOf = (uri: string): string => {
  const colon = uri.indexOf(":")
  const scheme = uri.slice(0, colon).toLowerCase()
  const rest = uri.slice(Math.max(uri.lastIndexOf("@"), colon) + 1)
  const question = rest.indexOf("?")
  const [place = "", ...parameters] = (question < 0 ? rest : rest.slice(0, question)).split(";")
  const [, host = place, port = portDefault] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(place) ?? []
  let [at, transport] = [host, ""]
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=")
    if (name.toLowerCase() === "maddr" && value !== "") at = value
    if (name.toLowerCase() === "transport") transport = value.toLowerCase()
  }
  return `${scheme}:${canonicalHost(at)}:${Number(port)};${transport}`
}

type Targeted = Pick<Dialog, "start" | "remoteTarget" | "arrival">

/** Where the newest SUBSCRIBE of a dialog arrived. */
export const arrivalOf = ({ start, arrival }: Pick<Dialog, "start" | "arrival">): Arrival => arrival ?? start

/**
 * Whether NOTIFYs go to the source of the newest SUBSCRIBE, or to the address that its Contact names beside its host,
 * instead of where RFC 3261 §12.2.1.1 sends them. A proxy in the route set knows the way itself, unless the operator's
 * setting says otherwise.
 */
export const isSourceReached = (
  reach: Reach | undefined,
  routeSet: readonly string[],
): reach is Exclude<Reach, "contact"> =>
  reach !== undefined && reach !== "contact" && (reach === "source" || routeSet.length === 0)

/** As a URI: the source of the newest SUBSCRIBE. */
const sourceUri = ({ flow, source }: Arrival): string => {
  const transport = flow.slice(0, flow.indexOf(":"))
  return transport === "udp" ? `sip:${source}` : `sip:${source};transport=${transport}`
}

/** Where NOTIFYs of the dialog go, in one spelling. */
const placeOf = (dialog: Targeted): string => {
  const { start, remoteTarget } = dialog
  const arrival = arrivalOf(dialog)
  if (isSourceReached(arrival.reach, start.routeSet))
    return arrival.reach === "alias" ? `alias ${remoteTarget}` : hopOf(sourceUri(arrival))
  return start.routeSet.length > 0 ? "route" : hopOf(remoteTarget)
}

/**
 * Whether requests of a dialog take the same next hop before and after a request in it; a route set determines it if
 * there is one (RFC 3261 §12.2.1.1).
 */
export const isSameHop = (before: Targeted, after: Targeted): boolean =>
  (before.remoteTarget === after.remoteTarget && before.arrival === after.arrival) ||
  placeOf(before) === placeOf(after)

/** Whether the newest SUBSCRIBE came as a datagram from elsewhere than its Contact, to which NOTIFYs go. */
export const isSourceElsewhere = (dialog: Dialog): boolean => {
  const arrival = arrivalOf(dialog)
  return (
    arrival.reach === undefined &&
    dialog.start.routeSet.length === 0 &&
    arrival.source !== "" &&
    !isStream(arrival) &&
    hopOf(sourceUri(arrival)) !== placeOf(dialog)
  )
}

export const isUnproven = (dialog: Pick<Dialog, "proof"> | undefined): boolean =>
  dialog?.proof?._tag === "Unproven"

export const countUnproven = (dialogs: Iterable<Dialog>): number => {
  let count = 0
  for (const dialog of dialogs) if (isUnproven(dialog)) count++
  return count
}

export const isStream = ({ flow }: Pick<Arrival, "flow">): boolean => !flow.startsWith("udp:")

/** The proof of a target to which the SIP adapter allows `room` octets. */
const unproven = (arrival: Arrival, room: number, since: number): Proof =>
  isStream(arrival) && arrival.source !== ""
    ? { _tag: "Connection", room }
    : { _tag: "Unproven", room, since }

/** The proof of a new dialog's target. */
export const proofAtStart = (start: DialogStart, localCseq: number): Pick<Dialog, "proof"> =>
  start.room === undefined ? {} : { proof: unproven(start, start.room, localCseq) }

/**
 * The dialog with a different target.
 *
 * @param room null: the target is proven; undefined: what is known of it stays
 * @param change undefined: its requests arrive as before
 */
export const withTarget = (
  dialog: Dialog,
  remoteTarget: string | null,
  room: number | null | undefined,
  change?: ArrivalChange,
): Dialog => {
  const named = remoteTarget === null ? dialog : { ...dialog, remoteTarget }
  const moved = change === undefined ? named : { ...named, arrival: changed(arrivalOf(dialog), change) }
  if (room === undefined) return moved
  if (room === null) return withoutProof(moved)
  const isHere = isSameHop(dialog, moved)
  // NOTIFYs sent to the previous target may still be answered
  const since = isHere && dialog.proof?._tag === "Unproven" ? dialog.proof.since : dialog.localCseq
  return { ...moved, proof: unproven(arrivalOf(moved), room, since) }
}

const changed = (before: Arrival, change: ArrivalChange): Arrival => {
  const { localContact = before.localContact, flow = before.flow, source = before.source } = change
  const reach = change.reach === undefined ? before.reach : change.reach
  return reach === undefined || reach === null
    ? { localContact, flow, source }
    : { localContact, flow, source, reach }
}

/** What differs between two arrivals; undefined: nothing. */
export const arrivalChange = (before: Arrival, after: Arrival): ArrivalChange | undefined => {
  const { localContact, flow, source, reach } = after
  if (
    source === before.source &&
    flow === before.flow &&
    reach === before.reach &&
    localContact === before.localContact
  )
    return undefined
  return {
    ...(localContact === before.localContact ? {} : { localContact }),
    ...(flow === before.flow ? {} : { flow }),
    ...(source === before.source ? {} : { source }),
    ...(reach === before.reach ? {} : { reach: reach ?? null }),
  }
}

const withoutProof = (dialog: Dialog): Dialog => {
  const { proof: _, ...rest } = dialog
  return rest
}

export const withDoubt = (dialog: Dialog, room: number, reach?: Reach): Dialog => ({
  ...dialog,
  ...(reach === undefined ? {} : { arrival: changed(arrivalOf(dialog), { reach }) }),
  proof: { _tag: "Unproven", room, since: dialog.localCseq },
})

/** The dialog as requests are sent in it now, with the fields that the newest SUBSCRIBE has changed. */
export const startNow = (dialog: Targeted): DialogStart => {
  const { start, remoteTarget, arrival } = dialog
  if (arrival === undefined) return remoteTarget === start.remoteTarget ? start : { ...start, remoteTarget }
  const { reach: _, ...kept } = start
  return { ...kept, remoteTarget, ...arrival }
}

export const withAddress = (dialog: Dialog, address: string): Dialog => {
  const known = dialog.proof?._tag === "Addresses" ? dialog.proof.addresses : []
  const addresses = [...known.filter((knownAddress) => knownAddress !== address), address].slice(
    -addressesMax,
  )
  return { ...dialog, proof: { _tag: "Addresses", addresses } }
}

/** The dialog after a NOTIFY was issued, which uses up what may be sent without a response. */
export const spent = (dialog: Dialog): Dialog =>
  dialog.proof?._tag === "Unproven" && dialog.proof.room > 0
    ? { ...dialog, proof: { ...dialog.proof, room: 0 } }
    : dialog

/** The state with this dialog in place of the one with its number. */
export const withDialog = (state: State, dialog: Dialog): State => ({
  ...state,
  dialogs: set(state.dialogs, dialog.no, dialog),
  unproven: state.unproven + countOf(dialog) - countOf(get(state.dialogs, dialog.no)),
})

export const withoutDialog = (state: State, id: DialogNo): State => ({
  ...state,
  dialogs: remove(state.dialogs, id),
  unproven: state.unproven - countOf(get(state.dialogs, id)),
})

const countOf = (dialog: Dialog | undefined): number => (isUnproven(dialog) ? 1 : 0)

/** The state after 2xx responses and what they prove. O(1) if nothing is unproven. */
export const withAnswers = (state: State, { of: triples }: NotificationsAccepted): State => {
  let next = state
  for (let index = 0; index + 2 < triples.length && next.unproven > 0; index += 3) {
    const subscription = get(next.subscriptions, triples[index]!)
    const dialog = subscription === undefined ? undefined : get(next.dialogs, subscription.dialog)
    if (dialog?.proof?._tag === "Unproven" && triples[index + 1]! > dialog.proof.since)
      next = withDialog(next, withoutProof(dialog))
  }
  return next
}

/**
 * The CSeq of a NOTIFY that was never sent is available again, unless a later number has been taken meanwhile.
 *
 * @source RFC 3261 §12.2.1.1: within a dialog the CSeq of each request is one more than that of the previous request
 */
export const withUnsent = (state: State, { no: id, cseq, outcome }: NotificationFailed): State => {
  if (outcome !== "unproven") return state
  const failed = get(state.subscriptions, id)
  const dialog = failed === undefined ? undefined : get(state.dialogs, failed.dialog)
  if (dialog?.localCseq !== cseq) return state
  const back = cseq - 1
  const { proof } = dialog
  const known = proof?._tag === "Unproven" ? { proof: { ...proof, since: Math.min(proof.since, back) } } : {}
  // what the watcher had heard up to that number precedes the NOTIFY that takes it now
  const subscriptions = values(state.subscriptions).flatMap(
    (subscription): [SubscriptionNo, Subscription][] =>
      subscription.dialog === dialog.no && subscription.heardAt > back
        ? [[subscription.no, { ...subscription, heardAt: back }]]
        : [],
  )
  return {
    ...withDialog(state, { ...dialog, localCseq: back, ...known }),
    subscriptions: setAll(state.subscriptions, subscriptions),
  }
}

/**
 * The target did not respond: nothing more is sent there until the watcher sends a request. O(1) if nothing is
 * unproven.
 */
export const withSilence = (state: State, { no: id, cseq, outcome }: NotificationFailed): State => {
  if (state.unproven === 0 || !silences.has(outcome)) return state
  const subscription = get(state.subscriptions, id)
  const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
  if (subscription === undefined || dialog?.proof?._tag !== "Unproven" || cseq <= dialog.proof.since)
    return state
  // the watcher has sent a request since
  if (cseq <= subscription.heardAt) return state
  return withDialog(state, { ...dialog, proof: { ...dialog.proof, room: 0, spent: true } })
}

const silences: ReadonlySet<NotificationFailed["outcome"]> = new Set([
  "timed-out",
  "unreachable",
  "flow-lost",
])

/** The octets that a document adds to a NOTIFY: its body in UTF-8, and the headers that belong to it. */
export const octetsOf = (body: Body | null, headers: readonly Header[] = []): number =>
  (body === null ? 0 : utf8Octets(body.text) + body.contentType.length + (body.parameters ?? "").length) +
  headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)

// much faster than examining each character
const isAscii = /^[\0-\x7f]*$/

const utf8Octets = (text: string): number => {
  let octets = text.length
  if (isAscii.test(text)) return octets
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    // a surrogate pair takes four octets
    if (unit > 0x7f) octets += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return octets
}
