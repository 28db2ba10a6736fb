/**
 * Who sent a request, and what a trusted peer may assert about that.
 *
 * A request from a trusted peer (`peers.ts`) comes from the user whom the peer asserts, and from nobody known
 * if it asserts none: anyone can write a From. A user whom a certificate names is known by it. Everyone else is
 * authenticated by digest if there are users, refused if there are only peers or certificates, and believed by From
 * if there is none of these.
 *
 * @source RFC 3325 §5, §9.1; RFC 3261 §22, §26.3.1; RFC 3323 §4.2; RFC 5922 §7.1
 */
import { isAnonymous } from "../../domain/privacy.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { reply } from "../../encoding/sip-replies.ts"
import { parseAddress, parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import type { ReceivedOn, Refused } from "./decode-result.ts"
import type { DigestCheck } from "./digest.ts"
import { addressIn } from "./domain-aliases.ts"
import type { Canonical } from "./domain-aliases.ts"
import { hopHostOf } from "./format-notify.ts"
import type { RawMessage } from "./message-reader.ts"
import { contradicts, copyText, isToken } from "./message-reader.ts"
import type { NotifyToOf } from "./notify-to.ts"
import type { Limits } from "./options.ts"
import type { Peers, TrustedPeer } from "./peers.ts"
import { aliasOf } from "./received-address.ts"
import { placeOfAnswer } from "./room.ts"
import type { PeerCertificate } from "./transports/certificate-names.ts"
import type { Transports } from "./transports/transport.ts"
import { parseUri, writableUri } from "./uri.ts"

export type Identity =
  | {
      readonly _tag: "Known"
      readonly user: string | null
      readonly uri: Uri | null
      /** For accepted digest credentials: whether the nonce was sent to that place. */
      readonly wasGivenTo?: (place: string) => boolean
    }
  /**
   * By a trusted peer. `uri` is the first of `uris`, a `sip` URI if there is one; null: the peer asserts no
   * identity.
   */
  | {
      readonly _tag: "Asserted"
      readonly peer: TrustedPeer
      readonly uri: Uri | null
      /** All asserted URIs: RFC 3325 §9.1 allows a `sip` and a `tel` URI. */
      readonly uris: readonly Uri[]
      /** An identity was asserted but cannot be read. */
      readonly isUnreadable: boolean
    }
  | { readonly _tag: "Refused"; readonly decoded: Refused }

/**
 * Events for counters and the log: a peer asserts no identity (`unnamed`); its PUBLISH is refused
 * (`refused`); a request is not believed to come from the peer (`doubted`); there are only peers, and the
 * sender is not one (`stranger`).
 */
export type PeerEvent = "unnamed" | "refused" | "doubted" | "stranger"

export interface IdentityRules {
  readonly limits: Limits
  /** Null: nobody is authenticated. */
  readonly authenticate: ((message: RawMessage, place: string) => DigestCheck) | null
  readonly mayPublishFor: (user: string, presentity: string) => boolean
  readonly peers: Peers
  /** Whether clients are asked for certificates, so that who shows none is not known. */
  readonly asksCertificates?: boolean
  readonly transports: Transports
  /** Where NOTIFYs go, by the source of the SUBSCRIBE; null: nothing is set. */
  readonly notifyTo: NotifyToOf | null
  /** Names of domains that stand for another; absent or null: none do. */
  readonly canonical?: Canonical | null | undefined
  /** Called for each such request; `peer` is the entry in the settings, or the address of a stranger. */
  readonly peerEvent: (what: PeerEvent, peer: string) => void
}

const refuse = (status: number, reason: string | null): Identity => ({
  _tag: "Refused",
  decoded: { _tag: "Reply", reply: reply(status, "", reason), isStateless: false },
})

/** When nobody is authenticated. */
const unasked: Identity = { _tag: "Known", user: null, uri: null }

/** @param isBegin a SUBSCRIBE outside a dialog, whose Contact and Record-Route say where requests in its dialog go */
export const identify = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: IdentityRules,
  from: Address,
  isBegin: boolean,
): Identity => {
  const peer = rules.peers.find(arrival.sourceAddress, arrival.transport.name, arrival.certificate)
  if (peer !== null) {
    if (arrival.transport.isReliable || !isBegin || leadsTo(peer, message, arrival.sourceAddress, rules))
      return namedBy(peer, message, from, rules)
    rules.peerEvent("doubted", peer.text)
    if (rules.authenticate === null) return refuse(403, "Record-Route Or Contact Is Not The Peer's")
  }
  const holder = holderOf(arrival.certificate, from, rules)
  if (holder !== null) return { _tag: "Known", user: holder, uri: holder }
  if (rules.authenticate === null) {
    if (rules.peers.size === 0 && rules.asksCertificates !== true) return unasked
    if (rules.peers.size === 0) return refuse(403, "No Certificate Of A User")
    rules.peerEvent("stranger", arrival.sourceAddress)
    return refuse(403, "Not A Trusted Peer")
  }
  const check = rules.authenticate(message, placeOfAnswer(arrival))
  if (check._tag === "Verified") {
    const { user, wasGivenTo } = check
    const uri = rules.canonical?.(check.uri) ?? check.uri
    return { _tag: "Known", user, uri, ...(wasGivenTo === undefined ? {} : { wasGivenTo }) }
  }
  // RFC 3261 §8.2.7: a challenge is sent statelessly
  if (check._tag === "Challenged")
    return {
      _tag: "Refused",
      decoded: { _tag: "Reply", reply: reply(401, check.headers), isStateless: true },
    }
  return refuse(400, check.why)
}

/**
 * The user whom the certificate of the sender names: of several the one in From, else the first.
 *
 * @returns null if there is no certificate, or it names no user
 */
