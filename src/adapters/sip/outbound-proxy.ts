/**
 * The setting `outbound_proxy`: through which proxy NOTIFYs go, by where they lead or where their SUBSCRIBE came from.
 *
 * A connection, or another flow, by which a watcher is reached goes before it. A URI with `lr` is written as the first
 * Route (RFC 3261 §8.1.2, §16.12.1.2); one without is the next hop and nothing else.
 */
import { hostList, hostListFaults, networkListFaults } from "./hosts.ts"
import { parseUri } from "./uri.ts"
import type { SipUri } from "./uri.ts"

export interface OutboundProxy {
  /** As written. */
  readonly text: string
  readonly uri: SipUri
}

/** By the host of the next hop and the address of the source, without brackets; null: none. */
export type OutboundProxyFor = (destination: string, source: string) => OutboundProxy | null

interface Rule {
  /** Networks of sources, or hosts of destinations; null: all. */
  readonly key: { readonly kind: "from" | "to"; readonly entry: string } | null
  /** Null: directly. */
  readonly proxy: OutboundProxy | null
}

const direct = "direct"
const fromPrefix = "from:"

/** @returns null for an entry that is not `[DESTINATION=|from:NETWORK=]URI|direct` */
const readRule = (entry: string): Rule | null => {
  const written = entry.trim()
  const hasKey = !/^sips?:/i.test(written) && written !== direct
  const equals = hasKey ? written.indexOf("=") : -1
  if (hasKey && equals < 1) return null
  const key = hasKey ? keyOf(written.slice(0, equals).trim()) : null
  const value = written.slice(equals + 1).trim()
  const proxy = value === direct ? null : proxyOf(value)
  if ((hasKey && key === null) || (value !== direct && proxy === null)) return null
  return { key, proxy }
}

const keyOf = (text: string): Rule["key"] => {
  const isFrom = text.startsWith(fromPrefix)
  const entry = isFrom ? text.slice(fromPrefix.length).trim() : text
  const faults = isFrom ? networkListFaults([entry]) : hostListFaults([entry])
  return faults.length > 0 ? null : { kind: isFrom ? "from" : "to", entry }
}

const proxyOf = (text: string): OutboundProxy | null => {
  const uri = parseUri(text)
  if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || uri.headers !== null || uri.port === 0)
    return null
  return { text, uri }
}

/** @param listened names of the transports that are listened on: those that a proxy can be reached by, besides UDP and TCP */
export const outboundFaults = (entries: readonly string[], listened: readonly string[]): readonly string[] =>
  entries.filter((entry) => {
    const rule = readRule(entry)
    if (rule === null) return true
    if (rule.proxy === null) return false
    const { scheme, parameters } = rule.proxy.uri
    const transport = parameters.get("transport")?.toLowerCase() ?? (scheme === "sips" ? "tls" : "udp")
    const isSecure = transport === "tls" || scheme === "sips"
    return !["udp", "tcp", "tls"].includes(transport) || (isSecure && !listened.includes("tls"))
  })

/** @returns null if there are no entries. The first that fits counts. */
export const readOutbound = (entries: readonly string[]): OutboundProxyFor | null => {
  const rules = entries.flatMap((entry) => {
    const rule = readRule(entry)
    if (rule === null) return []
    const has = rule.key === null ? () => true : hostList([rule.key.entry])
    return [{ isFrom: rule.key?.kind === "from", has, proxy: rule.proxy }]
  })
  if (rules.length === 0) return null
  return (destination, source) =>
    rules.find(({ isFrom, has }) => has(isFrom ? source : destination))?.proxy ?? null
}
