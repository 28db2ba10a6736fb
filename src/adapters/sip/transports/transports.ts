/**
 * The transports that there are.
 */
import { transportNames } from "./names.ts"
import type { TransportName } from "./names.ts"
import { tcp } from "./tcp.ts"
import type { Transport } from "./transport.ts"
import { transportSet } from "./transport.ts"
import { udp } from "./udp.ts"

const byName: { readonly [Name in TransportName]: Transport<Name> } = { udp, tcp }

/** All of them: for a stack without a list of its own, and for looking up the facts of a transport. */
export const transports = transportSet(transportNames.map((name) => byName[name]))

/** The transport of a name that has been checked. */
export const transportOf = (name: TransportName): Transport => byName[name]
