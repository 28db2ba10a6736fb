/** What the request decoder needs besides the message: settings of the stack, and what it knows about itself. */
import type { EventPackage, ParametersRead } from "../../domain/packages/event-package.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import type { DeviceRecognition, NeedsOf } from "./device.ts"
import type { PrepareDialog } from "./format-notify.ts"
import type { ParameterizedName } from "./headers.ts"
import type { IdentityRules } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import type { OutboundProxyFor } from "./outbound-proxy.ts"
import type { ProfileOf } from "./phone-profiles.ts"
import type { Policy } from "./policy.ts"
import type { RegistrationStep } from "./registrations.ts"
import type { KeptOfRequests } from "./request-facts.ts"

export interface RequestRules extends IdentityRules {
  readonly prepareDialog: PrepareDialog
  readonly serves: (host: string) => boolean
  /** Whether the host is the server's own rather than a domain. */
  readonly isOwnHost: (host: string) => boolean
  readonly isOwnAddress: (host: string, port: number) => boolean
  readonly allowEvents: string
  readonly accept: readonly string[]
  /** Null: REGISTER is refused. */
  readonly register: ((message: RawMessage, to: Uri) => Reply) | null
  /** What is to be published because of the REGISTER that was answered last for that address; null: nothing ever. */
  readonly registered: ((address: Uri) => readonly RegistrationStep[]) | null
  /** Seconds until the binding of that Contact expires; 0: there is none. Null: nobody is notified who has not subscribed. */
  readonly boundFor: ((address: Uri, contact: string) => number) | null
  readonly forceActive: boolean
  /** Package names with parameters, which distinguish them from their type. */
  readonly parameterized: readonly ParameterizedName[]
  /** By package name: the header fields that belong to its publications, spelled as they are sent. */
  readonly carriedHeaders: ReadonlyMap<string, readonly string[]>
  /** By package name: the header of a SUBSCRIBE that says what exactly is subscribed to. */
  readonly argumentHeaders: ReadonlyMap<string, string>
  /** What a package reads in the parameters of Event; undefined: they mean nothing to it. */
  readonly readParameters: (
    packageName: string,
    parameters: ReadonlyMap<string, string | null>,
  ) => ParametersRead | undefined
  /** Media types of a SUBSCRIBE body that the package reads; undefined: it reads none. */
  readonly requestTypes: (packageName: string) => readonly string[] | undefined
  /** By what a device is recognized that publishes again without its entity-tag. */
  readonly deviceRecognition: DeviceRecognition
  /** What the phone that sent a SUBSCRIBE needs, by `idle_dialog`. */
  readonly needsOf: NeedsOf
  readonly profileOf: ProfileOf
  /** The name of a package that differs in case only, or the same name. */
  readonly registeredName: (packageName: string) => string
  /** How a package determines the presentity of a SUBSCRIBE outside a dialog; undefined: by the Request-URI. */
  readonly presentityOf: (packageName: string) => EventPackage["presentityOf"]
  /** Whether the Sender header of a PUBLISH is believed; from a trusted peer it always is. */
  readonly trustSenderHeader: boolean
  readonly allowAnyContact: boolean
  /** What the log keeps of who sent a request. */
  readonly keptOfRequests: KeptOfRequests
  /** Whether the operator allows NOTIFYs to a host that has not answered any. */
  readonly isNotifyTarget: (host: string) => boolean
  /** Through which proxy NOTIFYs go; null or absent: through none. */
  readonly outbound?: OutboundProxyFor | null
  readonly udpMtuBytes: number
  readonly mintTag: () => string
  /** The operator's policy for single requests; null: none. */
  readonly policy: Policy | null
}
