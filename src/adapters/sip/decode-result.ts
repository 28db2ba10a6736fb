/** Where a request arrived, and what it is decoded into. */
import type { About } from "../../domain/presentity/about.ts"
import type { Publish, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import { reply } from "../../encoding/sip-replies.ts"
import type { Address } from "./address-headers.ts"
import type { RawMessage } from "./message-reader.ts"
import type { PolicyRequest } from "./policy.ts"
import type { RegistrationStep } from "./registrations.ts"
import type { PeerCertificate } from "./transports/certificate-names.ts"
import type { Transport } from "./transports/transport.ts"
import type { SipUri, TelUri } from "./uri.ts"
import type { Target } from "./via.ts"

/** Where a request came from and where it was received. */
export interface ReceivedOn {
  readonly transport: Transport
  /** The receiving socket: `udp:192.0.2.10:5060`. */
  readonly flow: string
  /** Our Contact URI on that socket. */
  readonly contact: string
  /** The same as a `sips` URI; absent or null: we are not reached over TLS. */
  readonly secureContact?: () => string | null
  /** The verified certificate of the sender; absent or null: none. */
  readonly certificate?: PeerCertificate | null | undefined
  readonly sourceAddress: string
  readonly sourcePort: number
  /** Where the response goes, if the Via sends it elsewhere; absent: to the source address. */
  readonly answeredTo?: Target
}

/** A request for the core to decide. */
export interface Accepted {
  readonly _tag: "Submit"
  readonly presentity: Uri | null
  readonly command: Publish | Subscribe | Resubscribe
  /** What else the log keeps of it; absent: nothing. */
  readonly about?: About
}

/** A request answered without the core. */
export interface Refused {
  readonly _tag: "Reply"
  readonly reply: Reply
  /** No transaction state is kept. */
  readonly isStateless: boolean
}

/** A REGISTER that is answered when what follows from it has been published. */
export interface Registered {
  readonly _tag: "Registered"
  readonly reply: Reply
  readonly presentity: Uri
  readonly steps: readonly RegistrationStep[]
}

export type DecodeResult =
  | Accepted
  | Refused
  | Registered
  /** To be submitted if and as the policy grants it. */
  | { readonly _tag: "Ask"; readonly question: PolicyRequest; readonly otherwise: Accepted }

/** A request of a supported method, with its addresses parsed. */
export interface CheckedRequest {
  readonly _tag: "Checked"
  readonly message: RawMessage
  readonly from: Address
  readonly to: Address
  /** The Request-URI. */
  readonly uri: SipUri | TelUri
  /**
   * Equal for copies that arrive by different paths; null within a dialog, where nothing is merged (RFC 3261
   * §8.2.2.2).
   */
  readonly mergeKey: string | null
}

/** @param reason null for the standard phrase; @param headers complete lines, each ending in CRLF */
export const refuse = (status: number, reason: string | null = null, headers = ""): Refused => ({
  _tag: "Reply",
  reply: reply(status, headers, reason),
  isStateless: false,
})
