/**
 * Messages as a user agent sees them: received ones with every header by name, sent ones as bytes.
 *
 * The server's message reader decides what is a message. It keeps only the headers that a server needs, so the client keeps the
 * text of the head as well, and finds the few others (SIP-ETag, WWW-Authenticate …) there.
 */
import { headEnd, readDatagram, readHead, skipLineEnds } from "../../adapters/sip/message-reader.ts"
import type { RawMessage } from "../../adapters/sip/message-reader.ts"
import { limitsDefault } from "../../adapters/sip/options.ts"

export interface Message {
  readonly raw: RawMessage
  /** Reason phrase of a response; empty in a request. */
  readonly reason: string
  /** Every value of a header in order, one for each line, unfolded; the name is case-insensitive. */
  readonly headers: (name: string) => readonly string[]
  /** The first value of a header. */
  readonly header: (name: string) => string | null
}

/** @returns null when the bytes are not a valid SIP message */
export const readMessage = (bytes: Buffer): Message | null => {
  const raw = readDatagram(bytes, limitsDefault)
  if (raw === null || raw.fault !== null) return null
  const start = skipLineEnds(bytes, 0)
  const head = bytes.toString("latin1", start, headEnd(bytes, start) - 4)
  const [first = "", ...lines] = head.replace(/\r\n[ \t]+/g, " ").split("\r\n")
  const headers = (name: string): readonly string[] => {
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (const line of lines) {
      const colon = line.indexOf(":")
      if (line.slice(0, colon).trim().toLowerCase() === wanted) values.push(line.slice(colon + 1).trim())
    }
    return values
  }
  return {
    raw,
    reason: raw.isRequest ? "" : first.slice("SIP/2.0 200 ".length),
    headers,
    header: (name) => headers(name)[0] ?? null,
  }
}

/** Splits a stream into the bytes of whole messages; null once the stream makes no sense any more. */
export const makeSplitter = (): ((chunk: Buffer) => readonly Buffer[] | null) => {
  let held: Buffer = Buffer.alloc(0)
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const messages: Buffer[] = []
    for (;;) {
      const start = skipLineEnds(held, 0)
      const bodyAt = headEnd(held, start)
      if (bodyAt < 0) return messages
      const length = readHead(held.toString("latin1", start, bodyAt - 2), limitsDefault)?.contentLength ?? -1
      if (length < 0) return null
      if (held.length < bodyAt + length) return messages
      messages.push(held.subarray(start, bodyAt + length))
      held = held.subarray(bodyAt + length)
    }
  }
}

export interface Body {
  readonly contentType: string
  readonly text: string
}

export type HeaderLine = readonly [name: string, value: string]

export const formatRequest = (
  method: string,
  uri: string,
  lines: readonly HeaderLine[],
  body: Body | null,
): Buffer => format(`${method} ${uri} SIP/2.0`, lines, body)

/** @source RFC 3261 §8.2.6.2: a response copies these headers from its request */
export const formatAnswer = (request: Message, status: number, reason: string): Buffer => {
  const { raw } = request
  return format(
    `SIP/2.0 ${status} ${reason}`,
    [
      ...raw.vias.map((via) => ["Via", via] as const),
      ["From", raw.from],
      ["To", raw.to],
      ["Call-ID", raw.callId],
      ["CSeq", raw.cseqText],
    ],
    null,
  )
}

const format = (start: string, lines: readonly HeaderLine[], body: Body | null): Buffer => {
  const content = Buffer.from(body?.text ?? "", "utf8")
  let head = `${start}\r\n`
  for (const [name, value] of lines) head += `${name}: ${value}\r\n`
  if (body !== null) head += `Content-Type: ${body.contentType}\r\n`
  head += `Content-Length: ${content.length}\r\n\r\n`
  // What is copied from a request is the latin1 view of its bytes, and URIs are ASCII.
  return Buffer.concat([Buffer.from(head, "latin1"), content])
}
