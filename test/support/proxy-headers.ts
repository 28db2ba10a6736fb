/** Headers of the PROXY protocol as a load balancer writes them. */
import { crc32c } from "../../src/adapters/sip/transports/proxy-header.ts"

export interface Ends {
  readonly source: string
  readonly destination: string
  readonly sourcePort: number
  readonly destinationPort: number
}

const isV6 = (address: string): boolean => address.includes(":")

export const textHeader = ({ source, destination, sourcePort, destinationPort }: Ends): Buffer =>
  Buffer.from(
    `PROXY TCP${isV6(source) ? 6 : 4} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`,
    "latin1",
  )

export const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex")

const octetsOf = (address: string): Buffer => {
  if (!isV6(address)) return Buffer.from(address.split(".").map(Number))
  const [head = "", tail] = address.split("::")
  const groups = (text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : text.split(":")
  const [before, after] = [groups(head), groups(tail)]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0")
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join(""), "hex")
}

export interface Addition {
  readonly type: number
  readonly value: Buffer
}

/** @param checksum whether the header has a checksum: that of the PROXY protocol, a wrong one, or none */
export const binaryHeader = (
  ends: Ends,
  additions: readonly Addition[] = [],
  checksum: "good" | "wrong" | "none" = "none",
): Buffer => {
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(ends.sourcePort, 0)
  ports.writeUInt16BE(ends.destinationPort, 2)
  const all = checksum === "none" ? additions : [...additions, { type: 3, value: Buffer.alloc(4) }]
  const more = all.map(({ type, value }) =>
    Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]),
  )
  const rest = Buffer.concat([octetsOf(ends.source), octetsOf(ends.destination), ports, ...more])
  const header = Buffer.concat([
    signature,
    Buffer.from([0x21, isV6(ends.source) ? 0x21 : 0x11, rest.length >> 8, rest.length & 255]),
    rest,
  ])
  if (checksum !== "none")
    header.writeUInt32BE((crc32c(header) ^ (checksum === "wrong" ? 1 : 0)) >>> 0, header.length - 4)
  return header
}

/** A header of version 2 with these fields, whatever they mean. */
export const rawHeader = (
  versionAndCommand: number,
  family: number,
  rest: Buffer = Buffer.alloc(0),
): Buffer =>
  Buffer.concat([
    signature,
    Buffer.from([versionAndCommand, family, rest.length >> 8, rest.length & 255]),
    rest,
  ])
