/**
 * Routes one NOTIFY: next hop, transport, and socket or connection.
 *
 * To a numeric host it is sent synchronously; host names wait for the resolver, and new connections for the
 * peer. The outcome is reported exactly once in every case.
 */
import type { Notify } from "../../domain/presentity/intents.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import type { Place } from "./allowances.ts"
import { livingFirst } from "./dead-targets.ts"
import type { NextHop, PreparedDialog } from "./format-notify.ts"
import { draftFor, listenerFor, sendOn, start } from "./notify-delivery.ts"
import type { NotifierParts, Notifying, OutgoingNotify, Peer } from "./notify-delivery.ts"
import { end, endSoon, failedThereSoon, putOff, retryAfterFull, unreachable } from "./notify-outcome.ts"
import type { Way } from "./notify-outcome.ts"
import { sendUnproven } from "./notify-unproven.ts"
import type { Hop } from "./resolver.ts"
import { placeOf } from "./room.ts"
import type { Connection, DatagramSockets, StreamSockets, Transport } from "./transports/transport.ts"
import { canonicalAddress, isNobody } from "./uri.ts"

export interface Notifier {
  readonly send: (notify: Notify) => void
  /** Seconds until the limits would allow a NOTIFY in this dialog; null if they allow it now. */
  readonly isFullFor: (dialog: DialogStart) => number | null
}

const streamRefusalsMax = 20_000
/** Places of one name that a NOTIFY is sent to without proof: each is one that nobody may have asked for. */
const unprovenPlacesMax = 3

export const makeNotifier = (parts: NotifierParts): Notifier => {
  const notifying: Notifying = {
    ...parts,
    afterConnection: (outgoing) => afterConnection(notifying, outgoing),
    streamRefusals: new Map(),
    branches: 0,
    sentBy: { host: "", port: 0, text: "" },
  }
  return {
    send: (notify) => send(notifying, notify),
    isFullFor: (dialog) => isFullFor(notifying, dialog),
  }
}

const send = (notifying: Notifying, notify: Notify): void => {
  const { counters, limits, client } = notifying
  if (counters.clientOctets >= limits.unansweredOctetsMax) {
    counters.notifyTooManyOctets++
    notifying.onLimit("unanswered_octets_max")
    return putOff(notifying, notify)
  }
  if (counters.clientTransactions >= limits.clientTransactionsMax) return putOff(notifying, notify)
  const prepared = notifying.prepareDialog(notify.dialog)
  // a response over the connection would not prove where the Contact leads
  const connection = notify.proof?._tag === "Unproven" ? null : connectionOf(notifying, prepared)
  if (connection !== null) {
    if (client.isShareUsed(connection.remoteAddress, connection.remotePort))
      return shareUsed(notifying, notify)
    return sendOn(notifying, { notify, prepared, named: null, allowed: null, isOnFlow: true }, connection)
  }
  // only the connection was proven, and it has been closed
  if (notify.proof?._tag === "Connection") return endSoon(notifying, notify, { _tag: "Unproven" })
  sendToHop(notifying, notify, prepared)
}

/**
 * The connection of the dialog has failed with this NOTIFY on it. A peer that can be connected to gets the same request
 * in a new transaction (RFC 3261 §8.1.3.1, RFC 3263 §4.3).
 */
const afterConnection = (notifying: Notifying, { notify, prepared }: OutgoingNotify): void => {
  if (notify.proof !== undefined) return end(notifying, notify, { _tag: "FlowLost" })
  sendToHop(notifying, notify, prepared)
}

/** Sends it to the next hop, if a connection to it is not only for the peer to open. */
const sendToHop = (notifying: Notifying, notify: Notify, prepared: PreparedDialog): void => {
  const { hop } = prepared
  const { transports } = notifying
  if (hop === null || prepared.isBound) return endSoon(notifying, notify, unreachable(prepared))
  const transport = transportTo(hop, prepared)
  if (hop.isNumeric) {
    const known = transport ?? transports.presumed
    const port = hop.port ?? known.defaultPort
    const outgoing: OutgoingNotify = { notify, prepared, named: null, allowed: null }
    return sendTo(notifying, outgoing, { transport: known, address: hop.host, port })
  }
  notifying.resolver.resolve(hop.host, hop.port, transport).then(
    (hops) => sendToOneOf(notifying, notify, prepared, hop.host, hops),
    () => end(notifying, notify, unreachable(prepared)),
  )
}

