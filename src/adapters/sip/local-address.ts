/**
 * Which of our addresses a peer sees, when a socket is bound to all of them.
 */
import { networkInterfaces } from "node:os"
import { BlockList } from "node:net"

const refreshMs = 30_000
const rememberedMax = 10_000

/** IPv4 peers of a dual-stack socket come as `::ffff:192.0.2.1`; that is 192.0.2.1. */
export const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address

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
      faces.push({ address, isInternal: internal, isIpv6, subnet })
    }
  return faces
}

/**
 * @param advertised printed instead of whatever the system says, when not null
 * @returns the host to print for a socket bound to `bound` towards `remote`
 */
export const makeLocalHost = (
  advertised: string | null,
  clock: () => number,
): ((bound: string, remote: string) => string) => {
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

  return (bound, remote) => {
    if (!isWildcard(bound)) return bound
    if (advertised !== null) return advertised
    const now = clock()
    if (now - readAt > refreshMs || remembered.size > rememberedMax) {
      faces = readFaces()
      readAt = now
      remembered.clear()
    }
    let host = remembered.get(remote)
    if (host === undefined) {
      host = choose(remote)
      remembered.set(remote, host)
    }
    return host
  }
}
