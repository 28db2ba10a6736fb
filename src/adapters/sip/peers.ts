/**
 * Trusted peers: proxies, PBXs and other servers that have authenticated the sender of a request, and for
 * whom each may publish.
 *
 * An entry is a line of text, an address or a network with parameters:
 *
 *     10.0.0.1
 *     10.0.0.0/24;identity=pai;publishes_for=example.com|sip:desk@example.org;transport=tcp
 *
 * or a name of which the sender has to show a certificate (RFC 5922 §7.1), over TLS or WebSocket:
 *
 *     certificate:proxy.example.com;identity=pai
 *
 * or, in a file or a program, an object with the same names (`address`, `identity`, `publishes_for`, `transport`, `hosts`).
 */
import { BlockList, isIP } from "node:net"
import { addressOfRecord, canonicalHost } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { covers } from "./transports/certificate-names.ts"
import type { PeerCertificate } from "./transports/certificate-names.ts"
import { isTransportName, transportNames } from "./transports/names.ts"
import type { TransportName } from "./transports/names.ts"
import { canonicalAddress, parseUri, plainHost, readHostPort } from "./uri.ts"

/**
 * Which header of a peer's request asserts its sender: P-Asserted-Identity (`pai`, RFC 3325), From (`from`)
 * or neither (`none`). Without that header the sender is anonymous.
 */
export type PeerIdentity = "pai" | "from" | "none"

export interface TrustedPeer {
  /** The entry for display: address or network, then the parameters that differ from the default. */
  readonly text: string
  /** `10.0.0.1`, or `10.0.0.0/24`. */
  readonly network: string
  readonly prefix: number
  readonly identity: PeerIdentity
  /** Whether it may publish for that presentity without an asserted identity. */
  readonly publishesFor: (presentity: Uri) => boolean
  /** Whether there is any such presentity. */
  readonly publishesForSome: boolean
  readonly transport: TransportName | "any"
  /** Whether a numeric address, without brackets, belongs to the entry. */
  readonly holds: (address: string) => boolean
  /** The name of which the sender has to show a certificate, whatever its address; null: the address counts. */
  readonly certified: string | null
  /**
   * Whether the host of a URI, not resolved, is the source of the request or one of `hosts`. Another address
   * of the same network is not enough: a sender who can forge the source of a datagram could have packets
   * sent to any of them.
   *
   * @param source canonical address of the request
   */
  readonly isHost: (host: string, source: string) => boolean
}

export interface Peers {
  readonly size: number
  /**
   * The entry for the certificate of the sender, or else for its address: the narrowest network that contains it.
   *
   * @param address numeric, without brackets @returns null if there is none, or if it is for another
   * transport
   */
  readonly find: (
    address: string,
    transport: string,
    certificate?: PeerCertificate | null,
  ) => TrustedPeer | null
}

/** One fault in the entries. */
export interface PeerFault {
  /** From 0. */
  readonly index: number
  /** The entry as given. */
  readonly entry: string
  /** What is wrong, and what to write instead. */
  readonly why: string
}

export interface ReadPeers {
  readonly peers: readonly TrustedPeer[]
  readonly faults: readonly PeerFault[]
}

const keys = ["identity", "publishes_for", "transport", "hosts"] as const
type Key = (typeof keys)[number]

const peerSyntax =
  "expected ADDRESS, ADDRESS/PREFIX or certificate:NAME, then any of ;identity=pai|from|none ;publishes_for=DOMAIN-OR-URI|… (* for everybody) " +
  `;transport=${transportNames.join("|")}|any ;hosts=NAME|…, for example 10.0.0.1;identity=pai;publishes_for=example.com`

/** Reads entries in either form. A faulty entry is in `faults` and not in `peers`. */
export const readPeers = (entries: readonly unknown[]): ReadPeers => {
  const peers: TrustedPeer[] = []
  const faults: PeerFault[] = []
  entries.forEach((entry, index) => {
    const written = typeof entry === "string" ? entry.trim() : JSON.stringify(entry)
    const fail = (why: string): void => void faults.push({ index, entry: written, why })
    const peer = readPeer(entry)
    if (typeof peer === "string") return fail(peer)
    const same = peers.find(
      ({ network, transport }) =>
        network === peer.network &&
        (transport === peer.transport || transport === "any" || peer.transport === "any"),
    )
    if (same !== undefined) return fail(`${peer.network} is listed twice: leave one of the two entries out`)
    peers.push(peer)
  })
  return { peers, faults }
}

