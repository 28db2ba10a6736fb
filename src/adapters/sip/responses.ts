/**
 * Responses as bytes: what the domain answered, or what this adapter refused by itself.
 *
 * Via, From, Call-ID and CSeq are copied as they came (RFC 3261 §8.2.6.2); the gate has made sure that they hold
 * nothing that could end a line.
 */
import type { Reply } from "../../encoding/sip-replies.ts"
import type { RawMessage } from "./message-reader.ts"

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
  const { status, reason } = answer
  let text = `SIP/2.0 ${status} ${reason ?? phrases.get(status) ?? "Response"}\r\nVia: ${topVia}\r\n`
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
