/** Connections that peers open: what the limits let in is taken through its header and handshakes. */
import type { Socket } from "node:net"
import { plainAddress } from "./local-address.ts"
import { passHeader } from "./proxies.ts"
import type { Greeting, Streams } from "./stream-state.ts"
import { socketWire } from "./wire.ts"
import type { Wire } from "./wire.ts"

/** @param adopt takes over an established connection */
export const accept = (streams: Streams, socket: Socket, adopt: (wire: Wire) => void): void => {
  const { counters, limits, live, greeting, opener, proxies } = streams
  const source = plainAddress(socket.remoteAddress ?? "")
  if (source === "" || live.size + greeting.size >= limits.connectionsMax) {
    counters.connectionsRefused++
    if (source !== "") streams.onLimit("connections_max", source)
    return refuse(socket)
  }
  const sendsHeader = proxies.sendsHeader(source)
  // what a proxy passes on counts for the address that it comes from, as soon as that is known
  const isPassedOn = sendsHeader || isForwarder(streams, source)
  if (!isPassedOn && !hold(streams, source)) return refuse(socket)
  if (opener.greet === undefined && !sendsHeader) return adopt(socketWire(socket))
  if (greeting.size >= limits.handshakesMax) giveUpOldest(streams, source)
  const begun: Greeting = { held: isPassedOn ? null : source, giveUpAt: streams.clock() + limits.handshakeMs }
  greeting.set(socket, begun)
  counters.handshakes++
  socket.on("error", () => {})
  greet(streams, socket, begun, adopt)
}

const refuse = (socket: Socket): void => {
  socket.on("error", () => {})
  socket.destroy()
}

const isForwarder = ({ opener, proxies }: Streams, address: string): boolean =>
  opener.isForwarded === true && proxies.forwards(address)

const greet = (streams: Streams, socket: Socket, begun: Greeting, adopt: (wire: Wire) => void): void => {
  const { counters, greeting, opener, proxies } = streams
  const source = plainAddress(socket.remoteAddress ?? "")
  const finish = (wire: Wire | null): void => {
    // given up before
    if (!greeting.delete(socket)) return wire?.destroy()
    counters.handshakes--
    if (wire === null || wire.remoteAddress === "") counters.handshakesFailed++
    else if (begun.held !== null || hold(streams, wire.remoteAddress)) return adopt(wire)
    socket.destroy()
    release(streams, begun)
  }
  socket.once("close", () => finish(null))
  passHeader(socket, proxies.sendsHeader(source), streams.onProxyFault, (past) => {
    if (past === null) return giveUp(streams, socket)
    const { remote } = past
    const address = remote?.address ?? source
    if (begun.held === null && !isForwarder(streams, address)) {
      if (!hold(streams, address)) return giveUp(streams, socket)
      begun.held = address
    }
    if (opener.greet === undefined) finish(socketWire(socket, null, remote))
    else opener.greet(socket, remote, finish)
  })
}

/** Takes a place of that address. @returns false if it has as many connections as it may */
const hold = (streams: Streams, address: string): boolean => {
  const { counters, limits, perSource } = streams
  const held = perSource.get(address) ?? 0
  if (limits.connectionsPerSourceMax > 0 && held >= limits.connectionsPerSourceMax) {
    counters.connectionsRefusedOfSource++
    streams.onLimit("connections_per_source_max", address)
    return false
  }
  perSource.set(address, held + 1)
  return true
}

export const releaseSource = ({ perSource }: Streams, address: string): void => {
  const left = (perSource.get(address) ?? 1) - 1
  if (left > 0) perSource.set(address, left)
  else perSource.delete(address)
}

const release = (streams: Streams, { held }: Greeting): void => {
  if (held !== null) releaseSource(streams, held)
}

export const giveUp = (streams: Streams, socket: Socket): void => {
  const begun = streams.greeting.get(socket)
  if (begun === undefined) return
  streams.greeting.delete(socket)
  streams.counters.handshakes--
  release(streams, begun)
  socket.destroy()
}

/** A handshake that is meant takes milliseconds: those that have taken longest are the ones that hold places. */
const giveUpOldest = (streams: Streams, source: string): void => {
  const [oldest] = streams.greeting.keys()
  streams.counters.handshakesRefused++
  streams.onLimit("handshakes_max", source)
  if (oldest !== undefined) giveUp(streams, oldest)
}
