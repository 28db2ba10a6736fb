/**
 * A transport: its names and ports, its properties, and how its sockets are opened.
 *
 * Each transport is one value in a file of its own, listed in `transports.ts`. Everything else depends on the
 * value only, so that adding a transport takes a file, a name in `names.ts` and an entry in that list.
 */
import type { Socket } from "node:net"
import type { Effect, Scope } from "effect"
import type { BindFailed, SipCounters } from "../../../ports/sip-transport.ts"
import type { Names, RawMessage } from "../message-reader.ts"
import type { Limits, SipLimit } from "../options.ts"
import type { PeerCertificate } from "./certificate-names.ts"
import type { OnProxyFault, Proxies } from "./proxies.ts"
import type { TlsIdentity } from "./tls-identity.ts"
import type { WebSocketOptions } from "./web-socket.ts"

export interface Transport<Name extends string = string> {
  /** As in settings, flows, places and the log: `udp`. */
  readonly name: Name
  /** As in the Via header: `UDP` (RFC 3261 §20.42). */
  readonly viaName: string
  /** A stream: nothing is retransmitted, and the peer is known to receive at its address. */
  readonly isReliable: boolean
  /** Whether a `sips` URI may be reached over it (RFC 3261 §26.2). */
  readonly isSecure: boolean
  /** Whether we can be the one who sends first. A WebSocket is opened by the client only (RFC 7118 §5). */
  readonly isDialed: boolean
  /** The port for a URI without one (RFC 3261 §18.1.1, RFC 7118 §5). */
  readonly defaultPort: number
  /** URIs that select it, as scheme and `transport` parameter: `sip:udp`. */
  readonly namedBy: readonly string[]
  /** The `transport` parameter of our own URIs; null if the default transport needs none. */
  readonly uriParameter: string | null
  /** The same in a `sips` URI of ours; without meaning for transports that are not secure. */
  readonly secureUriParameter: string | null
  /** Its service in NAPTR records, and the prefix of its SRV names (RFC 3263 §4.1, §4.2). */
  readonly naptrService: string
  readonly srvPrefix: string
  /** The name of the transport for requests too big for a datagram (RFC 3261 §18.1.1); null for streams. */
  readonly bigRequestsOver: string | null
  /** The transport whose port it shares when the system chooses (RFC 3261 §18.2.1: TCP is served where UDP is). */
  readonly besidePortOf: string | null
  /** Opens nothing yet; `listen` does, and `open` of a stream transport. */
  readonly makeSockets: (parts: SocketParts) => Sockets
  /** Connects to a numeric address, for the SIP client, and calls back when connected; null for datagrams. */
  readonly connect:
    | ((address: string, port: number, connected: () => void, options?: ConnectOptions) => Socket)
    | null
}

/** What the SIP client knows of the server beyond its address. */
export interface ConnectOptions {
  /** The name that its certificate has to have; absent: the address. */
  readonly servername?: string
  /** Certificates of the authorities to believe, PEM; absent: those that Node brings along. */
  readonly authorities?: string
  /** False: any certificate will do. */
  readonly isVerified?: boolean
}

/** Sends bytes: a UDP socket, or one connection (which ignores the address). */
export interface Channel {
  /** @param failed called, never synchronously, if the bytes could not be sent */
  readonly send: (bytes: Buffer, address: string, port: number, failed?: () => void) => void
}

/** A listening socket, or the local end of a connection. */
export interface Listener {
  readonly transport: Transport
  /** As bound, or the local address of a connection; without brackets. */
  readonly host: string
  /** The port that others can send to: for a connection, the port of the listening socket. */
  readonly port: number
  /** It takes IPv4 and IPv6. */
  readonly isDual?: boolean
}

/** What a message arrived on and its response goes back through. */
export interface Flow extends Listener, Channel {
  /** The verified certificate of the peer; absent: none. */
  readonly certificate?: PeerCertificate | null
  /** Whether requests on it offer the peer to use it for its own (RFC 5923); absent: no. */
  readonly offersAlias?: boolean
}

