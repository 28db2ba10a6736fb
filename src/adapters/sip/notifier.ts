/**
 * The way of one NOTIFY: next hop, transport, transaction, outcome.
 *
 * Numeric hosts go out in the call that asked for it; names wait for the resolver, and connections to be opened wait
 * for the peer. Whatever happens, the outcome is reported once.
 */
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { SipHandler } from "../../ports/event-store.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import type { ClientResult, ClientTransactions, Resending } from "./client-transactions.ts"
import { parseAddress } from "./address-headers.ts"
import { parseRetryAfter } from "./headers.ts"
import { allowanceKey } from "./allowances.ts"
import type { Allowances, Place } from "./allowances.ts"
import { formatNotify, nextHopOf, prepareDialog, shownOctets } from "./format-notify.ts"
import type { NextHop, PreparedDialog } from "./format-notify.ts"
import { placeOf } from "./room.ts"
import type { Counters, Limits, SipLimit } from "./options.ts"
import type { Hop, Resolver } from "./resolver.ts"
import type { Channel } from "./server-transactions.ts"
import type { Connection, Tcp } from "./transports/tcp.ts"
import type { UdpListener } from "./transports/udp.ts"
import { bracketed, canonicalAddress, isNobody, parseUri, readHostPort } from "./uri.ts"

export interface NotifierParts {
  readonly client: ClientTransactions
  readonly tcp: Tcp
  readonly counters: Counters
  readonly limits: Limits
  readonly udpMtuBytes: number
  readonly resolver: Resolver
  readonly clock: () => number
  readonly mintTag: () => string
  readonly localHost: (bound: string, remote: string) => string
  readonly udpListeners: readonly UdpListener[]
  readonly delivered: SipHandler["delivered"]
  readonly isOwnAddress: (host: string, port: number) => boolean
  readonly allowances: Allowances
  /** Whether the operator lets NOTIFYs go to a host that has not answered any. */
  readonly isNotifyTarget: (host: string) => boolean
  readonly onLimit: (limit: SipLimit) => void
}

export interface Notifier {
  readonly send: (notify: Notify) => void
  /** Seconds after which a NOTIFY in this dialog could leave, as far as limits go; null: it could now. */
  readonly isFullFor: (dialog: DialogStart) => number | null
}

/** One NOTIFY on its way. */
interface Way {
  readonly notify: Notify
  readonly prepared: PreparedDialog
  /** The address that the name of its next hop leads to, when it is not known to be proven; null: it is, or is no name. */
  readonly named: string | null
  /** Where nothing is proven: what it may take there; null: it is proven. */
  readonly allowed: { readonly dialog: string; readonly place: Place; readonly isDirect: boolean } | null
}

/** Where both URIs lead, the one with or without the transport and the port that go without saying. */
const isSamePlace = (one: NextHop, other: NextHop | null): boolean =>
  other !== null &&
  one.host === other.host &&
  (one.port ?? portDefault) === (other.port ?? portDefault) &&
  (one.transport ?? "udp") === (other.transport ?? "udp")

const portDefault = 5_060
const streamRefusalsMax = 20_000
/** Seconds until a NOTIFY that found no room is worth another try. */
const retryAfterFull = 5
/** By how much the next NOTIFY may be longer than this one, were they to show the same: its CSeq has a digit more. */
const growth = 1

