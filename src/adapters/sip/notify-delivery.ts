/** The transaction of one NOTIFY, and its outcome, which is counted and reported to the core. */
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { SipCounters, SipHandler } from "../../ports/sip-transport.ts"
import { parseAddress } from "./address-headers.ts"
import type { AdvertisedFor } from "./advertised.ts"
import type { Allowances, Place } from "./allowances.ts"
import type { ClientResult, ClientTransactions, Resending } from "./client-transactions.ts"
import type { DeadTargets } from "./dead-targets.ts"
import { formatNotify, nextHopOf, shownOctets } from "./format-notify.ts"
import type { NextHop, PrepareDialog, PreparedDialog } from "./format-notify.ts"
import { parseRetryAfter } from "./headers.ts"
import type { KeepAlive } from "./keep-alive.ts"
import { copyText } from "./message-reader.ts"
import type { NotifyCredentials } from "./notify-credentials.ts"
import { end, failedThere, isOfPlace, outcomes } from "./notify-outcome.ts"
import type { Way } from "./notify-outcome.ts"
import type { Limits, SipLimit } from "./options.ts"
import type { Resolver } from "./resolver.ts"
import type { Connection, Flow, Sockets, Transport, Transports } from "./transports/transport.ts"
import { bracketed, parseUri, writableUri } from "./uri.ts"

export interface NotifierParts {
  readonly client: ClientTransactions
  readonly transports: Transports
  /** The sockets of one of `transports`. */
  readonly socketsOf: (transport: Transport) => Sockets
  readonly prepareDialog: PrepareDialog
  readonly counters: SipCounters
  readonly limits: Limits
  readonly udpMtuBytes: number
  readonly resolver: Resolver
  readonly clock: () => number
  readonly mintTag: () => string
  readonly localHost: (bound: string, remote: string) => string
  /** What to print instead of a local host and port; null: nothing is advertised. */
  readonly advertisedFor: AdvertisedFor | null
  readonly delivered: SipHandler["delivered"]
  readonly isOwnAddress: (host: string, port: number) => boolean
  readonly allowances: Allowances
  /** Whether the operator allows NOTIFYs to a host that has not answered any. */
  readonly isNotifyTarget: (host: string) => boolean
  readonly onLimit: (limit: SipLimit, address?: string) => void
  readonly keepAlive: KeepAlive
  readonly dead: DeadTargets
  /** Null: no account is given for any realm. */
  readonly credentials: NotifyCredentials | null
}

/** State shared by all NOTIFYs of a stack. */
export interface Notifying extends NotifierParts {
  /** By address and port: until when a peer that refused a connection is not tried again. */
  readonly streamRefusals: Map<string, number>
  /** Sends it to its Contact, if it has another one, after the connection of its dialog has failed. */
  readonly afterConnection: (outgoing: OutgoingNotify) => void
  branches: number
  /** Host and port of the socket used last, as printed in Via. */
  sentBy: { readonly host: string; readonly port: number; readonly text: string }
}

/** One NOTIFY being sent. */
export interface OutgoingNotify {
  readonly notify: Notify
  readonly prepared: PreparedDialog
  /** It is sent on the connection by which its watcher last spoke. */
  readonly isOnFlow?: true
  /** The resolved address if the next hop is a host name and the address is not known to be proven; otherwise null. */
  readonly named: string | null
  /** For an unproven target, the allowance that its packets are taken from; null if it is proven. */
  readonly allowed: { readonly dialog: string; readonly place: Place; readonly isDirect: boolean } | null
  /** Where the name of the next hop leads to, of which one place is tried now; absent: the next hop is no name. */
  readonly way?: Way
  /** Sends it as a datagram after all, when the stream that it was too large for a datagram for has failed. */
  readonly asDatagram?: () => void
}

/** An address and port that bytes are sent to. */
export interface Peer {
  readonly address: string
  readonly port: number
}

/** How many octets longer the next NOTIFY may be with the same content: its CSeq may have one more digit. */
const growth = 1

const outcomeOf = (parts: NotifierParts, result: ClientResult, outgoing: OutgoingNotify): DeliveryOutcome => {
  if (typeof result === "string") return outcomes[result]
  if (result.status >= 300) {
    const { dialog, cseq } = outgoing.notify
    const isChallenge = result.status === 401 || result.status === 407
    // without an account for its realm a challenge is a refusal like any other
    if (isChallenge && parts.credentials?.challenged(dialog, cseq, result) === true)
      return { _tag: "Refused", status: result.status, retryAfter: null, credentials: true }
    const retryAfter = parseRetryAfter(result.headers.first("retry-after"))
    return { _tag: "Refused", status: result.status, retryAfter }
  }
  const remoteTarget = newTarget(parts, result.headers.get("contact"), outgoing)
  const { named } = outgoing
  return named === null
    ? { _tag: "Accepted", remoteTarget }
    : { _tag: "Accepted", remoteTarget, address: named }
}

