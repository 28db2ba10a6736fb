/**
 * What an operator says of single requests: `handle_publish([sender_uri])` of OpenSIPS and
 * `handle_subscribe([force_active][, sharing_tag])`.
 *
 * Types only. How a request is asked about, and granted what the answer says, is in `apply-policy.ts`.
 */
import type { TransportName } from "./transports/names.ts"

/** One request as a policy sees it. */
export interface PolicyRequest {
  readonly method: "PUBLISH" | "SUBSCRIBE"
  /** Whose state it is about. */
  readonly presentity: string
  /** The event package, with the parameters that belong to its name; null: there is no Event header. */
  readonly event: string | null
  /** Who asks: whom a trusted peer names (`sip:anonymous@anonymous.invalid`: nobody), else the URI in From. */
  readonly from: string
  /** The name it authenticated with; null: it did not. */
  readonly user: string | null
  /** The URI in Contact, as written. */
  readonly contact: string | null
  /** IP address and port it came from. */
  readonly source: string
  readonly port: number
  readonly transport: TransportName
  readonly callId: string
  /** A refresh, or an end, of what is there. */
  readonly inDialog: boolean
  readonly expires: number | null
  /** The lines of a header, each as written. */
  readonly header: (name: string) => readonly string[]
}

/** Which Contact URI is that of the device that publishes, which is not notified of what it published itself. */
export type SenderFrom =
  | { readonly _tag: "From" }
  | { readonly _tag: "Contact" }
  /** The URI in that header; a request without it has no sender. */
  | { readonly _tag: "Header"; readonly name: string }
  | { readonly _tag: "Uri"; readonly uri: string }

/** What is left out is as without a policy. */
export type PolicyDecision =
  | {
      readonly _tag: "Granted"
      readonly forceActive?: boolean
      readonly sharingTag?: string
      readonly sender?: SenderFrom
    }
  /** Null reason: the standard phrase. */
  | { readonly _tag: "Refused"; readonly status: number; readonly reason: string | null }

export interface Policy {
  /** Null: as without a policy. Never throws, never rejects. */
  readonly ask: (request: PolicyRequest) => PolicyDecision | null | Promise<PolicyDecision | null>
  /** Headers it looks at that nobody else reads, in lower case; null: it may look at any. */
  readonly headers: ReadonlySet<string> | null
}
