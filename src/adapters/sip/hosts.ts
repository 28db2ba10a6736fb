/** Lists of hosts in settings: names, `*.example.com`, addresses, networks (`10.1.0.0/16`). */
import { BlockList, isIP } from "node:net"
import { canonicalAddress } from "./uri.ts"

export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: "ipv4" | "ipv6"
}

/** An address or a network in CIDR notation; null if it is neither. */
const networkOf = (entry: string): Network | null => {
  const [, address = "", prefix = ""] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(entry) ?? []
  if (isIP(address) === 0) return null
  const family = familyOf(address)
  const bits = family === "ipv4" ? 32 : 128
  const length = prefix === "" ? bits : Number(prefix)
  if (length > bits) return null
  // an IPv4-mapped IPv6 address is the IPv4 address (RFC 4291 §2.5.5.2)
  const plain = canonicalAddress(address)
  return family === "ipv6" && !plain.includes(":") && length >= 96
    ? { address: plain, prefix: length - 96, family: "ipv4" }
    : { address, prefix: length, family }
}

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4")

/** A host name, or `*.` followed by one. */
const isHostName = (entry: string): boolean => /^(?:\*\.)?(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(entry)

/** Entries that are not a name, address or network. A name of only digits and dots is a mistyped address. */
export const hostListFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => networkOf(entry) === null && (!isHostName(entry) || /^[\d.]+$/.test(entry)))

/** Entries that are neither an address nor a network. */
export const networkListFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => networkOf(entry) === null)

/**
 * Builds a test of whether a host is in the list.
 *
 * @returns a function of a name, or of an address without brackets
 */
export const hostList = (entries: readonly string[]): ((host: string) => boolean) => {
  if (entries.length === 0) return () => false
  const networks = new BlockList()
  const names: string[] = []
  for (const entry of entries) {
    const network = networkOf(entry)
    if (network === null) names.push(entry.toLowerCase())
    else networks.addSubnet(network.address, network.prefix, network.family)
  }
  return (host) => {
    if (isIP(host) !== 0) return networks.check(host, familyOf(host))
    const name = host.toLowerCase()
    return names.some((listed) =>
      listed.startsWith("*.") ? name.endsWith(listed.slice(1)) : name === listed,
    )
  }
}
