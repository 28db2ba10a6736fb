/**
 * The sockets of a stream transport: listening sockets, and connections opened by either side.
 *
 * @source RFC 3261 §18
 */
import type { Server, Socket } from "node:net"
import { Effect } from "effect"
import { BindFailed } from "../../../ports/sip-transport.ts"
import { bracketed } from "../uri.ts"
import { makeFramer } from "./framer.ts"
import type { Framer, FrameSink } from "./framer.ts"
import { plainAddress } from "./local-address.ts"
import type { BindAddress, Connection, SocketParts, StreamSockets, Transport } from "./transport.ts"

/** What differs between stream transports: how a server and a connection are created. */
export interface StreamOpener {
  /** Creates a server that allows half-open connections and does not listen yet. */
  readonly createServer: (accept: (socket: Socket) => void) => Server
  readonly connect: (address: string, port: number, connected: () => void) => Socket
}

interface LiveConnection extends Connection {
  readonly socket: Socket
  readonly framer: Framer
  readonly isInbound: boolean
  activeAt: number
  /** By dialog, until when it depends on the connection; null: none ever did. */
  dialogs: Map<string, number> | null
  /** When the incomplete message began; null between messages. */
  insideSince: number | null
}

interface OpeningConnection {
  readonly socket: Socket
  readonly waiting: ((connection: Connection | null) => void)[]
  readonly giveUpAt: number
}

/** The connections of one transport of one stack. */
interface Streams extends SocketParts {
  readonly transport: Transport
  readonly live: Map<string, LiveConnection>
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
    live: new Map(),
    opening: new Map(),
    perSource: new Map(),
    listeningPort: 0,
  }
  return {
    kind: "streams",
    listen: (address) =>
      Effect.map(
        Effect.acquireRelease(bind(streams, opener, address), (server) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            for (const connection of streams.live.values()) connection.socket.destroy()
          }),
        ),
        (server) => {
          server.on("error", () => {})
          streams.listeningPort = portOf(server, address.port)
          return { transport, host: address.host, port: streams.listeningPort }
        },
      ),
    find: (address, port) => {
      const connection = streams.live.get(keyOf(address, port))
      return connection?.isOpen() === true ? connection : null
    },
    isOpening: (address, port) => streams.opening.has(keyOf(address, port)),
    open: (address, port, withinMs, done) => {
      const key = keyOf(address, port)
      const connection = streams.live.get(key)
      if (connection !== undefined && connection.isOpen()) return done(connection)
      const opening = streams.opening.get(key)
      if (opening !== undefined) {
        opening.waiting.push(done)
        return
      }
      if (streams.live.size + streams.opening.size >= streams.limits.connectionsMax) return done(null)
      const socket = opener.connect(address, port, () => {
        socket.removeAllListeners("error")
        // peers connect to our listening port, if there is one
        const ownPort = streams.listeningPort === 0 ? (socket.localPort ?? 0) : streams.listeningPort
        settle(streams, key, adopt(streams, socket, false, ownPort))
      })
      streams.opening.set(key, { socket, waiting: [done], giveUpAt: streams.clock() + withinMs })
      socket.once("error", () => settle(streams, key, null))
    },
    tick: () => closeIdle(streams),
    closeAll: () => {
      for (const key of streams.opening.keys()) settle(streams, key, null)
      for (const connection of streams.live.values()) connection.socket.destroy()
    },
  }
}

/** Takes over an established connection. */
const adopt = (streams: Streams, socket: Socket, isInbound: boolean, port: number): LiveConnection => {
  const { counters, limits, live } = streams
  const remoteAddress = plainAddress(socket.remoteAddress ?? "")
  const remotePort = socket.remotePort ?? 0
  const key = keyOf(remoteAddress, remotePort)
  let isOpen = true
  const connection: LiveConnection = {
    transport: streams.transport,
    socket,
    framer: makeFramer(limits, streams.carried),
    isInbound,
    remoteAddress,
    remotePort,
    host: plainAddress(socket.localAddress ?? ""),
    port,
    branches: new Set(),
    activeAt: streams.clock(),
    insideSince: null,
    dialogs: null,
    isOpen: () => isOpen,
    keepFor: (dialog, millis) => {
      if (millis > 0) (connection.dialogs ??= new Map()).set(dialog, streams.clock() + millis)
      else connection.dialogs?.delete(dialog)
    },
    close: () => {
      // what is sent from now on takes another way
      isOpen = false
      socket.destroy()
    },
    send: (bytes) => {
      if (!isOpen) return
      counters.sent++
      socket.write(bytes)
      // do not buffer without limit for a peer that does not read
      if (socket.writableLength <= limits.writeQueueBytesMax) return
      counters.connectionsUnread++
      streams.onLimit("connection_octets_max", remoteAddress)
      socket.destroy()
    },
  }
  if (!live.has(key)) counters.connections++
  live.set(key, connection)
  socket.setNoDelay(true)
  const sink = sinkOf(streams, connection)
  socket.on("data", (chunk: Buffer) => receive(streams, connection, sink, chunk))
  socket.on("error", () => socket.destroy())
  socket.on("end", () => socket.end())
  socket.on("close", () => {
    isOpen = false
    if (live.get(key) === connection) {
      live.delete(key)
      counters.connections--
    }
    if (isInbound) releaseSource(streams, remoteAddress)
    streams.events.closed(connection)
  })
  return connection
}