/** @returns a string if the entry is faulty, saying why */
const readPeer = (entry: unknown): TrustedPeer | string => {
  const written = typeof entry === "string" ? partsOfText(entry) : partsOfObject(entry)
  if (typeof written === "string") return written
  const certified = /^certificate:/i.test(written.address) ? readCertified(written.address) : null
  if (certified !== null && "fault" in certified) return certified.fault
  const network = certified ?? readNetwork(written.address)
  if (typeof network === "string") return network
  const identity = written.identity ?? "pai"
  if (identity !== "pai" && identity !== "from" && identity !== "none")
    return `identity=${identity}: expected pai (P-Asserted-Identity is believed), from (From is), or none (nobody is)`
  const transport = written.transport ?? "any"
  if (transport !== "any" && !isTransportName(transport))
    return `transport=${transport}: expected ${transportNames.join(", ")} or any`
  const publishes = readPublishesFor(written.publishes_for ?? [])
  if (typeof publishes === "string") return publishes
  const hosts: string[] = []
  for (const host of written.hosts ?? []) {
    const read = readHostPort(host, 0)
    if (read === null || read.end !== host.length || read.port !== null)
      return `hosts=${host}: expected host names or addresses as they stand in its Record-Route and Contact, separated by |`
    hosts.push(canonicalHost(read.host))
  }
  const otherHosts = new Set(hosts.map(plainHost))
  const { address, family, prefix } = network
  const list = new BlockList()
  if (certified === null) list.addSubnet(address, prefix, family)
  // `BlockList` also matches an IPv4-mapped address of the other family
  const holds = (numeric: string): boolean =>
    numeric.includes(":") === (family === "ipv6") && list.check(numeric, family)
  const isWhole = prefix === (family === "ipv4" ? 32 : 128)
  const shown = isWhole || certified !== null ? address : `${address}/${prefix}`
  return {
    text:
      shown +
      (written.identity === undefined ? "" : `;identity=${identity}`) +
      (publishes.names.length === 0 ? "" : `;publishes_for=${publishes.names.join("|")}`) +
      (transport === "any" ? "" : `;transport=${transport}`) +
      (hosts.length === 0 ? "" : `;hosts=${hosts.join("|")}`),
    network: shown,
    // addresses of the two families are never compared
    prefix,
    identity,
    publishesFor: publishes.covers,
    publishesForSome: publishes.names.length > 0,
    transport,
    holds,
    certified: certified === null ? null : certified.name,
    isHost: (host, source) => {
      const plain = plainHost(host)
      return plain === source || otherHosts.has(plain)
    },
  }
}

interface WrittenPeer {
  readonly address: string
  readonly identity?: string
  readonly publishes_for?: readonly string[]
  readonly transport?: string
  readonly hosts?: readonly string[]
}

const partsOfText = (text: string): WrittenPeer | string => {
  const [address = "", ...parameters] = text.split(";").map((part) => part.trim())
  const parts: Partial<Record<Key, string>> = {}
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=")
    const name = (equals < 0 ? parameter : parameter.slice(0, equals)).trim().toLowerCase()
    const value = equals < 0 ? "" : parameter.slice(equals + 1).trim()
    if (!isKey(name)) return `${parameter === "" ? "an empty parameter" : parameter}: ${peerSyntax}`
    if (parts[name] !== undefined) return `${name} comes twice in one entry: leave one of the two out`
    if (value === "") return `${name} has no value: ${peerSyntax}`
    parts[name] = value
  }
  const listed = (value: string): readonly string[] => value.split("|").map((part) => part.trim())
  return {
    address,
    ...(parts.identity === undefined ? {} : { identity: parts.identity.toLowerCase() }),
    ...(parts.transport === undefined ? {} : { transport: parts.transport.toLowerCase() }),
    ...(parts.publishes_for === undefined ? {} : { publishes_for: listed(parts.publishes_for) }),
    ...(parts.hosts === undefined ? {} : { hosts: listed(parts.hosts) }),
  }
}

