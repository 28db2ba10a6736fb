/**
 * Responses: what the core answered, or we refused ourselves, as bytes.
 *
 * Via, From, Call-ID and CSeq are copied as they came (RFC 3261 §8.2.6.2); the gate has made sure that they hold
 * nothing that could end a line.
 */
import type { Answer, Command, Rejection } from "../../domain/presentity/commands.ts"
import { unreachable } from "../../domain/vocabulary.ts"
import type { RawMessage } from "./message-reader.ts"

/** A response before it knows its request. */
export interface Reply {
  readonly status: number
  /** Null for the standard phrase. */
  readonly reason: string | null
  /** Whole header lines, each ended by CRLF. */
  readonly headers: string
}

const phrases = new Map<number, string>([
  [100, "Trying"],
  [200, "OK"],
  [202, "Accepted"],
  [204, "No Notification"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [410, "Gone"],
  [412, "Conditional Request Failed"],
  [413, "Request Entity Too Large"],
  [414, "Request-URI Too Long"],
  [415, "Unsupported Media Type"],
  [416, "Unsupported URI Scheme"],
  [420, "Bad Extension"],
  [423, "Interval Too Brief"],
  [480, "Temporarily Unavailable"],
  [481, "Call/Transaction Does Not Exist"],
  [482, "Merged Request"],
  [484, "Address Incomplete"],
  [486, "Busy Here"],
  [488, "Not Acceptable Here"],
  [489, "Bad Event"],
  [500, "Server Internal Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
  [504, "Server Time-out"],
  [505, "Version Not Supported"],
  [513, "Message Too Large"],
  [600, "Busy Everywhere"],
  [603, "Decline"],
  [604, "Does Not Exist Anywhere"],
  [606, "Not Acceptable"],
])

/** Methods answered other than by a refusal (RFC 3261 §20.5). */
export const allow = "OPTIONS, PUBLISH, REGISTER, SUBSCRIBE"

export const reply = (status: number, headers = "", reason: string | null = null): Reply => ({
  status,
  reason,
  headers,
})

const reasonBytesMax = 120

/** Printable ASCII on one line, whatever it was made of. */
export const onOneLine = (text: string): string => {
  let result = ""
  for (let at = 0; at < text.length && result.length < reasonBytesMax; at++) {
    const code = text.charCodeAt(at)
    result += code >= 32 && code < 127 ? text.charAt(at) : " "
  }
  return result
}

/** Headers of an answer to one of the two requests the core judges. */
export interface AnswerContext {
  readonly command: Command
  /** Our Contact URI. */
  readonly contact: string
  readonly allowEvents: string
  /** Record-Route lines of the request, as they came. */
  readonly recordRoutes: readonly string[]
}

export const replyOf = (answer: Answer, context: AnswerContext): Reply => {
  if (answer._tag === "Rejected") return replyOfRejection(answer.rejection)
  const accepted = answer.reply
  switch (accepted._tag) {
    case "Published":
      return reply(200, `SIP-ETag: ${accepted.entityTag}\r\nExpires: ${accepted.expires}\r\n`)
    case "Subscribed": {
      // RFC 3261 §12.1.1: the 2xx that makes a dialog copies Record-Route and names our Contact.
      let headers = ""
      for (const route of context.recordRoutes) headers += `Record-Route: ${route}\r\n`
      headers += `Contact: <${context.contact}>\r\nExpires: ${accepted.expires}\r\n`
      if (context.allowEvents !== "") headers += `Allow-Events: ${context.allowEvents}\r\n`
      return reply(accepted.status, headers)
    }
    case "Done":
      return reply(200)
    default:
      return unreachable(accepted)
  }
}

/** RFC 3261 §20.43: 399, for people. */
const unprovenWarning =
  'Warning: 399 presently "The document is larger than may be sent to a Contact that has not answered yet: ' +
  'ask over TCP, or with digest authentication and the Contact at the address that the request comes from"\r\n'

const replyOfRejection = (rejection: Rejection): Reply => {
  switch (rejection._tag) {
    case "BadRequest":
    case "Forbidden":
      return reply(rejection.status, "", rejection.why === "" ? null : onOneLine(rejection.why))
    case "TargetUnproven":
      return reply(rejection.status, unprovenWarning)
    case "NotFound":
    case "ConditionalRequestFailed":
    case "ServerInternalError":
    case "RequestEntityTooLarge":
    case "CallDoesNotExist":
    case "TemporarilyUnavailable":
      return reply(rejection.status)
    case "NotAcceptable":
    case "UnsupportedMediaType":
      return reply(rejection.status, `Accept: ${onOneLine(rejection.accept.join(", "))}\r\n`)
    case "UnsupportedEncoding":
      return reply(rejection.status, `Accept-Encoding: ${onOneLine(rejection.acceptEncoding.join(", "))}\r\n`)
    case "IntervalTooBrief":
      return reply(rejection.status, `Min-Expires: ${rejection.minExpires}\r\n`)
    case "BadEvent":
      return reply(rejection.status, `Allow-Events: ${rejection.allowEvents}\r\n`)
    case "OutOfOrder":
      return reply(rejection.status, "", "Request Out Of Order")
    case "ServiceUnavailable":
      return reply(
        rejection.status,
        `Retry-After: ${rejection.retryAfter}\r\n`,
        rejection.why === "" ? null : onOneLine(rejection.why),
      )
    default:
      return unreachable(rejection)
  }
}

/**
 * The bytes of a response.
 *
 * @param topVia the first Via line with `received` and `rport` filled in
 * @param tag our To tag; null when the To has one or the response is provisional
 */
export const formatResponse = (
  message: RawMessage,
  topVia: string,
  tag: string | null,
  answer: Reply,
): Buffer => {
  let text = `SIP/2.0 ${answer.status} ${answer.reason ?? phrases.get(answer.status) ?? "Response"}\r\nVia: ${topVia}\r\n`
  for (let at = 1; at < message.vias.length; at++) text += `Via: ${message.vias[at]!}\r\n`
  // Of a broken request only what it has can be copied.
  if (message.from !== "") text += `From: ${message.from}\r\n`
  if (message.to !== "") text += tag === null ? `To: ${message.to}\r\n` : `To: ${message.to};tag=${tag}\r\n`
  if (message.callId !== "") text += `Call-ID: ${message.callId}\r\n`
  if (message.cseqText !== "") text += `CSeq: ${message.cseqText}\r\n`
  text += answer.headers
  text += "Content-Length: 0\r\n\r\n"
  return Buffer.from(text, "latin1")
}

/** Has this To or From line a tag? Good enough for lines that could not be parsed. */
export const looksTagged = (line: string): boolean => {
  let at = line.indexOf(";")
  while (at >= 0) {
    let start = at + 1
    while (line.charCodeAt(start) === 32 || line.charCodeAt(start) === 9) start++
    if (line.slice(start, start + 3).toLowerCase() === "tag") {
      start += 3
      while (line.charCodeAt(start) === 32 || line.charCodeAt(start) === 9) start++
      if (line.charCodeAt(start) === 61) return true
    }
    at = line.indexOf(";", at + 1)
  }
  return false
}
