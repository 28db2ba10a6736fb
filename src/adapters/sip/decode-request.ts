/**
 * Requests: a gated message to a command for the core, or to the reply that refuses it here.
 *
 * The order of checks is that of RFC 3261 §8.2: method, extensions, Request-URI, size, merging, identity, and then
 * what the method needs. Faults that the core must judge in their turn travel inside the command.
 */
import { isUtf8 } from "node:buffer"
import type { Rejection } from "../../domain/presentity/commands.ts"
import { addressOfRecord, schemeOf } from "../../domain/uris.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Body, DialogStart, Header, Uri } from "../../domain/vocabulary.ts"
import { anonymous, isAnonymous } from "../../domain/privacy.ts"
import { parseAddress, parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import type { RawMessage } from "./message-reader.ts"
import { copyText, isToken } from "./message-reader.ts"
import { policyQuestion, whoIn } from "./apply-policy.ts"
import type { ReceivedOn, DecodeResult, Accepted } from "./decode-result.ts"
import {
  listValues,
  parseAccept,
  parseContentType,
  parseEvent,
  parseExpires,
  splitParameters,
} from "./headers.ts"
import type { EventHeader, ParameterizedName } from "./headers.ts"
import { identify, mayPublish, mayRegister, senderOf, wantsPrivacy } from "./identity.ts"
import type { Identity, IdentityRules } from "./identity.ts"
import type { Limits, SharedLine } from "./options.ts"
import { hopHostOf, nextHopOf, prepareDialog } from "./format-notify.ts"
import type { Policy } from "./policy.ts"
import { allow, looksTagged } from "./responses.ts"
import { reply } from "../../encoding/sip-replies.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import { headOctetsIn, headOctetsOf, isAt, isProven, roomOf } from "./room.ts"
import { bracketed, isNobody, parseUri } from "./uri.ts"
import type { SipUri, TelUri } from "./uri.ts"

export interface RequestRules extends IdentityRules {
  readonly limits: Limits
  readonly serves: (host: string) => boolean
  readonly isOwnAddress: (host: string, port: number) => boolean
  readonly allowEvents: string
  readonly accept: readonly string[]
  /** Null refuses REGISTER. */
  readonly register: ((message: RawMessage, to: Uri) => Reply) | null
  readonly forceActive: boolean
  readonly sharedLine: SharedLine
  /** Packages that are told from their type by parameters. */
  readonly parameterized: readonly ParameterizedName[]
  /** By name of a package: the headers that belong to its publications, as they are to be written. */
  readonly carriedBy: ReadonlyMap<string, readonly string[]>
  /** By name of a package: the header of a SUBSCRIBE that says what exactly is asked for. */
  readonly argumentOf: ReadonlyMap<string, string>
  /** Whether the Sender header of a PUBLISH is believed; that of a peer whose PUBLISH is taken is. */
  readonly trustSenderHeader: boolean
  readonly allowAnyContact: boolean
  /** Whether the operator lets NOTIFYs go to a host that has not answered any. */
  readonly isNotifyTarget: (host: string) => boolean
  readonly udpMtuBytes: number
  readonly mintTag: () => string
  /** What an operator says of single requests; null: nothing. */
  readonly policy: Policy | null
}

const refuse = (status: number, reason: string | null = null, headers = ""): DecodeResult => ({
  _tag: "Reply",
  reply: reply(status, headers, reason),
  isStateless: false,
})

/** Methods that exist but not here (RFC 3261 §8.2.1); any other name is unknown and gets 501. */
const elsewhere = new Set(["INVITE", "BYE", "INFO", "MESSAGE", "PRACK", "REFER", "UPDATE"])
const served = new Set(["OPTIONS", "PUBLISH", "REGISTER", "SUBSCRIBE", "NOTIFY"])

/**
 * @param isMerged asked at its place in the order: is this another copy of a request that came by another path?
 */
export const decodeRequest = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
  isMerged: () => boolean,
): DecodeResult => {
  const { method } = message
  if (!served.has(method)) {
    if (elsewhere.has(method)) return refuse(405, null, `Allow: ${allow}\r\n`)
    return refuse(501, null, `Allow: ${allow}\r\n`)
  }
  const required = message.headers.get("require")
  if (required !== undefined) {
    // RFC 3261 §8.2.2.3: we have no extensions, so each one asked for is listed.
    const unknown = (listValues(required) ?? []).filter((option) => isToken(option))
    if (unknown.length > 0) return refuse(420, null, `Unsupported: ${unknown.join(", ")}\r\n`)
  }
  const from = parseAddress(message.from)
  const to = parseAddress(message.to)
  if (from === null) return refuse(400, "Malformed From")
  if (to === null) return refuse(400, "Malformed To")
  if ((from.tag ?? "").length > rules.limits.tagBytesMax || (to.tag ?? "").length > rules.limits.tagBytesMax)
    return refuse(400, "Tag Too Long")
  const uri = parseUri(message.uri)
  if (uri === null) {
    const scheme = schemeOf(message.uri)?.toLowerCase() ?? null
    const isKnown =
      scheme === null || scheme === "sip" || scheme === "sips" || scheme === "pres" || scheme === "tel"
    return isKnown ? refuse(400, "Malformed Request-URI") : refuse(416)
  }
  // A request inside a dialog is addressed to our Contact, which need not be in a served domain.
  if (to.tag === null && uri.scheme !== "tel" && !rules.serves(uri.host)) return refuse(404)
  if (message.body.length > rules.limits.bodyBytesMax) return refuse(413)
  if (to.tag === null && isMerged()) return refuse(482)
  switch (method) {
    case "OPTIONS":
      return refuse(200, null, optionsHeaders(rules))
    case "NOTIFY":
      // RFC 3265 §3.2.4: we subscribe to nothing.
      return refuse(481)
    case "REGISTER":
      return decodeRegister(message, { from, to, uri }, arrival, rules)
    case "PUBLISH":
      return decodePublish(message, arrival, rules, { from, to, uri })
    default:
      return decodeSubscribe(message, arrival, rules, { from, to, uri })
  }
}

