/**
 * Decodes PUBLISH: publisher, presentity and body.
 *
 * @source RFC 3903 §6
 */
import { isUtf8 } from "node:buffer"
import type { Rejection } from "../../domain/presentity/commands.ts"
import { badRequest } from "../../domain/presentity/rejections.ts"
import { anonymous } from "../../domain/privacy.ts"
import type { Body, Header } from "../../domain/vocabulary.ts"
import { policyQuestion, whoIn } from "./apply-policy.ts"
import { refuse } from "./decode-result.ts"
import type { Accepted, CheckedRequest, DecodeResult, ReceivedOn } from "./decode-result.ts"
import { addressIn } from "./domain-aliases.ts"
import { listValues, parseContentType, parseExpires, readEvent } from "./headers.ts"
import { identify, mayPublish, senderOf, userOf } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import { copyText, isToken } from "./message-reader.ts"
import { factsOf } from "./request-facts.ts"
import type { RequestRules } from "./request-rules.ts"

export const decodePublish = (
  request: CheckedRequest,
  arrival: ReceivedOn,
  rules: RequestRules,
): DecodeResult => {
  const { message, from, uri } = request
  const identity = identify(message, arrival, rules, from, false)
  if (identity._tag === "Refused") return identity.decoded
  if (uri.scheme !== "tel" && uri.user === null) return refuse(404)
  const presentity = addressIn(rules, uri)
  // RFC 3903 §6 step 1: publishing for someone else needs authorization
  if (!mayPublish(identity, presentity, rules))
    return refuse(403, identity._tag === "Asserted" ? "Peer Does Not Publish For This User" : null)
  const event = readEvent(message.headers, rules.limits.eventIdBytesMax, rules.parameterized)
  if (event === "malformed") return refuse(400, "Malformed Event")
  const ifMatch = listValues(message.headers.get("sip-if-match"))
  if (ifMatch === null || !ifMatch.every((tag) => isToken(tag))) return refuse(400, "Malformed SIP-If-Match")
  const content = readBody(message, rules)
  const headers = event === null ? noHeaders : carriedIn(message, event.packageName, rules)
  const about = factsOf(request, identity, presentity, rules)
  const submit: Accepted = {
    _tag: "Submit",
    presentity,
    ...(about === undefined ? undefined : { about }),
    command: {
      _tag: "Publish",
      packageName: event === null ? null : copyText(event.packageName),
      ifMatch,
      expires: parseExpires(message.headers.first("expires")),
      body: content.body,
      bodyFault: content.fault,
      ...(headers.length === 0 ? undefined : { headers }),
      sender:
        rules.trustSenderHeader || identity._tag === "Asserted" ? senderOf(message, rules.limits) : null,
    },
  }
  if (rules.policy === null) return submit
  const who = identity._tag === "Asserted" ? (identity.uri ?? anonymous) : whoIn(from.uri, rules)
  return policyQuestion(submit, message, arrival, { to: presentity, from: who, user: userOf(identity) })
}

/** The header fields that the package carries, in the order in which it names them; one entry for each line. */
const carriedIn = (message: RawMessage, packageName: string, rules: RequestRules): readonly Header[] => {
  const names = rules.carriedHeaders.get(packageName)
  if (names === undefined) return noHeaders
  return names.flatMap((name) =>
    (message.headers.get(name.toLowerCase()) ?? []).map((value): Header => [name, copyText(value)]),
  )
}

const noHeaders: readonly Header[] = []

interface Content {
  readonly body: Body | null
  readonly fault: Rejection | null
}
const noContent: Content = { body: null, fault: null }
const faulty = (fault: Rejection): Content => ({ body: null, fault })

const unsupported = ({ accept }: RequestRules): Rejection => ({
  _tag: "UnsupportedMediaType",
  status: 415,
  accept,
})

const readBody = (message: RawMessage, rules: RequestRules): Content => {
  if (message.body.length === 0) return noContent
  const encoding = message.headers.first("content-encoding")
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return faulty({ _tag: "UnsupportedEncoding", status: 415, acceptEncoding: ["identity"] })
  const written = message.headers.first("content-type")
  if (written === undefined) return faulty(badRequest("Missing Content-Type"))
  const type = parseContentType(written)
  if (type === null) return faulty(badRequest("Malformed Content-Type"))
  if (type.charset !== null && type.charset !== "utf-8" && type.charset !== "us-ascii")
    return faulty(unsupported(rules))
  if (!isUtf8(message.body) || message.body.includes(0)) {
    const isText =
      type.mediaType.endsWith("xml") ||
      type.mediaType.startsWith("text/") ||
      rules.accept.includes(type.mediaType)
    return faulty(isText ? badRequest("Body Is Not UTF-8 Text") : unsupported(rules))
  }
  const text = message.body.toString("utf8")
  const contentType = copyText(type.mediaType)
  return type.parameters === ""
    ? { body: { contentType, text }, fault: null }
    : { body: { contentType, parameters: copyText(type.parameters), text }, fault: null }
}