const sinkOf = ({ events, counters }: Streams, connection: LiveConnection): FrameSink => {
  const { remoteAddress, remotePort } = connection
  return {
    message: (message) => {
      connection.insideSince = null
      events.message(message, connection, remoteAddress, remotePort)
    },
    ping: () => {
      counters.keepAlivesAnswered++
      connection.send(pong, remoteAddress, remotePort)
    },
  }
}

const receive = (streams: Streams, connection: LiveConnection, sink: FrameSink, chunk: Buffer): void => {
  const { socket } = connection
  streams.events.heard()
  connection.activeAt = streams.clock()
  if (!connection.framer.push(chunk, sink)) {
    socket.removeAllListeners("data")
    socket.resume()
    socket.end()
    socket.setTimeout(lingerMs, () => socket.destroy())
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
  const { counters, limits, perSource } = streams
  const source = plainAddress(socket.remoteAddress ?? "")
  const held = perSource.get(source) ?? 0
  const isFull = streams.live.size >= limits.connectionsMax
  const isSourceFull = limits.connectionsPerSourceMax > 0 && held >= limits.connectionsPerSourceMax
  if (source === "" || isFull || isSourceFull) {
    if (isFull || source === "") counters.connectionsRefused++
    else counters.connectionsRefusedOfSource++
    if (source !== "") streams.onLimit(isFull ? "connections_max" : "connections_per_source_max", source)
    socket.on("error", () => {})
    socket.destroy()
    return
  }
  perSource.set(source, held + 1)
  adopt(streams, socket, true, port)
}

const settle = ({ opening }: Streams, key: string, connection: Connection | null): void => {
  const attempt = opening.get(key)
  if (attempt === undefined) return
  opening.delete(key)
  if (connection === null) attempt.socket.destroy()
  for (const done of attempt.waiting) done(connection)
}

/** Closes connections that are idle, slow to complete a message, or slow to open. */
const closeIdle = (streams: Streams): void => {
  const { limits, counters, onLimit } = streams
  const now = streams.clock()
  for (const [key, { giveUpAt }] of streams.opening) if (giveUpAt <= now) settle(streams, key, null)
  for (const connection of streams.live.values()) {
    const { activeAt, branches, insideSince, remoteAddress } = connection
    const isIdle = now - activeAt > limits.connectionIdleMs && branches.size === 0
    const isSlow = insideSince !== null && now - insideSince > limits.headCompleteMs
    if (isSlow) {
      counters.connectionsSlow++
      onLimit("message_timeout", remoteAddress)
    } else if (isIdle && !isNeeded(connection, now)) {
      counters.connectionsIdle++
      onLimit("connection_idle", remoteAddress)
    } else continue
    connection.close()
  }
}

/** Whether a subscription depends on it: RFC 3261 §18 recommends keeping it as long as messages may be expected. */
const isNeeded = ({ dialogs }: LiveConnection, now: number): boolean => {
  if (dialogs === null) return false
  for (const [dialog, until] of dialogs) {
    if (until > now) return true
    dialogs.delete(dialog)
  }
  return false
}

const portOf = (server: Server, presumed: number): number => {
  const bound = server.address()
  return typeof bound === "object" && bound !== null ? bound.port : presumed
}

const bind = (
  streams: Streams,
  opener: StreamOpener,
  { host, port }: BindAddress,
): Effect.Effect<Server, BindFailed> =>
  Effect.callback<Server, BindFailed>((resume) => {
    const server = opener.createServer((socket) => accept(streams, socket, portOf(server, port)))
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
