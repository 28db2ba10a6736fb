/**
 * A server or a library on virtual time, which stands still until it is advanced: an hour passes at once, and everything due
 * within it happens.
 */
import { Server } from "../server/in-program.ts"
import type { RunningServer, ServerOptions } from "../server/in-program.ts"

export interface VirtualClock {
  /** Milliseconds since 1970, for the option `now`. */
  readonly now: () => number
  /** Advances time; what falls due happens when the service next looks, at the latest when it is told to settle. */
  readonly advance: (milliseconds: number) => void
}

/** @param from the initial time; left out: 2026-01-01T00:00:00Z */
export const virtualClock = (from: number = Date.UTC(2026, 0, 1)): VirtualClock => {
  let time = from
  return { now: () => time, advance: (milliseconds) => void (time += milliseconds) }
}

export interface VirtualServer extends RunningServer {
  /** HOST:PORT of its UDP socket. */
  readonly udp: string
  /** Advances time by so many seconds, and waits until what fell due has happened and is on its way. */
  readonly pass: (seconds: number) => Promise<void>
}

/** A server on real loopback sockets and virtual time: lifetimes go by it, SIP retransmissions do not. */
export const startVirtualServer = async (options: ServerOptions = {}): Promise<VirtualServer> => {
  const clock = virtualClock()
  const server = await Server.start({ notify_min_interval: 0, ...options }, clock.now)
  const udp = server.addresses.find((address) => address.startsWith("udp:")) ?? ""
  return {
    ...server,
    udp: udp.slice("udp:".length),
    pass: async (seconds) => {
      clock.advance(seconds * 1000)
      await server.settle()
    },
  }
}