/** The transport named by the hop, or the stream that the SUBSCRIBE arrived over; null if neither determines it. */
const transportTo = (hop: NextHop, { arrivedOver }: PreparedDialog): Transport | null =>
  hop.transport ?? (arrivedOver?.isReliable === true ? arrivedOver : null)

/** The connection that the newest SUBSCRIBE arrived over, while it is open: the only way back to a watcher behind a NAT. */
const connectionOf = ({ socketsOf }: Notifying, { connected }: PreparedDialog): Connection | null => {
  if (connected === null) return null
  const sockets = socketsOf(connected.transport)
  return sockets.kind === "streams" ? sockets.find(connected.host, connected.port) : null
}

const shareUsed = (notifying: Notifying, notify: Notify): void => {
  notifying.counters.notifyShareUsed++
  notifying.onLimit("unanswered_octets_share")
  putOff(notifying, notify)
}

const sendTo = (notifying: Notifying, outgoing: OutgoingNotify, hop: Hop): void => {
  const { notify, named } = outgoing
  // the last NOTIFY of a subscription is not retried later; a fetch has been refused earlier instead
  const isLast = named !== null && notify.state === "terminated"
  if (notifying.client.isShareUsed(hop.address, hop.port) && !isLast) return shareUsed(notifying, notify)
  if (notify.proof?._tag === "Unproven") return sendUnproven(notifying, outgoing, hop)
  const sockets = notifying.socketsOf(hop.transport)
  if (sockets.kind === "streams") overConnection(notifying, outgoing, sockets, hop)
  else asDatagram(notifying, outgoing, sockets, hop)
}

/** Sends to one of the addresses that a host name resolves to, to a proven one if possible. */
const sendToOneOf = (
  notifying: Notifying,
  notify: Notify,
  prepared: PreparedDialog,
  name: string,
  found: readonly Hop[],
): void => {
  const hops = found
    .map((hop): Hop => ({ ...hop, address: canonicalAddress(hop.address) }))
    .filter(({ address, port }) => port !== 0 && !isNobody(address) && !notifying.isOwnAddress(address, port))
  if (hops.length === 0) return end(notifying, notify, unreachable(prepared))
  const { proof } = notify
  const isNamed = !notifying.isNotifyTarget(name)
  const known =
    isNamed && proof?._tag === "Addresses"
      ? hops.filter((hop) => proof.addresses.includes(placeAt(hop)))
      : hops
  const isDead = (hop: Hop): boolean => notifying.dead.has(placeAt(hop))
  const hasUnproven =
    notify.state !== "terminated" && hops.some((hop) => !known.includes(hop) && !isDead(hop))
  // where nobody has answered yet, what may be sent is bounded: another NOTIFY goes there
  if (known.length === 0 || (hasUnproven && known.every(isDead)))
    return end(notifying, notify, { _tag: "Unproven" })
  const places = livingFirst(known, isDead)
  const triedMax = proof?._tag === "Unproven" ? unprovenPlacesMax : places.length
  alongWay(notifying, { notify, prepared, isNamed, hasUnproven, places: places.slice(0, triedMax) })
}

const placeAt = ({ transport, address, port }: Hop): Place => placeOf(transport, address, port)

/** One NOTIFY, and the places that it may be sent to. */
interface Journey {
  readonly notify: Notify
  readonly prepared: PreparedDialog
  /** Whether it is to be remembered which of them has answered. */
  readonly isNamed: boolean
  readonly hasUnproven: boolean
  readonly places: readonly Hop[]
}

const atBegin = { tried: [], isSent: false, kept: null } as const

/** Tries one place after the other, with the same request in new transactions (RFC 3263 §4.3). */
const alongWay = (
  notifying: Notifying,
  journey: Journey,
  index = 0,
  past: Pick<Way, "tried" | "isSent" | "kept"> = atBegin,
): void => {
  const { notify, prepared, isNamed, hasUnproven, places } = journey
  const { proof } = notify
  const hop = places[index]!
  const place = placeAt(hop)
  const isNewest = proof?._tag === "Addresses" && proof.addresses.at(-1) === place
  const next: Way["next"] =
    index + 1 < places.length ? (pastNow) => alongWay(notifying, journey, index + 1, pastNow) : null
  const way: Way = { ...past, place, next, hasUnproven }
  const named = isNamed && !isNewest ? place : null
  sendTo(notifying, { notify, prepared, named, allowed: null, way }, hop)
}

