/**
 * The request policy (`policy.ts`) applied: the question about a request, and the request as it was granted.
 *
 * Asked after a request has been decoded and its sender identified, before the core sees it. A server without
 * a policy skips this.
 */
import type { Uri } from "../../domain/vocabulary.ts"
import { reply } from "../../encoding/sip-replies.ts"
import { parseAddress } from "./address-headers.ts"
import type { ReceivedOn, DecodeResult, Accepted } from "./decode-result.ts"
import { addressIn } from "./domain-aliases.ts"
import type { Canonical } from "./domain-aliases.ts"
import { copyText } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { PolicyDecision, PolicyRequest, SenderFrom } from "./policy.ts"
import type { TransportName } from "./transports/names.ts"
import { parseUri } from "./uri.ts"

/** Who sent a request, as far as that is known. */
interface Caller {
  readonly to: Uri
  readonly from: Uri
  readonly user: string | null
}

/** Wraps a request that would otherwise be submitted in the question to the policy. */
export const policyQuestion = (
  submit: Accepted,
  message: RawMessage,
  arrival: ReceivedOn,
  { to, from, user }: Caller,
): DecodeResult => {
  const { command } = submit
  const contact = message.headers.first("contact")
  const question: PolicyRequest = {
    method: command._tag === "Publish" ? "PUBLISH" : "SUBSCRIBE",
    presentity: submit.presentity ?? to,
    event: command.packageName,
    from,
    user,
    contact: contact === undefined ? null : (parseAddress(contact)?.uri ?? null),
    source: arrival.sourceAddress,
    port: arrival.sourcePort,
    transport: arrival.transport.name as TransportName,
    callId: copyText(message.callId),
    inDialog: command._tag === "Resubscribe",
    expires: command.expires,
    header: (name) => message.headers.get(name.toLowerCase()) ?? [],
  }
  return { _tag: "Ask", question, otherwise: submit }
}

/** The address of record of a From or To URI; a URI that cannot be parsed is returned as written. */
export const whoIn = (uri: string, rules: { readonly canonical?: Canonical | null | undefined }): Uri => {
  const parsed = parseUri(uri)
  return parsed === null ? (uri as Uri) : addressIn(rules, parsed)
}

/** The request as granted, or the response that refuses it. */
export const applyPolicy = (
  submit: Accepted,
  grant: PolicyDecision | null,
  message: RawMessage,
): DecodeResult => {
  if (grant === null) return submit
  if (grant._tag === "Refused") return refuse(grant.status, grant.reason)
  const { command } = submit
  if (command._tag === "Publish") {
    if (grant.sender === undefined) return submit
    const sender = senderIn(message, grant.sender)
    // the same answer as handle_publish of OpenSIPS
    if (sender === malformed) return refuse(400, "Malformed Sender")
    return { ...submit, command: { ...command, sender } }
  }
  const forceActive = grant.forceActive ?? command.forceActive
  if (command._tag === "Resubscribe") return { ...submit, command: { ...command, forceActive } }
  const tag = grant.sharingTag === undefined ? {} : { sharingTag: grant.sharingTag }
  return { ...submit, command: { ...command, forceActive, ...tag } }
}

const refuse = (status: number, reason: string | null): DecodeResult => ({
  _tag: "Reply",
  reply: reply(status, "", reason),
  isStateless: false,
})

const malformed = Symbol("malformed")

const senderIn = (message: RawMessage, from: SenderFrom): string | null | typeof malformed => {
  if (from._tag === "Uri") return parseUri(from.uri) === null ? malformed : from.uri
  const name = from._tag === "Header" ? from.name.toLowerCase() : "contact"
  const text = from._tag === "From" ? message.from : message.headers.first(name)
  if (text === undefined) return null
  const uri = parseAddress(text)?.uri
  return uri === undefined || parseUri(uri) === null ? malformed : copyText(uri)
}
