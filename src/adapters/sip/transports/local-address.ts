/** Which local address to use towards a peer when a socket is bound to all addresses. */
import { BlockList } from "node:net"
import { networkInterfaces } from "node:os"
import { canonicalAddress } from "../uri.ts"
import type { Listener } from "./transport.ts"

const refreshMs = 30_000
const rememberedMax = 10_000

/** IPv4 peers of a dual-stack socket appear as `::ffff:192.0.2.1`, which is 192.0.2.1. */
export const plainAddress = (address: string): string =>
  // the system already spells all other addresses canonically
  address.includes(".") ? canonicalAddress(address) : address

export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::" || host === ""

interface Face {
  readonly address: string
  readonly isInternal: boolean
  readonly isIpv6: boolean
  readonly subnet: BlockList
}

const readFaces = (): readonly Face[] => {
  const faces: Face[] = []
  for (const list of Object.values(networkInterfaces()))
    for (const { address, cidr, internal, family } of list ?? []) {
      const subnet = new BlockList()
      const isIpv6 = family === "IPv6"
      if (cidr !== null)
        subnet.addSubnet(address, Number(cidr.slice(cidr.indexOf("/") + 1)), isIpv6 ? "ipv6" : "ipv4")
      faces.push({ address: canonicalAddress(address), isInternal: internal, isIpv6, subnet })
    }
  return faces
}

export interface LocalHosts {
  /** The host to print for a socket bound to `bound`, towards `remote`. */
  readonly towards: (bound: string, remote: string) => string
  /** Whether a packet to an address reaches a listening socket; both canonical, without brackets. */
  readonly isAt: (listener: Pick<Listener, "host" | "isDual">, address: string) => boolean
}

export const makeLocalHosts = (clock: () => number): LocalHosts => {
  let faces: readonly Face[] = []
  let readAt = Number.NEGATIVE_INFINITY
  const remembered = new Map<string, string>()

  const choose = (remote: string): string => {
    const isIpv6 = remote.includes(":")
    const family = faces.filter((face) => face.isIpv6 === isIpv6)
    const near = family.find((face) => face.subnet.check(remote, isIpv6 ? "ipv6" : "ipv4"))
    const chosen = near ?? family.find((face) => !face.isInternal) ?? family[0]
    return chosen?.address ?? (isIpv6 ? "::1" : "127.0.0.1")
  }

  const look = (): void => {
    const now = clock()
    if (now - readAt <= refreshMs && remembered.size <= rememberedMax) return
    faces = readFaces()
    readAt = now
    remembered.clear()
  }

  return {
    towards: (bound, remote) => {
      if (!isWildcard(bound)) return bound
      look()
      let host = remembered.get(remote)
      if (host === undefined) {
        host = choose(remote)
        remembered.set(remote, host)
      }
      return host
    },
    isAt: ({ host: bound, isDual = false }, address) => {
      if (address === bound) return true
      if (!isWildcard(bound)) return false
      if (!isDual && address.includes(":") !== bound.includes(":")) return false
      look()
      // all of 127.0.0.0/8 is this host (RFC 1122 §3.2.1.3)
      return address.startsWith("127.") || faces.some((face) => face.address === address)
    },
  }
}
