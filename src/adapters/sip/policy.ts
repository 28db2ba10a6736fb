/**
 * The operator's policy for single requests: `handle_publish([sender_uri])` and
 * `handle_subscribe([force_active][, sharing_tag])` of OpenSIPS. Types only; `apply-policy.ts` asks and
 * applies it.
 */
import type { TransportName } from "./transports/names.ts"

/** A request as presented to a policy. */
export interface PolicyRequest {
  readonly method: "PUBLISH" | "SUBSCRIBE"
  readonly presentity: string
  /** The event package, with the parameters that belong to its name; null without an Event header. */
  readonly event: string | null
  /**
   * The sender: as asserted by a trusted peer (`sip:anonymous@anonymous.invalid` if it asserts none), else
   * the URI in From.
   */
  readonly from: string
  /** The user name it authenticated with; null if it did not. */
  readonly user: string | null
  /** The URI in Contact, as written. */
  readonly contact: string | null
  /** Source IP address and port. */
  readonly source: string
  readonly port: number
  readonly transport: TransportName
  readonly callId: string
  /** A refresh or an unsubscribe. */
  readonly inDialog: boolean
  readonly expires: number | null
  /** The values of all lines of a header, as written. */
  readonly header: (name: string) => readonly string[]
}

/** Where to find the Contact URI of the publishing device, which is not notified of its own publication. */
export type SenderFrom =
  | { readonly _tag: "From" }
  | { readonly _tag: "Contact" }
  /** The URI in that header; without the header there is no sender. */
  | { readonly _tag: "Header"; readonly name: string }
  | { readonly _tag: "Uri"; readonly uri: string }

/** What is omitted stays as it would be without a policy. */
export type PolicyDecision =
  | {
      readonly _tag: "Granted"
      readonly forceActive?: boolean
      readonly sharingTag?: string
      readonly sender?: SenderFrom
    }
  /** Reason null: the standard phrase. */
  | { readonly _tag: "Refused"; readonly status: number; readonly reason: string | null }

export interface Policy {
  /** Null: proceed as without a policy. Never throws, never rejects. */
  readonly ask: (request: PolicyRequest) => PolicyDecision | null | Promise<PolicyDecision | null>
  /** Headers it reads that nothing else does, in lower case; null: it may read any. */
  readonly headers: ReadonlySet<string> | null
}
