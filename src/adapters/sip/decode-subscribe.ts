/**
 * Decodes SUBSCRIBE: who watches what, and where NOTIFYs are sent.
 *
 * @source RFC 3265 §3.1, §3.2
 */
import type { PresentityFound } from "../../domain/packages/event-package.ts"
import type { Rejection, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import { anonymous, isAnonymous } from "../../domain/privacy.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Arrival, DialogStart, Reach, Uri } from "../../domain/vocabulary.ts"
import { onOneLine } from "../../encoding/sip-replies.ts"
import { policyQuestion, whoIn } from "./apply-policy.ts"
import { readBody } from "./decode-publish.ts"
import { refuse } from "./decode-result.ts"
import type { Accepted, CheckedRequest, DecodeResult, ReceivedOn, Refused } from "./decode-result.ts"
import { readContact, readRouteSet } from "./decode-targets.ts"
import type { Contact } from "./decode-targets.ts"
import { addressIn } from "./domain-aliases.ts"
import { nextHopOf } from "./format-notify.ts"
import type { NextHop } from "./format-notify.ts"
import { parseAccept, parseExpires, readEvent, splitParameters } from "./headers.ts"
import type { EventHeader } from "./headers.ts"
import { identify, mayPublish, userOf, wantsPrivacy } from "./identity.ts"
import type { Identity } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import { contradicts, copyText, flattened, isToken } from "./message-reader.ts"
import { documentNeedsOf, ignoresAccept, spelledFor } from "./phone-profiles.ts"
import type { PhoneProfile } from "./phone-profiles.ts"
import { aliasOf } from "./received-address.ts"
import { shared } from "./remembered-lines.ts"
import { factsOf } from "./request-facts.ts"
import type { RequestRules } from "./request-rules.ts"
import { headOctetsIn, headOctetsOf, isAt, isProven, roomOf } from "./room.ts"
import { contactTowards, hopFault } from "./secure-dialog.ts"
import { bracketed, parseUri } from "./uri.ts"
import type { SipUri, TelUri } from "./uri.ts"

type Named = Exclude<Identity, { readonly _tag: "Refused" }>

/** A SUBSCRIBE with its sender identified and its Contact read. */
interface Subscribing extends CheckedRequest {
  readonly identity: Named
  readonly fromUri: SipUri | TelUri
  readonly watcher: Uri
  /** Whether the watcher asks for privacy; null if the request does not say. */
  readonly isPrivate: boolean | null
  readonly contact: Contact | null
  readonly packageName: string | null
  readonly profile: PhoneProfile | null
  /** Fields of the command that are the same inside and outside a dialog. */
  readonly common: Common
}

export const decodeSubscribe = (
  request: CheckedRequest,
  arrival: ReceivedOn,
  rules: RequestRules,
): DecodeResult => {
  const subscribing = readSubscribe(request, arrival, rules)
  if (subscribing._tag !== "Checked") return subscribing
  const submit =
    request.to.tag === null ? begin(subscribing, arrival, rules) : renew(subscribing, arrival, rules)
  if (submit._tag !== "Submit") return submit
  const { identity, watcher } = subscribing
  const about = factsOf(request, identity, watcher, rules)
  const accepted: Accepted = about === undefined ? submit : { ...submit, about }
  if (rules.policy === null) return accepted
  return policyQuestion(accepted, request.message, arrival, {
    to: whoIn(request.to.uri, rules),
    from: watcher,
    user: userOf(identity),
  })
}

/** The checks common to both cases, inside and outside a dialog. */
const readSubscribe = (
  request: CheckedRequest,
  arrival: ReceivedOn,
  rules: RequestRules,
): Subscribing | Refused => {
  const { message, from, to } = request
  const identity = identify(message, arrival, rules, from, to.tag === null)
  if (identity._tag === "Refused") return identity.decoded
  const fromUri = parseUri(from.uri)
  if (fromUri === null) return refuse(400, "Malformed From")
  const written = addressIn(rules, fromUri)
  const watcher = watcherOf(identity, fromUri, written, rules)
  if (watcher === null) return refuse(403)
  if (to.tag === null && identity._tag === "Asserted" && identity.uri === null)
    rules.peerEvent("unnamed", identity.peer.text)
  const profile = rules.profileOf(message)
  const read = readEvent(message.headers, rules.limits.eventIdBytesMax, rules.parameterized)
  const event = spelledFor(profile, read, rules)
  if (event === "malformed") return refuse(400, "Malformed Event")
  if (contradicts(message, singlesNeeded)) return refuse(400, "Repeated Single-Value Header")
  const conditions = message.headers.get("suppress-if-match")
  const condition = conditions?.[0]
  // RFC 5839 §5.1: one entity-tag or `*`
  if (condition !== undefined && (conditions!.length > 1 || (condition !== "*" && !isToken(condition))))
    return refuse(400, "Malformed Suppress-If-Match")
  const contact = readContact(message, arrival, rules)
  if (contact?._tag === "Reply") return contact
  const argument = event === null ? null : argumentOf(message, event, rules)
  if (argument !== null && typeof argument === "object") return refuse(400, onOneLine(argument.why))
  const common = commonOf(request, rules, { identity, watcher, event, condition, argument, profile })
  const isPrivate = wantsPrivacy(message.headers.get("privacy"), written)
  const { packageName } = common
  const { uri, mergeKey } = request
  return {
    _tag: "Checked",
    message,
    from,
    to,
    uri,
    mergeKey,
    identity,
    fromUri,
    watcher,
    isPrivate,
    contact,
    packageName,
    profile,
    common,
  }
}

const singlesNeeded = ["event", "expires"]

interface Read {
  readonly identity: Named
  readonly watcher: Uri
  readonly event: Exclude<ReturnType<typeof readEvent>, "malformed">
  readonly condition: string | undefined
  readonly argument: string | null
  readonly profile: PhoneProfile | null
}

/** Fields of the command that are the same inside and outside a dialog. */
type Common = Pick<
  Subscribe,
  | "packageName"
  | "eventId"
  | "watcher"
  | "also"
  | "expires"
  | "accept"
  | "suppressIfMatch"
  | "rates"
  | "argument"
  | "request"
  | "forceActive"
  | "bodyFault"
>

const commonOf = (
  request: CheckedRequest,
  rules: RequestRules,
  { identity, watcher, event, condition, argument, profile }: Read,
): Common => {
  const { message } = request
  const common: { -readonly [Key in keyof Common]: Common[Key] } = {
    packageName: event === null ? null : copyText(event.packageName),
    eventId: event === null || event.id === null ? null : copyText(event.id),
    watcher,
    expires: parseExpires(message.headers.first("expires")),
    accept:
      profile?.needs.includes(ignoresAccept) === true ? null : parseAccept(message.headers.get("accept")),
    forceActive: rules.forceActive,
    bodyFault: null,
  }
  if (message.body.length > 0) Object.assign(common, bodyOf(request, rules, identity, event))
  if (identity._tag === "Asserted" && identity.uris.length > 1) common.also = identity.uris.slice(1)
  if (condition !== undefined) common.suppressIfMatch = copyText(condition)
  if (event !== null && event.rates !== null) common.rates = event.rates
  if (argument !== null) common.argument = argument
  return common
}

export const wasGivenToOf = (identity: Named): ((place: string) => boolean) | null =>
  identity._tag === "Known" ? (identity.wasGivenTo ?? null) : null

/** A SUBSCRIBE within a dialog: a refresh or an unsubscribe. */
const renew = (subscribing: Subscribing, arrival: ReceivedOn, rules: RequestRules): Accepted | Refused => {
  const { message, from, to, identity, contact, common, isPrivate } = subscribing
  const hop = contact === null ? null : nextHopOf(contact.uri, rules.transports)
  // behind a proxy the next hop is that of the route set, which the core knows
  const isBehindProxy = message.headers.has("record-route") || (hop === null && message.vias.length > 1)
  const isElsewhere = contact?.reach !== undefined && contact.reach !== "contact"
  const fault =
    contact === null || isBehindProxy || (hop === null && isElsewhere)
      ? null
      : hopFault(message, hop, arrival, rules.transports.presumed)
  if (fault !== null) return refuse(400, fault)
  const command: { -readonly [Key in keyof Resubscribe]: Resubscribe[Key] } = {
    _tag: "Resubscribe",
    ...common,
    dialog: flattened(dialogKey(message.callId, to.tag ?? "", from.tag ?? "")),
    cseq: message.cseq,
    remoteTarget: contact === null ? null : contact.text,
    arrival: arrivalIn(arrival, contact?.reach),
  }
  const room = roomInDialog(subscribing, arrival, rules)
  if (room !== null) command.room = room
  if (isPrivate !== null) command.private = isPrivate
  // most proxies assert the identity only outside a dialog; an unreadable identity is another matter
  if (identity._tag === "Asserted" && identity.uri === null && !identity.isUnreadable)
    command.through = bracketed(arrival.sourceAddress)
  return { _tag: "Submit", presentity: null, command }
}

const sourceIn = ({ sourceAddress, sourcePort }: ReceivedOn): string =>
  flattened(`${bracketed(sourceAddress)}:${sourcePort}`)

export const arrivalIn = (arrival: ReceivedOn, reach: Reach | undefined): Arrival => {
  const { contact: localContact, flow } = arrival
  const source = sourceIn(arrival)
  return reach === undefined ? { localContact, flow, source } : { localContact, flow, source, reach }
}

/** A SUBSCRIBE outside a dialog. */
const begin = (subscribing: Subscribing, arrival: ReceivedOn, rules: RequestRules): DecodeResult => {
  const { message, from, to, uri, identity, contact, packageName, profile, common, isPrivate } = subscribing
  if (uri.scheme !== "tel" && uri.user === null) return refuse(404)
  if (contact === null) return refuse(400, "Missing Contact")
  const routeSet = readRouteSet(message, rules)
  if (routeSet === null) return refuse(400, "Malformed Record-Route")
  const found = presentityOf(subscribing, contact.text, rules)
  if (found._tag === "BadRequest") return refuse(400, onOneLine(found.why))
  const start: DialogStart = {
    callId: copyText(message.callId),
    localTag: rules.mintTag(),
    remoteTag: copyText(from.tag ?? ""),
    localUri: shared(to.untagged),
    remoteUri: copyText(from.untagged),
    remoteTarget: contact.text,
    routeSet,
    remoteCseq: message.cseq,
    localContact: contactTowards(message, arrival),
    flow: arrival.flow,
    source: sourceIn(arrival),
    ...(contact.reach === undefined ? {} : { reach: contact.reach }),
  }
  const prepared = rules.prepareDialog(start)
  const { hop } = prepared
  const fault = hopFault(message, hop, arrival, rules.transports.presumed)
  if (fault !== null) return refuse(400, fault)
  const isFromPeer = identity._tag === "Asserted"
  if (!rules.allowAnyContact && !isFromPeer && (hop === null || !isAt(hop, arrival.sourceAddress)))
    return refuse(403, routeSet.length > 0 ? "Record-Route Is Not The Source" : "Contact Is Not The Source")
  const isSure = hop === null || isProven(hop, arrival, wasGivenToOf(identity), rules)
  const head = headOctetsOf(prepared, packageName ?? "", start)
  // keep the same object: it is the key under which the prepared dialog is found
  const dialog: DialogStart = isSure
    ? start
    : Object.assign(start, { room: roomOf(head, message.octets, rules.udpMtuBytes) })
  const set = packageName === null ? undefined : rules.needsOf(packageName, message)
  const needs = packageName === null || profile === null ? set : documentNeedsOf(packageName, profile, set)
  const command = {
    _tag: "Subscribe",
    ...common,
    ...(needs === undefined ? {} : { needs }),
    ...(profile === null ? {} : { phone: profile.name }),
    ...(isPrivate === true ? { private: true as const } : {}),
    dialog,
  } as const
  return { _tag: "Submit", presentity: found.presentity, command }
}

/** The presentity of a SUBSCRIBE outside a dialog: the Request-URI, unless the package says otherwise. */
const presentityOf = (
  { message, to, uri, fromUri, packageName }: Subscribing,
  contact: string,
  rules: RequestRules,
): PresentityFound => {
  const requestUri = addressIn(rules, uri)
  const ask = packageName === null ? undefined : rules.presentityOf(packageName)
  if (ask === undefined) return { _tag: "Found", presentity: requestUri }
  const toUri = parseUri(to.uri)
  const contactUri = parseUri(contact)
  return ask({
    requestUri,
    to: toUri === null ? null : addressIn(rules, toUri),
    from: addressIn(rules, fromUri),
    // it has been parsed before, so this cannot be null
    contact: contactUri === null ? (contact as Uri) : addressIn(rules, contactUri),
    header: (name) => message.headers.get(name.toLowerCase()) ?? [],
  })
}

/** What exactly is subscribed to, in a header or in parameters of Event; null: nothing in particular. */
const argumentOf = (
  message: RawMessage,
  { packageName, parameters }: EventHeader,
  rules: RequestRules,
): string | null | { readonly why: string } => {
  if (parameters !== null) {
    const read = rules.readParameters(packageName, parameters)
    if (read?._tag === "BadRequest") return read
    if (read !== undefined && read.argument !== null) return copyText(read.argument)
  }
  return argumentIn(message, packageName, rules)
}

/** Several lines are one list (RFC 3261 §7.3.1). */
const argumentIn = (message: RawMessage, packageName: string, rules: RequestRules): string | null => {
  const name = rules.argumentHeaders.get(packageName)
  const lines = name === undefined ? undefined : message.headers.get(name.toLowerCase())
  return lines === undefined ? null : copyText(lines.join(", "))
}

/** What the body asks for, or why it is refused. */
const bodyOf = (
  { message, uri, to }: CheckedRequest,
  rules: RequestRules,
  identity: Named,
  event: Read["event"],
): Pick<Common, "request" | "bodyFault"> => {
  const types = event === null ? undefined : rules.requestTypes(event.packageName)
  if (types === undefined) return { bodyFault: subscribeBodyFault(message, []) }
  const { body, fault } = readBody(message, { accept: types })
  if (body === null) return { bodyFault: fault }
  if (!types.includes(body.contentType)) return { bodyFault: subscribeBodyFault(message, types) }
  // in a dialog the Request-URI is our Contact
  const named = to.tag === null ? uri : parseUri(to.uri)
  const presentity = named === null ? null : addressIn(rules, named)
  const isAllowed = presentity !== null && mayPublish(identity, presentity, rules)
  return { request: { body, mayChange: isAllowed ? presentity : null }, bodyFault: fault }
}

/** A body we cannot read is refused unless its handling is optional (RFC 3261 §20.11). */
const subscribeBodyFault = (message: RawMessage, accept: readonly string[]): Rejection | null => {
  const disposition = message.headers.first("content-disposition")
  const handling =
    disposition === undefined ? undefined : splitParameters(disposition)?.parameters.get("handling")
  if (handling?.toLowerCase() === "optional") return null
  return { _tag: "UnsupportedMediaType", status: 415, accept }
}

/**
 * Octets of a document that may be sent to the Contact of a request within a dialog; null: it is proven. The
 * core knows the route set and accounts for it.
 */
const roomInDialog = (
  { message, contact, packageName, identity }: Subscribing,
  arrival: ReceivedOn,
  rules: RequestRules,
): number | null => {
  const hop = contact === null ? null : hopTo(contact, arrival, rules)
  if (hop !== null && isProven(hop, arrival, wasGivenToOf(identity), rules)) return null
  const head = headOctetsIn(message, contact === null ? "" : contact.text, packageName ?? "", arrival)
  return roomOf(head, message.octets, rules.udpMtuBytes)
}

/** The next hop of NOTIFYs, without regard to a route set. */
const hopTo = (
  { uri, reach }: Contact,
  arrival: ReceivedOn,
  { transports }: RequestRules,
): NextHop | null => {
  if (reach === undefined || reach === "contact") return nextHopOf(uri, transports)
  if (reach === "alias") return aliasOf(uri, transports)
  const { transport, sourceAddress: host, sourcePort: port } = arrival
  return { host, isNumeric: true, port, transport }
}

/** Null: the authenticated user is not the user in From. */
const watcherOf = (
  identity: Named,
  from: SipUri | TelUri,
  written: Uri,
  { isOwnHost }: RequestRules,
): Uri | null => {
  if (identity._tag === "Asserted") return identity.uri ?? anonymous
  if (identity.uri === null || identity.uri === written) return written
  // a phone that knows the server by its address writes that instead of the domain
  if (from.scheme !== "tel" && from.user !== null && isOwnHost(from.host)) {
    const account = parseUri(identity.uri)
    if (account !== null && account.scheme !== "tel" && account.user === from.user) return identity.uri
  }
  // RFC 3323 §4.1.1.3: a user who wants privacy sends an anonymous From, and is known by the credentials
  return isAnonymous(written) ? identity.uri : null
}
