/**
 * The transports that there are.
 */
import { tcp } from "./tcp.ts"
import type { Transport } from "./transport.ts"
import { transportSet } from "./transport.ts"
import { udp } from "./udp.ts"

/** UDP first: what a URI leaves open goes over it (RFC 3263 §4.1). */
const all = [udp, tcp] as const

export type TransportName = (typeof all)[number]["name"]

export const transportNames: readonly TransportName[] = all.map(({ name }) => name)

/** That of a URI, or a flag, that names none. */
export const presumedName: TransportName = all[0].name

/** All of them, for a stack that is not given its own list, and for whoever only wants to know what a transport is. */
export const transports = transportSet(all)

/** Is it the name of a transport, as settings write it? */
export const isTransportName = (text: string): text is TransportName => transports.named(text) !== null

/** The transport of a name that has been checked. */
export const transportOf = (name: TransportName): Transport => transports.named(name)!
