/**
 * The way of one NOTIFY: next hop, transport, transaction, outcome.
 *
 * Numeric hosts go out in the call that asked for it; names wait for the resolver, and connections to be opened wait
 * for the peer. Whatever happens, the outcome is reported once.
 */
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { SipHandler } from "../../domain/ports.ts"
import type { ClientResult, ClientTransactions } from "./client-transactions.ts"
import { parseAddress } from "./codec.ts"
import { parseRetryAfter } from "./headers.ts"
import { formatNotify, prepareDialog } from "./notify.ts"
import type { PreparedDialog } from "./notify.ts"
import type { Counters, Limits } from "./options.ts"
import type { Hop, Resolver } from "./resolver.ts"
import type { Channel } from "./server-transactions.ts"
import type { Connection, Tcp } from "./tcp.ts"
import type { UdpListener } from "./udp.ts"
import { bracketed, isNobody, parseUri, readHostPort } from "./uri.ts"

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
}

export interface Notifier {
  readonly send: (notify: Notify) => void
}

const portDefault = 5_060
const streamRefusalsMax = 20_000
/** Seconds until a NOTIFY that found no room is worth another try. */
const retryAfterFull = 5

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
      default:
        counters.notifyUnreachable++
    }
    parts.delivered(notify.presentity, notify.no, notify.cseq, outcome)
  }

  /** Never inside the call that handed the NOTIFY over. */
  const endSoon = (notify: Notify, outcome: DeliveryOutcome): void =>
    queueMicrotask(() => end(notify, outcome))

  const outcomeOf = (result: ClientResult): DeliveryOutcome => {
    if (result === "timedOut") return { _tag: "TimedOut" }
    if (result === "failed") return { _tag: "Unreachable" }
    // A challenge is a refusal like any other: nobody gets credentials out of us.
    if (result.status >= 300)
      return {
        _tag: "Refused",
        status: result.status,
        retryAfter: parseRetryAfter(result.headers.get("retry-after")?.[0]),
      }
    return { _tag: "Accepted", remoteTarget: newTarget(result.headers.get("contact")) }
  }

  /** RFC 3261 §12.2.1.2: the Contact of a 2xx, when we could send to it. */
  const newTarget = (lines: readonly string[] | undefined): string | null => {
    if (lines === undefined || lines.length !== 1) return null
    const contact = parseAddress(lines[0]!)
    if (contact === null || contact.uri.length > limits.uriBytesMax) return null
    const uri = parseUri(contact.uri)
    if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || uri.headers !== null) return null
    if (uri.port === 0 || isNobody(uri.host) || parts.isOwnAddress(uri.host, uri.port ?? portDefault))
      return null
    return contact.uri
  }

  /** Random, so that it cannot be guessed; counted, so that it cannot come twice (RFC 3261 §8.1.1.7). */
  const mintBranch = (): string => `z9hG4bK${parts.mintTag()}${(branches++).toString(36)}`

  const run = (
    notify: Notify,
    prepared: PreparedDialog,
    channel: Channel,
    transport: "udp" | "tcp",
    sentBy: string,
    hop: { readonly address: string; readonly port: number },
    connection: Connection | null,
  ): void => {
    const branch = mintBranch()
    start(notify, branch, formatNotify(notify, prepared, transport, sentBy, branch), channel, hop, connection)
  }

  const start = (
    notify: Notify,
    branch: string,
    bytes: Buffer,
    channel: Channel,
    hop: { readonly address: string; readonly port: number },
    connection: Connection | null,
  ): void => {
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
        ended: (result) => {
          connection?.branches.delete(branch)
          end(notify, outcomeOf(result))
        },
      },
      bytes,
    )
  }

  const runOn = (notify: Notify, prepared: PreparedDialog, connection: Connection): void =>
    run(
      notify,
      prepared,
      connection,
      "tcp",
      `${bracketed(connection.localAddress)}:${connection.localPort}`,
      { address: connection.remoteAddress, port: connection.remotePort },
      connection,
    )

  const overTcp = (
    notify: Notify,
    prepared: PreparedDialog,
    hop: { readonly address: string; readonly port: number },
  ): void =>
    tcp.open(hop.address, hop.port, limits.connectMs, (connection) => {
      if (connection === null) endSoon(notify, { _tag: "Unreachable" })
      else runOn(notify, prepared, connection)
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

  const overUdp = (
    notify: Notify,
    prepared: PreparedDialog,
    hop: { readonly address: string; readonly port: number },
  ): void => {
    const listener = udpListenerOf(notify.dialog.flow, hop.address)
    if (listener === null) return endSoon(notify, { _tag: "Unreachable" })
    const sentBy = `${bracketed(parts.localHost(listener.host, hop.address))}:${listener.port}`
    const branch = mintBranch()
    const bytes = formatNotify(notify, prepared, "udp", sentBy, branch)
    if (bytes.length <= parts.udpMtuBytes || isStreamRefused(hop))
      return start(notify, branch, bytes, listener, hop, null)
    // RFC 3261 §18.1.1: too big for one packet, so over TCP if the peer has it, and over UDP after all if not.
    tcp.open(hop.address, hop.port, limits.bigRequestConnectMs, (connection) => {
      if (connection !== null) {
        counters.bigRequestsOverTcp++
        return runOn(notify, prepared, connection)
      }
      counters.bigRequestsFellBack++
      if (streamRefusals.size >= streamRefusalsMax) streamRefusals.clear()
      streamRefusals.set(`${hop.address} ${hop.port}`, clock() + limits.streamRefusedMs)
      start(notify, branch, bytes, listener, hop, null)
    })
  }

  const isStreamRefused = (hop: { readonly address: string; readonly port: number }): boolean => {
    const key = `${hop.address} ${hop.port}`
    const until = streamRefusals.get(key)
    if (until === undefined) return false
    if (until > clock()) return true
    streamRefusals.delete(key)
    return false
  }

  const sendTo = (notify: Notify, prepared: PreparedDialog, hop: Hop): void => {
    if (hop.port === 0 || isNobody(bracketed(hop.address))) return endSoon(notify, { _tag: "Unreachable" })
    if (hop.transport === "tcp") overTcp(notify, prepared, hop)
    else overUdp(notify, prepared, hop)
  }

  /** The connection the SUBSCRIBE came over, while it lasts: the only way back to a watcher behind a NAT. */
  const connectionOf = (notify: Notify): Connection | null => {
    const { source } = notify.dialog
    const at = readHostPort(source, 0)
    if (at === null || at.port === null) return null
    return tcp.find(at.host.startsWith("[") ? at.host.slice(1, -1) : at.host, at.port)
  }

  return {
    send: (notify) => {
      if (counters.clientTransactions >= limits.clientTransactionsMax)
        return endSoon(notify, { _tag: "Refused", status: 503, retryAfter: retryAfterFull })
      const prepared = prepareDialog(notify.dialog)
      const { hop } = prepared
      if (hop === null) return endSoon(notify, { _tag: "Unreachable" })
      const isStream = notify.dialog.flow.startsWith("tcp:")
      const connection = isStream ? connectionOf(notify) : null
      if (connection !== null) return runOn(notify, prepared, connection)
      const transport = hop.transport ?? (isStream ? "tcp" : null)
      if (hop.isNumeric) {
        return sendTo(notify, prepared, {
          transport: transport ?? "udp",
          address: hop.host,
          port: hop.port ?? portDefault,
        })
      }
      parts.resolver.resolve(hop.host, hop.port, transport).then(
        (hops) => {
          const first = hops[0]
          if (first === undefined) end(notify, { _tag: "Unreachable" })
          else sendTo(notify, prepared, first)
        },
        () => end(notify, { _tag: "Unreachable" }),
      )
    },
  }
}
