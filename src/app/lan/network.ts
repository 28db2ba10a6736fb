/**
 * The addresses under which phones on the local network reach this machine.
 */
import { createSocket } from "node:dgram"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { allowedHosts } from "../../adapters/webhooks/allowed.ts"
import { bindFault } from "../bind-fault.ts"
import { inBrackets } from "../config/host-port.ts"

export interface LocalAddress {
  readonly address: string
  /** Name of the network interface: `eth0`. */
  readonly link: string
}

/** Chosen: the address to listen on, and the other addresses of this machine. Otherwise why there is none, in one line. */
export type Choice =
  | { readonly _tag: "Chosen"; readonly address: string; readonly others: readonly LocalAddress[] }
  | { readonly _tag: "None"; readonly why: string }

/** Whether the whole Internet may reach it, by the IANA registries of special-purpose addresses (RFC 6890). */
export const isPublic: (address: string) => boolean = allowedHosts([]).allowsAddress

/** Link-local addresses of IPv6 are left out: they mean nothing without the name of a link on the other side (RFC 4007 §11). */
export const localAddresses = (interfaces = networkInterfaces()): readonly LocalAddress[] =>
  Object.entries(interfaces).flatMap(([link, entries = []]) =>
    entries
      .filter(({ internal, address }) => !internal && !isLinkLocal6(address))
      .map(({ address }) => ({ address, link })),
  )

/** The addresses at which this machine is reached by what it listens on, as they stand in URIs. */
export const ownAddresses = (
  listen: readonly { readonly host: string }[],
  interfaces = networkInterfaces(),
): readonly string[] => {
  const all = Object.values(interfaces).flatMap((entries = []) =>
    entries.map(({ address }) => address).filter((address) => !isLinkLocal6(address)),
  )
  const hosts = listen.flatMap(({ host }) => {
    if (host === "0.0.0.0") return all.filter((address) => isIP(address) === 4)
    if (host === "::") return all
    return isIP(host) === 0 ? [] : [host]
  })
  return [...new Set(hosts)].map(inBrackets)
}

const isLinkLocal6 = (address: string): boolean => /^fe[89ab][0-9a-f]:/i.test(address)

/** Any address behind the default route. Nothing is sent there: connecting a datagram socket only looks up the route. */
const farAway = { udp4: "203.0.113.1", udp6: "2001:db8::1" } as const

/** The source address of the default route; null: there is no such route. */
const routedAddress = (type: "udp4" | "udp6"): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = createSocket(type)
    const done = (address: string | null): void => {
      socket.close()
      resolve(address)
    }
    socket.once("error", () => done(null))
    try {
      socket.connect(9, farAway[type], () => done(socket.address().address))
    } catch {
      done(null)
    }
  })

/** IPv4 comes first, since most phones on a local network know nothing else. */
export const defaultRouteAddress = async (): Promise<string | null> =>
  (await routedAddress("udp4")) ?? (await routedAddress("udp6"))

/**
 * Chooses the address to listen on.
 *
 * @param wanted the address that was asked for; null: none
 * @param routed the source address of the default route; null: there is none
 */
export const chooseAddress = (
  wanted: string | null,
  routed: string | null,
  addresses: readonly LocalAddress[],
): Choice => {
  const listed = addresses.map(inWords).join(", ")
  if (wanted !== null) return chosenByName(wanted, addresses, listed)
  const onRoute = addresses.find(({ address }) => address === routed)
  const chosen = onRoute ?? addresses.toSorted((left, right) => rank(left) - rank(right))[0]
  if (chosen === undefined) {
    return none(
      "this machine has no address on a network: connect it to the network of the phones first; " +
        "--lan 127.0.0.1 is for softphones on this machine",
    )
  }
  if (isPublic(chosen.address)) {
    return none(
      `${inWords(chosen)} is a public address, where the whole Internet can try passwords: --lan ${chosen.address} if that is ` +
        `meant${addresses.length > 1 ? `, or another address of this machine: ${others(chosen, addresses).map(inWords).join(", ")}` : ""}`,
    )
  }
  return found(chosen.address, addresses)
}

const chosenByName = (wanted: string, addresses: readonly LocalAddress[], listed: string): Choice => {
  const here = listed === "" ? "it has none on a network" : `there are ${listed}`
  const address = wanted.replace(/^\[(.*)\]$/, "$1").toLowerCase()
  if (isIP(address) === 0) return none(`${wanted} is no IP address: name an address of this machine; ${here}`)
  if (address === "0.0.0.0" || address === "::")
    return none(`${wanted} is no address that a phone can be given: name one of this machine; ${here}`)
  const known = addresses.find((entry) => entry.address === address)
  const isHere = known !== undefined || /^127\.|^::1$/.test(address)
  return isHere ? found(address, addresses) : none(`${wanted} is no address of this machine; ${here}`)
}

const none = (why: string): Choice => ({ _tag: "None", why: `--lan: ${why}` })

const found = (address: string, addresses: readonly LocalAddress[]): Choice => ({
  _tag: "Chosen",
  address,
  others: others({ address }, addresses),
})

const others = (
  { address }: { readonly address: string },
  addresses: readonly LocalAddress[],
): readonly LocalAddress[] => addresses.filter((entry) => entry.address !== address)

/** Without a default route: private addresses first, then self-assigned ones, public ones last; IPv4 before IPv6. */
const rank = ({ address }: LocalAddress): number =>
  (isPublic(address) ? 4 : address.startsWith("169.254.") ? 2 : 0) + (isIP(address) === 4 ? 0 : 1)

/** `192.0.2.10 (eth0)` */
export const inWords = ({ address, link }: LocalAddress): string => `${address} (${link})`

/** 5061 is left out: it is the port of SIP over TLS (RFC 3261 §19.1.2), which some phones then insist on. */
const ports = [5_060, ...Array.from({ length: 18 }, (_, index) => 5_062 + index)]

/**
 * The first port from 5060 on that is free for UDP and TCP; null: none of them is.
 *
 * @throws the error of the system when the address cannot be listened on at all
 */
export const freePort = async (address: string): Promise<number | null> => {
  for (const port of ports) {
    if ((await isFree("udp", address, port)) && (await isFree("tcp", address, port))) return port
  }
  return null
}

export const portsInWords = `${ports[0]}–${ports.at(-1)}`

const isFree = async (transport: "udp" | "tcp", host: string, port: number): Promise<boolean> => {
  const fault = await bindFault({ transport, host, port })
  if (fault !== null && fault.code !== "EADDRINUSE") throw fault
  return fault === null
}
