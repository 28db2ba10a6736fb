/**
 * Where NOTIFYs of a dialog go, and what is known of that: nobody is sent a document who has not shown that he wants NOTIFYs.
 *
 * A next hop is proven by a 2xx to a NOTIFY, or by what the SIP side knows of the request (`DialogStart.room` is absent then).
 * Until then at most one document of bounded size goes there; what is larger waits for the 2xx.
 */
import { get, remove, set, setAll, values } from "../table.ts"
import { canonicalHost } from "../uris.ts"
import type { Body, DialogNo, DialogStart, Header, Proof, SubscriptionNo } from "../vocabulary.ts"
import type { NotificationFailed, NotificationsAccepted } from "./events.ts"
import type { Dialog, State, Subscription } from "./state.ts"

/** `shown` of a subscription whose document waits for the answer to a NOTIFY without it; no view has this digest. */
export const withheldDigest = "!"

const portDefault = "5060"
const addressesMax = 8

/**
 * Host, port and transport that a request to this URI goes to, in one spelling; two that are equal are the same next hop.
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

/** Whether a request to the one URI goes where one to the other does; with a route set it goes by that (RFC 3261 §12.2.1.1). */
export const isSameHop = ({ start, remoteTarget }: Dialog, other: string): boolean =>
  start.routeSet.length > 0 || remoteTarget === other || hopOf(remoteTarget) === hopOf(other)

export const isUnproven = (dialog: Pick<Dialog, "proof"> | undefined): boolean =>
  dialog?.proof?._tag === "Unproven"

export const countUnproven = (dialogs: Iterable<Dialog>): number => {
  let count = 0
  for (const one of dialogs) if (isUnproven(one)) count++
  return count
}

const isStream = ({ flow }: DialogStart): boolean => !flow.startsWith("udp:")

/** What is known of a target that the SIP side says has so much room. */
const unproven = (start: DialogStart, room: number, since: number): Proof =>
  isStream(start) && start.source !== "" ? { _tag: "Connection", room } : { _tag: "Unproven", room, since }

/** What is known of a dialog that begins. */
export const proofAtStart = (start: DialogStart, localCseq: number): Pick<Dialog, "proof"> =>
  start.room === undefined ? {} : { proof: unproven(start, start.room, localCseq) }

/**
 * The dialog with another target.
 *
 * @param room null: it is proven; undefined: it is known as before
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
  // where it was, older NOTIFYs may still be answered
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
  const addresses = [...known.filter((one) => one !== address), address].slice(-addressesMax)
  return { ...dialog, proof: { _tag: "Addresses", addresses } }
}

/** One NOTIFY has been issued: what may be sent without an answer goes with it. */
export const spent = (dialog: Dialog): Dialog =>
  dialog.proof?._tag === "Unproven" && dialog.proof.room > 0
    ? { ...dialog, proof: { ...dialog.proof, room: 0 } }
    : dialog

/** The state with this dialog in place of the one of its number. */
export const withDialog = (state: State, dialog: Dialog): State => ({
  ...state,
  dialogs: set(state.dialogs, dialog.no, dialog),
  unproven: state.unproven + countOf(dialog) - countOf(get(state.dialogs, dialog.no)),
})

export const withoutDialog = (state: State, no: DialogNo): State => ({
  ...state,
  dialogs: remove(state.dialogs, no),
  unproven: state.unproven - countOf(get(state.dialogs, no)),
})

const countOf = (dialog: Dialog | undefined): number => (isUnproven(dialog) ? 1 : 0)

/** What 2xx answers prove. O(1) where nothing is unproven. */
export const withAnswers = (state: State, { of }: NotificationsAccepted): State => {
  let next = state
  for (let index = 0; index + 2 < of.length && next.unproven > 0; index += 3) {
    const one = get(next.subscriptions, of[index]!)
    const dialog = one === undefined ? undefined : get(next.dialogs, one.dialog)
    if (dialog?.proof?._tag === "Unproven" && of[index + 1]! > dialog.proof.since)
      next = withDialog(next, withoutProof(dialog))
  }
  return next
}

/**
 * A NOTIFY that never left leaves its number to the next one, when none has taken a later number meanwhile.
 *
 * @source RFC 3261 §12.2.1.1: within a dialog each request has the number after that of the one before
 */
export const withUnsent = (state: State, { no, cseq, outcome }: NotificationFailed): State => {
  if (outcome !== "unproven") return state
  const one = get(state.subscriptions, no)
  const dialog = one === undefined ? undefined : get(state.dialogs, one.dialog)
  if (dialog?.localCseq !== cseq) return state
  const back = cseq - 1
  const { proof } = dialog
  const known = proof?._tag === "Unproven" ? { proof: { ...proof, since: Math.min(proof.since, back) } } : {}
  // what was said up to that number was said before the one that has it now
  const subscriptions = values(state.subscriptions).flatMap((other): [SubscriptionNo, Subscription][] =>
    other.dialog === dialog.no && other.heardAt > back ? [[other.no, { ...other, heardAt: back }]] : [],
  )
  return {
    ...withDialog(state, { ...dialog, localCseq: back, ...known }),
    subscriptions: setAll(state.subscriptions, subscriptions),
  }
}

/** Nobody has answered there: no more is sent until the watcher is heard of. O(1) where nothing is unproven. */
export const withSilence = (state: State, { no, cseq, outcome }: NotificationFailed): State => {
  if (state.unproven === 0 || (outcome !== "timed-out" && outcome !== "unreachable")) return state
  const one = get(state.subscriptions, no)
  const dialog = one === undefined ? undefined : get(state.dialogs, one.dialog)
  if (one === undefined || dialog?.proof?._tag !== "Unproven" || cseq <= dialog.proof.since) return state
  // it has been heard of since
  if (cseq <= one.heardAt) return state
  return withDialog(state, { ...dialog, proof: { ...dialog.proof, room: 0, spent: true } })
}

/** Octets that a document adds to a NOTIFY: its body in UTF-8, and headers that belong to it. */
export const octetsOf = (body: Body | null, headers: readonly Header[] = []): number =>
  (body === null ? 0 : utf8Octets(body.text) + body.contentType.length + (body.parameters ?? "").length) +
  headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)

// far quicker than a look at each character
const isAscii = /^[\0-\x7f]*$/

const utf8Octets = (text: string): number => {
  let octets = text.length
  if (isAscii.test(text)) return octets
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    // a pair of surrogates is four octets
    if (unit > 0x7f) octets += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return octets
}