const optionsHeaders = (rules: RequestRules): string =>
  `Allow: ${allow}\r\nAccept: ${rules.accept.join(", ")}\r\nAccept-Encoding: identity\r\n` +
  `Allow-Events: ${rules.allowEvents}\r\nSupported:\r\n`

const decodeRegister = (
  message: RawMessage,
  { from, to }: Parties,
  arrival: ReceivedOn,
  rules: RequestRules,
): DecodeResult => {
  if (rules.register === null) return refuse(403, "Registration Is Not Offered Here")
  const identity = identify(message, arrival, rules, from, false)
  if (identity._tag === "Refused") return identity.decoded
  const uri = parseUri(to.uri)
  if (uri === null) return refuse(400, "Malformed To")
  const address = addressOfRecord(uri)
  if (uri.scheme !== "tel" && !rules.serves(uri.host)) return refuse(404)
  if (!mayRegister(identity, address)) return refuse(403)
  return { _tag: "Reply", reply: rules.register(message, address), isStateless: false }
}

const badRequest = (why: string): Rejection => ({ _tag: "BadRequest", status: 400, why })

const readEvent = (message: RawMessage, rules: RequestRules): EventHeader | null | "malformed" => {
  const text = message.headers.get("event")?.[0]
  if (text === undefined) return null
  return parseEvent(text, rules.limits.eventIdBytesMax, rules.parameterized) ?? "malformed"
}

const decodePublish = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
  { from, uri }: Parties,
): DecodeResult => {
  const identity = identify(message, arrival, rules, from, false)
  if (identity._tag === "Refused") return identity.decoded
  if (uri.scheme !== "tel" && uri.user === null) return refuse(404)
  const presentity = addressOfRecord(uri)
  // RFC 3903 §6 step 1: who publishes for somebody else needs a grant.
  if (!mayPublish(identity, presentity, rules))
    return refuse(403, identity._tag === "Asserted" ? "Peer Does Not Publish For This User" : null)
  const event = readEvent(message, rules)
  if (event === "malformed") return refuse(400, "Malformed Event")
  const ifMatch = listValues(message.headers.get("sip-if-match"))
  if (ifMatch === null || !ifMatch.every((tag) => isToken(tag))) return refuse(400, "Malformed SIP-If-Match")
  const content = readBody(message, rules)
  const headers = event === null ? [] : carriedIn(message, event.packageName, rules)
  const submit: Accepted = {
    _tag: "Submit",
    presentity,
    command: {
      _tag: "Publish",
      packageName: event === null ? null : copyText(event.packageName),
      ifMatch,
      expires: parseExpires(message.headers.get("expires")?.[0]),
      body: content.body,
      bodyFault: content.fault,
      ...(headers.length === 0 ? {} : { headers }),
      sender:
        rules.trustSenderHeader || identity._tag === "Asserted" ? senderOf(message, rules.limits) : null,
    },
  }
  if (rules.policy === null) return submit
  const who = identity._tag === "Asserted" ? (identity.uri ?? anonymous) : whoIn(from.uri)
  return policyQuestion(submit, message, arrival, { to: presentity, from: who, user: userOf(identity) })
}

