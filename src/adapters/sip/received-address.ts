/**
 * The address of a phone as a proxy saw it, which proxies write into its Contact: `;alias=192.0.2.7~40001~1` (Kamailio's
 * `add_contact_alias`), or `;received=192.0.2.7:40001`, the port also in `rport`.
 */
import type { Transport, Transports } from "./transports/transport.ts"
import { numericHost, readHostPort } from "./uri.ts"
import type { SipUri } from "./uri.ts"

export interface ReceivedAddress {
  /** Canonical, without brackets. */
  readonly host: string
  readonly isNumeric: true
  readonly port: number
  readonly transport: Transport | null
}

/** Transports as Kamailio numbers them in `alias`. */
const numbered: ReadonlyMap<string, string> = new Map([
  ["1", "udp"],
  ["2", "tcp"],
  ["3", "tls"],
  ["5", "ws"],
  ["6", "wss"],
])

/** Null: the Contact names none, or one that none of our transports reaches. */
export const aliasOf = (
  { parameters }: Pick<SipUri, "parameters">,
  transports: Transports,
): ReceivedAddress | null => {
  if (parameters.size === 0) return null
  const alias = parameters.get("alias")
  if (typeof alias === "string") return fromAlias(unescaped(alias), transports)
  const received = parameters.get("received")
  return typeof received === "string"
    ? fromReceived(unescaped(received), parameters.get("rport") ?? null, transports)
    : null
}

/** Separators of URIs stand escaped in a parameter; what is escaped wrongly is no address. */
const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return ""
  }
}

const fromAlias = (text: string, transports: Transports): ReceivedAddress | null => {
  const [host = "", port = "", number = "1", ...more] = text.split("~")
  const name = numbered.get(number)
  const transport = name === undefined ? null : transports.named(name)
  return transport === null || more.length > 0 ? null : addressOf(host, port, transport)
}

const fromReceived = (text: string, rport: string | null, transports: Transports): ReceivedAddress | null => {
  const [place = "", ...parameters] = text.replace(/^sips?:/i, "").split(";")
  const named = parameters.find((parameter) => parameter.toLowerCase().startsWith("transport="))
  const transport =
    named === undefined ? null : transports.named(named.slice("transport=".length).toLowerCase())
  if (named !== undefined && transport === null) return null
  // accept an IPv6 address without brackets
  const plain = numericHost(place)
  const read = plain === null ? readHostPort(place, 0) : { host: place, port: null, end: place.length }
  if (read === null || read.end !== place.length) return null
  return addressOf(read.host, rport ?? String(read.port ?? 5_060), transport)
}

const addressOf = (host: string, port: string, transport: Transport | null): ReceivedAddress | null => {
  const numeric = numericHost(host)
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  return numeric === null || number < 1 || number > 65_535
    ? null
    : { host: numeric, isNumeric: true, port: number, transport }
}

/** A URI without these parameters, as the phone wrote it before a proxy added them. */
export const withoutAlias = (uri: string): string => {
  const from = uri.indexOf(";", uri.indexOf("@") + 1)
  return from < 0
    ? uri
    : uri.slice(0, from) + uri.slice(from).replaceAll(/;(?:alias|received|rport)(?:=[^;?]*)?(?=[;?]|$)/gi, "")
}
