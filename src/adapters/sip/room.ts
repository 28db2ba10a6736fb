/**
 * Whether the SUBSCRIBE itself proves the next hop of its NOTIFYs, and if not, how large a document may be
 * sent there.
 *
 * The source of a request can be forged, and its Contact and Record-Route can name anyone. Receiving cannot
 * be forged: being the other end of a connection, or knowing a nonce that was sent there.
 */
import type { DialogStart } from "../../domain/vocabulary.ts"
import type { ReceivedOn } from "./decode-result.ts"
import type { NextHop, PreparedDialog } from "./format-notify.ts"
import type { Peers } from "./peers.ts"
import type { Transport } from "./transports/transport.ts"
import { bracketed } from "./uri.ts"

export interface ProofRules {
  readonly peers: Peers
  /** Whether the operator allows NOTIFYs to that host without proof. */
  readonly isNotifyTarget: (host: string) => boolean
  readonly udpMtuBytes: number
}

/** What we send may be three times what was received. */
const factor = 3
/**
 * RFC 3261 §18.1.1 keeps requests over UDP 200 octets below the path MTU; 28 of those are IP and UDP headers.
 * Anything larger would be fragmented.
 */
const packetMargin = 172
/** Octets of the constant parts of Via, CSeq, Event, Subscription-State, SIP-ETag, Content-Type and Content-Length. */
const fixedOctets = 228

/** `udp:192.0.2.20:5060` */
export const placeOf = ({ name }: Transport, address: string, port: number): string =>
  `${name}:${bracketed(address)}:${port}`

/** Whether a hop is numeric and equals this address. */
export const isAt = ({ isNumeric, host }: NextHop, address: string): boolean => isNumeric && host === address

/** @param presumed the transport if the hop names none */
export const placeOfHop = (hop: NextHop, presumed: Transport): string => {
  const transport = hop.transport ?? presumed
  return placeOf(transport, hop.host, hop.port ?? transport.defaultPort)
}

/** The place where the response to a request goes, which its nonce is bound to. */
export const placeOfAnswer = ({ transport, sourceAddress, sourcePort, answeredTo }: ReceivedOn): string =>
  placeOf(transport, answeredTo?.address ?? sourceAddress, answeredTo?.port ?? sourcePort)

/**
 * Whether the sender of this request is known to receive at the hop.
 *
 * @param wasGivenTo whether the nonce of the accepted credentials was sent to a place; null without digest
 */
export const isProven = (
  hop: NextHop,
  arrival: ReceivedOn,
  wasGivenTo: ((place: string) => boolean) | null,
  rules: ProofRules,
): boolean => {
  if (rules.isNotifyTarget(hop.host)) return true
  // nothing can be sent but over the connection of the request, and the other end of that cannot be forged
  if (hop.transport?.isDialed === false && arrival.transport.isReliable) return true
  const peer = rules.peers.find(arrival.sourceAddress, arrival.transport.name, arrival.certificate)
  if (peer?.isHost(hop.host, arrival.sourceAddress) === true) return true
  if (!isAt(hop, arrival.sourceAddress)) return false
  const place = placeOfHop({ ...hop, host: arrival.sourceAddress }, arrival.transport)
  if (arrival.transport.isReliable)
    return place === placeOf(arrival.transport, arrival.sourceAddress, arrival.sourcePort)
  return wasGivenTo !== null && wasGivenTo(place)
}

/** Octets of a document that fit into a NOTIFY with a head of this size. */
export const roomOf = (headOctets: number, requestOctets: number, udpMtuBytes: number): number =>
  Math.max(0, Math.min(factor * requestOctets, udpMtuBytes + packetMargin) - headOctets)

/** An upper estimate of the head of a NOTIFY in a new dialog. */
export const headOctetsOf = (
  { start, middle, contact }: PreparedDialog,
  event: string,
  { flow }: Pick<DialogStart, "flow">,
): number => fixedOctets + start.length + middle.length + contact.length + event.length + flow.length

/** An upper estimate of the head of a NOTIFY in a dialog of which only a request is at hand. */
export const headOctetsIn = (
  request: { readonly from: string; readonly to: string; readonly callId: string },
  remoteTarget: string,
  event: string,
  { contact, flow }: ReceivedOn,
): number =>
  fixedOctets +
  100 +
  request.from.length +
  request.to.length +
  request.callId.length +
  remoteTarget.length +
  event.length +
  contact.length +
  flow.length