const userOf = (identity: Identity): string | null => (identity._tag === "Known" ? identity.user : null)

/** One for each line, in the order in which the package names them. */
const carriedIn = (message: RawMessage, packageName: string, rules: RequestRules): readonly Header[] =>
  (rules.carriedBy.get(packageName) ?? []).flatMap((name) =>
    (message.headers.get(name.toLowerCase()) ?? []).map((value): Header => [name, copyText(value)]),
  )

/** Several lines are one list (RFC 3261 §7.3.1). */
const argumentIn = (message: RawMessage, packageName: string, rules: RequestRules): string | null => {
  const name = rules.argumentOf.get(packageName)
  const lines = name === undefined ? undefined : message.headers.get(name.toLowerCase())
  return lines === undefined ? null : copyText(lines.join(", "))
}

interface Content {
  readonly body: Body | null
  readonly fault: Rejection | null
}
const noContent: Content = { body: null, fault: null }
const faulty = (fault: Rejection): Content => ({ body: null, fault })

const readBody = (message: RawMessage, rules: RequestRules): Content => {
  if (message.body.length === 0) return noContent
  const encoding = message.headers.get("content-encoding")?.[0]
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return faulty({ _tag: "UnsupportedEncoding", status: 415, acceptEncoding: ["identity"] })
  const written = message.headers.get("content-type")?.[0]
  if (written === undefined) return faulty(badRequest("Missing Content-Type"))
  const type = parseContentType(written)
  if (type === null) return faulty(badRequest("Malformed Content-Type"))
  const unsupported: Rejection = { _tag: "UnsupportedMediaType", status: 415, accept: rules.accept }
  if (type.charset !== null && type.charset !== "utf-8" && type.charset !== "us-ascii")
    return faulty(unsupported)
  if (!isUtf8(message.body) || message.body.includes(0)) {
    const isText =
      type.mediaType.endsWith("xml") ||
      type.mediaType.startsWith("text/") ||
      rules.accept.includes(type.mediaType)
    return faulty(isText ? badRequest("Body Is Not UTF-8 Text") : unsupported)
  }
  const parameters = type.parameters === "" ? {} : { parameters: copyText(type.parameters) }
  return {
    body: { contentType: type.mediaType, ...parameters, text: message.body.toString("utf8") },
    fault: null,
  }
}

/** A filter we cannot read is refused, unless the watcher says that it may be ignored (RFC 3261 §20.11). */
const subscribeBodyFault = (message: RawMessage): Rejection | null => {
  if (message.body.length === 0) return null
  const disposition = message.headers.get("content-disposition")?.[0]
  const handling =
    disposition === undefined ? undefined : splitParameters(disposition)?.parameters.get("handling")
  if (handling?.toLowerCase() === "optional") return null
  return { _tag: "UnsupportedMediaType", status: 415, accept: [] }
}

interface Parties {
  readonly from: Address
  readonly to: Address
  readonly uri: SipUri | TelUri
}

