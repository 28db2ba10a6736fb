/**
 * A datagram transport without a network: what is put into it comes out of the SIP stack's own way in, and what the stack sends is
 * handed to a function.
 */
import { Effect } from "effect"
import { readDatagram } from "../../../adapters/sip/message-reader.ts"
import type { Flow, SocketParts, Transport } from "../../../adapters/sip/transports/transport.ts"
import { udp } from "../../../adapters/sip/transports/udp.ts"

export interface Loopback {
  readonly transport: Transport
  /** A datagram from the peer, read and handled before it returns. */
  readonly receive: (bytes: Buffer) => void
}

/** Where the peer is, for whoever sends to it: an address for documentation (RFC 5737), so that nothing ever leaves for it. */
export const peerAddress = "192.0.2.1"
const peerPort = 5060

/** @param sent what the stack sends, before its `send` returns */
export const makeLoopback = (sent: (bytes: Buffer) => void): Loopback => {
  let serve: ((bytes: Buffer) => void) | null = null
  const flow: Flow = {
    transport: udp,
    host: "127.0.0.1",
    port: 5060,
    send: (bytes) => sent(bytes),
  }
  const makeSockets = ({
    limits,
    carried,
    counters,
    events,
  }: SocketParts): ReturnType<Transport["makeSockets"]> => ({
    kind: "datagrams",
    listeners: [flow],
    listen: () =>
      Effect.sync(() => {
        serve = (bytes) => {
          events.heard()
          const message = readDatagram(bytes, limits, carried)
          if (message === null) counters.dropped++
          else events.message(message, flow, peerAddress, peerPort)
        }
        return flow
      }),
    tick: () => {},
    closeAll: () => {
      serve = null
    },
  })
  return { transport: { ...udp, bigRequestsOver: null, makeSockets }, receive: (bytes) => serve?.(bytes) }
}