/**
 * The Contact of a 2xx, if it may become the remote target (RFC 3261 §12.2.1.2).
 *
 * A response proves that a peer is where the NOTIFY was sent, and nothing about any other place: a Contact
 * elsewhere does not replace the target that answered. Behind a proxy no Contact is proven.
 */
const newTarget = (
  { limits, transports, isOwnAddress, isNotifyTarget, counters }: NotifierParts,
  lines: readonly string[] | undefined,
  { notify, prepared }: OutgoingNotify,
): string | null => {
  if (lines === undefined || lines.length !== 1) return null
  const written = parseAddress(lines[0]!)?.uri
  if (written === undefined || written === notify.dialog.remoteTarget) return null
  const contact = writableUri(written)
  if (contact === notify.dialog.remoteTarget || contact.length > limits.contactBytesMax) return null
  const uri = parseUri(contact)
  if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || uri.headers !== null) return null
  const hop = nextHopOf(uri, transports)
  if (hop !== null && isOwnAddress(hop.host, portOf(hop, transports))) return null
  const isThere =
    hop !== null &&
    prepared.routes.length === 0 &&
    notify.dialog.routeSet.length === 0 &&
    (isSamePlace(hop, prepared.hop, transports) || isNotifyTarget(hop.host))
  if (!isThere) counters.targetsKept++
  return isThere ? copyText(contact) : null
}

/** The port of a hop, or the default of its transport. */
const portOf = ({ port, transport }: NextHop, { presumed }: Transports): number =>
  port ?? (transport ?? presumed).defaultPort

/** Whether both hops are the same place, defaults for transport and port filled in. */
const isSamePlace = (hop: NextHop, current: NextHop | null, transports: Transports): boolean =>
  current !== null &&
  hop.host === current.host &&
  portOf(hop, transports) === portOf(current, transports) &&
  (hop.transport ?? transports.presumed) === (current.transport ?? transports.presumed)

/** Random, so that it cannot be guessed; numbered, so that it is unique (RFC 3261 §8.1.1.7). */
const mintBranch = (notifying: Notifying): string =>
  `z9hG4bK${notifying.mintTag()}${(notifying.branches++).toString(36)}`

/** A formatted NOTIFY. */
export interface Draft {
  readonly branch: string
  readonly bytes: Buffer
}

/**
 * @param address the destination, which determines the address to print for a wildcard socket; null: the
 * flow's host
 */
export const draftFor = (
  notifying: Notifying,
  { notify, prepared: usual, isOnFlow }: OutgoingNotify,
  { transport, host, port, offersAlias }: Flow,
  address: string | null,
): Draft => {
  const prepared = isOnFlow === true ? (usual.overFlow ?? usual) : usual
  const branch = mintBranch(notifying)
  const parameters = offersAlias === true ? `${branch};alias` : branch
  const credentials = notifying.credentials?.linesFor(notify.dialog, notify.cseq, prepared.requestUri) ?? ""
  const via = credentials === "" ? transport : { viaName: transport.viaName, credentials }
  const printed = address === null ? host : notifying.localHost(host, address)
  const shown = notifying.advertisedFor?.(transport.name, printed, port, printed) ?? null
  const sentBy =
    shown === null ? sentByOf(notifying, printed, port) : sentByOf(notifying, shown.host, shown.port)
  return { branch, bytes: formatNotify(notify, prepared, via, sentBy, parameters) }
}

/** Usually the same as for the NOTIFY before. */
const sentByOf = (notifying: Notifying, host: string, port: number): string => {
  const { sentBy } = notifying
  if (sentBy.host !== host || sentBy.port !== port)
    notifying.sentBy = { host, port, text: `${bracketed(host)}:${port}` }
  return notifying.sentBy.text
}

/** A NOTIFY whose document may not be resent is abandoned for one without it, if there is still room for that. */
const resending = (
  { allowances }: NotifierParts,
  notify: Notify,
  { dialog, place, isDirect }: NonNullable<OutgoingNotify["allowed"]>,
  octets: number,
  isLate: boolean,
): Resending => {
  if (allowances.take(dialog, place, octets, isDirect)) return "resend"
  if (!isLate || notify.state === "terminated") return "wait"
  const shown = shownOctets(notify)
  return shown > 0 && allowances.mayTake(dialog, place, octets - shown + growth) ? "over" : "wait"
}

