/**
 * Message waiting for phones that are registered and do not subscribe: the registrar subscribes for them, and the
 * NOTIFYs go out as of no dialog that the phone knows, without a tag in To.
 *
 * The Call-ID and our tag follow from user and Contact, so that a REGISTER after a restart renews what is there.
 */
import { createHash } from "node:crypto"
import type { Answer, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import { canonicalUri } from "../../domain/uris.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogStart, Seconds, Uri } from "../../domain/vocabulary.ts"
import type { CheckedRequest, ReceivedOn } from "./decode-result.ts"
import { arrivalIn, wasGivenToOf } from "./decode-subscribe.ts"
import { readContact } from "./decode-targets.ts"
import type { Identity } from "./identity.ts"
import type { RegistrationStep } from "./registrations.ts"
import type { RequestRules } from "./request-rules.ts"
import { headOctetsOf, isProven, roomOf } from "./room.ts"
import { contactTowards, hopFault } from "./secure-dialog.ts"

const packageName = "message-summary"

/** What a REGISTER leads to; nothing if it has several Contacts, or none that a NOTIFY can be sent to. */
export const unsolicitedSteps = (
  request: CheckedRequest,
  address: Uri,
  identity: Exclude<Identity, { readonly _tag: "Refused" }>,
  arrival: ReceivedOn,
  rules: RequestRules,
): readonly RegistrationStep[] => {
  const { boundFor } = rules
  if (boundFor === null) return []
  const { message } = request
  const contact = readContact(message, arrival, rules)
  if (contact === null || contact._tag === "Reply") return []
  const digest = createHash("sha256")
    .update(`${address}\n${canonicalUri(contact.text)}`)
    .digest("hex")
  const [callId, localTag] = [`mwi-${digest.slice(0, 32)}`, digest.slice(32)]
  // it only has to grow while the subscription lives; a repetition within a tenth of a second changes nothing
  const cseq = Math.floor(Date.now() / 100) % 0x8000_0000
  const start: DialogStart = {
    callId,
    localTag,
    remoteTag: "",
    localUri: `<${address}>`,
    remoteUri: `<${address}>`,
    remoteTarget: contact.text,
    routeSet: [],
    remoteCseq: cseq,
    ...arrivalIn(arrival, contact.reach),
    localContact: contactTowards(message, arrival),
  }
  const prepared = rules.prepareDialog(start)
  const { hop } = prepared
  if (hopFault(message, hop, arrival, rules.transports.presumed) !== null) return []
  const room =
    hop === null || isProven(hop, arrival, wasGivenToOf(identity), rules)
      ? {}
      : { room: roomOf(headOctetsOf(prepared, packageName, start), message.octets, rules.udpMtuBytes) }
  const expires: Seconds = boundFor(address, contact.text)
  const common = {
    packageName,
    eventId: null,
    watcher: address,
    accept: null,
    forceActive: rules.forceActive,
    bodyFault: null,
    expires,
  } as const
  const subscribe: Subscribe = {
    _tag: "Subscribe",
    ...common,
    unsolicited: true,
    // the same object is the key of what is prepared
    dialog: Object.assign(start, room),
  }
  const renew: Resubscribe = {
    _tag: "Resubscribe",
    ...common,
    dialog: dialogKey(callId, localTag, ""),
    cseq,
    remoteTarget: contact.text,
    arrival: arrivalIn(arrival, contact.reach),
    ...room,
  }
  const answered = (answer: Answer): Subscribe | Resubscribe | null =>
    answer._tag === "Rejected" && answer.rejection.status === 481 && expires > 0 ? subscribe : null
  return [{ command: renew, answered }]
}
