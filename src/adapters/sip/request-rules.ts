/**
 * What the decoder of requests goes by besides the message: the settings of the stack, and what it knows of itself.
 */
import type { EventPackage } from "../../domain/packages/event-package.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import type { PrepareDialog } from "./format-notify.ts"
import type { ParameterizedName } from "./headers.ts"
import type { IdentityRules } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Policy } from "./policy.ts"
import type { KeptOfRequests } from "./request-facts.ts"
import type { Transports } from "./transports/transport.ts"

export interface RequestRules extends IdentityRules {
  readonly transports: Transports
  readonly prepareDialog: PrepareDialog
  readonly serves: (host: string) => boolean
  readonly isOwnAddress: (host: string, port: number) => boolean
  readonly allowEvents: string
  readonly accept: readonly string[]
  /** Null refuses REGISTER. */
  readonly register: ((message: RawMessage, to: Uri) => Reply) | null
  readonly forceActive: boolean
  /** Packages whose names have parameters, which distinguish them from their type. */
  readonly parameterized: readonly ParameterizedName[]
  /** By name of a package: the headers that belong to its publications, as they are to be written. */
  readonly carriedHeaders: ReadonlyMap<string, readonly string[]>
  /** By name of a package: the header of a SUBSCRIBE that says what exactly is asked for. */
  readonly argumentHeaders: ReadonlyMap<string, string>
  /** Of a package: which presentity a SUBSCRIBE outside a dialog is for; undefined: that of its Request-URI. */
  readonly presentityOf: (packageName: string) => EventPackage["presentityOf"]
  /** Whether the Sender header of a PUBLISH is believed; that of a peer whose PUBLISH is taken is. */
  readonly trustSenderHeader: boolean
  readonly allowAnyContact: boolean
  /** What the log keeps of who sent a request. */
  readonly keptOfRequests: KeptOfRequests
  /** Whether the operator lets NOTIFYs go to a host that has not answered any. */
  readonly isNotifyTarget: (host: string) => boolean
  readonly udpMtuBytes: number
  readonly mintTag: () => string
  /** What an operator says of single requests; null: nothing. */
  readonly policy: Policy | null
}