const partsOfObject = (entry: unknown): WrittenPeer | string => {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return peerSyntax
  const fields = Object.entries(entry).filter(([, value]) => value !== null && value !== undefined)
  const unknown = fields.find(([name]) => name !== "address" && !isKey(name))
  if (unknown !== undefined)
    return `${unknown[0]}: there is no such part of an entry, there are address, ${keys.join(", ")}`
  const text = (name: string): string | undefined | null => {
    const value = fields.find(([key]) => key === name)?.[1] as unknown
    return value === undefined ? undefined : typeof value === "string" ? value.trim() : null
  }
  const list = (name: string): readonly string[] | undefined | null => {
    const value = fields.find(([key]) => key === name)?.[1] as unknown
    if (value === undefined) return undefined
    const all: readonly unknown[] = Array.isArray(value) ? value : [value]
    return all.every((value) => typeof value === "string")
      ? all.flatMap((value) => value.split("|").map((part) => part.trim()))
      : null
  }
  const [address, identity, transport] = [text("address"), text("identity"), text("transport")]
  const [publishesFor, hosts] = [list("publishes_for"), list("hosts")]
  if (address === undefined || address === null) return "an entry needs its address, for example 10.0.0.1"
  if (identity === null) return "identity: expected pai, from or none"
  if (transport === null) return `transport: expected ${transportNames.join(", ")} or any`
  if (publishesFor === null) return "publishes_for: expected domains and URIs, or *"
  if (hosts === null) return "hosts: expected host names"
  return {
    address,
    ...(identity === undefined ? {} : { identity: identity.toLowerCase() }),
    ...(transport === undefined ? {} : { transport: transport.toLowerCase() }),
    ...(publishesFor === undefined ? {} : { publishes_for: publishesFor }),
    ...(hosts === undefined ? {} : { hosts }),
  }
}

const isKey = (name: string): name is Key => (keys as readonly string[]).includes(name)

interface Network {
  readonly address: string
  readonly family: "ipv4" | "ipv6"
  readonly prefix: number
}

/** In the place of a network, which it is none: no address is in it. */
interface Certified extends Network {
  readonly name: string
}

const readCertified = (text: string): Certified | { readonly fault: string } => {
  const written = text.slice("certificate:".length)
  const host = readHostPort(written, 0)
  if (host === null || host.end !== written.length || host.port !== null)
    return { fault: `${text}: expected certificate:NAME, the name of a domain or host in its certificate` }
  const name = plainHost(canonicalHost(host.host))
  return { name, address: `certificate:${name}`, family: "ipv6", prefix: 0 }
}

const readNetwork = (text: string): Network | string => {
  const slash = text.indexOf("/")
  const written = (slash < 0 ? text : text.slice(0, slash)).replace(/^\[(.*)\]$/, "$1")
  const length = slash < 0 ? null : text.slice(slash + 1)
  if (text === "") return peerSyntax
  if (written.includes("%"))
    return `${text}: a zone means something on one machine only; leave ${written.slice(written.indexOf("%"))} out`
  if (isIP(written) === 0) {
    return /^[\d.:/]+$/.test(text) || slash >= 0
      ? `${text} is no address and no network: ${peerSyntax}`
      : `${text} is a name: a request comes from an address, so write the addresses it stands for (a network as 10.0.0.0/24)`
  }
  const bits = isIP(written) === 4 ? 32 : 128
  const prefix = length === null ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (prefix < 0 || prefix > bits) return `${text}: the length of its prefix is a number from 0 to ${bits}`
  const plain = unmapped({
    address: bits === 32 ? written : canonicalHost(`[${written}]`).slice(1, -1),
    family: bits === 32 ? "ipv4" : "ipv6",
    prefix,
  })
  const first = firstOf(plain)
  if (first !== plain.address)
    return `${text} has bits set behind its prefix: write ${first}/${plain.prefix} for the network, or ${plain.address} for the one address`
  return plain
}

