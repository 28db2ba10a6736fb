/**
 * A DNS server on loopback that answers NAPTR, SRV, A and AAAA from a table, over UDP, and says of any other name that it
 * does not exist.
 *
 * @source RFC 1035 §4, RFC 2782, RFC 3403 §4.1, RFC 3596
 */
import { createSocket } from "node:dgram"
import { getServers, setServers } from "node:dns"
import { setServers as setServersOfPromises } from "node:dns/promises"
import { syncBuiltinESMExports } from "node:module"

export type DnsRecord =
  | {
      readonly type: "SRV"
      readonly priority: number
      readonly weight?: number
      readonly port: number
      readonly target: string
    }
  | {
      readonly type: "NAPTR"
      readonly order: number
      readonly preference?: number
      readonly service: string
      readonly replacement: string
    }
  | { readonly type: "A" | "AAAA"; readonly address: string }

export interface DnsServer {
  /** `127.0.0.1:40053` */
  readonly address: string
  /** By name, in lower case. */
  readonly records: Map<string, readonly DnsRecord[]>
  /** `SRV _sip._udp.example.com`, in the order in which they were asked. */
  readonly asked: string[]
  readonly close: () => Promise<void>
}

const typeNumbers = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 } as const
const typeNames = new Map(Object.entries(typeNumbers).map(([name, code]) => [code as number, name]))

const nameIn = (query: Buffer): { readonly name: string; readonly end: number } => {
  const labels: string[] = []
  let at = 12
  while (query[at]! > 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query[at]!))
    at += query[at]! + 1
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 }
}

const encodedName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split(".")
      .filter((label) => label !== "")
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0]),
  ])

const numbers = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2)
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2))
  return bytes
}

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")])

/** An IPv6 address is written in full: eight groups. */
const dataOf = (record: DnsRecord): Buffer => {
  switch (record.type) {
    case "SRV":
      return Buffer.concat([
        numbers(record.priority, record.weight ?? 0, record.port),
        encodedName(record.target),
      ])
    case "NAPTR":
      return Buffer.concat([
        numbers(record.order, record.preference ?? 0),
        text("S"),
        text(record.service),
        text(""),
        encodedName(record.replacement),
      ])
    case "A":
      return Buffer.from(record.address.split(".").map(Number))
    case "AAAA":
      return numbers(...record.address.split(":").map((group) => Number.parseInt(group, 16)))
  }
}

const answerTo = (query: Buffer, { records, asked }: Pick<DnsServer, "records" | "asked">): Buffer => {
  const { name, end } = nameIn(query)
  const code = query.readUInt16BE(end)
  asked.push(`${typeNames.get(code) ?? code} ${name}`)
  const known = records.get(name)
  const found = (known ?? []).filter(({ type }) => typeNumbers[type] === code)
  const answers = found.map((record) => {
    const data = dataOf(record)
    // a pointer to the name of the question; class IN; no time to live
    return Buffer.concat([numbers(0xc00c, code, 1, 0, 0, data.length), data])
  })
  const status = known === undefined ? 0x8183 : 0x8180
  return Buffer.concat([
    query.subarray(0, 2),
    numbers(status, 1, answers.length, 0, 0),
    query.subarray(12, end + 4),
    ...answers,
  ])
}

export const startDnsServer = async (): Promise<DnsServer> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const records: DnsServer["records"] = new Map()
  const asked: string[] = []
  socket.on("message", (query, { address, port }) => {
    socket.send(answerTo(query, { records, asked }), port, address)
  })
  return {
    address: `127.0.0.1:${socket.address().port}`,
    records,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

/** Lets this process ask that server from now on. @returns a function that lets it ask as before */
export const askedHere = ({ address }: DnsServer): (() => void) => {
  const before = getServers()
  const ask = (servers: readonly string[]): void => {
    setServers(servers)
    setServersOfPromises(servers)
    // functions imported by name belong to the servers before
    syncBuiltinESMExports()
  }
  ask([address])
  return () => ask(before)
}
