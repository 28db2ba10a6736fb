/** The names of the transports, for settings and flags: importing this loads no sockets. */

/** UDP first: it is the default where a URI leaves the transport open (RFC 3263 §4.1). See `transports.ts`. */
export const transportNames = ["udp", "tcp"] as const

export type TransportName = (typeof transportNames)[number]

/** The default of URIs and flags that name none. */
export const presumedName: TransportName = transportNames[0]

/** Whether the text is a transport's name as used in settings. */
export const isTransportName = (text: string): text is TransportName =>
  transportNames.some((name) => name === text)
