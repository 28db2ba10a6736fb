/**
 * Counts requests that are not believed, and logs one line of each kind: they tell an operator whose peer
 * entry is incomplete why phones are refused.
 */
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { PeerEvent } from "./identity.ts"

/** Logs once for each entry and kind, and once for all strangers. */
export const makePeerLog = (
  counters: SipCounters,
  onPeer: (line: string) => void,
): ((what: PeerEvent, peer: string) => void) => {
  const logged = new Set<string>()
  return (what, peer) => {
    counters[counterOf[what]]++
    const key = what === "stranger" ? what : `${what} ${peer}`
    if (logged.has(key)) return
    logged.add(key)
    onPeer(lines[what](peer))
  }
}

const counterOf = {
  unnamed: "peerUnnamed",
  refused: "peerRefused",
  doubted: "peerDoubted",
  stranger: "strangersRefused",
} as const satisfies Record<PeerEvent, keyof SipCounters>

const lines: Readonly<Record<PeerEvent, (peer: string) => string>> = {
  unnamed: (peer) =>
    `trusted peer ${peer}: a SUBSCRIBE names nobody that can be read, so its watcher is anonymous; have the peer write one ` +
    "after it has asked who it is, or write identity=from in its entry of trusted_peers if it vouches for From",
  refused: (peer) =>
    `trusted peer ${peer}: a PUBLISH for somebody it does not speak for was refused (403); if it publishes for its own ` +
    "extensions, write publishes_for=DOMAIN in its entry of trusted_peers",
  doubted: (peer) =>
    `trusted peer ${peer}: a SUBSCRIBE came over UDP from its address, but neither its first Record-Route nor, without one, its Contact is ` +
    "the peer's, so it is not believed; have the peer record-route, use TCP, or list its other names as hosts=NAME in its entry of trusted_peers",
  stranger: (peer) =>
    `a request from ${peer} was refused (403): there are trusted_peers and no users_file, so nobody else is served; list it, or give users_file`,
}