export interface Connection extends Flow {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly isOpen: () => boolean
  /** Branches of our outstanding requests on this connection. */
  readonly branches: Set<string>
  /** When something was last received on it, in monotonic milliseconds. */
  readonly activeAt: number
  /** A dialog depends on it for so long, during which it is not closed for being idle; 0: no more. */
  readonly keepFor: (dialog: string, millis: number) => void
  /** Gives it up: nobody is there. */
  readonly close: () => void
}

export interface BindAddress {
  /** Numeric, without brackets. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** For `::`: whether it takes IPv4 as well; absent: no. */
  readonly isDual?: boolean
}

interface Listening {
  /** Opens a listening socket that closes with the scope. */
  readonly listen: (address: BindAddress) => Effect.Effect<Listener, BindFailed, Scope.Scope>
  /** Advances time; called every few tens of milliseconds. */
  readonly tick: () => void
  readonly closeAll: () => void
}

export interface DatagramSockets extends Listening {
  readonly kind: "datagrams"
  /** The open sockets; each can send to any address. */
  readonly listeners: readonly Flow[]
}

export interface StreamSockets extends Listening {
  readonly kind: "streams"
  /** An open connection with that peer, opened by either side. */
  readonly find: (address: string, port: number) => Connection | null
  /** Whether a connection to that peer is being opened. */
  readonly isOpening: (address: string, port: number, name?: string | null) => boolean
  /**
   * Opens a connection unless there is one; null if it is refused, or takes longer than `withinMs`.
   * Concurrent callers share the attempt.
   *
   * @param name the host of the URI, before DNS, which a secure peer has to prove to be; absent or null: the address
   */
  readonly open: (
    address: string,
    port: number,
    withinMs: number,
    done: (connection: Connection | null) => void,
    name?: string | null,
  ) => void
}

export type Sockets = DatagramSockets | StreamSockets

/** What sockets need from their stack. */
export interface SocketParts {
  readonly limits: Limits
  readonly counters: SipCounters
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Names of headers to keep besides those that the message reader keeps anyway, in lower case. */
  readonly carried: Names
  readonly events: SocketEvents
  /** Certificates; absent: none, so that nothing listens over TLS, and connections of ours show none. */
  readonly tls?: TlsIdentity
  readonly webSocket?: WebSocketOptions
  /** Which peers pass on connections of others; absent: none. */
  readonly proxies?: Proxies
  readonly onProxyFault?: OnProxyFault
  readonly onLimit: (limit: SipLimit, address?: string) => void
}

export interface SocketEvents {
  /** Called when anything is received, even if it is not a message. */
  readonly heard: () => void
  readonly message: (message: RawMessage, flow: Flow, address: string, port: number) => void
  /** The connection is closed; outstanding requests on it will not be answered. */
  readonly closed: (connection: Connection) => void
}

/** The transports of one stack. */
export interface Transports {
  /** In order of opening and of preference; the first is the default of a plain `sip` URI. */
  readonly all: readonly Transport[]
  readonly named: (name: string) => Transport | null
  /**
   * The transport that a URI selects by scheme and `transport` parameter (null: no parameter).
   *
   * @returns `open` if the URI does not determine it; null if there is no such transport @source RFC 3263
   * §4.1
   */
  readonly ofUri: (scheme: string, parameter: string | null) => Transport | "open" | null
  /** The transport of a flow or place such as `udp:192.0.2.10:5060`. */
  readonly ofFlow: (flow: string) => Transport | null
  /** Whether a URI with that scheme can be reached at all. */
  readonly reaches: (scheme: string) => boolean
  /** The default when nothing determines it. */
  readonly presumed: Transport
}

/** @throws Error if there are none, or two have the same name: a programming error, found at start */
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
