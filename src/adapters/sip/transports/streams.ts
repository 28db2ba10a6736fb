/**
 * The sockets of a stream transport: listening sockets, and connections opened by either side.
 *
 * @source RFC 3261 §18
 */
import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { Effect } from "effect"
import { BindFailed } from "../../../ports/sip-transport.ts"
import type { Names, RawMessage } from "../message-reader.ts"
import type { Limits } from "../options.ts"
import { bracketed } from "../uri.ts"
import { covers } from "./certificate-names.ts"
import { aliasPort } from "./connection-alias.ts"
import { makeFramer } from "./framer.ts"
import type { Framer, FrameSink } from "./framer.ts"
import { plainAddress } from "./local-address.ts"
import type { BindAddress, Connection, SocketParts, StreamSockets, Transport } from "./transport.ts"
import { socketWire } from "./wire.ts"
import type { Wire } from "./wire.ts"

/** What differs between stream transports: handshakes, how a connection is opened, and how messages are delimited. */
export interface StreamOpener {
  /**
   * Takes an accepted connection through its handshakes; absent: there are none.
   *
   * @param done called once; null if they failed
   */
  readonly greet?: (socket: Socket, done: (wire: Wire | null) => void) => void
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

interface LiveConnection extends Connection {
  readonly wire: Wire
  readonly framer: Framer
  readonly isInbound: boolean
  /** The name that the peer has proved, for a secure connection that we opened. */
  readonly name: string | null
  activeAt: number
  /** When the incomplete message began; null between messages. */
  insideSince: number | null
  /** When it was asked whether the peer is there, and nothing came since; null: not asked. */
  pingedAt: number | null
  /** Under which other key it is found (RFC 5923); null: none. */
  alias: string | null
}

interface OpeningConnection {
  readonly socket: Socket
  readonly waiting: ((connection: Connection | null) => void)[]
  readonly giveUpAt: number
}

/** The connections of one transport of one stack. */
interface Streams extends SocketParts {
  readonly transport: Transport
  readonly opener: StreamOpener
  readonly live: Map<string, LiveConnection>
  /** By address and port under which the peer asks to be reached over it. */
  readonly aliases: Map<string, LiveConnection>
  /** Accepted sockets whose handshakes are under way, and when they are given up. */
  readonly greeting: Map<Socket, number>
  readonly opening: Map<string, OpeningConnection>
  /** Connections opened to us, by address. */
  readonly perSource: Map<string, number>
  /** The port of the newest listening socket, which our own connections print in Via; 0 if there is none. */
  listeningPort: number
}

const keyOf = (address: string, port: number): string => `${address} ${port}`

/** How long pending data may take to be sent before a connection that lost framing is destroyed. */
const lingerMs = 1_000

export const openStreams = (
  transport: Transport,
  opener: StreamOpener,
  parts: SocketParts,
): StreamSockets => {
  const streams: Streams = {
    ...parts,
    transport,
    opener,
    live: new Map(),
    aliases: new Map(),
    greeting: new Map(),
    opening: new Map(),
    perSource: new Map(),
    listeningPort: 0,
  }
  return {
    kind: "streams",
    listen: (address) =>
      Effect.map(
        Effect.acquireRelease(bind(streams, address), (server) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            endAll(streams)
          }),
        ),
        (server) => {
          server.on("error", () => {})
          streams.listeningPort = portOf(server, address.port)
          return { transport, host: address.host, port: streams.listeningPort }
        },
      ),
    find: (address, port) => connectionAt(streams, keyOf(address, port)),
    isOpening: (address, port, name) => streams.opening.has(attemptOf(streams, address, port, name)),
    open: (address, port, withinMs, done, name) => open(streams, { address, port, name }, withinMs, done),
    tick: () => closeIdle(streams),
    closeAll: () => {
      for (const [key, { socket }] of streams.opening) settle(streams, key, socket, null)
      endAll(streams)
    },
  }
}

const endAll = (streams: Streams): void => {
  for (const socket of streams.greeting.keys()) socket.destroy()
  for (const { wire } of streams.live.values()) wire.destroy()
}

const connectionAt = ({ live, aliases }: Streams, key: string): LiveConnection | null =>
  live.get(key) ?? aliases.get(key) ?? null

