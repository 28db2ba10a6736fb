/**
 * SIP as the application sees it: requests come in, NOTIFYs go out, and the outcome of each NOTIFY comes back.
 *
 * A service, its error, and the handler that it calls; no behaviour.
 */
import { Context, Data } from "effect"
import type { Effect, Scope } from "effect"
import type { About } from "../domain/presentity/about.ts"
import type { Answer, Command, DeliveryOutcome } from "../domain/presentity/commands.ts"
import type { Notify } from "../domain/presentity/intents.ts"
import type { SubscriptionNo, Uri } from "../domain/vocabulary.ts"

/** A request passed to the core. */
export interface Request {
  /** Null for a request inside a dialog: the core knows to which presentity the dialog belongs. */
  readonly presentity: Uri | null
  readonly command: Command
  /** The sender, for the log: `udp:192.0.2.20:5060 <Call-ID> <CSeq>`. */
  readonly origin: string
  /** What else is known of the request; absent: nothing. */
  readonly about?: About
  /** Called exactly once, after the commit if there is anything to commit. */
  readonly answer: (answer: Answer) => void
}

/** What a SIP stack needs from the application while it runs; every member is synchronous and returns at once. */
export interface SipHandler {
  readonly submit: (request: Request) => void
  /** Reports the outcome of a NOTIFY; called exactly once for each one passed to `notify`. */
  readonly delivered: (presentity: Uri, id: SubscriptionNo, cseq: number, outcome: DeliveryOutcome) => void
  /**
   * Asked once for each new request outside a dialog: a value answers it with 503 and that many seconds in Retry-After.
   * Absent: no request is refused for overload.
   */
  readonly overload?: () => { readonly retryAfter: number } | null
  /** Whether NOTIFYs may be sent at this moment, including retransmissions. Absent: always. */
  readonly maySend?: () => boolean
}

/**
 * A socket could not be opened at an address such as `udp:192.0.2.10:5060`; the cause is the error of the operating
 * system.
 */
export class BindFailed extends Data.TaggedError("BindFailed")<{
  readonly address: string
  readonly cause: unknown
}> {}

/** SIP above the transaction layer. */
export class SipTransport extends Context.Service<
  SipTransport,
  {
    /** Opens the sockets and serves requests until the scope closes. Once for each stack. */
    readonly listen: (handler: SipHandler) => Effect.Effect<void, BindFailed, Scope.Scope>
    /** Sends each NOTIFY; a failure is an outcome, never an error. */
    readonly notify: (notifications: readonly Notify[]) => void
    /** Listening addresses with their actual ports: `udp:127.0.0.1:5060`. Empty before `listen`. */
    readonly addresses: () => readonly string[]
    /** Counters and gauges, which the stack continues to update. */
    readonly counters: SipCounters
  }
>()("presently/SipTransport") {}

/** Counters that only grow while the stack exists, except the gauges at the end. */
export interface SipCounters {
  received: number
  sent: number
  malformed: number
  dropped: number
  retransmissionsAbsorbed: number
  merged: number
  refusedOverload: number
  challenges: number
  /** SUBSCRIBEs from trusted peers without an identity. */
  peerUnnamed: number
  /** PUBLISHes from trusted peers for a presentity that they may not represent. */
  peerRefused: number
  /** Datagrams with the source address of a trusted peer whose dialog would lead elsewhere. */
  peerDoubted: number
  /** Requests from other senders where only trusted peers are served. */
  strangersRefused: number
  /** By method and status: `PUBLISH 200`. */
  responses: Record<string, number>
  notifySent: number
  notifyRetransmitted: number
  notifyAccepted: number
  notifyRefused: number
  notifyTimedOut: number
  notifyUnreachable: number
  /** The connection of its watcher was closed: no failure. */
  notifyFlowLost: number
  /** Larger than a datagram can be, while no stream could be opened: no failure. */
  notifyTooLarge: number
  /** Places that failed where the next hop leads to others, which were tried then. */
  notifyFailedOver: number
  /** NOTIFYs that were not sent because their target was no longer proven. */
  notifyUnproven: number
  /** NOTIFYs with a document that had no response in time and could not be repeated: the next one goes without it. */
  notifyUnrepeated: number
  /** NOTIFYs refused because too many octets were in transit, in total or to the same address and port. */
  notifyTooManyOctets: number
  notifyShareUsed: number
  /** Contacts in responses to NOTIFYs that would have moved the remote target to an unproven one. */
  targetsKept: number
  /**
   * NOTIFYs that had to wait for a response from their target; those for which the queue was full, in total or for
   * their target.
   */
  unprovenWaited: number
  unprovenDropped: number
  unprovenDroppedOfTarget: number
  /** How often no further dialog or address with an unproven target could be remembered. */
  unprovenTargetsFull: number
  bigRequestsOverTcp: number
  /** Sent as datagrams after all: no connection, or nothing came back over it. */
  bigRequestsFellBack: number
  connectionsRefused: number
  /** Handshakes (TLS, WebSocket) of accepted connections that failed, took too long, or were one too many. */
  handshakesFailed: number
  handshakesTimedOut: number
  handshakesRefused: number
  /** What was amiss with headers of load balancers and HTTP proxies, by kind: `bad`, `missing`, `unlisted`, `forwarded`, `ignored`. */
  proxyFaults: Record<string, number>
  /** Requests for a WebSocket that were refused, by reason: `request`, `protocol`, `origin`, `forwarded`. */
  upgradesRefused: Record<string, number>
  /** WebSockets closed because what arrived was no WebSocket frame, or too long. */
  webSocketFaults: number
  /** WebSockets closed because their peer did not answer a ping. */
  pingsUnanswered: number
  /** Connections of ours that ended because the certificate of the peer was not that of the host. */
  tlsPeersUnverified: number
  /** Refused because its source address has as many as it may. */
  connectionsRefusedOfSource: number
  /** Closed because nothing came for too long and no subscription depends on it. */
  connectionsIdle: number
  /** Closed because a message was not completed in time. */
  connectionsSlow: number
  /** Closed because the peer does not read what is sent to it. */
  connectionsUnread: number
  /** Closed because a NOTIFY on it had no answer, and nothing else was heard on it. */
  connectionsSilent: number
  /** Keep-alives of phones that were answered: double CRLF and STUN binding requests (RFC 5626 §3.5). */
  keepAlivesAnswered: number
  /** Keep-alives sent to phones behind a NAT. */
  keepAlivesSent: number
  sendErrors: number
  defects: number
  connections: number
  handshakes: number
  serverTransactions: number
  clientTransactions: number
  clientOctets: number
  unprovenWaiting: number
}
