/**
 * Whether the NOTIFYs of a dialog go to the Contact of its SUBSCRIBE, or back to where that came from.
 *
 * A Contact behind a NAT is an address that only its own network knows; the source of the request leads back through
 * the NAT. What may be sent to a source that can be forged is bounded as it is for a Contact (`room.ts`).
 *
 * @source RFC 3261 §12.2.1.1, RFC 3581, RFC 5626 §4.3 and §5.3, RFC 7118 §5
 */
import { BlockList } from "node:net"
import type { Reach } from "../../domain/vocabulary.ts"
import type { ReceivedOn } from "./decode-result.ts"
import { hopHostOf, nextHopOf } from "./format-notify.ts"
import type { NextHop } from "./format-notify.ts"
import type { RawMessage } from "./message-reader.ts"
import { aliasOf } from "./received-address.ts"
import type { RequestRules } from "./request-rules.ts"
import { isAt } from "./room.ts"
import { isNobody, numericHost, plainHost } from "./uri.ts"
import type { SipUri } from "./uri.ts"
import { parseVia } from "./via.ts"

/** Addresses that mean something within one network only. */
const privateAddresses = new BlockList()
for (const [address, prefix] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  // carrier-grade NAT (RFC 6598), and the addresses behind a translator in the phone (RFC 7335)
  ["100.64.0.0", 10],
  ["192.0.0.0", 24],
  ["169.254.0.0", 16],
  ["127.0.0.0", 8],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv4")
for (const [address, prefix] of [
  ["fc00::", 7],
  ["fe80::", 10],
  ["::1", 128],
] as const)
  privateAddresses.addSubnet(address, prefix, "ipv6")

/** @param address canonical, without brackets */
export const isPrivateAddress = (address: string): boolean =>
  privateAddresses.check(address, address.includes(":") ? "ipv6" : "ipv4")

/**
 * Why NOTIFYs do not go to this Contact, or do in any case; undefined: RFC 3261 §12.2.1.1 applies.
 *
 * @param hasRegId whether the Contact has `reg-id` among its header parameters
 */
export const reachOf = (
  uri: SipUri,
  hasRegId: boolean,
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
): Reach | undefined => {
  const { transport, sourceAddress, sourcePort, certificate } = arrival
  const mode = rules.notifyTo === null ? "auto" : rules.notifyTo(sourceAddress)
  if (mode === "contact") return "contact"
  const hop = nextHopOf(uri, rules.transports)
  const isSameHost = hop !== null && isAt(hop, sourceAddress)
  // where both are the same place there is nothing to choose
  if (isSameHost && isPort(hop, arrival)) return undefined
  // a zone of a link-local address cannot be named in a header; and nothing is sent to ourselves
  if (sourceAddress.includes("%") || rules.isOwnAddress(sourceAddress, sourcePort)) return undefined
  if (mode === "source") return "source"
  const isFromPeer = rules.peers.find(sourceAddress, transport.name, certificate) !== null
  if (isAliased(uri, arrival, isFromPeer, rules)) return "alias"
  // behind a proxy the source is the proxy
  if (message.vias.length !== 1) return undefined
  if (uri.parameters.has("ob") || hasRegId) return "ob"
  if (isSameHost || isFromPeer || (hop !== null && rules.isNotifyTarget(hop.host))) return undefined
  // the operator has said how it is reached
  if (hop !== null && (rules.outbound?.(hop.host, sourceAddress) ?? null) !== null) return undefined
  return unreachable(uri, hop, message, arrival)
}

/** Whether the Contact names its address seen from outside, and is believed. */
const isAliased = (
  uri: SipUri,
  { transport, sourceAddress, sourcePort }: ReceivedOn,
  isFromPeer: boolean,
  rules: RequestRules,
): boolean => {
  const alias = aliasOf(uri, rules.transports)
  if (alias === null || isNobody(alias.host) || rules.isOwnAddress(alias.host, alias.port)) return false
  return isFromPeer || (isAt(alias, sourceAddress) && isPort(alias, { transport, sourcePort }))
}

/** Whether a hop at the source of a request is where that came from: transport and port are the same. */
const isPort = (
  hop: NextHop,
  { transport, sourcePort }: Pick<ReceivedOn, "transport" | "sourcePort">,
): boolean => {
  const over = hop.transport ?? transport
  return over === transport && (hop.port ?? over.defaultPort) === sourcePort
}

const unreachable = (
  uri: SipUri,
  hop: NextHop | null,
  message: RawMessage,
  { sourceAddress }: ReceivedOn,
): Reach | undefined => {
  const written = hopHostOf(uri)
  if (written === null) return undefined
  const host = hop?.host ?? numericHost(written) ?? plainHost(written)
  if (host === "invalid" || host.endsWith(".invalid")) return "invalid"
  if (numericHost(written) === null) return undefined
  if (host === sourceAddress) return undefined
  if (isPrivateAddress(host)) return "private"
  const via = parseVia(message.vias[0]!)
  // the phone takes for its own address what is not: what it says in Contact is as wrong as in Via
  const isWrong = via !== null && via.rport !== null && numericHost(via.host) === host
  return isWrong ? "nat" : undefined
}
