/**
 * Whether an address is free to listen on.
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { transportOf } from "../adapters/sip/transports/transports.ts"
import type { Address } from "./config/config.ts"

/** Why a server cannot listen there; null: it can. */
export const bindFault = ({ transport, host, port }: Address): Promise<NodeJS.ErrnoException | null> =>
  new Promise((answer) => {
    if (!transportOf(transport).isReliable) {
      const socket = createSocket(host.includes(":") ? "udp6" : "udp4")
      socket.once("error", (cause) => {
        socket.close()
        answer(cause)
      })
      socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => answer(null)))
    } else {
      const server = createServer()
      server.once("error", answer)
      server.listen({ host, port, exclusive: true }, () => server.close(() => answer(null)))
    }
  })
