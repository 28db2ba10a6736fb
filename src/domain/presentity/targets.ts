/**
 * Where the NOTIFYs of a dialog are sent, and what is known of that target. No document goes to a target that has not
 * shown that NOTIFYs are wanted there.
 *
 * A next hop is proven by a 2xx to a NOTIFY, or by what the SIP adapter knows of the request (then `DialogStart.room`
 * is absent). Until then at most one document of bounded size is sent there; a larger one waits for the 2xx.
 */
import { get, remove, set, setAll, values } from "../table.ts"
import { canonicalHost } from "../uris.ts"
import type { Body, DialogNo, DialogStart, Header, Proof, SubscriptionNo } from "../vocabulary.ts"
import type { NotificationFailed, NotificationsAccepted } from "./events.ts"
import type { Dialog, State, Subscription } from "./state.ts"

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

/**
 * Whether requests to both URIs take the same next hop; a route set determines it if there is one (RFC 3261 §12.2.1.1).
 */
export const isSameHop = ({ start, remoteTarget }: Dialog, target: string): boolean =>
  start.routeSet.length > 0 || remoteTarget === target || hopOf(remoteTarget) === hopOf(target)

export const isUnproven = (dialog: Pick<Dialog, "proof"> | undefined): boolean =>
  dialog?.proof?._tag === "Unproven"

export const countUnproven = (dialogs: Iterable<Dialog>): number => {
  let count = 0
  for (const dialog of dialogs) if (isUnproven(dialog)) count++
  return count
}

const isStream = ({ flow }: DialogStart): boolean => !flow.startsWith("udp:")

/** The proof of a target to which the SIP adapter allows `room` octets. */
const unproven = (start: DialogStart, room: number, since: number): Proof =>
  isStream(start) && start.source !== "" ? { _tag: "Connection", room } : { _tag: "Unproven", room, since }

/** The proof of a new dialog's target. */
export const proofAtStart = (start: DialogStart, localCseq: number): Pick<Dialog, "proof"> =>
  start.room === undefined ? {} : { proof: unproven(start, start.room, localCseq) }

/**
 * The dialog with a different target.
 *
 * @param room null: the target is proven; undefined: what is known of it stays
 */
export const withTarget = (
  dialog: Dialog,
  remoteTarget: string | null,
  room: number | null | undefined,
): Dialog => {
  const moved = remoteTarget === null ? dialog : { ...dialog, remoteTarget }
  if (room === undefined) return moved
  if (room === null) return withoutProof(moved)
  const isHere = remoteTarget === null || isSameHop(dialog, remoteTarget)
  // NOTIFYs sent to the previous target may still be answered
  const since = isHere && dialog.proof?._tag === "Unproven" ? dialog.proof.since : dialog.localCseq
  return { ...moved, proof: unproven(dialog.start, room, since) }
}

const withoutProof = (dialog: Dialog): Dialog => {
  const { proof: _, ...rest } = dialog
  return rest
}

export const withDoubt = (dialog: Dialog, room: number): Dialog => ({
  ...dialog,
  proof: { _tag: "Unproven", room, since: dialog.localCseq },
})

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
  if (state.unproven === 0 || (outcome !== "timed-out" && outcome !== "unreachable")) return state
  const subscription = get(state.subscriptions, id)
  const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
  if (subscription === undefined || dialog?.proof?._tag !== "Unproven" || cseq <= dialog.proof.since)
    return state
  // the watcher has sent a request since
  if (cseq <= subscription.heardAt) return state
  return withDialog(state, { ...dialog, proof: { ...dialog.proof, room: 0, spent: true } })
}

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
