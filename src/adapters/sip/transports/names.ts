/**
 * What the transports are called, for settings and flags: reading a name opens nothing and loads no sockets.
 */

/** UDP first: what a URI leaves open goes over it (RFC 3263 §4.1). `transports.ts` has the transport of each. */
export const transportNames = ["udp", "tcp"] as const

export type TransportName = (typeof transportNames)[number]

/** That of a URI, or a flag, that names none. */
export const presumedName: TransportName = transportNames[0]

/** Is it the name of a transport, as settings write it? */
export const isTransportName = (text: string): text is TransportName =>
  transportNames.some((name) => name === text)
