/**
 * Messages as a capture file: Ethernet, IP, UDP, as if captured beside the server.
 *
 * Addresses are those in the log where it has some; a party without one, or with a name, gets one reserved for documentation (RFC
 * 5737). Everything is shown over UDP, even what went over TCP.
 *
 * @source the format of libpcap: magic 0xa1b2c3d4, version 2.4, link type 1
 */
import { isIPv4, isIPv6 } from "node:net"
import type { Endpoint } from "../../explain/ladder/messages.ts"
import type { SipMessage } from "./message-text.ts"

export const pcapHead = (): Buffer => {
  const head = Buffer.alloc(24)
  head.writeUInt32LE(0xa1b2c3d4, 0)
  head.writeUInt16LE(2, 4)
  head.writeUInt16LE(4, 6)
  head.writeUInt32LE(262_144, 16)
  head.writeUInt32LE(1, 20)
  return head
}

/** The largest payload of a UDP packet. */
const payloadMax = 65_507

export interface Capture {
  /** Null: it does not fit into one packet, or nothing was sent. */
  readonly packet: (message: SipMessage) => Buffer | null
}

/** In order of time; what happened in the same millisecond keeps its order. */
export const makeCapture = (): Capture => {
  /** Addresses of parties without one of their own. */
  const standIns = new Map<string, Endpoint>()
  let last = 0
  const endpoint = (known: Endpoint | null, party: string): Endpoint => {
    if (known !== null && isIPv4(known.host)) return known
    const named = standIns.get(party) ?? { host: `203.0.113.${(standIns.size % 250) + 2}`, port: 5060 }
    standIns.set(party, named)
    return named
  }
  return {
    packet: ({ at, bytes, direction, party, server, peer }) => {
      if (bytes === null || bytes.length > payloadMax) return null
      const isIpv6 =
        [server, peer].every((endpoint) => endpoint === null || isIPv6(endpoint.host)) &&
        (server ?? peer) !== null
      const [ours, theirs] = isIpv6
        ? [server ?? { host: "2001:db8::1", port: 5060 }, peer ?? { host: "2001:db8::2", port: 5060 }]
        : [
            server !== null && isIPv4(server.host) ? server : { host: "203.0.113.1", port: 5060 },
            endpoint(peer, party),
          ]
      const [from, to] = direction === "to-server" ? [theirs, ours] : [ours, theirs]
      const datagram = isIpv6 ? ipv6(from, to, bytes) : ipv4(from, to, bytes)
      const frame = Buffer.concat([
        Buffer.from(direction === "to-server" ? "020000000001" : "020000000002", "hex"),
        Buffer.from(direction === "to-server" ? "020000000002" : "020000000001", "hex"),
        Buffer.from(isIpv6 ? "86dd" : "0800", "hex"),
        datagram,
      ])
      const micros = Math.max(last + 1, Math.round(at * 1000))
      last = micros
      const head = Buffer.alloc(16)
      head.writeUInt32LE(Math.floor(micros / 1e6), 0)
      head.writeUInt32LE(micros % 1e6, 4)
      head.writeUInt32LE(frame.length, 8)
      head.writeUInt32LE(frame.length, 12)
      return Buffer.concat([head, frame])
    },
  }
}

const ipv4 = (from: Endpoint, to: Endpoint, payload: Buffer): Buffer => {
  const [source, target] = [from, to].map(({ host }) => Buffer.from(host.split(".").map(Number))) as [
    Buffer,
    Buffer,
  ]
  const segment = udp(
    from,
    to,
    payload,
    Buffer.concat([source, target, Buffer.from([0, 17]), uint16(8 + payload.length)]),
  )
  const head = Buffer.alloc(20)
  head.writeUInt8(0x45, 0)
  head.writeUInt16BE(20 + segment.length, 2)
  head.writeUInt8(64, 8)
  head.writeUInt8(17, 9)
  source.copy(head, 12)
  target.copy(head, 16)
  head.writeUInt16BE(checksum(head), 10)
  return Buffer.concat([head, segment])
}

const ipv6 = (from: Endpoint, to: Endpoint, payload: Buffer): Buffer => {
  const [source, target] = [from, to].map(({ host }) => ipv6Bytes(host)) as [Buffer, Buffer]
  const length = Buffer.alloc(4)
  length.writeUInt32BE(8 + payload.length)
  const segment = udp(from, to, payload, Buffer.concat([source, target, length, Buffer.from([0, 0, 0, 17])]))
  const head = Buffer.alloc(8)
  head.writeUInt8(0x60, 0)
  head.writeUInt16BE(segment.length, 4)
  head.writeUInt8(17, 6)
  head.writeUInt8(64, 7)
  return Buffer.concat([head, source, target, segment])
}

/** @param pseudo the pseudo-header for the checksum (RFC 768, RFC 8200 §8.1) */
const udp = (from: Endpoint, to: Endpoint, payload: Buffer, pseudo: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(from.port, 0)
  head.writeUInt16BE(to.port, 2)
  head.writeUInt16BE(8 + payload.length, 4)
  const sum = checksum(Buffer.concat([pseudo, head, payload]))
  // zero would mean that there is no checksum
  head.writeUInt16BE(sum === 0 ? 0xffff : sum, 6)
  return Buffer.concat([head, payload])
}

/** @source RFC 1071 */
const checksum = (bytes: Buffer): number => {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}

const uint16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

const ipv6Bytes = (host: string): Buffer => {
  const [head = "", tail] = host.split("::")
  const groups = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((group) => {
          if (!group.includes(".")) return [Number.parseInt(group, 16)]
          const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number)
          return [(a << 8) | b, (c << 8) | d]
        })
  const [first, last] = [groups(head), tail === undefined ? [] : groups(tail)]
  const all = [
    ...first,
    ...Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => 0),
    ...last,
  ]
  return Buffer.concat(all.slice(0, 8).map(uint16))
}
