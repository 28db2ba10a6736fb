/**
 * What a transport is: its names, its ports, what it promises, and how its sockets are opened.
 *
 * Each transport is one value in a file of its own; `transports.ts` lists those that there are. Everything else asks the value,
 * so that a further transport is a file, a name in `names.ts` and an entry in that list.
 */
import type { Socket } from "node:net"
import type { Effect, Scope } from "effect"
import type { BindFailed, SipCounters } from "../../../ports/sip-transport.ts"
import type { Names, RawMessage } from "../message-reader.ts"
import type { Limits } from "../options.ts"

export interface Transport<Name extends string = string> {
  /** As settings, flows, places and the log have it: `udp`. */
  readonly name: Name
  /** As the Via header has it: `UDP` (RFC 3261 §20.42). */
  readonly viaName: string
  /** A stream: what is written arrives, so nothing is retransmitted, and the other end has shown that it receives. */
  readonly isReliable: boolean
  /** Whether a `sips` URI may be reached over it (RFC 3261 §26.2). */
  readonly isSecure: boolean
  /** The port of a URI that names none (RFC 3261 §18.1.1, RFC 7118 §5). */
  readonly defaultPort: number
  /** URIs that name it, as scheme and `transport` parameter: `sip:udp`. */
  readonly namedBy: readonly string[]
  /** The `transport` parameter of a URI of ours; null: a URI without one leads to it. */
  readonly uriParameter: string | null
  /** The service that NAPTR records call it by, and what stands before a host in its SRV records (RFC 3263 §4.1, §4.2). */
  readonly naptrService: string
  readonly srvPrefix: string
  /** Of a datagram transport: the name of the one that takes requests which are too big for it (RFC 3261 §18.1.1). */
  readonly bigRequestsOver: string | null
  /** The transport whose port it takes when the system chooses (RFC 3261 §18.2.1: TCP is served where UDP is). */
  readonly besidePortOf: string | null
  /** Opens nothing yet: `listen` does, and of a stream transport `open`. */
  readonly makeSockets: (parts: SocketParts) => Sockets
  /** A connection to a numeric address for a client of its own, and what it says when it is there; null: datagrams. */
  readonly connect: ((address: string, port: number, connected: () => void) => Socket) | null
}

/** Something bytes can be sent through: a UDP socket, or one connection (which ignores the address). */
export interface Channel {
  /** @param failed called, never at once, when the bytes could not be sent at all */
  readonly send: (bytes: Buffer, address: string, port: number, failed?: () => void) => void
}

/** Where a transport listens, or what of that is seen in one connection. */
export interface Listener {
  readonly transport: Transport
  /** As bound, or the address of this end of a connection; without brackets. */
  readonly host: string
  /** The port others may send to: of a connection that of the listening socket. */
  readonly port: number
}

/** What a message came over, and what its answer goes back through. */
export interface Flow extends Listener, Channel {}

export interface Connection extends Flow {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly isOpen: () => boolean
  /** Branches of requests of ours that wait for an answer on it. */
  readonly branches: Set<string>
}

export interface BindAddress {
  /** Numeric, without brackets. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

interface Listening {
  /** Opens a listening socket that closes with the scope. */
  readonly listen: (address: BindAddress) => Effect.Effect<Listener, BindFailed, Scope.Scope>
  /** Moves time on; called every few ten milliseconds. */
  readonly tick: () => void
  readonly closeAll: () => void
}

export interface DatagramSockets extends Listening {
  readonly kind: "datagrams"
  /** The sockets that are open; each can send anywhere. */
  readonly listeners: readonly Flow[]
}

export interface StreamSockets extends Listening {
  readonly kind: "streams"
  /** An open connection with that peer, whichever side opened it. */
  readonly find: (address: string, port: number) => Connection | null
  /** Whether a connection to that peer is on its way. */
  readonly isOpening: (address: string, port: number) => boolean
  /**
   * Opens a connection unless there is one; null after a refusal or when it takes longer than `withinMs`.
   * Callers that come while it is being opened share the attempt.
   */
  readonly open: (
    address: string,
    port: number,
    withinMs: number,
    done: (connection: Connection | null) => void,
  ) => void
}

export type Sockets = DatagramSockets | StreamSockets

/** What sockets need of the stack they belong to. */
export interface SocketParts {
  readonly limits: Limits
  readonly counters: SipCounters
  /** Milliseconds that only grow. */
  readonly clock: () => number
  /** Names of headers to keep besides those that the message reader knows, in lower case. */
  readonly carried: Names
  readonly events: SocketEvents
}

export interface SocketEvents {
  /** Called when anything was received, also what is no message. */
  readonly heard: () => void
  readonly message: (message: RawMessage, flow: Flow, address: string, port: number) => void
  /** The connection is closed; requests sent over it will not be answered. */
  readonly closed: (connection: Connection) => void
}

/** The transports that one stack uses. */
export interface Transports {
  /** In the order in which they are opened, and tried where nothing says which; the first is that of a plain `sip` URI. */
  readonly all: readonly Transport[]
  readonly named: (name: string) => Transport | null
  /**
   * The transport that a URI of a scheme names by its `transport` parameter (null: it has none).
   *
   * @returns `open` where the URI leaves it open; null where it cannot be reached
   * @source RFC 3263 §4.1
   */
  readonly ofUri: (scheme: string, parameter: string | null) => Transport | "open" | null
  /** The transport in a flow or a place such as `udp:192.0.2.10:5060`. */
  readonly ofFlow: (flow: string) => Transport | null
  /** Whether a URI of that scheme can be reached at all. */
  readonly reaches: (scheme: string) => boolean
  /** What is used where nothing says which. */
  readonly presumed: Transport
}

/** @throws Error when there is none, or two have one name: a mistake in wiring, found at start */
export const transportSet = (all: readonly Transport[]): Transports => {
  const byName = new Map(all.map((transport) => [transport.name, transport]))
  const byUri = new Map(all.flatMap((transport) => transport.namedBy.map((text) => [text, transport])))
  const [presumed] = all
  if (presumed === undefined || byName.size < all.length)
    throw new Error("a SIP stack needs transports, each with a name of its own")
  const secure = all.find(({ isSecure }) => isSecure) ?? null
  return {
    all,
    presumed,
    named: (name) => byName.get(name) ?? null,
    ofUri: (scheme, parameter) => {
      if (parameter !== null) return byUri.get(`${scheme}:${parameter}`) ?? null
      return scheme === "sip" ? "open" : scheme === "sips" ? secure : null
    },
    ofFlow: (flow) => byName.get(flow.slice(0, flow.indexOf(":"))) ?? null,
    reaches: (scheme) => scheme === "sip" || (scheme === "sips" && secure !== null),
  }
}
