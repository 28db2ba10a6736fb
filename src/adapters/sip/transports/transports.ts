/** The list of transports. */
import { transportNames } from "./names.ts"
import type { TransportName } from "./names.ts"
import { tcp } from "./tcp.ts"
import { tls } from "./tls.ts"
import type { Transport, Transports } from "./transport.ts"
import { transportSet } from "./transport.ts"
import { udp } from "./udp.ts"
import { ws } from "./ws.ts"
import { wss } from "./wss.ts"

const byName: { readonly [Name in TransportName]: Transport<Name> } = {
  udp,
  tcp,
  tls,
  ws,
  wss,
}

/** All transports: the default for a stack, and for looking up their properties. */
export const transports = transportSet(transportNames.map((name) => byName[name]))

/**
 * UDP and TCP, which every SIP element has (RFC 3261 §18), and what is listened on. A URI that asks for another
 * transport is refused where it is read, instead of being promised NOTIFYs.
 */
export const servedTransports = (listened: readonly TransportName[]): Transports =>
  transportSet(
    transportNames
      .filter((name) => name === "udp" || name === "tcp" || listened.includes(name))
      .map((name) => byName[name]),
  )

/** The transport with a name that has been validated. */
export const transportOf = (name: TransportName): Transport => byName[name]