export const makeNotifier = (parts: NotifierParts): Notifier => {
  const { client, tcp, counters, limits, clock } = parts
  /** Until when a peer that refused TCP is not asked again. */
  const streamRefusals = new Map<string, number>()
  let branches = 0

  const end = (notify: Notify, outcome: DeliveryOutcome): void => {
    switch (outcome._tag) {
      case "Accepted":
        counters.notifyAccepted++
        break
      case "Refused":
        counters.notifyRefused++
        break
      case "TimedOut":
        counters.notifyTimedOut++
        break
      case "Unproven":
        if (outcome.room === 0) counters.notifyUnrepeated++
        else counters.notifyUnproven++
        break
      default:
        counters.notifyUnreachable++
    }
    parts.delivered(notify.presentity, notify.no, notify.cseq, outcome)
  }

  /** Never inside the call that handed the NOTIFY over. */
  const endSoon = (notify: Notify, outcome: DeliveryOutcome): void =>
    queueMicrotask(() => end(notify, outcome))

  const outcomeOf = (result: ClientResult, way: Way): DeliveryOutcome => {
    if (result === "timedOut") return { _tag: "TimedOut" }
    if (result === "failed") return { _tag: "Unreachable" }
    if (result === "unrepeated") return { _tag: "Unproven", room: 0 }
    // A challenge is a refusal like any other: nobody gets credentials out of us.
    if (result.status >= 300)
      return {
        _tag: "Refused",
        status: result.status,
        retryAfter: parseRetryAfter(result.headers.get("retry-after")?.[0]),
      }
    const remoteTarget = newTarget(result.headers.get("contact"), way)
    return way.named === null
      ? { _tag: "Accepted", remoteTarget }
      : { _tag: "Accepted", remoteTarget, address: way.named }
  }

  /**
   * RFC 3261 §12.2.1.2: the Contact of a 2xx, when we could send to it.
   *
   * Whoever answers has shown that it is where the NOTIFY went, and nothing of any other place: a Contact elsewhere leaves
   * the target that answered. Behind a proxy that is all there is to go by.
   */
  const newTarget = (
    lines: readonly string[] | undefined,
    { notify, prepared }: Pick<Way, "notify" | "prepared">,
  ): string | null => {
    if (lines === undefined || lines.length !== 1) return null
    const contact = parseAddress(lines[0]!)
    if (contact === null || contact.uri.length > limits.uriBytesMax) return null
    const uri = parseUri(contact.uri)
    if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || uri.headers !== null) return null
    if (contact.uri === notify.dialog.remoteTarget) return null
    const hop = nextHopOf(uri)
    if (hop !== null && parts.isOwnAddress(hop.host, hop.port ?? portDefault)) return null
    const isThere =
      hop !== null &&
      prepared.routes.length === 0 &&
      notify.dialog.routeSet.length === 0 &&
      (isSamePlace(hop, prepared.hop) || parts.isNotifyTarget(hop.host))
    if (!isThere) counters.targetsKept++
    return isThere ? contact.uri : null
  }

  /** Random, so that it cannot be guessed; counted, so that it cannot come twice (RFC 3261 §8.1.1.7). */
  const mintBranch = (): string => `z9hG4bK${parts.mintTag()}${(branches++).toString(36)}`

  /** What showed something and cannot be sent again makes way for one that shows nothing, if that can be sent still. */
  const resending = (
    notify: Notify,
    { dialog, place, isDirect }: NonNullable<Way["allowed"]>,
    octets: number,
    isLate: boolean,
  ): Resending => {
    if (parts.allowances.take(dialog, place, octets, isDirect)) return "resend"
    if (!isLate || notify.state === "terminated") return "wait"
    const shown = shownOctets(notify)
    return shown > 0 && parts.allowances.mayTake(dialog, place, octets - shown + growth) ? "over" : "wait"
  }

  const start = (
    way: Way,
    branch: string,
    bytes: Buffer,
    channel: Channel,
    hop: { readonly address: string; readonly port: number },
    connection: Connection | null,
  ): void => {
    const { notify, allowed } = way
    counters.notifySent++
    connection?.branches.add(branch)
    client.start(
      {
        branch,
        callId: notify.dialog.callId,
        cseq: notify.cseq,
        channel,
        address: hop.address,
        port: hop.port,
        isReliable: connection !== null,
        mayResend: allowed === null ? null : (octets, isLate) => resending(notify, allowed, octets, isLate),
        ended: (result) => {
          connection?.branches.delete(branch)
          if (allowed !== null && typeof result === "object")
            parts.allowances.answered(allowed.dialog, allowed.place, result.status < 300)
          end(notify, outcomeOf(result, way))
        },
      },
      bytes,
    )
  }

  const onConnection = (way: Way, connection: Connection, branch = mintBranch()): Buffer => {
    const sentBy = `${bracketed(connection.localAddress)}:${connection.localPort}`
    return formatNotify(way.notify, way.prepared, "tcp", sentBy, branch)
  }

  const runOn = (way: Way, connection: Connection): void => {
    const branch = mintBranch()
    const hop = { address: connection.remoteAddress, port: connection.remotePort }
    start(way, branch, onConnection(way, connection, branch), connection, hop, connection)
  }

  const overTcp = (way: Way, hop: { readonly address: string; readonly port: number }): void =>
    tcp.open(hop.address, hop.port, limits.connectMs, (connection) => {
      if (connection === null) endSoon(way.notify, { _tag: "Unreachable" })
      else runOn(way, connection)
    })

  /** The socket the SUBSCRIBE came in on; failing that, one of the same family. */
  const udpListenerOf = (flow: string, address: string): UdpListener | null => {
    const port = Number(flow.slice(flow.lastIndexOf(":") + 1))
    const isIpv6 = address.includes(":")
    let fallback: UdpListener | null = null
    for (const listener of parts.udpListeners) {
      if (listener.host.includes(":") !== isIpv6) continue
      if (flow.startsWith("udp:") && listener.port === port && flow.includes(bracketed(listener.host)))
        return listener
      if (fallback === null || (listener.port === port && fallback.port !== port)) fallback = listener
    }
    return fallback
  }

  const overUdp = (way: Way, hop: { readonly address: string; readonly port: number }): void => {
    const { notify, prepared } = way
    const listener = udpListenerOf(notify.dialog.flow, hop.address)
    if (listener === null) return endSoon(notify, { _tag: "Unreachable" })
    const sentBy = `${bracketed(parts.localHost(listener.host, hop.address))}:${listener.port}`
    const branch = mintBranch()
    const bytes = formatNotify(notify, prepared, "udp", sentBy, branch)
    if (bytes.length <= parts.udpMtuBytes || isStreamRefused(hop))
      return start(way, branch, bytes, listener, hop, null)
    // RFC 3261 §18.1.1: too big for one packet, so over TCP if the peer has it, and over UDP after all if not.
    const letGo = client.hold(hop.address, hop.port, bytes.length)
    tcp.open(hop.address, hop.port, limits.bigRequestConnectMs, (connection) => {
      letGo()
      if (connection !== null) {
        counters.bigRequestsOverTcp++
        return runOn(way, connection)
      }
      counters.bigRequestsFellBack++
      if (streamRefusals.size >= streamRefusalsMax) streamRefusals.clear()
      streamRefusals.set(`${hop.address} ${hop.port}`, clock() + limits.streamRefusedMs)
      start(way, branch, bytes, listener, hop, null)
    })
  }

  /** To where nothing is proven, as far as that may be; else it waits until somebody there has answered. */
  const cautiously = (notify: Notify, prepared: PreparedDialog, named: string | null, hop: Hop): void => {
    const dialog = allowanceKey(notify.dialog.callId, notify.dialog.localTag)
    const place = placeOf(hop.transport, hop.address, hop.port)
    const isDirect = prepared.routes.length === 0 && notify.dialog.routeSet.length === 0
    const way: Way = { notify, prepared, named, allowed: { dialog, place, isDirect } }
    const tryNow = hop.transport === "tcp" ? () => cautiouslyTcp(way, hop) : () => cautiouslyUdp(way, hop)
    if (!tryNow()) waitFor(notify, dialog, place, tryNow)
  }

  const waitFor = (notify: Notify, dialog: string, place: Place, tryNow: () => boolean): void =>
    parts.allowances.wait(dialog, place, {
      tryNow,
      timedOut: () => endSoon(notify, { _tag: "TimedOut" }),
      putOff: (seconds) => putOff(notify, seconds),
    })

  /** It is not failed, but to be told later: as if the watcher had said so. */
  const putOff = (notify: Notify, seconds = retryAfterFull): void =>
    endSoon(notify, { _tag: "Refused", status: 503, retryAfter: seconds })

  /** Always over UDP: an attempt to connect would be more packets. @returns false: there is no room */
  const cautiouslyUdp = (way: Way, hop: Hop): boolean => {
    const { notify, prepared, allowed } = way
    const listener = udpListenerOf(notify.dialog.flow, hop.address)
    if (listener === null) {
      endSoon(notify, { _tag: "Unreachable" })
      return true
    }
    const sentBy = `${bracketed(parts.localHost(listener.host, hop.address))}:${listener.port}`
    const branch = mintBranch()
    const bytes = formatNotify(notify, prepared, "udp", sentBy, branch)
    if (allowed === null) return false
    if (!parts.allowances.take(allowed.dialog, allowed.place, bytes.length, allowed.isDirect)) return false
    start(way, branch, bytes, listener, hop, null)
    return true
  }

  /** One attempt to connect at a time, and one only as long as nobody answers. @returns false: there is no room */
  const cautiouslyTcp = (way: Way, hop: Hop): boolean => {
    const { allowed, notify } = way
    if (allowed === null) return false
    const isThere = tcp.find(hop.address, hop.port)?.isOpen() === true || tcp.isOpening(hop.address, hop.port)
    if (!isThere && !parts.allowances.takeAttempt(allowed.place)) return false
    const begin = (connection: Connection): boolean => {
      const branch = mintBranch()
      const bytes = onConnection(way, connection, branch)
      if (!parts.allowances.take(allowed.dialog, allowed.place, bytes.length, allowed.isDirect)) return false
      const at = { address: connection.remoteAddress, port: connection.remotePort }
      start(way, branch, bytes, connection, at, connection)
      return true
    }
    tcp.open(hop.address, hop.port, limits.unprovenConnectMs, (connection) => {
      if (connection === null) return endSoon(notify, { _tag: "Unreachable" })
      if (!begin(connection)) waitFor(notify, allowed.dialog, allowed.place, () => cautiouslyTcp(way, hop))
    })
    return true
  }

  const shareUsed = (notify: Notify): void => {
    counters.notifyShareUsed++
    parts.onLimit("unanswered_octets_share")
    putOff(notify)
  }

  const isStreamRefused = (hop: { readonly address: string; readonly port: number }): boolean => {
    const key = `${hop.address} ${hop.port}`
    const until = streamRefusals.get(key)
    if (until === undefined) return false
    if (until > clock()) return true
    streamRefusals.delete(key)
    return false
  }

  const sendTo = (notify: Notify, prepared: PreparedDialog, named: string | null, hop: Hop): void => {
    // one that ends a subscription is not told later; whoever fetches was told beforehand
    if (client.isShareUsed(hop.address, hop.port) && !(named !== null && notify.state === "terminated"))
      return shareUsed(notify)
    if (notify.proof?._tag === "Unproven") return cautiously(notify, prepared, named, hop)
    const way: Way = { notify, prepared, named, allowed: null }
    if (hop.transport === "tcp") overTcp(way, hop)
    else overUdp(way, hop)
  }

  /** To one of the addresses that a name leads to: a proven one, if there is one. */
  const sendToOneOf = (
    notify: Notify,
    prepared: PreparedDialog,
    name: string,
    found: readonly Hop[],
  ): void => {
    const hops = found
      .map((hop): Hop => ({ ...hop, address: canonicalAddress(hop.address) }))
      .filter(({ address, port }) => port !== 0 && !isNobody(address) && !parts.isOwnAddress(address, port))
    const [first] = hops
    if (first === undefined) return end(notify, { _tag: "Unreachable" })
    const { proof } = notify
    const placeIs = ({ transport, address, port }: Hop): string => placeOf(transport, address, port)
    if (parts.isNotifyTarget(name)) return sendTo(notify, prepared, null, first)
    if (proof?._tag !== "Addresses") return sendTo(notify, prepared, placeIs(first), first)
    const known = hops.find((hop) => proof.addresses.includes(placeIs(hop)))
    if (known === undefined) return end(notify, { _tag: "Unproven" })
    const isNewest = proof.addresses.at(-1) === placeIs(known)
    sendTo(notify, prepared, isNewest ? null : placeIs(known), known)
  }

  /** The connection the SUBSCRIBE came over, while it lasts: the only way back to a watcher behind a NAT. */
  const connectionOf = ({ source }: DialogStart): Connection | null => {
    const at = readHostPort(source, 0)
    if (at === null || at.port === null) return null
    return tcp.find(at.host.startsWith("[") ? at.host.slice(1, -1) : at.host, at.port)
  }

  return {
    send: (notify) => {
      if (counters.clientOctets >= limits.unansweredOctetsMax) {
        counters.notifyTooManyOctets++
        parts.onLimit("unanswered_octets_max")
        return putOff(notify)
      }
      if (counters.clientTransactions >= limits.clientTransactionsMax) return putOff(notify)
      const prepared = prepareDialog(notify.dialog)
      const { hop } = prepared
      if (hop === null) return endSoon(notify, { _tag: "Unreachable" })
      const isStream = notify.dialog.flow.startsWith("tcp:")
      // an answer over the connection would prove nothing of where the Contact leads
      const mayUseIt = isStream && notify.proof?._tag !== "Unproven"
      const connection = mayUseIt ? connectionOf(notify.dialog) : null
      if (connection !== null) {
        if (client.isShareUsed(connection.remoteAddress, connection.remotePort)) return shareUsed(notify)
        return runOn({ notify, prepared, named: null, allowed: null }, connection)
      }
      // the connection was proven, and is gone
      if (notify.proof?._tag === "Connection") return endSoon(notify, { _tag: "Unproven" })
      const transport = hop.transport ?? (isStream ? "tcp" : null)
      if (hop.isNumeric) {
        return sendTo(notify, prepared, null, {
          transport: transport ?? "udp",
          address: hop.host,
          port: hop.port ?? portDefault,
        })
      }
      parts.resolver.resolve(hop.host, hop.port, transport).then(
        (hops) => sendToOneOf(notify, prepared, hop.host, hops),
        () => end(notify, { _tag: "Unreachable" }),
      )
    },
    isFullFor: (dialog) => {
      if (
        counters.clientOctets >= limits.unansweredOctetsMax ||
        counters.clientTransactions >= limits.clientTransactionsMax
      )
        return retryAfterFull
      const { hop } = prepareDialog(dialog)
      const isStream = dialog.flow.startsWith("tcp:")
      const connection = isStream ? connectionOf(dialog) : null
      // where a name leads is not known yet
      const [address, port] =
        connection !== null
          ? [connection.remoteAddress, connection.remotePort]
          : hop?.isNumeric === true
            ? [hop.host, hop.port ?? portDefault]
            : [null, portDefault]
      if (address === null) return null
      if (client.isShareUsed(address, port)) return retryAfterFull
      if (dialog.room === undefined || connection !== null) return null
      const transport = hop?.transport ?? (isStream ? "tcp" : "udp")
      return parts.allowances.hasRoom(placeOf(transport, address, port)) ? null : retryAfterFull
    },
  }
}
