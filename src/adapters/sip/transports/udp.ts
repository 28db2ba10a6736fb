/**
 * UDP sockets: bind, receive, send. What a datagram means is no business of this file.
 */
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { Effect } from "effect"
import type { Scope } from "effect"
import { BindFailed } from "../../../ports/event-store.ts"
import type { Channel } from "../server-transactions.ts"
import type { Counters, ListenAddress } from "../options.ts"
import { plainAddress } from "./local-address.ts"
import { bracketed } from "../uri.ts"

export interface UdpListener extends Channel {
  readonly transport: "udp"
  /** As bound, without brackets. */
  readonly host: string
  readonly port: number
}

export type DatagramHandler = (bytes: Buffer, address: string, port: number, listener: UdpListener) => void

/** Bursts wait in the kernel, not on the wire; the system may grant less. */
const socketBufferBytes = 4 * 1024 * 1024

/** Hosts are numeric by the time they come here, so nothing is ever looked up. */
const numericLookup = (
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void => done(null, host, host.includes(":") ? 6 : 4)

/** Opens a socket that closes with the scope. */
export const listenUdp = (
  address: ListenAddress,
  counters: Counters,
  receive: DatagramHandler,
): Effect.Effect<UdpListener, BindFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(bind(address), (socket) =>
      Effect.callback<void>((resume) => {
        socket.close(() => resume(Effect.void))
      }),
    ),
    (socket) => serve(socket, address, counters, receive),
  )

const bind = ({ host, port }: ListenAddress): Effect.Effect<Socket, BindFailed> =>
  Effect.callback<Socket, BindFailed>((resume) => {
    const socket = createSocket({
      type: host.includes(":") ? "udp6" : "udp4",
      // One socket, one family: `::` and `0.0.0.0` are listed side by side.
      ipv6Only: host.includes(":"),
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
  { host }: ListenAddress,
  counters: Counters,
  receive: DatagramHandler,
): UdpListener => {
  try {
    socket.setRecvBufferSize(socketBufferBytes)
    socket.setSendBufferSize(socketBufferBytes)
  } catch {
    // The system's own size has to do.
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
  const listener: UdpListener = {
    transport: "udp",
    host,
    port: socket.address().port,
    send: (bytes, address, port, failed) => {
      // `send` throws for a bad port or a closed socket, and nothing a peer sends may end the process.
      if (!isOpen) return
      const done =
        failed === undefined
          ? sent
          : (error: Error | null): void => {
              sent(error)
              if (error !== null) failed()
            }
      try {
        socket.send(bytes, port, address, done)
        counters.sent++
      } catch {
        counters.sendErrors++
        if (failed !== undefined) queueMicrotask(failed)
      }
    },
  }
  socket.on("message", (bytes, source) => receive(bytes, plainAddress(source.address), source.port, listener))
  return listener
}
