/**
 * The header of the PROXY protocol, version 1 (text) and 2 (binary): with which a load balancer says, before anything
 * else on a connection, whose connection it passes on.
 *
 * @source The PROXY protocol, versions 1 and 2, haproxy.org
 */
import { isIPv4, isIPv6 } from "node:net"
import { canonicalAddress, isNobody } from "../uri.ts"

/** The far end of a connection. */
export interface Remote {
  /** Canonical, without brackets. */
  readonly address: string
  readonly port: number
}

export type ProxyHeader =
  /** It may become a header; so far it is not all there. */
  | { readonly _tag: "Incomplete" }
  /** The octets begin with something else. */
  | { readonly _tag: "Missing" }
  /** It is no header that we could use: why. */
  | { readonly _tag: "Bad"; readonly why: string }
  /** @param remote of the connection that is passed on; null: it is the proxy's own, for instance a check of its health */
  | { readonly _tag: "Read"; readonly remote: Remote | null; readonly octets: number }

/** Everything of version 1, with its line end. */
const textMax = 107
/** Everything of version 2, with what a proxy adds of its own. */
export const headerOctetsMax = 4_096

const signature = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10])
const textStart = Buffer.from("PROXY ", "latin1")

const incomplete: ProxyHeader = { _tag: "Incomplete" }
const missing: ProxyHeader = { _tag: "Missing" }
const bad = (why: string): ProxyHeader => ({ _tag: "Bad", why })

/** Whether the octets begin as the header of a proxy does. */
export const beginsAsProxyHeader = (bytes: Buffer): boolean =>
  startsWith(bytes, textStart) || startsWith(bytes, signature)

const startsWith = (bytes: Buffer, start: Buffer): boolean =>
  bytes.length >= start.length && bytes.compare(start, 0, start.length, 0, start.length) === 0

/** Whether these octets, few as they are, are those with which the start begins. */
const mayBecome = (bytes: Buffer, start: Buffer): boolean =>
  bytes.length < start.length && bytes.compare(start, 0, bytes.length) === 0

/** Reads the header from the first octets of a connection. */
export const readProxyHeader = (bytes: Buffer): ProxyHeader => {
  if (startsWith(bytes, textStart)) return readText(bytes)
  if (startsWith(bytes, signature)) return readBinary(bytes)
  return mayBecome(bytes, textStart) || mayBecome(bytes, signature) ? incomplete : missing
}

/** `PROXY TCP4 192.0.2.7 198.51.100.1 40001 5060`, `PROXY UNKNOWN …` */
const readText = (bytes: Buffer): ProxyHeader => {
  const end = bytes.subarray(0, textMax).indexOf("\r\n")
  if (end < 0) return bytes.length < textMax ? incomplete : bad(`no line end in ${textMax} octets`)
  const octets = end + 2
  const line = bytes.toString("latin1", 0, end)
  const [, family = "", ...fields] = line.split(" ")
  // what else is on the line has to be ignored
  if (family === "UNKNOWN") return { _tag: "Read", remote: null, octets }
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isPlainIpv6 : null
  if (isAddress === null) return bad("neither TCP4, TCP6 nor UNKNOWN")
  const [source = "", destination = "", sourcePort = "", destinationPort = ""] = fields
  if (fields.length !== 4 || !isAddress(source) || !isAddress(destination))
    return bad(`no two ${family} addresses with two ports`)
  if (!isPort(sourcePort) || !isPort(destinationPort)) return bad("a port that is none")
  return connectionOf(source, Number(sourcePort), octets)
}

/** An address with a zone means nothing on another machine. */
const isPlainIpv6 = (text: string): boolean => isIPv6(text) && !text.includes("%")

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

const connectionOf = (source: string, port: number, octets: number): ProxyHeader => {
  const address = canonicalAddress(source)
  if (port === 0 || isNobody(address)) return bad("a source that no connection can come from")
  return { _tag: "Read", remote: { address, port }, octets }
}

const fixedOctets = 16
const ipv4Octets = 12
const ipv6Octets = 36

const readBinary = (bytes: Buffer): ProxyHeader => {
  if (bytes.length < fixedOctets) return incomplete
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15]
  if (version !== 2) return bad(`version ${version}`)
  if (command > 1) return bad(`command ${command}`)
  const octets = fixedOctets + bytes.readUInt16BE(14)
  if (octets > headerOctetsMax) return bad(`more than ${headerOctetsMax} octets`)
  if (bytes.length < octets) return incomplete
  const header = bytes.subarray(0, octets)
  const family = bytes[13]!
  // LOCAL, and PROXY of unspecified family: the connection is what it looks like
  if (command === 0 || family >> 4 === 0) return { _tag: "Read", remote: null, octets }
  const addresses = family === 0x11 ? ipv4Octets : family === 0x21 ? ipv6Octets : null
  if (addresses === null) return bad("neither TCP over IPv4 nor over IPv6")
  if (octets < fixedOctets + addresses) return bad("too short for its addresses")
  const fault = additionsFault(header, fixedOctets + addresses)
  if (fault !== null) return bad(fault)
  return addresses === ipv4Octets
    ? connectionOf(header.subarray(16, 20).join("."), header.readUInt16BE(24), octets)
    : connectionOf(ipv6Text(header.subarray(16, 32)), header.readUInt16BE(48), octets)
}

const ipv6Text = (bytes: Buffer): string => bytes.toString("hex").replaceAll(/(.{4})(?=.)/g, "$1:")

const checksumType = 3

/** Whether what a proxy has added after the addresses (type, length, value) is sound, and the checksum that may be in it. */
const additionsFault = (header: Buffer, from: number): string | null => {
  let at = from
  while (at < header.length) {
    if (at + 3 > header.length) return "an addition without its length"
    const [type, length] = [header[at]!, header.readUInt16BE(at + 1)]
    const value = at + 3
    at = value + length
    if (at > header.length) return "an addition longer than the header"
    if (type !== checksumType) continue
    if (length !== 4) return "a checksum that is not 4 octets long"
    const zeroed = Buffer.from(header)
    zeroed.fill(0, value, at)
    if (crc32c(zeroed) !== header.readUInt32BE(value)) return "a wrong checksum"
  }
  return null
}

let table: Uint32Array | null = null

/** CRC32c (RFC 4960 appendix B), which the PROXY protocol uses. */
export const crc32c = (bytes: Uint8Array): number => {
  table ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82_f6_3b_78 : value >>> 1
    return value
  })
  let crc = 0xff_ff_ff_ff
  for (const byte of bytes) crc = table[(crc ^ byte) & 255]! ^ (crc >>> 8)
  return (crc ^ 0xff_ff_ff_ff) >>> 0
}
