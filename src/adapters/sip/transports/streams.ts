/**
 * The sockets of a stream transport: listening sockets, and connections opened by either side.
 *
 * @source RFC 3261 §18
 */
import { createServer } from "node:net"
import type { Server } from "node:net"
import { Effect } from "effect"
import { BindFailed } from "../../../ports/sip-transport.ts"
import type { RawMessage } from "../message-reader.ts"
import { bracketed } from "../uri.ts"
import { accept, giveUp, releaseSource } from "./accepting.ts"
import { aliasPort } from "./connection-alias.ts"
import { makeFramer } from "./framer.ts"
import type { FrameSink } from "./framer.ts"
import { attemptOf, openConnection, settle } from "./opening.ts"
import { countingProxyFaults, noProxies } from "./proxies.ts"
import { beginsAsProxyHeader } from "./proxy-header.ts"
import { connectionAt, keyOf } from "./stream-state.ts"
import type { LiveConnection, StreamOpener, Streams } from "./stream-state.ts"
import type { BindAddress, Listener, SocketParts, StreamSockets, Transport } from "./transport.ts"
import type { Wire } from "./wire.ts"

/** How long pending data may take to be sent before a connection that lost framing is destroyed. */
const lingerMs = 1_000

export const openStreams = (
  transport: Transport,
  opener: StreamOpener,
  parts: SocketParts,
): StreamSockets => {
  const streams: Streams = {
    ...parts,
    proxies: parts.proxies ?? noProxies,
    onProxyFault: parts.onProxyFault ?? countingProxyFaults(parts.counters),
    transport,
    opener,
    live: new Map(),
    aliases: new Map(),
    greeting: new Map(),
    opening: new Map(),
    perSource: new Map(),
    listeners: [],
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
          const listener: Listener = { transport, ...address, port: portOf(server, address.port) }
          streams.listeners.push(listener)
          return listener
        },
      ),
    find: (address, port) => {
      const connection = connectionAt(streams, keyOf(address, port))
      return connection?.isOpen() === true ? connection : null
    },
    isOpening: (address, port, name) => streams.opening.has(attemptOf(streams, address, port, name)),
    open: (address, port, withinMs, done, name) =>
      openConnection(streams, { address, port, name }, withinMs, done, (wire, own, proved) =>
        adopt(streams, wire, own, proved),
      ),
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

/**
 * Takes over an established connection.
 *
 * @param proved for a connection that we opened, the name that the peer has proved; undefined: the peer opened it
 */
const adopt = (streams: Streams, wire: Wire, port: number, proved?: string | null): LiveConnection => {
  const { counters, limits, live, opener } = streams
  const { remoteAddress, certificate } = wire
  const remotePort = remotePortOf(streams, wire)
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
    offersAlias: !isInbound && streams.transport.isSecure && streams.listeners.length > 0,
    branches: new Set(),
    activeAt: streams.clock(),
    insideSince: null,
    pingedAt: null,
    alias: null,
    dialogs: null,
    isUnread: isInbound && opener.greet === undefined && !wire.isPassedOn,
    isOpen: () => isOpen,
    keepFor: (dialog, millis) => {
      if (millis > 0) (connection.dialogs ??= new Map()).set(dialog, streams.clock() + millis)
      else connection.dialogs?.delete(dialog)
    },
    close: () => {
      // what is sent from now on takes another way
      isOpen = false
      wire.destroy()
    },
    send: (bytes) => {
      if (!isOpen) return
      counters.sent++
      wire.write(bytes)
      // do not buffer without limit for a peer that does not read
      if (wire.queued() <= limits.writeQueueBytesMax) return
      counters.connectionsUnread++
      streams.onLimit("connection_octets_max", remoteAddress)
      wire.destroy()
    },
  }
  const earlier = live.get(key)
  if (earlier === undefined) counters.connections++
  live.set(key, connection)
  // nobody has two from one address and port: the proxy has not told the end of it
  if (wire.isPassedOn) earlier?.close()
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

/** Where a proxy did not tell the port of a phone, it is that of its own connection, or another one that is free. */
const remotePortOf = ({ live }: Streams, { remoteAddress, remotePort, isPortKnown }: Wire): number => {
  let port = remotePort
  if (!isPortKnown)
    for (let tries = 0; tries < 65_535 && live.has(keyOf(remoteAddress, port)); tries++)
      port = port >= 65_535 ? 1 : port + 1
  return port
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
    ping: () => {
      counters.keepAlivesAnswered++
      connection.send(pong, remoteAddress, remotePort)
    },
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
  if (connection.isUnread) {
    connection.isUnread = false
    if (beginsAsProxyHeader(chunk)) {
      streams.onProxyFault("unlisted", connection.remoteAddress)
      return connection.close()
    }
  }
  if (!connection.framer.push(chunk, sink)) {
    connection.wire.finish(lingerMs)
    return
  }
  if (!connection.framer.isInside()) connection.insideSince = null
  else connection.insideSince ??= connection.activeAt
}

const pong = Buffer.from("\r\n", "latin1")

/** Closes connections that are idle, slow to complete a message, or slow to open, and asks silent ones. */
const closeIdle = (streams: Streams): void => {
  const { limits, counters, onLimit } = streams
  const now = streams.clock()
  for (const [key, { giveUpAt, socket }] of streams.opening)
    if (giveUpAt <= now) settle(streams, key, socket, null)
  for (const [socket, { giveUpAt }] of streams.greeting) {
    // the first is the oldest
    if (giveUpAt > now) break
    counters.handshakesTimedOut++
    giveUp(streams, socket)
  }
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
    } else if (isThere(streams, connection, now)) continue
    connection.close()
  }
}

/** Asks a silent peer, if its transport can. @returns false if it was asked, and does not answer */
const isThere = ({ limits, counters }: Streams, connection: LiveConnection, now: number): boolean => {
  const { wire, activeAt, pingedAt } = connection
  if (wire.ping === null || limits.pingMs === 0) return true
  if (pingedAt !== null) {
    if (now - pingedAt <= limits.pingMs) return true
    counters.pingsUnanswered++
    return false
  }
  if (now - activeAt >= limits.pingMs) {
    connection.pingedAt = now
    wire.ping()
  }
  return true
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
  { host, port, isDual = false }: BindAddress,
): Effect.Effect<Server, BindFailed> =>
  Effect.callback<Server, BindFailed>((resume) => {
    // whoever says nothing more before the end of a handshake is gone
    const allowHalfOpen = streams.opener.greet === undefined
    const server = createServer({ allowHalfOpen }, (socket) =>
      accept(streams, socket, (wire) => void adopt(streams, wire, portOf(server, port))),
    )
    server.once("error", (cause) =>
      resume(
        Effect.fail(
          new BindFailed({ address: `${streams.transport.name}:${bracketed(host)}:${port}`, cause }),
        ),
      ),
    )
    server.listen({ port, host, ipv6Only: host.includes(":") && !isDual }, () => {
      server.removeAllListeners("error")
      resume(Effect.succeed(server))
    })
  })