const overConnection = (
  notifying: Notifying,
  outgoing: OutgoingNotify,
  streams: StreamSockets,
  { address, port, name }: Hop,
): void =>
  streams.open(
    address,
    port,
    notifying.limits.connectMs,
    (connection) => {
      if (connection === null) failedThereSoon(notifying, outgoing, unreachable(outgoing.prepared))
      else sendOn(notifying, outgoing, connection)
    },
    name,
  )

const asDatagram = (
  notifying: Notifying,
  outgoing: OutgoingNotify,
  { listeners }: DatagramSockets,
  hop: Hop,
): void => {
  const { client, counters, limits } = notifying
  const listener = listenerFor(listeners, outgoing, hop.address)
  if (listener === null) return failedThereSoon(notifying, outgoing, { _tag: "Unreachable" })
  const draft = draftFor(notifying, outgoing, listener, hop.address)
  const { length } = draft.bytes
  if (length <= notifying.udpMtuBytes) return start(notifying, outgoing, draft, listener, hop)
  // behind a NAT nobody can connect to the port of a datagram
  const isBig = outgoing.prepared.reach === null
  const isPossible = length <= datagramOctets(hop.address)
  const larger = isBig ? streamsForBig(notifying, hop, isPossible) : null
  const send = (): void => {
    if (isPossible) return start(notifying, outgoing, draft, listener, hop)
    notifying.onLimit("datagram_octets", hop.address)
    failedThereSoon(notifying, outgoing, { _tag: "TooLarge" })
  }
  if (larger === null) return send()
  // RFC 3261 §18.1.1: too big for a datagram, so try a stream, and fall back to a datagram.
  const fallBack = (): void => {
    counters.bigRequestsFellBack++
    refuseStream(notifying, hop)
    send()
  }
  const letGo = client.hold(hop.address, hop.port, length)
  larger.open(hop.address, hop.port, limits.bigRequestConnectMs, (connection) => {
    letGo()
    if (connection === null) return fallBack()
    counters.bigRequestsOverTcp++
    sendOn(notifying, { ...outgoing, asDatagram: fallBack }, connection)
  })
}

/** Octets of UDP payload in one IP packet; over IPv6 the header of IP does not count. */
const datagramOctets = (address: string): number => (address.includes(":") ? 65_527 : 65_507)

/**
 * The stream sockets for requests too big for the hop's transport; null if there are none, or the peer has
 * refused a connection and a datagram will do.
 */
const streamsForBig = (notifying: Notifying, hop: Hop, isPossible: boolean): StreamSockets | null => {
  const { bigRequestsOver } = hop.transport
  const transport = bigRequestsOver === null ? null : notifying.transports.named(bigRequestsOver)
  if (transport === null || (isPossible && isStreamRefused(notifying, hop))) return null
  const sockets = notifying.socketsOf(transport)
  return sockets.kind === "streams" ? sockets : null
}

const refuseStream = ({ streamRefusals, clock, limits }: Notifying, { address, port }: Peer): void => {
  if (streamRefusals.size >= streamRefusalsMax) streamRefusals.clear()
  streamRefusals.set(`${address} ${port}`, clock() + limits.streamRefusedMs)
}

const isStreamRefused = ({ streamRefusals, clock }: Notifying, { address, port }: Peer): boolean => {
  const key = `${address} ${port}`
  const until = streamRefusals.get(key)
  if (until === undefined) return false
  if (until > clock()) return true
  streamRefusals.delete(key)
  return false
}

const isFullFor = (notifying: Notifying, dialog: DialogStart): number | null => {
  const { counters, limits, client, transports } = notifying
  if (
    counters.clientOctets >= limits.unansweredOctetsMax ||
    counters.clientTransactions >= limits.clientTransactionsMax
  )
    return retryAfterFull
  const prepared = notifying.prepareDialog(dialog)
  const connection = connectionOf(notifying, prepared)
  if (connection !== null) {
    return client.isShareUsed(connection.remoteAddress, connection.remotePort) ? retryAfterFull : null
  }
  const { hop } = prepared
  // a host name has not been resolved yet
  if (hop?.isNumeric !== true || prepared.isBound) return null
  const transport = transportTo(hop, prepared) ?? transports.presumed
  const port = hop.port ?? transport.defaultPort
  if (client.isShareUsed(hop.host, port)) return retryAfterFull
  if (dialog.room === undefined) return null
  return notifying.allowances.hasRoom(placeOf(transport, hop.host, port)) ? null : retryAfterFull
}
