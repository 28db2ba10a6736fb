/**
 * TCP: the listening sockets and every connection, whoever opened it.
 *
 * @source RFC 3261 §18
 */
import { connect, createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { Effect } from "effect"
import type { Scope } from "effect"
import { BindFailed } from "../../../ports/event-store.ts"
import { makeFramer } from "./framer.ts"
import type { Framer } from "./framer.ts"
import type { RawMessage, Names } from "../message-reader.ts"
import { plainAddress } from "./local-address.ts"
import type { Counters, Limits, ListenAddress } from "../options.ts"
import type { Channel } from "../server-transactions.ts"
import { bracketed } from "../uri.ts"

export interface Connection extends Channel {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  /** The port others may connect to: that of our listening socket. */
  readonly localPort: number
  readonly isOpen: () => boolean
  /** Branches of requests of ours that wait for an answer on it. */
  readonly branches: Set<string>
}

export interface TcpListener {
  readonly transport: "tcp"
  readonly host: string
  readonly port: number
}

export interface TcpEvents {
  /** Something came over a connection. */
  readonly heard: () => void
  readonly message: (message: RawMessage, connection: Connection) => void
  /** The connection is gone; what waited on it will not be answered. */
  readonly closed: (connection: Connection) => void
}

export interface Tcp {
  readonly listen: (address: ListenAddress) => Effect.Effect<TcpListener, BindFailed, Scope.Scope>
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
  /** Moves time on: idle, half-sent and slow-to-open connections are closed. */
  readonly tick: () => void
  readonly closeAll: () => void
}

interface Live extends Connection {
  readonly socket: Socket
  readonly framer: Framer
  readonly isInbound: boolean
  activeAt: number
  /** When the message being received began; null between messages. */
  insideSince: number | null
}

interface Opening {
  readonly socket: Socket
  readonly waiting: ((connection: Connection | null) => void)[]
  readonly giveUpAt: number
}

const keyOf = (address: string, port: number): string => `${address} ${port}`

/** How long what was written may take to leave before a connection that lost its framing is cut. */
const lingerMs = 1_000

/** @param carried names of headers to keep besides those that the gate knows, in lower case */
export const makeTcp = (
  limits: Limits,
  counters: Counters,
  clock: () => number,
  events: TcpEvents,
  carried?: Names,
): Tcp => {
  const lives = new Map<string, Live>()
  const openings = new Map<string, Opening>()
  const perSource = new Map<string, number>()
  let listeningPort = 0

  const adopt = (socket: Socket, isInbound: boolean, port: number): Live => {
    const remoteAddress = plainAddress(socket.remoteAddress ?? "")
    const remotePort = socket.remotePort ?? 0
    const key = keyOf(remoteAddress, remotePort)
    let isOpen = true
    const live: Live = {
      socket,
      framer: makeFramer(limits, carried),
      isInbound,
      remoteAddress,
      remotePort,
      localAddress: plainAddress(socket.localAddress ?? ""),
      localPort: port,
      branches: new Set(),
      activeAt: clock(),
      insideSince: null,
      isOpen: () => isOpen,
      send: (bytes) => {
        if (!isOpen) return
        counters.sent++
        socket.write(bytes)
        // A peer that does not read is not waited for.
        if (socket.writableLength > limits.writeQueueBytesMax) socket.destroy()
      },
    }
    lives.set(key, live)
    counters.connections = lives.size
    socket.setNoDelay(true)
    socket.on("data", (chunk: Buffer) => received(live, chunk))
    socket.on("error", () => socket.destroy())
    socket.on("end", () => socket.end())
    socket.on("close", () => {
      isOpen = false
      if (lives.get(key) === live) lives.delete(key)
      counters.connections = lives.size
      if (isInbound) releaseSource(remoteAddress)
      events.closed(live)
    })
    return live
  }

  const received = (live: Live, chunk: Buffer): void => {
    events.heard()
    live.activeAt = clock()
    const isFramed = live.framer.push(chunk, {
      message: (message) => {
        live.insideSince = null
        events.message(message, live)
      },
      ping: () => live.send(pong, live.remoteAddress, live.remotePort),
    })
    if (!isFramed) {
      live.socket.removeAllListeners("data")
      live.socket.resume()
      live.socket.end()
      live.socket.setTimeout(lingerMs, () => live.socket.destroy())
      return
    }
    if (!live.framer.isInside()) live.insideSince = null
    else live.insideSince ??= live.activeAt
  }

  const releaseSource = (address: string): void => {
    const left = (perSource.get(address) ?? 1) - 1
    if (left > 0) perSource.set(address, left)
    else perSource.delete(address)
  }

  const accept = (socket: Socket, port: number): void => {
    const source = plainAddress(socket.remoteAddress ?? "")
    const held = perSource.get(source) ?? 0
    if (source === "" || lives.size >= limits.connectionsMax || held >= limits.connectionsPerSourceMax) {
      counters.connectionsRefused++
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    perSource.set(source, held + 1)
    adopt(socket, true, port)
  }

  const settle = (key: string, connection: Connection | null): void => {
    const opening = openings.get(key)
    if (opening === undefined) return
    openings.delete(key)
    if (connection === null) opening.socket.destroy()
    for (const done of opening.waiting) done(connection)
  }

  return {
    listen: (address) =>
      Effect.map(
        Effect.acquireRelease(bind(address), (server) =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            for (const live of lives.values()) live.socket.destroy()
          }),
        ),
        (server) => {
          const bound = server.address()
          const port = typeof bound === "object" && bound !== null ? bound.port : address.port
          listeningPort = port
          server.on("error", () => {})
          server.on("connection", (socket) => accept(socket, port))
          return { transport: "tcp", host: address.host, port }
        },
      ),
    find: (address, port) => lives.get(keyOf(address, port)) ?? null,
    isOpening: (address, port) => openings.has(keyOf(address, port)),
    open: (address, port, withinMs, done) => {
      const key = keyOf(address, port)
      const live = lives.get(key)
      if (live !== undefined && live.isOpen()) return done(live)
      const opening = openings.get(key)
      if (opening !== undefined) {
        opening.waiting.push(done)
        return
      }
      if (lives.size + openings.size >= limits.connectionsMax) return done(null)
      const socket = connect({ host: address, port })
      openings.set(key, { socket, waiting: [done], giveUpAt: clock() + withinMs })
      socket.once("error", () => settle(key, null))
      socket.once("connect", () => {
        socket.removeAllListeners("error")
        settle(key, adopt(socket, false, listeningPort === 0 ? (socket.localPort ?? 0) : listeningPort))
      })
    },
    tick: () => {
      const now = clock()
      for (const [key, opening] of openings) if (opening.giveUpAt <= now) settle(key, null)
      for (const live of lives.values()) {
        const isIdle = now - live.activeAt > limits.connectionIdleMs && live.branches.size === 0
        const isSlow = live.insideSince !== null && now - live.insideSince > limits.headCompleteMs
        if (isIdle || isSlow) live.socket.destroy()
      }
    },
    closeAll: () => {
      for (const key of openings.keys()) settle(key, null)
      for (const live of lives.values()) live.socket.destroy()
    },
  }
}

const pong = Buffer.from("\r\n", "latin1")

const bind = ({ host, port }: ListenAddress): Effect.Effect<Server, BindFailed> =>
  Effect.callback<Server, BindFailed>((resume) => {
    const server = createServer({ allowHalfOpen: true })
    server.once("error", (cause) =>
      resume(Effect.fail(new BindFailed({ address: `tcp:${bracketed(host)}:${port}`, cause }))),
    )
    server.listen({ port, host, ipv6Only: host.includes(":") }, () => {
      server.removeAllListeners("error")
      resume(Effect.succeed(server))
    })
  })
