/**
 * Turns a parsed request into a command for the core, or into the response that refuses it.
 *
 * Checks come in the order of RFC 3261 §8.2: method, extensions, Request-URI, size, merging, identity, then
 * what the method needs. Faults whose turn comes in the core travel inside the command.
 */
import { schemeOf } from "../../domain/uris.ts"
import { parseAddress } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import { decodePublish } from "./decode-publish.ts"
import { refuse } from "./decode-result.ts"
import type { ReceivedOn, Refused, DecodeResult, CheckedRequest } from "./decode-result.ts"
import { decodeSubscribe } from "./decode-subscribe.ts"
import { addressIn } from "./domain-aliases.ts"
import { listValues } from "./headers.ts"
import { identify, mayPublish, mayRegister } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import { isToken } from "./message-reader.ts"
import type { RequestRules } from "./request-rules.ts"
import { allow } from "./responses.ts"
import { mergeKeyOf } from "./server-transactions.ts"
import { unsolicitedSteps } from "./unsolicited.ts"
import { parseUri } from "./uri.ts"

/** Methods known but not served (RFC 3261 §8.2.1): 405. Any other gets 501. */
const elsewhere = new Set(["INVITE", "BYE", "INFO", "MESSAGE", "PRACK", "REFER", "UPDATE"])
const served = new Set(["OPTIONS", "PUBLISH", "REGISTER", "SUBSCRIBE", "NOTIFY"])

/**
 * The checks made before looking for a merged request (RFC 3261 §8.2.2.2).
 *
 * @param to the parsed To; null if malformed
 */
export const checkRequest = (
  message: RawMessage,
  to: Address | null,
  rules: RequestRules,
): CheckedRequest | Refused => {
  const { method } = message
  if (!served.has(method)) return refuse(elsewhere.has(method) ? 405 : 501, null, `Allow: ${allow}\r\n`)
  const required = message.headers.get("require")
  if (required !== undefined) {
    // RFC 3261 §8.2.2.3: no extensions are supported, so every option tag is listed
    const unknown = (listValues(required) ?? []).filter((option) => isToken(option))
    if (unknown.length > 0) return refuse(420, null, `Unsupported: ${unknown.join(", ")}\r\n`)
  }
  const from = parseAddress(message.from)
  if (from === null) return refuse(400, "Malformed From")
  if (to === null || !isUsableTo(to, message.uri)) return refuse(400, "Malformed To")
  if ((from.tag ?? "").length > rules.limits.tagBytesMax || (to.tag ?? "").length > rules.limits.tagBytesMax)
    return refuse(400, "Tag Too Long")
  const uri = parseUri(message.uri)
  if (uri === null) {
    const scheme = schemeOf(message.uri)?.toLowerCase() ?? null
    const isKnown = scheme === null || ownSchemes.has(scheme)
    return isKnown ? refuse(400, "Malformed Request-URI") : refuse(416)
  }
  // A request within a dialog is addressed to our Contact, which need not be in a served domain.
  if (to.tag === null && uri.scheme !== "tel" && !rules.serves(uri.host)) return refuse(404)
  if (message.body.length > rules.limits.bodyBytesMax) return refuse(413)
  return {
    _tag: "Checked",
    message,
    from,
    to,
    uri,
    mergeKey: to.tag === null ? mergeKeyOf(message, from.tag) : null,
  }
}

/**
 * Whether To holds a URI, since it becomes the From of NOTIFYs. It usually is the Request-URI, which is read
 * anyway; within a dialog nothing is written by it again. A scheme that is not ours is somebody else's matter
 * (RFC 4475 §3.3.4).
 */
const isUsableTo = ({ uri, tag }: Address, requestUri: string): boolean => {
  if (uri === requestUri) return true
  if (tag !== null && uri.startsWith("sip:") && uri.length > 4) return true
  const scheme = schemeOf(uri)
  if (scheme === null) return false
  // `example.com:5060` is a host and a port
  return ownSchemes.has(scheme.toLowerCase())
    ? parseUri(uri) !== null
    : !/^[0-9]*$/.test(uri.slice(scheme.length + 1))
}

const ownSchemes: ReadonlySet<string> = new Set(["sip", "sips", "pres", "tel"])

/** @param isMerged a copy of this request has already arrived by another path */
export const decodeRequest = (
  request: CheckedRequest,
  arrival: ReceivedOn,
  rules: RequestRules,
  isMerged: boolean,
): DecodeResult => {
  if (isMerged) return refuse(482)
  switch (request.message.method) {
    case "OPTIONS":
      return refuse(200, null, optionsHeaders(rules))
    case "NOTIFY":
      // RFC 3265 §3.2.4: we have no subscriptions of our own
      return refuse(481)
    case "REGISTER":
      return decodeRegister(request, arrival, rules)
    case "PUBLISH":
      return decodePublish(request, arrival, rules)
    default:
      return decodeSubscribe(request, arrival, rules)
  }
}

const optionsHeaders = (rules: RequestRules): string =>
  `Allow: ${allow}\r\nAccept: ${rules.accept.join(", ")}\r\nAccept-Encoding: identity\r\n` +
  `Allow-Events: ${rules.allowEvents}\r\nSupported:\r\n`

const decodeRegister = (request: CheckedRequest, arrival: ReceivedOn, rules: RequestRules): DecodeResult => {
  const { message, from, to } = request
  if (rules.register === null) return refuse(403, "Registration Is Not Offered Here")
  const identity = identify(message, arrival, rules, from, false)
  if (identity._tag === "Refused") return identity.decoded
  const uri = parseUri(to.uri)
  if (uri === null) return refuse(400, "Malformed To")
  const address = addressIn(rules, uri)
  if (uri.scheme !== "tel" && !rules.serves(uri.host)) return refuse(404)
  if (!mayRegister(identity, address)) return refuse(403)
  const reply = rules.register(message, address)
  const answered: Refused = { _tag: "Reply", reply, isStateless: false }
  if (reply.status !== 200 || !message.headers.has("contact")) return answered
  if (rules.registered === null && rules.boundFor === null) return answered
  // whoever may not publish for the address may not change what it shows, or watch it, either
  if (!mayPublish(identity, address, rules)) return answered
  const steps = [
    ...(rules.registered?.(address) ?? []),
    ...unsolicitedSteps(request, address, identity, arrival, rules),
  ]
  return steps.length === 0 ? answered : { _tag: "Registered", reply, presentity: address, steps }
}
