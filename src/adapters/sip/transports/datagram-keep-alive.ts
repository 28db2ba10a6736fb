/**
 * Datagrams that are no SIP but keep the way through a NAT open: double CRLF, and STUN binding requests.
 *
 * @source RFC 5626 §3.5.1, §3.5.2 and §8; RFC 5389 §6, §7.3; RFC 3489 §11 for clients without the magic cookie
 */
import { isIPv6 } from "node:net"
import { canonicalAddress } from "../uri.ts"

const CR = 13
const LF = 10

/** To a ping, which is never longer than this; nothing else is answered. */
const pong = Buffer.from("\r\n", "latin1")

const headOctets = 20
const cookie = 0x2112_a442
const bindingRequest = 0x0001
const bindingIndication = 0x0011
const bindingSuccess = 0x0101
const bindingError = 0x0111
/** Attributes that a client may send and that change nothing here: they are about authentication and ICE. */
const understood: ReadonlySet<number> = new Set([0x0006, 0x0008, 0x0014, 0x0015, 0x0024, 0x0025])
const mappedAddress = 0x0001
const errorCode = 0x0009
const unknownAttributes = 0x000a
const xorMappedAddress = 0x0020

/** Whether it may be something else than SIP: a SIP message begins with a letter, or with line ends before it (RFC 3261 §7.5). */
export const mayKeepAlive = (bytes: Buffer): boolean => bytes.length < 5 || bytes[0]! < 4

/**
 * What to answer to a keep-alive.
 *
 * @returns an empty buffer if nothing is answered; null if it is no keep-alive
 */
export const answerKeepAlive = (bytes: Buffer, address: string, port: number): Buffer | null => {
  if (bytes.length >= headOctets && bytes[0]! < 4) return answerStun(bytes, address, port)
  for (const octet of bytes) if (octet !== CR && octet !== LF && octet !== 0 && octet !== 32) return null
  const isPing = bytes.length === 4 && bytes.toString("latin1") === "\r\n\r\n"
  return isPing ? pong : nothing
}

const nothing = Buffer.alloc(0)

const answerStun = (bytes: Buffer, address: string, port: number): Buffer | null => {
  const type = bytes.readUInt16BE(0)
  const length = bytes.readUInt16BE(2)
  if (length % 4 !== 0 || headOctets + length !== bytes.length) return null
  if (type === bindingIndication) return nothing
  if (type !== bindingRequest) return null
  const unknown = unknownIn(bytes)
  if (unknown === null) return null
  const attributes = unknown.length > 0 ? refusal(unknown) : mapped(bytes, address, port)
  const head = Buffer.from(bytes.subarray(0, headOctets))
  head.writeUInt16BE(unknown.length > 0 ? bindingError : bindingSuccess, 0)
  head.writeUInt16BE(attributes.length, 2)
  return Buffer.concat([head, attributes])
}

/** Attributes that must be understood and are not (RFC 5389 §7.3.1); null if they cannot be read. */
const unknownIn = (bytes: Buffer): readonly number[] | null => {
  const unknown: number[] = []
  for (let at = headOctets; at < bytes.length;) {
    if (at + 4 > bytes.length) return null
    const type = bytes.readUInt16BE(at)
    at += 4 + Math.ceil(bytes.readUInt16BE(at + 2) / 4) * 4
    if (at > bytes.length) return null
    // what the client has to prove to others is not asked for here, and CHANGE-REQUEST is not done
    if (type < 0x8000 && !understood.has(type) && unknown.length < 8) unknown.push(type)
  }
  return unknown
}

const attribute = (type: number, value: Buffer): Buffer => {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(value.length, 2)
  value.copy(bytes, 4)
  return bytes
}

const refusal = (unknown: readonly number[]): Buffer => {
  const types = Buffer.alloc(unknown.length * 2)
  unknown.forEach((type, index) => types.writeUInt16BE(type, index * 2))
  return Buffer.concat([
    attribute(errorCode, Buffer.from("\0\0\x04\x14Unknown Attribute", "latin1")),
    attribute(unknownAttributes, types),
  ])
}

const mapped = (bytes: Buffer, address: string, port: number): Buffer => {
  const isXor = bytes.readUInt32BE(4) === cookie
  const octets = octetsOf(address)
  const value = Buffer.alloc(4 + octets.length)
  value[1] = octets.length === 4 ? 1 : 2
  value.writeUInt16BE(isXor ? port ^ (cookie >>> 16) : port, 2)
  octets.copy(value, 4)
  // cookie and transaction id, one after the other
  if (isXor)
    for (let index = 0; index < octets.length; index++) value[4 + index] = octets[index]! ^ bytes[4 + index]!
  return attribute(isXor ? xorMappedAddress : mappedAddress, value)
}

/** @param address canonical, without zone */
const octetsOf = (address: string): Buffer => {
  const plain = canonicalAddress(address.split("%")[0]!)
  if (!isIPv6(plain)) return Buffer.from(plain.split(".").map(Number))
  const [left = "", right] = plain.split("::")
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"))
  const [before, after] = [groups(left), groups(right ?? "")]
  const zeros = right === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...Array.from({ length: zeros }, () => "0"), ...after]
  const octets = Buffer.alloc(16)
  all.forEach((group, index) => octets.writeUInt16BE(Number.parseInt(group, 16), index * 2))
  return octets
}
