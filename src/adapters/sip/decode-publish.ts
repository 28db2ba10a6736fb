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
import { declaresOther, documentText } from "../../encoding/document-text.ts"
import { policyQuestion, whoIn } from "./apply-policy.ts"
import { refuse } from "./decode-result.ts"
import type { Accepted, CheckedRequest, DecodeResult, ReceivedOn } from "./decode-result.ts"
import { deviceIn } from "./device.ts"
import { addressIn } from "./domain-aliases.ts"
import { listValues, parseContentType, parseExpires, readEvent } from "./headers.ts"
import type { ContentType } from "./headers.ts"
import { identify, mayPublish, senderOf, userOf } from "./identity.ts"
import type { RawMessage } from "./message-reader.ts"
import { contradicts, copyText, isToken } from "./message-reader.ts"
import { recognitionOf, spelledFor } from "./phone-profiles.ts"
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
  const profile = rules.profileOf(message)
  const written = readEvent(message.headers, rules.limits.eventIdBytesMax, rules.parameterized)
  const event = spelledFor(profile, written, rules)
  if (event === "malformed") return refuse(400, "Malformed Event")
  if (contradicts(message, singlesNeeded)) return refuse(400, "Repeated Single-Value Header")
  const ifMatch = listValues(message.headers.get("sip-if-match"))
  if (ifMatch === null || !ifMatch.every((tag) => isToken(tag))) return refuse(400, "Malformed SIP-If-Match")
  const content = readBody(message, rules)
  const headers = event === null ? noHeaders : carriedIn(message, event.packageName, rules)
  // a publication that goes on keeps the device that it began with
  const device =
    ifMatch.length > 0
      ? undefined
      : deviceIn(message, arrival, recognitionOf(profile, rules.deviceRecognition))
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
      ...(device === undefined ? undefined : { device }),
    },
  }
  if (rules.policy === null) return submit
  const who = identity._tag === "Asserted" ? (identity.uri ?? anonymous) : whoIn(from.uri, rules)
  return policyQuestion(submit, message, arrival, { to: presentity, from: who, user: userOf(identity) })
}

const singlesNeeded = ["event", "expires"]
const singlesOfBody = ["content-type", "content-encoding", "content-disposition"]

/** The header fields that the package carries, in the order in which it names them; one entry for each line. */
const carriedIn = (message: RawMessage, packageName: string, rules: RequestRules): readonly Header[] => {
  const names = rules.carriedHeaders.get(packageName)
  if (names === undefined) return noHeaders
  return names.flatMap((name) =>
    (message.headers.get(name.toLowerCase()) ?? []).map((value): Header => [name, copyText(value)]),
  )
}

const noHeaders: readonly Header[] = []

/** A body that was read, or why it cannot be. */
export interface Content {
  readonly body: Body | null
  readonly fault: Rejection | null
}
const noContent: Content = { body: null, fault: null }
const faulty = (fault: Rejection): Content => ({ body: null, fault })

const unsupported = ({ accept }: Pick<RequestRules, "accept">): Rejection => ({
  _tag: "UnsupportedMediaType",
  status: 415,
  accept,
})

export const readBody = (message: RawMessage, rules: Pick<RequestRules, "accept">): Content => {
  if (message.body.length === 0) return noContent
  if (contradicts(message, singlesOfBody)) return faulty(badRequest("Repeated Single-Value Header"))
  const encoding = message.headers.first("content-encoding")
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return faulty({ _tag: "UnsupportedEncoding", status: 415, acceptEncoding: ["identity"] })
  const written = message.headers.first("content-type")
  if (written === undefined) return faulty(badRequest("Missing Content-Type"))
  const type = parseContentType(written)
  if (type === null) return faulty(badRequest("Malformed Content-Type"))
  const text = plainText(message.body, type) ?? convertedText(message.body, type, rules)
  if (typeof text !== "string") return faulty(text)
  const contentType = copyText(type.mediaType)
  return type.parameters === ""
    ? { body: { contentType, text }, fault: null }
    : { body: { contentType, parameters: copyText(type.parameters), text }, fault: null }
}

const usualDeclaration = '<?xml version="1.0" encoding="UTF-8"'

/** The text of a body that is UTF-8 and says nothing else, as almost every one does; null: look closer. */
const plainText = (body: Buffer, { mediaType, charset }: ContentType): string | null => {
  if (charset !== null && charset !== "utf-8" && charset !== "us-ascii") return null
  if (!isUtf8(body) || body.includes(0)) return null
  const text = body.toString("utf8")
  if (!mediaType.endsWith("xml") || text.startsWith(usualDeclaration)) return text
  if (text.startsWith("<?")) return declaresOther(text) ? null : text
  return text.startsWith("<") ? text : null
}

/** The text of any other body, or why there is none. */
const convertedText = (
  body: Buffer,
  { mediaType, charset }: ContentType,
  rules: Pick<RequestRules, "accept">,
): string | Rejection => {
  const isText =
    mediaType.endsWith("xml") || mediaType.startsWith("text/") || rules.accept.includes(mediaType)
  const read = documentText(body, charset)
  if (read._tag === "Text") return read.text
  if (!isText) return unsupported(rules)
  if (read._tag === "NotText")
    return badRequest(
      read.encoding === "utf-8" ? "Body Is Not UTF-8 Text" : "Body Is Not Text Of Its Encoding",
    )
  // the type is served, its charset is not
  return {
    _tag: "UnsupportedMediaType",
    status: 415,
    accept: rules.accept.map((type) => (type === mediaType ? `${type};charset=utf-8` : type)),
  }
}
