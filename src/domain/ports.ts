/**
 * The only door between the domain and the world: what the shell asks of a SIP stack and of an event store.
 *
 * Services and their errors, no behaviour. The domain itself never calls them; `app/pump.ts` does.
 */
import { Context, Data } from "effect"
import type { Effect, Scope } from "effect"
import type { Answer, Command, DeliveryOutcome } from "./presentity/commands.ts"
import type { Notify } from "./presentity/intents.ts"
import type { SubscriptionNo, Uri } from "./vocabulary.ts"

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

/** What a SIP stack needs from the core; every member is synchronous and returns at once. */
export interface SipHandler {
  readonly submit: (request: Request) => void
  /** How a NOTIFY ended; called exactly once for each one handed to `notify`. */
  readonly delivered: (presentity: Uri, no: SubscriptionNo, cseq: number, outcome: DeliveryOutcome) => void
}

export class BindFailed extends Data.TaggedError("BindFailed")<{
  readonly address: string
  readonly cause: unknown
}> {}

/** SIP above transactions: requests in, NOTIFYs out, outcomes back. */
export class SipTransport extends Context.Service<
  SipTransport,
  {
    /** Opens the sockets and serves requests until the scope closes. */
    readonly listen: (handler: SipHandler) => Effect.Effect<void, BindFailed, Scope.Scope>
    /** Sends each NOTIFY; failure is an outcome, never an error. */
    readonly notify: (notifications: readonly Notify[]) => void
    /** Listening addresses with real ports: `udp:127.0.0.1:5060`. Empty before `listen`. */
    readonly addresses: () => readonly string[]
  }
>()("presently/SipTransport") {}
