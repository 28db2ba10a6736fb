/** The names of the transports, for settings and flags: importing this loads no sockets. */

/** UDP first: it is the default where a URI leaves the transport open (RFC 3263 §4.1). See `transports.ts`. */
export const transportNames = ["udp", "tcp", "tls", "ws", "wss"] as const

export type TransportName = (typeof transportNames)[number]

/** The default of URIs and flags that name none. */
export const presumedName = transportNames[0]

/** Those over which the SIP client of the command line can speak. */
export const clientTransportNames = ["udp", "tcp", "tls"] as const satisfies readonly TransportName[]

export type ClientTransportName = (typeof clientTransportNames)[number]

export const isClientTransportName = (text: string): text is ClientTransportName =>
  clientTransportNames.some((name) => name === text)

/** Those that need a certificate to listen. */
export const secureNames: readonly TransportName[] = ["tls", "wss"]

/** Whether the text is a transport's name as used in settings. */
export const isTransportName = (text: string): text is TransportName =>
  transportNames.some((name) => name === text)
