/**
 * Formats responses, from the domain's answer or a refusal by the SIP stack itself.
 *
 * Via, From, Call-ID and CSeq are copied as received (RFC 3261 §8.2.6.2); the message reader has ensured that
 * they cannot contain a line end.
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

const statusLines: ReadonlyMap<number, string> = new Map(
  [...phrases].map(([status, phrase]) => [status, `SIP/2.0 ${status} ${phrase}\r\nVia: `]),
)

/** The methods served (RFC 3261 §20.5). */
export const allow = "OPTIONS, PUBLISH, REGISTER, SUBSCRIBE"

/**
 * Formats a response.
 *
 * @param topVia the topmost Via with `received` and `rport` filled in @param tag our To tag; null if the To
 * has one already, or the response is provisional
 */
export const formatResponse = (
  message: RawMessage,
  topVia: string,
  tag: string | null,
  answer: Reply,
): Buffer => {
  const { status, reason } = answer
  const { vias } = message
  let text = (reason === null ? statusLine(status) : `SIP/2.0 ${status} ${reason}\r\nVia: `) + topVia
  for (let at = 1; at < vias.length; at++) text += `\r\nVia: ${vias[at]!}`
  return withIdentity(text, message, tag, answer.headers)
}

/**
 * Formats the refusal of a request whose topmost Via is missing or malformed: the Via lines are returned as
 * they came, with nothing filled in.
 */
export const formatUnroutable = (message: RawMessage, tag: string | null, answer: Reply): Buffer => {
  let text = `SIP/2.0 ${answer.status} ${answer.reason ?? phrases.get(answer.status) ?? "Response"}`
  for (const via of message.vias) text += `\r\nVia: ${via}`
  return withIdentity(text, message, tag, answer.headers)
}

/** @param start from the status line through the last Via, without its line end */
const withIdentity = (
  start: string,
  { from, to, callId, cseqText }: RawMessage,
  tag: string | null,
  headers: string,
): Buffer => {
  let text = start
  // a malformed request may lack any of these
  if (from !== "") text += `\r\nFrom: ${from}`
  if (to !== "") text += tag === null ? `\r\nTo: ${to}` : `\r\nTo: ${to};tag=${tag}`
  if (callId !== "") text += `\r\nCall-ID: ${callId}`
  text += cseqText === "" ? "\r\n" : `\r\nCSeq: ${cseqText}\r\n`
  text += headers
  return Buffer.from(`${text}Content-Length: 0\r\n\r\n`, "latin1")
}

/** The status line with the standard phrase, up to the value of the topmost Via. */
const statusLine = (status: number): string =>
  statusLines.get(status) ?? `SIP/2.0 ${status} Response\r\nVia: `

/** Whether a To or From line has a tag; an approximation for lines that could not be parsed. */
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