/** An IPv4-mapped IPv6 address is the IPv4 address (RFC 4291 §2.5.5.2). */
const unmapped = (network: Network): Network => {
  const plain = canonicalAddress(network.address)
  return plain.includes(":") || network.family === "ipv4" || network.prefix < 96
    ? network
    : { address: plain, family: "ipv4", prefix: network.prefix - 96 }
}

/** The address with all bits after the prefix cleared. */
const firstOf = ({ address, family, prefix }: Network): string => {
  const groups = family === "ipv4" ? address.split(".").map(Number) : groupsOf(address)
  const width = family === "ipv4" ? 8 : 16
  const cleared = groups.map((group, index) => {
    const kept = Math.min(width, Math.max(0, prefix - index * width))
    return group & (((1 << width) - 1) ^ ((1 << (width - kept)) - 1))
  })
  return family === "ipv4"
    ? cleared.join(".")
    : canonicalHost(`[${cleared.map((group) => group.toString(16)).join(":")}]`).slice(1, -1)
}

/** The eight groups of an IPv6 address in canonical form. */
const groupsOf = (address: string): readonly number[] => {
  const [before = "", after] = address.split("::")
  const read = (text: string): readonly number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16))
  const [left, right] = [read(before), read(after ?? "")]
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right]
}

const readPublishesFor = (
  names: readonly string[],
): { readonly names: readonly string[]; readonly covers: (presentity: Uri) => boolean } | string => {
  const domains = new Set<string>()
  const uris = new Set<string>()
  let isEverybody = false
  const shown: string[] = []
  for (const name of names) {
    const wrong = `publishes_for=${name}: expected a domain, a URI such as sip:desk@example.com, or *`
    if (name === "*") {
      isEverybody = true
      shown.push(name)
      continue
    }
    const uri = parseUri(name)
    if (uri !== null && (uri.scheme === "tel" || uri.user !== null)) {
      uris.add(addressOfRecord(uri))
      shown.push(addressOfRecord(uri))
      continue
    }
    const host = readHostPort(name, 0)
    if (host === null || host.end !== name.length || host.port !== null) return wrong
    domains.add(canonicalHost(host.host))
    shown.push(canonicalHost(host.host))
  }
  return {
    names: [...new Set(shown)],
    covers: (presentity) => {
      if (isEverybody || uris.has(presentity)) return true
      if (domains.size === 0) return false
      const parsed = parseUri(presentity)
      return parsed !== null && parsed.scheme !== "tel" && domains.has(canonicalHost(parsed.host))
    },
  }
}

/** Addresses whose entry is cached, so that not every request is compared with every network. */
const rememberedMax = 4_096

/** Prepares the entries for lookup: O(1) for cached addresses, else O(entries). */
export const makePeers = (peers: readonly TrustedPeer[]): Peers => {
  const byName = peers.filter(({ certified }) => certified !== null)
  const narrowest = peers
    .filter(({ certified }) => certified === null)
    .toSorted((left, right) => right.prefix - left.prefix)
  let remembered = new Map<string, readonly TrustedPeer[]>()
  const decisive = (address: string): readonly TrustedPeer[] => {
    let known = remembered.get(address)
    if (known === undefined) {
      const zone = address.indexOf("%")
      const written = zone < 0 ? address : address.slice(0, zone)
      const plain = canonicalAddress(written)
      const first = narrowest.find(({ holds }) => holds(plain))
      known = first === undefined ? none : narrowest.filter(({ network }) => network === first.network)
      if (remembered.size >= rememberedMax) remembered = new Map()
      remembered.set(address, known)
    }
    return known
  }
  return {
    size: peers.length,
    find: (address, transport, certificate) => {
      if (peers.length === 0) return null
      if (certificate !== null && certificate !== undefined) {
        const named = byName.find(
          (entry) =>
            covers(certificate, entry.certified!) &&
            (entry.transport === "any" || entry.transport === transport),
        )
        if (named !== undefined) return named
      }
      const entries = decisive(address)
      return entries.find((entry) => entry.transport === "any" || entry.transport === transport) ?? null
    },
  }
}

const none: readonly TrustedPeer[] = []