const decodeSubscribe = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
  parties: Parties,
): DecodeResult => {
  const { from, to, uri } = parties
  const identity = identify(message, arrival, rules, from, to.tag === null)
  if (identity._tag === "Refused") return identity.decoded
  const fromUri = parseUri(from.uri)
  if (fromUri === null) return refuse(400, "Malformed From")
  const written = addressOfRecord(fromUri)
  const watcher = watcherOf(identity, written)
  if (watcher === null) return refuse(403)
  if (to.tag === null && identity._tag === "Asserted" && identity.uri === null)
    rules.peerEvent("unnamed", identity.peer.text)
  const isPrivate = wantsPrivacy(message.headers.get("privacy"), written)
  const event = readEvent(message, rules)
  if (event === "malformed") return refuse(400, "Malformed Event")
  const conditions = message.headers.get("suppress-if-match") ?? []
  const [condition] = conditions
  // RFC 5839 §5.1: one entity-tag or `*`
  if (conditions.length > 1 || (condition !== undefined && condition !== "*" && !isToken(condition)))
    return refuse(400, "Malformed Suppress-If-Match")
  const contact = readContact(message, arrival, rules)
  if (typeof contact === "object" && contact !== null) return contact
  const argument = event === null ? null : argumentIn(message, event.packageName, rules)
  const common = {
    packageName: event === null ? null : copyText(event.packageName),
    eventId: event === null || event.id === null ? null : copyText(event.id),
    watcher,
    ...(identity._tag === "Asserted" && identity.uris.length > 1 ? { also: identity.uris.slice(1) } : {}),
    expires: parseExpires(message.headers.get("expires")?.[0]),
    accept: parseAccept(message.headers.get("accept")),
    ...(condition === undefined ? {} : { suppressIfMatch: copyText(condition) }),
    ...(event === null || event.rates === null ? {} : { rates: event.rates }),
    ...(argument === null ? {} : { argument }),
    forceActive: rules.forceActive,
    bodyFault: subscribeBodyFault(message),
  }
  const decided = (submit: Accepted): DecodeResult =>
    rules.policy === null
      ? submit
      : policyQuestion(submit, message, arrival, { to: whoIn(to.uri), from: watcher, user: userOf(identity) })
  const wasGivenTo = identity._tag === "Known" ? (identity.wasGivenTo ?? null) : null
  if (to.tag !== null) {
    const dialog = dialogKey(message.callId, to.tag, from.tag ?? "")
    const room = roomInDialog(message, contact, common.packageName ?? "", arrival, wasGivenTo, rules)
    return decided({
      _tag: "Submit",
      presentity: null,
      command: {
        _tag: "Resubscribe",
        ...common,
        dialog,
        cseq: message.cseq,
        remoteTarget: contact,
        ...room,
        ...(isPrivate === null ? {} : { private: isPrivate }),
        // within a dialog most proxies do not say again who it is; a name that cannot be read is another matter
        ...(identity._tag === "Asserted" && identity.uri === null && !identity.isUnreadable
          ? { through: bracketed(arrival.sourceAddress) }
          : {}),
      },
    })
  }
  if (uri.scheme !== "tel" && uri.user === null) return refuse(404)
  if (contact === null) return refuse(400, "Missing Contact")
  const routeSet = readRouteSet(message, rules)
  if (routeSet === null) return refuse(400, "Malformed Record-Route")
  const presentity =
    common.packageName === "dialog;sla"
      ? sharedLineOf(rules.sharedLine, contact, fromUri, parties)
      : addressOfRecord(uri)
  if (presentity === null) return refuse(400, "No Shared Line In Contact")
  const start: DialogStart = {
    callId: copyText(message.callId),
    localTag: rules.mintTag(),
    remoteTag: copyText(from.tag ?? ""),
    localUri: to.untagged,
    remoteUri: from.untagged,
    remoteTarget: contact,
    routeSet,
    remoteCseq: message.cseq,
    localContact: arrival.contact,
    flow: arrival.flow,
    source: `${bracketed(arrival.sourceAddress)}:${arrival.sourcePort}`,
  }
  const prepared = prepareDialog(start)
  const { hop } = prepared
  const isFromPeer = identity._tag === "Asserted"
  if (!rules.allowAnyContact && !isFromPeer && (hop === null || !isAt(hop, arrival.sourceAddress)))
    return refuse(403, routeSet.length > 0 ? "Record-Route Is Not The Source" : "Contact Is Not The Source")
  const isSure = hop === null || isProven(hop, arrival, wasGivenTo, rules)
  const head = headOctetsOf(prepared, common.packageName ?? "", start)
  // the same object: what has been prepared for it is found by it
  const dialog: DialogStart = isSure
    ? start
    : Object.assign(start, { room: roomOf(head, message.octets ?? 0, rules.udpMtuBytes) })
  const command = {
    _tag: "Subscribe",
    ...common,
    ...(isPrivate === true ? { private: true as const } : {}),
    dialog,
  } as const
  return decided({ _tag: "Submit", presentity, command })
}

/** What a request in a dialog says of its Contact as a target; empty: it is proven. Of a route the core knows. */
const roomInDialog = (
  message: RawMessage,
  contact: string | null,
  event: string,
  arrival: ReceivedOn,
  wasGivenTo: ((place: string) => boolean) | null,
  rules: RequestRules,
): { readonly room?: number } => {
  const uri = contact === null ? null : parseUri(contact)
  const hop = uri === null || uri.scheme === "tel" ? null : nextHopOf(uri)
  if (hop !== null && isProven(hop, arrival, wasGivenTo, rules)) return {}
  const head = headOctetsIn(message, contact ?? "", event, arrival)
  return { room: roomOf(head, message.octets ?? 0, rules.udpMtuBytes) }
}

