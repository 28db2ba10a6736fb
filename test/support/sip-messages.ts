/**
 * SIP requests as text, with an obvious default for each header, and arbitraries of the bytes that break parsers.
 */
import * as fc from "fast-check"
import { readDatagram } from "../../src/adapters/sip/message-reader.ts"
import type { RawMessage } from "../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../src/adapters/sip/options.ts"

export interface RequestParts {
  readonly method?: string
  readonly uri?: string
  /** Header lines by name; null omits the default, an array repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  readonly body?: string
}

let serial = 0

/** A request with every required header; each call has its own branch, tag and Call-ID. */
export const requestText = ({
  method = "OPTIONS",
  uri = "sip:alice@example.com",
  headers = {},
  body = "",
}: RequestParts = {}): string => {
  const own = `${++serial}.${process.pid}`
  const lines: Record<string, string | readonly string[] | null> = {
    Via: `SIP/2.0/UDP 127.0.0.1:5998;branch=z9hG4bK-${own};rport`,
    "Max-Forwards": "70",
    From: `<sip:bob@example.com>;tag=from-${own}`,
    To: "<sip:alice@example.com>",
    "Call-ID": `call-${own}`,
    CSeq: `1 ${method}`,
    ...(method === "SUBSCRIBE" ? { Contact: "<sip:bob@127.0.0.1:5998>", Event: "presence" } : {}),
    ...(method === "PUBLISH" ? { Event: "presence" } : {}),
    ...(body === "" ? {} : { "Content-Type": "application/pidf+xml" }),
    "Content-Length": String(Buffer.byteLength(body)),
    ...headers,
  }
  let text = `${method} ${uri} SIP/2.0\r\n`
  for (const [name, value] of Object.entries(lines)) {
    if (value === null) continue
    for (const line of typeof value === "string" ? [value] : value) text += `${name}: ${line}\r\n`
  }
  return `${text}\r\n${body}`
}

/** Keeps the headers that the packages of `sip-decoder.ts` carry. */
export const read = (text: string): RawMessage | null =>
  readDatagram(Buffer.from(text, "utf8"), limitsDefault, new Set(["call-info", "x-state"]))

/** Parses a message that is known to be valid. */
export const readRequest = (parts: RequestParts = {}): RawMessage => {
  const message = read(requestText(parts))
  if (message === null) throw new Error("the request in the test is not readable")
  return message
}

/** Status and the values of one header of a response. */
export const statusOf = (response: string): number => Number(response.slice(8, 11))

export const headerValues = (message: string, name: string): readonly string[] =>
  message
    .split("\r\n\r\n")[0]!
    .split("\r\n")
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim())

export const headerValue = (message: string, name: string): string | undefined =>
  headerValues(message, name)[0]

/** Text with the characters on which parsers fail. */
export const trapText = (maxLength = 400): fc.Arbitrary<string> =>
  fc
    .array(
      fc.constantFrom(
        " ",
        "\t",
        "<",
        ">",
        '"',
        ";",
        ",",
        ":",
        "=",
        "@",
        "?",
        "%",
        "\\",
        "[",
        "]",
        "a",
        "1",
        "\r\n",
        "\r\n ",
        "\r",
        "\n",
        "\0",
        "é",
      ),
      { maxLength },
    )
    .map((pieces) => pieces.join(""))

/** A valid request with one part of it replaced. */
export const mutatedRequest: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom("OPTIONS", "PUBLISH", "SUBSCRIBE"), fc.nat(), fc.nat(40), trapText(20))
  .map(([method, at, length, insert]) => {
    const text = requestText({ method, body: method === "PUBLISH" ? "<presence/>" : "" })
    const from = at % text.length
    return text.slice(0, from) + insert + text.slice(from + length)
  })
