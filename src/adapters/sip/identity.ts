/**
 * Who a request is from, and what a trusted peer may say of that.
 *
 * A request of a trusted peer (`peers.ts`) is from whomever that peer names, and from nobody when it names nobody: From is
 * what anybody may write. All others prove who they are by digest, where there are users; where there are only peers, they
 * are refused; where there is neither, From is believed.
 *
 * @source RFC 3325 §5, §9.1; RFC 3261 §22; RFC 3323 §4.2
 */
import { isAnonymous } from "../../domain/privacy.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { reply } from "../../encoding/sip-replies.ts"
import { parseAddress, parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import type { ReceivedOn, Refused } from "./decode-result.ts"
import type { DigestCheck } from "./digest.ts"
import { hopHostOf } from "./format-notify.ts"
import type { RawMessage } from "./message-reader.ts"
import { copyText, isToken } from "./message-reader.ts"
import type { Limits } from "./options.ts"
import type { Peers, TrustedPeer } from "./peers.ts"
import { placeOfAnswer } from "./room.ts"
import { ownAddressOf, parseUri } from "./uri.ts"

export type Identity =
  | {
      readonly _tag: "Known"
      readonly user: string | null
      readonly uri: Uri | null
      /** Of an accepted digest: whether its nonce was given to a place. */
      readonly wasGivenTo?: (place: string) => boolean
    }
  /** By a trusted peer; `uri` is the first of `uris`, a `sip` URI if there is one; null: the peer does not say who it is. */
  | {
      readonly _tag: "Asserted"
      readonly peer: TrustedPeer
      readonly uri: Uri | null
      /** All that were asserted: RFC 3325 §9.1 allows a `sip` and a `tel` URI. */
      readonly uris: readonly Uri[]
      /** Somebody was named, in a way that cannot be read. */
      readonly isUnreadable: boolean
    }
  | { readonly _tag: "Refused"; readonly decoded: Refused }

/**
 * What becomes of requests of peers and strangers, for counters and the log: a peer names nobody (`unnamed`); its PUBLISH is
 * refused (`refused`); it is not believed to be the peer (`doubted`); there are peers only, and it is none (`stranger`).
 */
export type PeerEvent = "unnamed" | "refused" | "doubted" | "stranger"

export interface IdentityRules {
  readonly limits: Limits
  /** Null asks nobody who they are. */
  readonly authenticate: ((message: RawMessage, place: string) => DigestCheck) | null
  readonly mayPublishFor: (user: string, presentity: string) => boolean
  readonly peers: Peers
  /** Called for each such request; `peer` is the entry, or the address of a stranger. */
  readonly peerEvent: (what: PeerEvent, peer: string) => void
}

const refuse = (status: number, reason: string | null): Identity => ({
  _tag: "Refused",
  decoded: { _tag: "Reply", reply: reply(status, "", reason), isStateless: false },
})

/** Nobody is asked who they are. */
const unasked: Identity = { _tag: "Known", user: null, uri: null }

/** @param isBegin whether it is a SUBSCRIBE outside a dialog, which says where requests of its dialog will go */
export const identify = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: IdentityRules,
  from: Address,
  isBegin: boolean,
): Identity => {
  const peer = rules.peers.find(arrival.sourceAddress, arrival.transport.name)
  if (peer !== null) {
    if (arrival.transport.isReliable || !isBegin || leadsTo(peer, message, arrival.sourceAddress))
      return namedBy(peer, message, from, rules)
    rules.peerEvent("doubted", peer.text)
    if (rules.authenticate === null) return refuse(403, "Record-Route Or Contact Is Not The Peer's")
  }
  if (rules.authenticate === null) {
    if (rules.peers.size === 0) return unasked
    rules.peerEvent("stranger", arrival.sourceAddress)
    return refuse(403, "Not A Trusted Peer")
  }
  const check = rules.authenticate(message, placeOfAnswer(arrival))
  if (check._tag === "Verified") {
    const { user, uri, wasGivenTo } = check
    return { _tag: "Known", user, uri, ...(wasGivenTo === undefined ? {} : { wasGivenTo }) }
  }
  // RFC 3261 §8.2.7: a challenge leaves no state behind.
  if (check._tag === "Challenged")
    return {
      _tag: "Refused",
      decoded: { _tag: "Reply", reply: reply(401, check.headers), isStateless: true },
    }
  return refuse(400, check.why)
}

/**
 * Whether requests of the dialog that a SUBSCRIBE begins go to the peer first. The source of a datagram is easily forged;
 * whoever does gets nothing for it when all that follows goes to the peer.
 */
const leadsTo = (peer: TrustedPeer, message: RawMessage, source: string): boolean => {
  const line = message.headers.first("record-route") ?? message.headers.first("contact")
  // without a Contact it is refused for that
  if (line === undefined) return true
  const first = parseAddresses(line)?.[0]
  const uri = first === undefined ? null : parseUri(first.uri)
  if (uri === null || uri.scheme === "tel") return false
  const host = hopHostOf(uri)
  return host !== null && peer.isHost(host, source)
}