/** The name only matters where it is proved. */
const attemptOf = (
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

const open = (
  streams: Streams,
  { address, port, name = null }: Destination,
  withinMs: number,
  done: (connection: Connection | null) => void,
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
    const ownPort = streams.listeningPort === 0 ? wire.localPort : streams.listeningPort
    const isKept = opening.get(key)?.socket === socket
    if (!isKept) return wire.destroy()
    const proved = transport.isSecure ? (name ?? address) : null
    settle(streams, key, socket, adopt(streams, wire, ownPort, proved))
  })
  opening.set(key, { socket, waiting: [done], giveUpAt: streams.clock() + withinMs })
  socket.on("error", () => settle(streams, key, socket, null))
}

/**
 * Takes over an established connection.
 *
 * @param proved for a connection that we opened, the name that the peer has proved; undefined: the peer opened it
 */
const adopt = (streams: Streams, wire: Wire, port: number, proved?: string | null): LiveConnection => {
  const { counters, limits, live, opener } = streams
  const { remoteAddress, remotePort, certificate } = wire
  const isInbound = proved === undefined
  const key = keyOf(remoteAddress, remotePort)
  let isOpen = true
  const connection: LiveConnection = {
    transport: streams.transport,
    wire,
    framer: (opener.makeFramer ?? makeFramer)(limits, streams.carried),
    isInbound,
    name: proved ?? null,
    certificate,
    remoteAddress,
    remotePort,
    host: wire.localAddress,
    port,
    // RFC 5923 §5: a peer may send its requests over a connection that we opened, if we can be told from others
    offersAlias: !isInbound && streams.transport.isSecure && streams.listeningPort !== 0,
    branches: new Set(),
    activeAt: streams.clock(),
    insideSince: null,
    pingedAt: null,
    alias: null,
    isOpen: () => isOpen,
    send: (bytes) => {
      if (!isOpen) return
      counters.sent++
      wire.write(bytes)
      // do not buffer without limit for a peer that does not read
      if (wire.queued() > limits.writeQueueBytesMax) wire.destroy()
    },
  }
  if (!live.has(key)) counters.connections++
  live.set(key, connection)
  const sink = sinkOf(streams, connection)
  wire.begin({
    received: (chunk) => receive(streams, connection, sink, chunk),
    alive: () => heard(streams, connection),
    closed: () => {
      isOpen = false
      if (live.get(key) === connection) {
        live.delete(key)
        counters.connections--
      }
      if (connection.alias !== null && streams.aliases.get(connection.alias) === connection)
        streams.aliases.delete(connection.alias)
      if (isInbound) releaseSource(streams, remoteAddress)
      streams.events.closed(connection)
    },
  })
  return connection
}

const sinkOf = (streams: Streams, connection: LiveConnection): FrameSink => {
  const { events, counters } = streams
  const { remoteAddress, remotePort, certificate, isInbound } = connection
  const mayHaveAlias = isInbound && certificate !== null
  return {
    message: (message) => {
      connection.insideSince = null
      if (mayHaveAlias) noteAlias(streams, connection, message)
      events.message(message, connection, remoteAddress, remotePort)
    },
    unreadable: () => {
      counters.dropped++
    },
    ping: () => connection.send(pong, remoteAddress, remotePort),
  }
}

/** Remembers the connection under the port at which the peer listens, if it proved to be the host in its Via. */
const noteAlias = (streams: Streams, connection: LiveConnection, message: RawMessage): void => {
  const { certificate } = connection.wire
  if (connection.alias !== null || certificate === null) return
  const port = aliasPort(message, certificate, streams.transport.defaultPort)
  if (port === null) return
  connection.alias = keyOf(connection.remoteAddress, port)
  streams.aliases.set(connection.alias, connection)
}

const heard = (streams: Streams, connection: LiveConnection): void => {
  streams.events.heard()
  connection.activeAt = streams.clock()
  connection.pingedAt = null
}

const receive = (streams: Streams, connection: LiveConnection, sink: FrameSink, chunk: Buffer): void => {
  heard(streams, connection)
  if (!connection.framer.push(chunk, sink)) {
    connection.wire.finish(lingerMs)
    return
  }
  if (!connection.framer.isInside()) connection.insideSince = null
  else connection.insideSince ??= connection.activeAt
}

const pong = Buffer.from("\r\n", "latin1")