/** Null: it proved to be somebody else than it says. */
const watcherOf = (identity: Exclude<Identity, { readonly _tag: "Refused" }>, written: Uri): Uri | null => {
  if (identity._tag === "Asserted") return identity.uri ?? anonymous
  if (identity.uri === null || identity.uri === written) return written
  // RFC 3323 §4.1.1.3: so writes who does not want to be named to others, and has said to us who it is
  return isAnonymous(written) ? identity.uri : null
}

/**
 * The line a phone shares: a phone of a line subscribes as itself, and its Contact says which line it is.
 *
 * @returns null when the URI that says it does not name anybody
 */
const sharedLineOf = (
  from: SharedLine,
  contact: string,
  fromUri: SipUri | TelUri,
  { to, uri }: Parties,
): Uri | null => {
  if (from === "request-uri") return addressOfRecord(uri)
  if (from === "from") return addressOfRecord(fromUri)
  if (from === "to") {
    const parsed = parseUri(to.uri)
    return parsed === null ? null : addressOfRecord(parsed)
  }
  const parsed = parseUri(contact)
  if (parsed === null || parsed.scheme === "tel" || parsed.user === null || fromUri.scheme === "tel")
    return null
  return addressOfRecord({ ...fromUri, user: parsed.user })
}

/**
 * The URI of the one Contact.
 *
 * @source RFC 3261 §8.1.1.8; null when there is none
 */
const readContact = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
): string | null | DecodeResult => {
  const lines = message.headers.get("contact")
  if (lines === undefined) return null
  if (lines.length > 1) return refuse(400, "More Than One Contact")
  if (lines[0] === "*") return refuse(400, "Contact Is Not A URI")
  const contact = parseAddress(lines[0]!)
  if (contact === null || contact.uri.length > rules.limits.uriBytesMax)
    return refuse(400, "Malformed Contact")
  const uri = parseUri(contact.uri)
  if (uri === null || uri.scheme === "tel" || uri.scheme === "pres") return refuse(400, "Malformed Contact")
  const hasRoute = message.headers.has("record-route")
  // There is no TLS here; only a proxy in between could reach such a watcher.
  if (uri.scheme === "sips" && !hasRoute) return refuse(400, "Contact Scheme Not Reachable")
  if (!isPossibleTarget(uri, rules)) return refuse(400, "Contact Is Not An Address To Send To")
  // of the first request of a dialog its next hop is asked, when it is known
  const isInDialog = message.headers.has("contact") && looksTagged(message.to)
  const isFromPeer = rules.peers.find(arrival.sourceAddress, arrival.transport) !== null
  if (!rules.allowAnyContact && isInDialog && !hasRoute && !isFromPeer) {
    const hop = nextHopOf(uri)
    if (hop === null || !isAt(hop, arrival.sourceAddress)) return refuse(403, "Contact Is Not The Source")
  }
  // RFC 3261 §19.1.5: headers of a URI do not become part of a Request-URI.
  return uri.headers === null
    ? contact.uri
    : contact.uri.slice(0, contact.uri.indexOf("?", contact.uri.indexOf("@") + 1))
}

const isPossibleTarget = (uri: SipUri, rules: RequestRules): boolean => {
  const host = hopHostOf(uri)
  if (uri.port === 0 || host === null) return false
  return [uri.host, host].every((one) => !isNobody(one) && !rules.isOwnAddress(one, uri.port ?? 5060))
}

/** Record-Route values in order; null when one of them could not be routed by. */
const readRouteSet = (message: RawMessage, rules: RequestRules): readonly string[] | null => {
  const lines = message.headers.get("record-route")
  if (lines === undefined) return noRoutes
  const routes: string[] = []
  for (const line of lines) {
    const addresses = parseAddresses(line)
    if (addresses === null) return null
    for (const address of addresses) {
      const uri = parseUri(address.uri)
      if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || !isPossibleTarget(uri, rules))
        return null
      routes.push(
        address.untagged.includes("<") ? address.untagged : `<${address.uri}>${address.parameterText}`,
      )
    }
  }
  return routes.length > rules.limits.routesMax ? null : routes
}

const noRoutes: readonly string[] = []
