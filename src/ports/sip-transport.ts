/**
 * SIP as the application sees it: requests come in, NOTIFYs go out, and the outcome of each comes back.
 *
 * A service, its error and the handler that it calls; no behaviour.
 */
import { Context, Data } from "effect"
import type { Effect, Scope } from "effect"
import type { Answer, Command, DeliveryOutcome } from "../domain/presentity/commands.ts"
import type { Notify } from "../domain/presentity/intents.ts"
import type { SubscriptionNo, Uri } from "../domain/vocabulary.ts"

/** One request on its way to the core. */
export interface Request {
  /** Null for a request inside a dialog: the core knows which presentity the dialog belongs to. */
  readonly presentity: Uri | null
  readonly command: Command
  /** Who sent it, for the log: `udp:192.0.2.20:5060 <Call-ID> <CSeq>`. */
  readonly origin: string
  /** Called exactly once, after the commit when there is something to commit. */
  readonly answer: (answer: Answer) => void
}

/** What a SIP stack needs from the application while it runs; every member is synchronous and returns at once. */
export interface SipHandler {
  readonly submit: (request: Request) => void
  /** How a NOTIFY ended; called exactly once for each one handed to `notify`. */
  readonly delivered: (presentity: Uri, id: SubscriptionNo, cseq: number, outcome: DeliveryOutcome) => void
  /**
   * Asked once for each new request outside a dialog: a value answers it 503 with that many seconds in Retry-After. Absent:
   * there is always room.
   */
  readonly overload?: () => { readonly retryAfter: number } | null
  /** Whether NOTIFYs may leave at this moment, also those that were sent before. Absent: they always may. */
  readonly maySend?: () => boolean
}

/** A socket could not be opened at an address such as `udp:192.0.2.10:5060`; the cause is that of the system. */
export class BindFailed extends Data.TaggedError("BindFailed")<{
  readonly address: string
  readonly cause: unknown
}> {}

/** SIP above transactions. */
export class SipTransport extends Context.Service<
  SipTransport,
  {
    /** Opens the sockets and serves requests until the scope closes. Once for each stack. */
    readonly listen: (handler: SipHandler) => Effect.Effect<void, BindFailed, Scope.Scope>
    /** Sends each NOTIFY; failure is an outcome, never an error. */
    readonly notify: (notifications: readonly Notify[]) => void
    /** Listening addresses with real ports: `udp:127.0.0.1:5060`. Empty before `listen`. */
    readonly addresses: () => readonly string[]
    /** What has been counted so far, and gauges; numbers that the stack goes on changing. */
    readonly counters: SipCounters
  }
>()("presently/SipTransport") {}

/** Counts that only grow since the stack was made, except the gauges at the end. */
export interface SipCounters {
  received: number
  sent: number
  malformed: number
  dropped: number
  retransmissionsAbsorbed: number
  merged: number
  refusedOverload: number
  challenges: number
  /** SUBSCRIBEs of trusted peers that name nobody. */
  peerUnnamed: number
  /** PUBLISHes of trusted peers for somebody they do not speak for. */
  peerRefused: number
  /** Datagrams with the source of a trusted peer whose dialog would lead elsewhere. */
  peerDoubted: number
  /** Requests of others where only trusted peers are served. */
  strangersRefused: number
  /** By method and status: `PUBLISH 200`. */
  responses: Record<string, number>
  notifySent: number
  notifyRetransmitted: number
  notifyAccepted: number
  notifyRefused: number
  notifyTimedOut: number
  notifyUnreachable: number
  /** NOTIFYs that were not sent because they would have gone where nothing is proven any more. */
  notifyUnproven: number
  /** NOTIFYs with a document that were not answered in time and could not be repeated: the next goes without it. */
  notifyUnrepeated: number
  /** NOTIFYs refused because too many octets were under way; because of those to the same address and port. */
  notifyTooManyOctets: number
  notifyShareUsed: number
  /** Contacts in answers to NOTIFYs that would have moved the remote target to where nothing is proven. */
  targetsKept: number
  /** NOTIFYs that had to wait until where they go has answered; those that found no room to wait, at all or for their target. */
  unprovenWaited: number
  unprovenDropped: number
  unprovenDroppedOfTarget: number
  /** How often there was no room to remember a further dialog or address where nothing is proven. */
  unprovenTargetsFull: number
  bigRequestsOverTcp: number
  bigRequestsFellBack: number
  connectionsRefused: number
  sendErrors: number
  defects: number
  connections: number
  serverTransactions: number
  clientTransactions: number
  clientOctets: number
  unprovenWaiting: number
}
