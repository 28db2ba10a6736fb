/** NOTIFYs to unproven targets: sent as far as the allowances permit, otherwise kept until the target has answered. */
import { allowanceKey } from "./allowances.ts"
import { draftFor, listenerFor, peerOf, start } from "./notify-delivery.ts"
import type { Notifying, OutgoingNotify } from "./notify-delivery.ts"
import { failedThereSoon, putOff, unreachable } from "./notify-outcome.ts"
import type { Hop } from "./resolver.ts"
import { placeOf } from "./room.ts"
import type { Connection, DatagramSockets, StreamSockets } from "./transports/transport.ts"

interface Cautious extends OutgoingNotify {
  readonly allowed: NonNullable<OutgoingNotify["allowed"]>
}

export const sendUnproven = (notifying: Notifying, given: OutgoingNotify, hop: Hop): void => {
  const { notify, prepared } = given
  const dialog = allowanceKey(notify.dialog.callId, notify.dialog.localTag)
  const place = placeOf(hop.transport, hop.address, hop.port)
  const isDirect = prepared.routes.length === 0 && notify.dialog.routeSet.length === 0
  const outgoing: Cautious = { ...given, allowed: { dialog, place, isDirect } }
  const sockets = notifying.socketsOf(hop.transport)
  const tryNow = (): boolean =>
    sockets.kind === "streams"
      ? overConnection(notifying, outgoing, sockets, hop)
      : asDatagram(notifying, outgoing, sockets, hop)
  if (!tryNow()) waitFor(notifying, outgoing, tryNow)
}

const waitFor = (notifying: Notifying, outgoing: Cautious, tryNow: () => boolean): void => {
  const { notify, allowed } = outgoing
  notifying.allowances.wait(allowed.dialog, allowed.place, {
    tryNow,
    timedOut: () => failedThereSoon(notifying, outgoing, { _tag: "TimedOut" }),
    putOff: (seconds) => putOff(notifying, notify, seconds),
  })
}

/** Takes the allowance for a packet of this size; false if there is none. */
const take = ({ allowances }: Notifying, { allowed }: Cautious, octets: number): boolean =>
  allowances.take(allowed.dialog, allowed.place, octets, allowed.isDirect)

/** Sent as a datagram regardless of size: connecting would take more packets. @returns false if there is no room */
const asDatagram = (
  notifying: Notifying,
  outgoing: Cautious,
  { listeners }: DatagramSockets,
  hop: Hop,
): boolean => {
  const listener = listenerFor(listeners, outgoing, hop.address)
  if (listener === null) {
    failedThereSoon(notifying, outgoing, { _tag: "Unreachable" })
    return true
  }
  const draft = draftFor(notifying, outgoing, listener, hop.address)
  if (!take(notifying, outgoing, draft.bytes.length)) return false
  start(notifying, outgoing, draft, listener, hop)
  return true
}

/** A single connection attempt while nothing has answered. @returns false if there is no room */
const overConnection = (
  notifying: Notifying,
  outgoing: Cautious,
  streams: StreamSockets,
  hop: Hop,
): boolean => {
  const isThere =
    streams.find(hop.address, hop.port)?.isOpen() === true ||
    streams.isOpening(hop.address, hop.port, hop.name)
  if (!isThere && !notifying.allowances.takeAttempt(outgoing.allowed.place)) return false
  const begin = (connection: Connection): boolean => {
    const draft = draftFor(notifying, outgoing, connection, null)
    if (!take(notifying, outgoing, draft.bytes.length)) return false
    start(notifying, outgoing, draft, connection, peerOf(connection))
    return true
  }
  const opened = (connection: Connection | null): void => {
    if (connection === null) return failedThereSoon(notifying, outgoing, unreachable(outgoing.prepared))
    if (!begin(connection))
      waitFor(notifying, outgoing, () => overConnection(notifying, outgoing, streams, hop))
  }
  streams.open(hop.address, hop.port, notifying.limits.unprovenConnectMs, opened, hop.name)
  return true
}
