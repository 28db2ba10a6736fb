/**
 * The setting `advertise`: hosts and ports that others are told instead of ours, behind port forwarding or in a container.
 *
 * They are printed in Contact and Via. Where packets really come in and leave does not change.
 */
import { isIP } from "node:net"
import { isWildcard } from "./transports/local-address.ts"
import { isTransportName } from "./transports/names.ts"
import { bracketed, numericHost, plainHost, readHostPort } from "./uri.ts"

export interface Advertised {
  /** The listener that it is for; null: all. */
  readonly listener: { readonly transport: string; readonly host: string; readonly port: number } | null
  /** A name, or an address without brackets. */
  readonly host: string
  /** Null: the port that is listened on. */
  readonly port: number | null
}

/** What to print for a socket. */
export interface Shown {
  readonly host: string
  readonly port: number
}

/**
 * For a socket, by transport, host (as bound, or the local address of a connection) and port, towards a peer; null:
 * nothing is said of it.
 */
export type AdvertisedFor = (transport: string, host: string, port: number, remote: string) => Shown | null

/** @returns null for an entry that is not `[TRANSPORT:HOST:PORT=]HOST[:PORT]` */
const readEntry = (entry: string): Advertised | null => {
  const equals = entry.indexOf("=")
  const shown = hostPortOf(entry.slice(equals + 1).trim())
  if (shown === null || shown.port === 0 || isOddHost(shown.host)) return null
  if (equals < 0) return { listener: null, ...shown }
  const [, transport = "", address = ""] = /^([a-z]+):(.+)$/.exec(entry.slice(0, equals).trim()) ?? []
  const bound = hostPortOf(address)
  if (!isTransportName(transport) || bound === null || bound.port === null || isIP(bound.host) === 0)
    return null
  return { listener: { transport, host: bound.host, port: bound.port }, ...shown }
}

const hostPortOf = (text: string): { readonly host: string; readonly port: number | null } | null => {
  const read = readHostPort(text, 0)
  return read === null || read.end !== text.length ? null : { host: plainHost(read.host), port: read.port }
}

/** Nobody can be told to send to all addresses, nor to digits and dots that are no address. */
const isOddHost = (host: string): boolean =>
  isWildcard(host) || (numericHost(host) === null && /^[\d.]+$/.test(host))

/** @param listens addresses listened on, `TRANSPORT:HOST:PORT`; an entry for another one is a fault */
export const advertiseFaults = (entries: readonly string[], listens: readonly string[]): readonly string[] =>
  entries.filter((entry) => {
    const read = readEntry(entry)
    if (read === null) return true
    const { listener } = read
    return (
      listener !== null &&
      !listens.includes(`${listener.transport}:${bracketed(listener.host)}:${listener.port}`)
    )
  })

export const readAdvertise = (entries: readonly string[]): readonly Advertised[] =>
  entries.flatMap((entry) => readEntry(entry) ?? [])

/** @returns null if nothing is advertised. The first entry for the socket counts whose address is of the peer's family. */
export const makeAdvertisedFor = (entries: readonly Advertised[]): AdvertisedFor | null =>
  entries.length === 0
    ? null
    : (transport, host, port, remote) => {
        for (const entry of entries) {
          const { listener } = entry
          if (listener !== null && !isOf(listener, transport, host, port)) continue
          if (isIP(entry.host) !== 0 && entry.host.includes(":") !== remote.includes(":")) continue
          return { host: entry.host, port: entry.port ?? port }
        }
        return null
      }

/** Port 0 is one that the system chose. */
const isOf = (
  listener: NonNullable<Advertised["listener"]>,
  transport: string,
  host: string,
  port: number,
): boolean =>
  listener.transport === transport &&
  (listener.port === port || listener.port === 0) &&
  (listener.host === host || isWildcard(listener.host))
