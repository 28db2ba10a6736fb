import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { limitsDefault } from "../../../../src/adapters/sip/options.ts"
import { makeFramer } from "../../../../src/adapters/sip/transports/framer.ts"
import { requestText, trapText } from "../../../support/sip-messages.ts"

interface Framed {
  readonly messages: readonly string[]
  readonly pings: number
  readonly isFramed: boolean
}

/** Pushes the pieces until framing is lost; bodies are read at the end, when buffers may have been used again. */
const frame = (pieces: readonly Buffer[], limits = limitsDefault): Framed => {
  const framer = makeFramer(limits)
  const messages: { readonly id: string; readonly body: Buffer; readonly fault: number }[] = []
  let pings = 0
  let isFramed = true
  for (const piece of pieces) {
    isFramed = framer.push(piece, {
      message: ({ callId, body, fault }) => messages.push({ id: callId, body, fault: fault?.status ?? 0 }),
      unreadable: () => assert.fail("a stream has no unreadable messages"),
      ping: () => pings++,
    })
    if (!isFramed) break
  }
  return {
    messages: messages.map(({ id, body, fault }) => `${id} ${fault} ${body.toString("latin1")}`),
    pings,
    isFramed,
  }
}

const cut = (bytes: Buffer, at: readonly number[]): readonly Buffer[] => {
  const points = [...new Set(at.map((point) => point % bytes.length))].toSorted((a, b) => a - b)
  return [0, ...points].map((from, index) => Buffer.from(bytes.subarray(from, points[index] ?? bytes.length)))
}

const streamPart = fc.oneof(
  fc
    .constantFrom("", "x", "a\r\n\r\nb", "é".repeat(30))
    .map((body) => requestText({ method: "PUBLISH", body })),
  fc.constantFrom("\r\n", "\r\n\r\n", "\r\n\r\n\r\n\r\n"),
)

describe("framer", () => {
  it("a stream of messages gives the same messages however it is cut", { tags: ["3261-18.3-a"] }, () => {
    fc.assert(
      fc.property(
        fc.array(streamPart, { maxLength: 6, minLength: 1 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (parts, at) => {
          const bytes = Buffer.from(parts.join(""))
          const whole = frame([bytes])
          assert.deepStrictEqual(frame(cut(bytes, at)), whole)
          assert.strictEqual(whole.messages.length, parts.filter((part) => part.startsWith("PUBLISH")).length)
        },
      ),
      { numRuns: 500 },
    )
  })

  it("broken streams too end the same however they are cut", { tags: ["3261-18.3-a"] }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(streamPart, trapText(60)), { maxLength: 5, minLength: 1 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (parts, at) => {
          const bytes = Buffer.from(parts.join(""))
          if (bytes.length > 0) assert.deepStrictEqual(frame(cut(bytes, at)), frame([bytes]))
        },
      ),
      { numRuns: 500 },
    )
  })

  it("one byte at a time is enough", { tags: ["3261-18.3-a"] }, () => {
    const bytes = Buffer.from(requestText({ method: "PUBLISH", body: "<a/>" }) + requestText())
    const framed = frame(Array.from(bytes, (byte) => Buffer.from([byte])))
    assert.deepStrictEqual(framed, frame([bytes]))
    assert.strictEqual(framed.messages.length, 2)
  })

  it.each([
    ["no Content-Length", requestText({ headers: { "Content-Length": null } }), 400],
    ["a Content-Length that is no number", requestText({ headers: { "Content-Length": "abc" } }), 400],
    ["a body above the limit", requestText({ headers: { "Content-Length": "70000" } }), 413],
    [
      "a head above the limit",
      requestText({ headers: { "X-Long": Array.from({ length: 30 }, () => "x".repeat(900)) } }),
      513,
    ],
  ])("%s is answered once and ends the stream", { tags: ["4475-3.3.9-a"] }, (_what, text, status) => {
    const framed = frame([Buffer.from(text + requestText())])
    assert.isFalse(framed.isFramed)
    assert.strictEqual(framed.messages.length, 1)
    assert.include(framed.messages[0]!, ` ${status} `)
  })

  it("OPS-stream-junk: many tiny non-messages end the stream without recursion", () => {
    assert.deepStrictEqual(frame([Buffer.from("x\r\n\r\n".repeat(20_000))]), {
      messages: [],
      pings: 0,
      isFramed: false,
    })
    assert.isTrue(frame([Buffer.from("\r\n".repeat(100_000))]).isFramed)
  })

  it("a double CRLF between messages is a ping", { tags: ["5626-3.5.1-a"] }, () => {
    assert.strictEqual(frame([Buffer.from("\r\n\r\n"), Buffer.from("\r\n"), Buffer.from("\r\n")]).pings, 2)
  })
})