const namedBy = (peer: TrustedPeer, message: RawMessage, from: Address, rules: IdentityRules): Identity => {
  const uris =
    peer.identity === "pai"
      ? assertedIn(message.headers.get("p-asserted-identity") ?? [], rules.limits)
      : peer.identity === "from"
        ? namedIn(from.uri)
        : []
  return {
    _tag: "Asserted",
    peer,
    uri: uris?.[0] ?? null,
    uris: uris ?? [],
    isUnreadable: uris === null,
  }
}

const namedIn = (text: string): readonly Uri[] | null => {
  const uri = parseUri(text)
  if (uri === null) return null
  const address = ownAddressOf(uri)
  return isAnonymous(address) ? [] : [address]
}

/**
 * The URIs in P-Asserted-Identity: one, or two of which one is a `tel` URI. Of anything else nobody can tell who is meant
 * (a client may have brought a line of its own), and nobody is. The `sip` URI comes first.
 *
 * @returns empty: nobody is named; null: it cannot be read
 * @source RFC 3325 §9.1
 */
export const assertedIn = (lines: readonly string[], limits: Limits): readonly Uri[] | null => {
  const uris: Uri[] = []
  let isNobody = false
  let tels = 0
  for (const line of lines) {
    if (line.length > limits.addressLineBytesMax) return null
    const addresses = parseAddresses(line)
    if (addresses === null) return null
    for (const { uri } of addresses) {
      const parsed = parseUri(uri)
      if (parsed === null || parsed.scheme === "pres") return null
      const address = ownAddressOf(parsed)
      if (isAnonymous(address)) isNobody = true
      else if (!uris.includes(address)) {
        uris.push(address)
        if (parsed.scheme === "tel") tels++
      }
    }
  }
  if (isNobody) return uris.length === 0 ? [] : null
  if (tels > 1 || uris.length - tels > 1) return null
  // the order of the values must not decide who is meant
  return uris.length === 2 && uris[0]!.startsWith("tel:") ? uris.reverse() : uris
}

/** The name that a request authenticated with; null: it did not. */
export const userOf = (identity: Identity): string | null =>
  identity._tag === "Known" ? identity.user : null

/** Whether a request may publish for a presentity (RFC 3903 §6 step 1). */
export const mayPublish = (
  identity: Exclude<Identity, { readonly _tag: "Refused" }>,
  presentity: Uri,
  rules: IdentityRules,
): boolean => {
  if (identity._tag === "Known") {
    const { uri, user } = identity
    return uri === null || uri === presentity || rules.mayPublishFor(user ?? "", presentity)
  }
  const { peer, uris } = identity
  const isNamed = uris.some((uri) => uri === presentity || rules.mayPublishFor(uri, presentity))
  // a user whom a peer names by P-Asserted-Identity publishes for that user only, also when the peer may publish for others
  const isOwn = uris.length === 0 ? !identity.isUnreadable : peer.identity === "from"
  const may = isNamed || (isOwn && peer.publishesFor(presentity))
  if (!may) rules.peerEvent("refused", peer.text)
  return may
}

/** Whether a REGISTER may be for that address; nothing uses its bindings, so it may where nobody is named. */
export const mayRegister = (
  identity: Exclude<Identity, { readonly _tag: "Refused" }>,
  address: Uri,
): boolean =>
  identity._tag === "Known"
    ? identity.uri === null || identity.uri === address
    : (identity.uris.length === 0 && !identity.isUnreadable) ||
      identity.uris.includes(address) ||
      identity.peer.publishesFor(address)

/** Values that ask nothing of what others are shown of a watcher, or take such a wish back. */
const otherPrivacy: ReadonlySet<string> = new Set(["none", "critical", "header", "session", "history"])

/**
 * Whether the sender is not to be named to other watchers.
 *
 * `id` and `user` ask for that, and so do values nobody knows and a header that cannot be read: better too little is shown.
 * `header`, `session` and `history` are about headers, media and a list that no watcher is shown. The anonymous URI in From
 * says it as well.
 *
 * @returns null: the request has no such wish
 * @source RFC 3323 §4.2, RFC 3325 §9.3
 */
export const wantsPrivacy = (lines: readonly string[] | undefined, fromUri: Uri): boolean | null => {
  if (lines === undefined) return isAnonymous(fromUri) ? true : null
  const values = lines.flatMap((line) => line.split(";")).map((value) => value.trim().toLowerCase())
  if (!values.every((value) => isToken(value) && otherPrivacy.has(value))) return true
  return values.includes("none") ? false : isAnonymous(fromUri) ? true : null
}

/** The URI of the device that published and is not to be notified of it (`Sender` of OpenSIPS). */
export const senderOf = (message: RawMessage, limits: Limits): string | null => {
  const text = message.headers.first("sender")
  const address = text === undefined || text.length > limits.addressLineBytesMax ? null : parseAddress(text)
  return address === null ? null : copyText(address.uri)
}
