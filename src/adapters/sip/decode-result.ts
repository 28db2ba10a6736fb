/**
 * What a request arrived on, and what it is made into.
 */
import type { Publish, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { PolicyRequest } from "./policy.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import type { Target } from "./via.ts"

/** Where a request came from and came in. */
export interface ReceivedOn {
  readonly transport: "udp" | "tcp"
  /** The receiving socket: `udp:192.0.2.10:5060`. */
  readonly flow: string
  /** Our Contact URI on that socket. */
  readonly contact: string
  readonly sourceAddress: string
  readonly sourcePort: number
  /** Where its answer goes, which is not where it came from when its Via says so; absent: where it came from. */
  readonly answeredTo?: Target
}

/** A request that the core decides. */
export interface Accepted {
  readonly _tag: "Submit"
  readonly presentity: Uri | null
  readonly command: Publish | Subscribe | Resubscribe
}

export type DecodeResult =
  | Accepted
  | { readonly _tag: "Reply"; readonly reply: Reply; readonly isStateless: boolean }
  /** To be submitted as the policy grants it. */
  | { readonly _tag: "Ask"; readonly question: PolicyRequest; readonly otherwise: Accepted }
