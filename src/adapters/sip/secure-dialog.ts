/**
 * SIPS: a request to a `sips` URI, and everything within the dialog that it begins, goes over TLS.
 *
 * A server that is not reached over TLS at all takes `sips` for another spelling of `sip`: somebody else has ended TLS
 * in front of it.
 *
 * @source RFC 3261 §8.1.1.8, §12.1.1, §26.2.2; RFC 5630 §5.3
 */
import type { ReceivedOn } from "./decode-result.ts"
import type { NextHop } from "./format-notify.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Transport } from "./transports/transport.ts"

const isSipsScheme = /^sips:/i
const isSips = /^[^<]*(?:<[ \t]*|^[ \t]*)sips:/i

/** Whether our Contact has to be a `sips` URI: for the Request-URI, the top Record-Route, or a Contact without one. */
const isSecured = ({ uri, headers }: RawMessage): boolean => {
  if (isSipsScheme.test(uri)) return true
  const line = headers.first("record-route") ?? headers.first("contact")
  return line !== undefined && isSips.test(line)
}

/** Our Contact towards the sender of a request. A server without TLS does not look at the scheme. */
export const contactTowards = (message: RawMessage, arrival: ReceivedOn): string => {
  const secureContact = arrival.secureContact?.() ?? null
  return secureContact !== null && isSecured(message) ? secureContact : arrival.contact
}

/** The transport that requests to a hop will take. */
const transportTo = ({ transport }: NextHop, arrival: ReceivedOn, presumed: Transport): Transport =>
  transport ?? (arrival.transport.isReliable ? arrival.transport : presumed)

const unreachable = "Contact Or Record-Route Is Not Reachable From Here"

/**
 * Why NOTIFYs cannot go to that hop as the SUBSCRIBE has them; null: they can.
 *
 * @param hop null: none of our transports leads there @returns a reason phrase
 */
export const hopFault = (
  message: RawMessage,
  hop: NextHop | null,
  arrival: ReceivedOn,
  presumed: Transport,
): string | null => {
  // RFC 6665 §4.2.1.2: who accepts a SUBSCRIBE has to send a NOTIFY; RFC 7118 §5: none of ours leads to a browser
  const isReached = hop !== null && hop.transport?.isDialed !== false
  // the connection of the request leads back to its sender, whatever the Contact says
  if (!isReached && !arrival.transport.isReliable) return unreachable
  if (hop === null) return null
  if ((arrival.secureContact?.() ?? null) === null || !isSecured(message)) return null
  return transportTo(hop, arrival, presumed).isSecure
    ? null
    : "Contact Or Record-Route Of A SIPS Request Is Not SIPS"
}
