/**
 * UDP.
 *
 * @source RFC 3261 §18
 */
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { Effect } from "effect"
import { BindFailed } from "../../../ports/sip-transport.ts"
import { readDatagram } from "../message-reader.ts"
import { bracketed } from "../uri.ts"
import { answerKeepAlive, mayKeepAlive } from "./datagram-keep-alive.ts"
import { plainAddress } from "./local-address.ts"
import type { BindAddress, DatagramSockets, Flow, SocketParts, Transport } from "./transport.ts"

export const udp: Transport<"udp"> = {
  name: "udp",
  viaName: "UDP",
  isReliable: false,
  isSecure: false,
  isDialed: true,
  defaultPort: 5_060,
  namedBy: ["sip:udp"],
  uriParameter: null,
  secureUriParameter: null,
  naptrService: "SIP+D2U",
  srvPrefix: "_sip._udp.",
  bigRequestsOver: "tcp",
  besidePortOf: null,
  connect: null,
  makeSockets: (parts) => openDatagrams(parts),
}

/** Lets bursts queue in the kernel; the system may grant less. */
const socketBufferBytes = 4 * 1024 * 1024

/** Hosts are always numeric here, so nothing is resolved. */
const numericLookup = (
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void => done(null, host, host.includes(":") ? 6 : 4)

const openDatagrams = (parts: SocketParts): DatagramSockets => {
  const listeners: Flow[] = []
  return {
    kind: "datagrams",
    listeners,
    listen: (address) =>
      Effect.map(
        Effect.acquireRelease(bind(address), (socket) =>
          Effect.callback<void>((resume) => {
            socket.close(() => resume(Effect.void))
          }),
        ),
        (socket) => {
          const listener = serve(socket, address, parts)
          listeners.push(listener)
          return listener
        },
      ),
    tick: () => {},
    // sockets close with the scope
    closeAll: () => {
      listeners.length = 0
    },
  }
}

const bind = ({ host, port, isDual = false }: BindAddress): Effect.Effect<Socket, BindFailed> =>
  Effect.callback<Socket, BindFailed>((resume) => {
    const socket = createSocket({
      type: host.includes(":") ? "udp6" : "udp4",
      ipv6Only: host.includes(":") && !isDual,
      lookup: numericLookup,
    })
    socket.once("error", (cause) => {
      socket.close()
      resume(Effect.fail(new BindFailed({ address: `udp:${bracketed(host)}:${port}`, cause })))
    })
    socket.bind(port, host, () => {
      socket.removeAllListeners("error")
      resume(Effect.succeed(socket))
    })
  })

const serve = (
  socket: Socket,
  { host, isDual = false }: BindAddress,
  { counters, limits, carried, events }: SocketParts,
): Flow => {
  try {
    socket.setRecvBufferSize(socketBufferBytes)
    socket.setSendBufferSize(socketBufferBytes)
  } catch {
    // keep the system's default
  }
  let isOpen = true
  const sent = (error: Error | null): void => {
    if (error !== null) counters.sendErrors++
  }
  socket.on("error", () => {
    counters.sendErrors++
  })
  socket.on("close", () => {
    isOpen = false
  })
  const listener: Flow = {
    transport: udp,
    host,
    port: socket.address().port,
    ...(isDual ? { isDual } : {}),
    send: (bytes, address, port, failed) => {
      // `send` throws for a bad port or a closed socket, and nothing a peer sends may end the process
      if (!isOpen) return
      const done =
        failed === undefined
          ? sent
          : (error: Error | null): void => {
              sent(error)
              if (error !== null) failed()
            }
      try {
        // RFC 4291 §2.5.5.2: a socket of IPv6 knows IPv4 by mapped addresses
        const mapped = isDual && !address.includes(":") ? `::ffff:${address}` : address
        socket.send(bytes, port, mapped, done)
        counters.sent++
      } catch {
        counters.sendErrors++
        if (failed !== undefined) queueMicrotask(failed)
      }
    },
  }
  socket.on("message", (bytes, source) => {
    events.heard()
    if (mayKeepAlive(bytes)) {
      const reply = answerKeepAlive(bytes, plainAddress(source.address), source.port)
      if (reply !== null) {
        if (reply.length === 0) return
        counters.keepAlivesAnswered++
        return listener.send(reply, source.address, source.port)
      }
    }
    const message = readDatagram(bytes, limits, carried)
    if (message === null) counters.dropped++
    else events.message(message, listener, plainAddress(source.address), source.port)
  })
  return listener
}
