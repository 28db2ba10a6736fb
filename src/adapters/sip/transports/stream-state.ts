/** What the sockets of a stream transport keep of their connections. */
import type { Socket } from "node:net"
import type { Names } from "../message-reader.ts"
import type { Limits } from "../options.ts"
import type { Framer } from "./framer.ts"
import { isWildcard } from "./local-address.ts"
import type { OnProxyFault, Proxies } from "./proxies.ts"
import type { Remote } from "./proxy-header.ts"
import type { Connection, Listener, SocketParts, Transport } from "./transport.ts"
import type { Wire } from "./wire.ts"

/** What differs between stream transports: handshakes, how a connection is opened, and how messages are delimited. */
export interface StreamOpener {
  /**
   * Takes an accepted connection through its handshakes; absent: there are none.
   *
   * @param remote whose connection a proxy passes on; null: that of whoever opened it
   * @param done called once; null if they failed
   */
  readonly greet?: (socket: Socket, remote: Remote | null, done: (wire: Wire | null) => void) => void
  /** A proxy says in the handshake whose connection it passes on. */
  readonly isForwarded?: true
  /**
   * Opens a connection; a failure is an `error` of the socket. Null: only peers open them.
   *
   * @param name the host that the peer has to prove to be; null: the address
   */
  readonly connect:
    | ((address: string, port: number, name: string | null, connected: (wire: Wire) => void) => Socket)
    | null
  /** Absent: messages follow each other in a stream of bytes. */
  readonly makeFramer?: (limits: Limits, carried: Names) => Framer
}

export interface LiveConnection extends Connection {
  readonly wire: Wire
  readonly framer: Framer
  readonly isInbound: boolean
  /** The name that the peer has proved, for a secure connection that we opened. */
  readonly name: string | null
  activeAt: number
  /** By dialog, until when it depends on the connection; null: none ever did. */
  dialogs: Map<string, number> | null
  /** When the incomplete message began; null between messages. */
  insideSince: number | null
  /** When it was asked whether the peer is there, and nothing came since; null: not asked. */
  pingedAt: number | null
  /** Nothing was received yet on a connection that must not begin with the header of a proxy. */
  isUnread: boolean
  /** Under which other key it is found (RFC 5923); null: none. */
  alias: string | null
}

/** An accepted socket whose handshakes are under way. */
export interface Greeting {
  /** The address that it counts for; null: not known yet, since a proxy passes it on. */
  held: string | null
  readonly giveUpAt: number
}

export interface OpeningConnection {
  readonly socket: Socket
  readonly waiting: ((connection: Connection | null) => void)[]
  readonly giveUpAt: number
}

/** The connections of one transport of one stack. */
export interface Streams extends SocketParts {
  readonly proxies: Proxies
  readonly onProxyFault: OnProxyFault
  readonly transport: Transport
  readonly opener: StreamOpener
  readonly live: Map<string, LiveConnection>
  /** By address and port under which the peer asks to be reached over it. */
  readonly aliases: Map<string, LiveConnection>
  /** Accepted sockets whose handshakes are under way, the oldest first. */
  readonly greeting: Map<Socket, Greeting>
  readonly opening: Map<string, OpeningConnection>
  /** Connections opened to us, by address. */
  readonly perSource: Map<string, number>
  /** Those listening, the oldest first. */
  readonly listeners: Listener[]
}

/**
 * The port that peers of a connection of ours can connect to, which it prints in Via: of the socket that listens on its
 * local address, on all addresses, or at all; null: none does.
 */
export const listeningPort = ({ listeners }: Streams, localAddress: string): number | null => {
  const isOfFamily = ({ host, isDual = false }: Listener): boolean =>
    isDual || host.includes(":") === localAddress.includes(":")
  const listener =
    listeners.find(({ host }) => host === localAddress) ??
    listeners.find((candidate) => isWildcard(candidate.host) && isOfFamily(candidate)) ??
    listeners.find(isOfFamily) ??
    listeners[0]
  return listener?.port ?? null
}

export const keyOf = (address: string, port: number): string => `${address} ${port}`

/** The connection with that peer, or the one over which the peer asks to be reached there. */
export const connectionAt = ({ live, aliases }: Streams, key: string): LiveConnection | null =>
  live.get(key) ?? aliases.get(key) ?? null
