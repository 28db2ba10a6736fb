/**
 * The socket of a user agent: UDP, TCP or TLS towards one server, from the local address by which the server reaches it.
 */
import { createSocket } from "node:dgram"
import type { Socket as UdpSocket } from "node:dgram"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import type { Socket as TcpSocket } from "node:net"
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ClientTransportName } from "../../adapters/sip/transports/names.ts"
import { transportOf } from "../../adapters/sip/transports/transports.ts"
import { bracketed } from "../../adapters/sip/uri.ts"
import { NoAnswer } from "./failures.ts"
import { makeSplitter } from "./wire.ts"

export interface Target {
  readonly host: string
  readonly port: number
  readonly transport: ClientTransportName
  /** PEM certificates of whom to believe over TLS; absent: the authorities of Node.js. */
  readonly authorities?: string
}

export interface ClientSocket {
  /** `127.0.0.1:40123`, as it stands in Via and Contact. */
  readonly local: string
  readonly send: (bytes: Buffer) => void
}

export interface SocketEvents {
  /** The bytes of one message. */
  readonly message: (bytes: Buffer) => void
  /** The peer has closed the connection. */
  readonly lost: (why: string) => void
}

/** `udp 127.0.0.1:5060`, for people. */
export const targetText = ({ host, port, transport }: Target): string =>
  `${transport} ${bracketed(host)}:${port}`

/** Opens a socket that closes with the scope. */
export const openSocket = Effect.fnUntraced(function* (
  target: Target,
  events: SocketEvents,
): Effect.fn.Return<ClientSocket, NoAnswer, Scope.Scope> {
  const noAnswer = (why: string): NoAnswer => new NoAnswer({ target: targetText(target), why })
  const { address } = yield* Effect.tryPromise({
    try: () => lookup(target.host),
    catch: () => noAnswer("no such host"),
  })
  const { connect } = transportOf(target.transport)
  return connect === null
    ? yield* openUdp(address, target.port, events, noAnswer)
    : yield* openStream(
        (connected) =>
          connect(address, target.port, connected, {
            ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
            ...(target.authorities === undefined ? {} : { authorities: target.authorities }),
          }),
        events,
        noAnswer,
      )
})

const openUdp = Effect.fnUntraced(function* (
  address: string,
  port: number,
  events: SocketEvents,
  noAnswer: (why: string) => NoAnswer,
): Effect.fn.Return<ClientSocket, NoAnswer, Scope.Scope> {
  const local = yield* Effect.scoped(Effect.map(udpSocket(address, noAnswer), localAddress))
  const socket = yield* udpSocket(address, noAnswer, local)
  let isOpen = true
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOpen = false
    }),
  )
  socket.on("message", events.message)
  socket.on("error", (error) => events.lost(error.message))
  return {
    local: `${bracketed(local)}:${socket.address().port}`,
    send: (bytes) => {
      if (isOpen) socket.send(bytes, port, address, () => {})
    },
  }
})

/**
 * A UDP socket: bound to `local` or, when that is not known yet, connected to the server so that the system tells which local
 * address leads there. The connected socket is used for nothing else, because a proxy may answer from another port.
 */
const udpSocket = (
  address: string,
  noAnswer: (why: string) => NoAnswer,
  local?: string,
): Effect.Effect<UdpSocket, NoAnswer, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<UdpSocket, NoAnswer>((resume) => {
      const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", lookup: numericLookup })
      const done = (): void => {
        socket.removeAllListeners("error")
        resume(Effect.succeed(socket))
      }
      socket.once("error", (error) => {
        socket.close()
        resume(Effect.fail(noAnswer(error.message)))
      })
      if (local === undefined) socket.connect(discardPort, address, done)
      else socket.bind(0, local, done)
    }),
    (socket) => Effect.sync(() => socket.close()),
  )

/** The address is resolved by now; sending within the callback gets the datagram out before the socket may be closed. */
const numericLookup = (
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void => done(null, host, host.includes(":") ? 6 : 4)

/** Any port will do: connecting a UDP socket sends nothing. */
const discardPort = 9

const localAddress = (socket: UdpSocket): string => socket.address().address

const openStream = Effect.fnUntraced(function* (
  connect: (connected: () => void) => TcpSocket,
  events: SocketEvents,
  noAnswer: (why: string) => NoAnswer,
): Effect.fn.Return<ClientSocket, NoAnswer, Scope.Scope> {
  const socket = yield* Effect.acquireRelease(
    Effect.callback<TcpSocket, NoAnswer>((resume) => {
      const opening = connect(() => {
        opening.removeAllListeners("error")
        resume(Effect.succeed(opening))
      })
      opening.once("error", (error) => resume(Effect.fail(noAnswer(error.message || "connection refused"))))
      return Effect.sync(() => opening.destroy())
    }).pipe(
      Effect.timeoutOrElse({
        duration: connectMillis,
        orElse: () => Effect.fail(noAnswer(`no connection in ${connectMillis / 1000} s`)),
      }),
    ),
    (opened) => Effect.sync(() => opened.destroy()),
  )
  const split = makeSplitter()
  socket.on("data", (chunk) => {
    const messages = split(chunk)
    if (messages === null) return void socket.destroy()
    for (const message of messages) events.message(message)
  })
  socket.on("error", () => {})
  socket.on("close", () => events.lost("the connection was closed"))
  return {
    local: `${bracketed(socket.localAddress ?? "127.0.0.1")}:${socket.localPort}`,
    send: (bytes) => void socket.write(bytes),
  }
})

const connectMillis = 4_000
