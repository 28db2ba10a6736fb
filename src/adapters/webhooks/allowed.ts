/**
 * Which hosts webhooks may go to. Whoever may add a webhook makes this server send requests: only to hosts an operator has
 * listed, and into networks that are not public only to addresses he has listed.
 */
import { BlockList, isIP } from "node:net"

/** Host names, `*.example.com`, `*` for every name, addresses, networks (`10.1.0.0/16`). */
export interface AllowedHosts {
  /** Null: it may. Otherwise why not. */
  readonly refusesUrl: (url: URL) => string | null
  /** Of an address that a listed name stands for, or that stands in the URL itself. */
  readonly allowsAddress: (address: string) => boolean
}

/** What is wrong with entries of `webhook_hosts`; empty: nothing. */
export const allowedHostsFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter(
    (entry) =>
      networkOf(entry) === null &&
      entry !== "*" &&
      !/^(?:\*\.)?(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(entry),
  )

export const allowedHosts = (entries: readonly string[]): AllowedHosts => {
  const listed = new BlockList()
  const names: string[] = []
  for (const entry of entries) {
    const network = networkOf(entry)
    if (network === null) names.push(entry.toLowerCase())
    else listed.addSubnet(network.address, network.prefix, network.family)
  }
  const isListed = (address: string): boolean => listed.check(address, familyOf(address))
  return {
    refusesUrl: (url) => {
      const host = url.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase()
      if (isIP(host) !== 0) return isListed(host) ? null : `webhook_hosts does not list ${host}`
      const isNamed = names.some((name) =>
        name.startsWith("*") ? host.endsWith(name.slice(1)) : host === name,
      )
      return isNamed ? null : `webhook_hosts does not list ${host}`
    },
    allowsAddress: (address) => isListed(address) || !notPublic.check(address, familyOf(address)),
  }
}

interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: "ipv4" | "ipv6"
}

const networkOf = (entry: string): Network | null => {
  const [, address = "", prefix = ""] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(entry) ?? []
  if (isIP(address) === 0) return null
  const family = familyOf(address)
  const bits = family === "ipv4" ? 32 : 128
  const length = prefix === "" ? bits : Number(prefix)
  return length > bits ? null : { address, prefix: length, family }
}

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4")

/**
 * An IPv4 address in IPv6 clothes (`::ffff:127.0.0.1`) is checked as what it is.
 *
 * @source the IANA registries of special-purpose addresses (RFC 6890), with what stands for them in IPv6
 */
const notPublic = ((): BlockList => {
  const list = new BlockList()
  const networks = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
  ]
  for (const entry of networks) {
    const network = networkOf(entry)!
    list.addSubnet(network.address, network.prefix, network.family)
  }
  return list
})()
