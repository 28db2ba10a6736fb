/** Connections that we open: one attempt for each peer, whoever waits for it. */
import type { Socket } from "node:net"
import { covers } from "./certificate-names.ts"
import { connectionAt, keyOf, listeningPort } from "./stream-state.ts"
import type { LiveConnection, Streams } from "./stream-state.ts"
import type { Connection } from "./transport.ts"
import type { Wire } from "./wire.ts"

/** The name only matters where it is proved. */
export const attemptOf = (
  { transport }: Streams,
  address: string,
  port: number,
  name: string | null = null,
): string => (transport.isSecure && name !== null ? `${keyOf(address, port)} ${name}` : keyOf(address, port))

/**
 * Whether the peer of an open connection is known to be that host. Without TLS nothing is known of anyone; over TLS
 * somebody else behind the same address must not get what is for that host (RFC 5922 §7.3, RFC 5923 §8.2).
 */
const isOf = ({ transport }: Streams, { wire, name: proved }: LiveConnection, name: string): boolean =>
  !transport.isSecure || proved === name || (wire.certificate !== null && covers(wire.certificate, name))

interface Destination {
  readonly address: string
  readonly port: number
  readonly name: string | null | undefined
}

/**
 * Opens a connection unless there is one.
 *
 * @param adopt takes over the connection, with our port and the name that the peer has proved
 */
export const openConnection = (
  streams: Streams,
  { address, port, name = null }: Destination,
  withinMs: number,
  done: (connection: Connection | null) => void,
  adopt: (wire: Wire, port: number, proved: string | null) => Connection,
): void => {
  const { opener, transport, limits, live, opening } = streams
  const connection = connectionAt(streams, keyOf(address, port))
  if (connection?.isOpen() === true && (name === null || isOf(streams, connection, name)))
    return done(connection)
  const key = attemptOf(streams, address, port, name)
  const attempt = opening.get(key)
  if (attempt !== undefined) {
    attempt.waiting.push(done)
    return
  }
  if (opener.connect === null || live.size + opening.size >= limits.connectionsMax) return done(null)
  const socket = opener.connect(address, port, name, (wire) => {
    // peers connect to our listening port, if there is one
    const ownPort = listeningPort(streams, wire.localAddress) ?? wire.localPort
    const isKept = opening.get(key)?.socket === socket
    if (!isKept) return wire.destroy()
    const proved = transport.isSecure ? (name ?? address) : null
    settle(streams, key, socket, adopt(wire, ownPort, proved))
  })
  opening.set(key, { socket, waiting: [done], giveUpAt: streams.clock() + withinMs })
  socket.on("error", () => settle(streams, key, socket, null))
}

/** Ends an attempt, if it is still that one. */
export const settle = (
  { opening }: Streams,
  key: string,
  socket: Socket,
  connection: Connection | null,
): void => {
  const attempt = opening.get(key)
  if (attempt?.socket !== socket) return
  opening.delete(key)
  if (connection === null) socket.destroy()
  for (const done of attempt.waiting) done(connection)
}
