/**
 * Answers of the domain as SIP has them: status, reason phrase and header lines, before they are joined with the request that
 * they answer.
 */
import type { Answer, Command, Rejection } from "../domain/presentity/commands.ts"
import { unreachable } from "../domain/vocabulary.ts"

/** A response before it knows its request. */
export interface Reply {
  readonly status: number
  /** Null for the standard phrase. */
  readonly reason: string | null
  /** Whole header lines, each ended by CRLF. */
  readonly headers: string
}

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