const releaseSource = ({ perSource }: Streams, address: string): void => {
  const left = (perSource.get(address) ?? 1) - 1
  if (left > 0) perSource.set(address, left)
  else perSource.delete(address)
}

/** A connection opened by a peer. */
const accept = (streams: Streams, socket: Socket, port: number): void => {
  const { counters, limits, perSource, greeting, opener } = streams
  const source = plainAddress(socket.remoteAddress ?? "")
  const held = perSource.get(source) ?? 0
  const isFull =
    source === "" ||
    streams.live.size + greeting.size >= limits.connectionsMax ||
    held >= limits.connectionsPerSourceMax
  const areTooManyBegun = opener.greet !== undefined && greeting.size >= limits.handshakesMax
  if (isFull || areTooManyBegun) {
    if (isFull) counters.connectionsRefused++
    else {
      counters.handshakesRefused++
      streams.onLimit?.("handshakes_max")
    }
    socket.on("error", () => {})
    socket.destroy()
    return
  }
  perSource.set(source, held + 1)
  if (opener.greet === undefined) {
    adopt(streams, socketWire(socket), port)
    return
  }
  greeting.set(socket, streams.clock() + limits.handshakeMs)
  counters.handshakes++
  socket.on("error", () => {})
  opener.greet(socket, (wire) => {
    // given up before
    if (!greeting.delete(socket)) return wire?.destroy()
    counters.handshakes--
    if (wire !== null && wire.remoteAddress !== "") {
      adopt(streams, wire, port)
      return
    }
    counters.handshakesFailed++
    socket.destroy()
    releaseSource(streams, source)
  })
}

const settle = ({ opening }: Streams, key: string, socket: Socket, connection: Connection | null): void => {
  const attempt = opening.get(key)
  if (attempt?.socket !== socket) return
  opening.delete(key)
  if (connection === null) socket.destroy()
  for (const done of attempt.waiting) done(connection)
}

/** Closes connections that are idle, slow to complete a message, or slow to open, and asks silent ones. */
const closeIdle = (streams: Streams): void => {
  const { limits, counters } = streams
  const now = streams.clock()
  for (const [key, { giveUpAt, socket }] of streams.opening)
    if (giveUpAt <= now) settle(streams, key, socket, null)
  for (const [socket, giveUpAt] of streams.greeting) if (giveUpAt <= now) giveUp(streams, socket)
  for (const connection of streams.live.values()) {
    const { wire, activeAt, branches, insideSince, pingedAt } = connection
    const isIdle = now - activeAt > limits.connectionIdleMs && branches.size === 0
    const isSlow = insideSince !== null && now - insideSince > limits.headCompleteMs
    if (isIdle || isSlow) wire.destroy()
    else if (wire.ping === null || limits.pingMs === 0) continue
    else if (pingedAt === null) {
      if (now - activeAt < limits.pingMs) continue
      connection.pingedAt = now
      wire.ping()
    } else if (now - pingedAt > limits.pingMs) {
      counters.pingsUnanswered++
      wire.destroy()
    }
  }
}

const giveUp = (streams: Streams, socket: Socket): void => {
  streams.greeting.delete(socket)
  streams.counters.handshakes--
  streams.counters.handshakesTimedOut++
  releaseSource(streams, plainAddress(socket.remoteAddress ?? ""))
  socket.destroy()
}

const portOf = (server: Server, presumed: number): number => {
  const bound = server.address()
  return typeof bound === "object" && bound !== null ? bound.port : presumed
}

const bind = (streams: Streams, { host, port }: BindAddress): Effect.Effect<Server, BindFailed> =>
  Effect.callback<Server, BindFailed>((resume) => {
    // whoever says nothing more before the end of a handshake is gone
    const allowHalfOpen = streams.opener.greet === undefined
    const server = createServer({ allowHalfOpen }, (socket) => accept(streams, socket, portOf(server, port)))
    server.once("error", (cause) =>
      resume(
        Effect.fail(
          new BindFailed({ address: `${streams.transport.name}:${bracketed(host)}:${port}`, cause }),
        ),
      ),
    )
    server.listen({ port, host, ipv6Only: host.includes(":") }, () => {
      server.removeAllListeners("error")
      resume(Effect.succeed(server))
    })
  })
