/**
 * An established connection as its transport presents it to `streams.ts`: bytes of a stream, or whole messages of a
 * WebSocket.
 */
import type { Socket } from "node:net"
import type { PeerCertificate } from "./certificate-names.ts"
import { plainAddress } from "./local-address.ts"
import type { Remote } from "./proxy-header.ts"

export interface WireEvents {
  /** A segment of the stream, or one whole message. */
  readonly received: (bytes: Buffer) => void
  /** The peer has answered a ping. */
  readonly alive: () => void
  /** Called once, after which nothing is received. */
  readonly closed: () => void
}

export interface Wire {
  /** Canonical, without brackets; empty if the peer has already gone. */
  readonly remoteAddress: string
  readonly remotePort: number
  /** Whether a proxy has said whose connection it is: then address and port are not those of the socket. */
  readonly isPassedOn: boolean
  /** False: the proxy has told the address only. */
  readonly isPortKnown: boolean
  readonly localAddress: string
  readonly localPort: number
  /** The peer's certificate, if it was verified; null: none, or the transport has none. */
  readonly certificate: PeerCertificate | null
  /** Called once; until then nothing is delivered. */
  readonly begin: (events: WireEvents) => void
  readonly write: (bytes: Buffer) => void
  /** Octets that the system has not taken yet. */
  readonly queued: () => number
  /** Asks whether the peer is still there; null if only the SIP side can ask that. */
  readonly ping: (() => void) | null
  /** Takes nothing more, and closes when what is queued is sent, or after that many milliseconds. */
  readonly finish: (withinMs: number) => void
  readonly destroy: () => void
}

/**
 * The wire of a TCP or TLS socket.
 *
 * @param remote whose connection a proxy passes on; null: that of the socket's peer
 */
export const socketWire = (
  socket: Socket,
  certificate: PeerCertificate | null = null,
  remote: Remote | null = null,
): Wire => ({
  remoteAddress: remote?.address ?? plainAddress(socket.remoteAddress ?? ""),
  remotePort: (remote?.port ?? 0) === 0 ? (socket.remotePort ?? 0) : remote!.port,
  isPassedOn: remote !== null,
  isPortKnown: remote?.port !== 0,
  localAddress: plainAddress(socket.localAddress ?? ""),
  localPort: socket.localPort ?? 0,
  certificate,
  begin: ({ received, closed }) => {
    socket.setNoDelay(true)
    socket.on("data", received)
    socket.on("error", () => socket.destroy())
    socket.on("end", () => socket.end())
    socket.on("close", closed)
  },
  write: (bytes) => void socket.write(bytes),
  queued: () => socket.writableLength,
  ping: null,
  finish: (withinMs) => {
    socket.removeAllListeners("data")
    socket.resume()
    socket.end()
    socket.setTimeout(withinMs, () => socket.destroy())
  },
  destroy: () => void socket.destroy(),
})