/** Whether a connection failed. One on which nothing was heard since, not even an answer, has nobody at its other end. */
const isGone = (
  { counters }: Notifying,
  connection: Connection,
  result: ClientResult,
  sentAt: number,
): boolean => {
  if (result === "failed") return true
  if (result !== "timedOut" || connection.activeAt >= sentAt) return false
  if (connection.isOpen()) counters.connectionsSilent++
  connection.close()
  return true
}

/** A phone behind a NAT that has answered is kept reachable for as long as its subscription lives. */
const keepAlive = (
  notifying: Notifying,
  { notify }: OutgoingNotify,
  result: ClientResult,
  flow: Flow,
  { address, port }: Peer,
): void => {
  if (result === "timedOut" || result === "failed") notifying.keepAlive.end(flow, address, port)
  else if (typeof result === "object" && result.status < 300 && notify.expires !== null)
    notifying.keepAlive.begin(flow, address, port, notify.expires * 1_000)
}

/** Less patience is needed where there is something else to try; undefined: Timer F. */
const withinOf = ({ limits }: Notifying, { way, asDatagram }: OutgoingNotify): number | undefined =>
  (way === undefined || way.next === null) && asDatagram === undefined ? undefined : limits.failoverMs

/** Ends it at a place that has answered, after those that have not. */
const endOn = (notifying: Notifying, { tried }: Way, notify: Notify, outcome: DeliveryOutcome): void =>
  end(notifying, notify, tried.length === 0 ? outcome : { ...outcome, tried })

/** Starts the transaction. */
export const start = (
  notifying: Notifying,
  outgoing: OutgoingNotify,
  { branch, bytes }: Draft,
  flow: Flow | Connection,
  peer: Peer,
): void => {
  const { client, counters, allowances } = notifying
  const { notify, prepared, allowed } = outgoing
  const { address, port } = peer
  const connection = "branches" in flow ? flow : null
  const sentAt = connection === null ? 0 : notifying.clock()
  counters.notifySent++
  connection?.branches.add(branch)
  client.start(
    {
      branch,
      callId: notify.dialog.callId,
      cseq: notify.cseq,
      channel: flow,
      address,
      port,
      isReliable: flow.transport.isReliable,
      withinMs: withinOf(notifying, outgoing),
      mayResend:
        allowed === null ? null : (octets, isLate) => resending(notifying, notify, allowed, octets, isLate),
      ended: (result) => {
        connection?.branches.delete(branch)
        if (
          connection !== null &&
          outgoing.isOnFlow === true &&
          isGone(notifying, connection, result, sentAt)
        )
          return notifying.afterConnection(outgoing)
        if (prepared.reach !== null) keepAlive(notifying, outgoing, result, flow, peer)
        if (outgoing.asDatagram !== undefined && (result === "failed" || result === "timedOut"))
          return outgoing.asDatagram()
        if (allowed !== null && typeof result === "object")
          allowances.answered(allowed.dialog, allowed.place, result.status < 300)
        const outcome = outcomeOf(notifying, result, outgoing)
        // a challenge comes from where the NOTIFY went, and asks for more than that
        if (allowed !== null && typeof result === "object" && "credentials" in outcome)
          allowances.received(allowed.dialog, result.octets, true)
        if (outgoing.way === undefined) return end(notifying, notify, outcome)
        if (isOfPlace(result)) return failedThere(notifying, outgoing, outcome)
        notifying.dead.remove(outgoing.way.place)
        endOn(notifying, outgoing.way, notify, outcome)
      },
    },
    bytes,
  )
}

/** Sends it over an open connection. */
export const sendOn = (notifying: Notifying, outgoing: OutgoingNotify, connection: Connection): void =>
  start(notifying, outgoing, draftFor(notifying, outgoing, connection, null), connection, peerOf(connection))

export const peerOf = ({ remoteAddress, remotePort }: Connection): Peer => ({
  address: remoteAddress,
  port: remotePort,
})

/** The socket that the SUBSCRIBE arrived on, or else one of the same address family. */
export const listenerFor = (
  listeners: readonly Flow[],
  { prepared }: OutgoingNotify,
  address: string,
): Flow | null => {
  const { arrivedOver, arrivedHost, arrivedPort: port } = prepared
  const isIpv6 = address.includes(":")
  let fallback: Flow | null = null
  for (const listener of listeners) {
    if (listener.host.includes(":") !== isIpv6 && (isIpv6 || listener.isDual !== true)) continue
    if (arrivedOver === listener.transport && listener.port === port && listener.host === arrivedHost)
      return listener
    if (fallback === null || (listener.port === port && fallback.port !== port)) fallback = listener
  }
  return fallback
}