const holderOf = (
  certificate: PeerCertificate | null | undefined,
  from: Address,
  rules: IdentityRules,
): Uri | null => {
  const { canonical = null } = rules
  const named = certificate?.users ?? []
  const users = canonical === null ? named : named.map(canonical)
  const [first] = users
  if (first === undefined) return null
  const uri = parseUri(from.uri)
  const address = uri === null ? null : addressIn(rules, uri)
  return address !== null && users.includes(address) ? address : first
}

/**
 * Whether the dialog that a SUBSCRIBE would create sends its requests to the peer first. The source of a
 * datagram is easily forged, but a forger gains nothing if all that follows goes to the peer.
 */
const leadsTo = (
  peer: TrustedPeer,
  message: RawMessage,
  source: string,
  { transports, notifyTo }: IdentityRules,
): boolean => {
  const route = message.headers.first("record-route")
  const line = route ?? message.headers.first("contact")
  // a SUBSCRIBE without Contact is refused for that reason later
  if (line === undefined) return true
  const first = parseAddresses(line)?.[0]
  const uri = first === undefined ? null : parseUri(first.uri)
  if (uri === null || uri.scheme === "tel") return false
  const host = hopHostOf(uri)
  const isThere = host !== null && peer.isHost(host, source)
  const alias = route === undefined ? aliasOf(uri, transports) : null
  if (alias === null) return isThere
  // what a peer writes beside the host of a Contact is believed, so it has to lead there as well
  return peer.isHost(alias.host, source) && (isThere || notifyTo?.(source) !== "contact")
}

const namedBy = (peer: TrustedPeer, message: RawMessage, from: Address, rules: IdentityRules): Identity => {
  const uris =
    peer.identity === "pai"
      ? assertedIn(message.headers.get("p-asserted-identity") ?? [], rules.limits, rules.canonical)
      : peer.identity === "from"
        ? namedIn(from.uri, rules)
        : []
  return {
    _tag: "Asserted",
    peer,
    uri: uris?.[0] ?? null,
    uris: uris ?? [],
    isUnreadable: uris === null,
  }
}

const namedIn = (text: string, rules: IdentityRules): readonly Uri[] | null => {
  const uri = parseUri(text)
  if (uri === null) return null
  const address = addressIn(rules, uri)
  return isAnonymous(address) ? [] : [address]
}

/**
 * The URIs in P-Asserted-Identity: one, or two of which one is a `tel` URI; a `sip` URI comes first. Anything
 * else is ambiguous (a client may have added its own line) and is not used.
 *
 * @returns empty if no identity is asserted; null if it cannot be read @source RFC 3325 §9.1
 */
export const assertedIn = (
  lines: readonly string[],
  limits: Limits,
  canonical: Canonical | null = null,
): readonly Uri[] | null => {
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
      const address = addressIn({ canonical }, parsed)
      if (isAnonymous(address)) isNobody = true
      else if (!uris.includes(address)) {
        uris.push(address)
        if (parsed.scheme === "tel") tels++
      }
    }
  }
  if (isNobody) return uris.length === 0 ? [] : null
  if (tels > 1 || uris.length - tels > 1) return null
  // the order of the values must not matter
  return uris.length === 2 && uris[0]!.startsWith("tel:") ? uris.reverse() : uris
}

/** The user name a request authenticated with; null if it did not. */
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
  // a user asserted by P-Asserted-Identity publishes for that user only, even if the peer may publish for
  // others
  const isOwn = uris.length === 0 ? !identity.isUnreadable : peer.identity === "from"
  const may = isNamed || (isOwn && peer.publishesFor(presentity))
  if (!may) rules.peerEvent("refused", peer.text)
  return may
}

/**
 * Whether a REGISTER may be for that address. Allowed where nobody is authenticated, since its bindings are
 * not used.
 */
export const mayRegister = (
  identity: Exclude<Identity, { readonly _tag: "Refused" }>,
  address: Uri,
): boolean =>
  identity._tag === "Known"
    ? identity.uri === null || identity.uri === address
    : (identity.uris.length === 0 && !identity.isUnreadable) ||
      identity.uris.includes(address) ||
      identity.peer.publishesFor(address)

/** Values that do not ask to hide the watcher from others, or that withdraw such a request. */
const otherPrivacy: ReadonlySet<string> = new Set(["none", "critical", "session", "history"])

/**
 * Whether the sender asks not to be shown to other watchers.
 *
 * `id` and `user` ask for it. So does `header`: what identifies the sender in headers, such as an asserted
 * identity, is not to be passed on (RFC 3323 §5.1). So do unknown values and an unreadable header, to err on
 * the side of privacy. `session` and `history` concern media and a list that no watcher is shown. An anonymous
 * URI in From asks for it too.
 *
 * @returns null if the request does not say @source RFC 3323 §4.2, RFC 3325 §9.3
 */
export const wantsPrivacy = (lines: readonly string[] | undefined, fromUri: Uri): boolean | null => {
  if (lines === undefined) return isAnonymous(fromUri) ? true : null
  const values = lines.flatMap((line) => line.split(";")).map((value) => value.trim().toLowerCase())
  if (!values.every((value) => isToken(value) && otherPrivacy.has(value))) return true
  return values.includes("none") ? false : isAnonymous(fromUri) ? true : null
}

/** The URI of the publishing device, which is not to be notified of its own publication (`Sender` of OpenSIPS). */
export const senderOf = (message: RawMessage, limits: Limits): string | null => {
  const text = message.headers.first("sender")
  if (text === undefined || text.length > limits.addressLineBytesMax) return null
  // believed to be nobody in particular if it came with several values
  const address = contradicts(message, ["sender"]) ? null : parseAddress(text)
  return address === null ? null : copyText(writableUri(address.uri))
}
