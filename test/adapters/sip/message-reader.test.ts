import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { readDatagram } from "../../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { assertLinear } from "../../support/cost.ts"
import { mutatedRequest, read, readRequest, requestText, trapText } from "../../support/sip-messages.ts"

const faultOf = (text: string) => read(text)?.fault ?? null

describe("gate", () => {
  it("any bytes are read or refused, never thrown at", { tags: ["4475-3.1.2-a"] }, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        readDatagram(Buffer.from(bytes), limitsDefault)
      }),
      { numRuns: 500 },
    )
  })

  it(
    "any mutation of a good request is read or refused, and what passes holds no line end",
    { tags: ["4475-3.1.2-a"] },
    () => {
      fc.assert(
        fc.property(mutatedRequest, (text) => {
          const message = read(text)
          if (message === null || message.fault !== null) return
          for (const value of message.headers.values())
            assert.isFalse(["\r", "\n", "\0"].some((character) => value.includes(character)))
        }),
        { numRuns: 1_000 },
      )
    },
  )

  it("OPS-linear-time: traps of any kind are read in time that grows with their length only", () => {
    const traps = [" ", "\t", "<", '"', ";", ",", "=", "\r\n", "\r\n ", "\n", "a", "a;", ' "', "<;", ":"]
    for (const trap of traps)
      for (const header of ["To: ", "Via: ", "Contact: <sip:", "SIP/2.0 200 "])
        assertLinear(
          JSON.stringify(header + trap),
          (length) => {
            const text = `OPTIONS sip:a@b SIP/2.0\r\n${header}${trap.repeat(length / trap.length)}\r\n\r\n`
            const bytes = Buffer.from(text, "latin1")
            return () => void readDatagram(bytes, limitsDefault)
          },
          2_400,
        )
  })

  it(
    "bytes beyond Content-Length are ignored, missing ones are an error, no length takes all",
    { tags: ["3261-18.3-a"] },
    () => {
      const body = "<presence/>"
      const withLength = (length: string | null) =>
        read(requestText({ method: "PUBLISH", body, headers: { "Content-Length": length } }))!
      assert.strictEqual(withLength("4").body.toString(), "<pre")
      assert.strictEqual(withLength(null).body.toString(), body)
      assert.deepStrictEqual(withLength("12").fault, {
        status: 400,
        reason: "Body Shorter Than Content-Length",
      })
    },
  )

  it.each(["-1", "1e3", "0x10", "abc", "", "+4", "99999999999999999999"])(
    "%j is not a Content-Length",
    { tags: ["3261-18.3-a"] },
    (length) => {
      assert.strictEqual(faultOf(requestText({ headers: { "Content-Length": length } }))?.status, 400)
    },
  )

  it("another version is refused with 505", { tags: ["3261-21.5.6-a"] }, () => {
    for (const version of ["SIP/7.0", "sip/7.0", "SIP/2.1", "SIP/1.0", "SIP/20.0", "SIP/2.00"])
      assert.strictEqual(
        faultOf(requestText().replace("SIP/2.0\r\n", `${version}\r\n`))?.status,
        505,
        version,
      )
    for (const version of ["SIP/2", "SIP/", "SIP/x.y", "HTTP/1.1", "SIP/2.0x"])
      assert.strictEqual(
        faultOf(requestText().replace("SIP/2.0\r\n", `${version}\r\n`))?.status,
        400,
        version,
      )
    assert.isNull(faultOf(requestText().replace("SIP/2.0\r\n", "sip/2.0\r\n")))
  })

  it.each([
    ["two blanks before the URI", (text: string) => text.replace("OPTIONS sip:", "OPTIONS  sip:")],
    [
      "a blank inside the URI",
      (text: string) => text.replace("alice@example.com SIP", "alice@example.com; lr SIP"),
    ],
    ["a blank at the end of the line", (text: string) => text.replace("SIP/2.0\r\n", "SIP/2.0 \r\n")],
    [
      "brackets around the URI",
      (text: string) => text.replace("sip:alice@example.com SIP", "<sip:alice@example.com> SIP"),
    ],
    ["a bare line feed in a Call-ID", (text: string) => text.replace("Call-ID: ", "Call-ID: a\nX: ")],
    [
      "a control character in a Call-ID",
      (text: string) => text.replace("Call-ID: ", "Call-ID: \u0001a\u0002"),
    ],
    ["a CSeq of 2^31", (text: string) => text.replace("CSeq: 1 ", "CSeq: 2147483648 ")],
    ["a CSeq of another method", (text: string) => text.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE")],
    ["no Call-ID", (text: string) => text.replace("Call-ID:", "X-Call-ID:")],
    ["no From", (text: string) => text.replace("From:", "X-From:")],
    ["no To", (text: string) => text.replace("To:", "X-To:")],
    ["two Call-IDs", (text: string) => text.replace("CSeq: 1", "Call-ID: other\r\nCSeq: 1")],
    ["a Call-ID twice", (text: string) => text.replace(/Call-ID: .*\r\n/, "$&$&")],
    ["two Content-Lengths", (text: string) => text.replace("CSeq: 1", "Content-Length: 7\r\nCSeq: 1")],
  ])("%s is answered 400", { tags: ["3261-21.4.1-a"] }, (_what, change) => {
    assert.strictEqual(faultOf(change(requestText()))?.status, 400)
  })

  it("long Request-URIs, heads and Via lists have their own refusals", { tags: ["3261-21.4.11-a"] }, () => {
    assert.strictEqual(faultOf(requestText({ uri: `sip:${"a".repeat(600)}@example.com` }))?.status, 414)
    assert.strictEqual(
      faultOf(requestText({ headers: { "X-Long": Array.from({ length: 20 }, () => "x".repeat(1_000)) } }))
        ?.status,
      513,
    )
    const vias = Array.from(
      { length: 70 },
      (_, index) => `SIP/2.0/UDP h${index}.example.com;branch=z9hG4bK${index}`,
    )
    const message = read(requestText({ headers: { Via: vias } }))!
    assert.strictEqual(message.fault?.status, 513)
    assert.deepStrictEqual(message.vias, vias)
  })

  it(
    "folding, odd case, compact names and blanks around colons change nothing",
    { tags: ["4475-3.1.1-a"] },
    () => {
      const message = read(
        "SUBSCRIBE sip:alice@example.com SIP/2.0\r\nv  : SIP/2.0/UDP 127.0.0.1:5998;branch=z9hG4bKf1\r\n" +
          "tO :\r\n <sip:alice@example.com>\r\nf: <sip:bob@example.com>\r\n\t;tag=x\r\nCALL-id\t: c1\r\ncseq: 0007\r\n  SUBSCRIBE\r\n" +
          "m: <sip:bob@127.0.0.1>\r\no: presence\r\nl: 0\r\nX-Unknown: ;;<<\r\n\r\n",
      )!
      assert.deepStrictEqual(
        [
          message.fault,
          message.to,
          message.from,
          message.callId,
          message.cseq,
          message.headers.get("event"),
          message.contentLength,
        ],
        [null, "<sip:alice@example.com>", "<sip:bob@example.com> ;tag=x", "c1", 7, ["presence"], 0],
      )
    },
  )

  it("headers named like object members are plain unknown headers", { tags: ["3261-8.2.2-a"] }, () => {
    const message = readRequest({ headers: { constructor: "x", __proto__x: "y", toString: "z" } })
    assert.isNull(message.fault)
    assert.isUndefined(message.headers.get("constructor"))
  })

  it("bad responses are dropped, an empty reason is fine", { tags: ["4475-3.1.2-a"] }, () => {
    const response = (line: string) =>
      read(`${line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCSeq: 1 NOTIFY\r\n\r\n`)
    assert.strictEqual(response("SIP/2.0 100 ")?.status, 100)
    assert.isNull(response("SIP/2.0 4294967301 better not"))
    assert.isNull(response("SIP/2.0 99 low"))
    assert.isNull(response("SIP/7.0 200 OK"))
  })

  it("trap text in any header is read or refused", { tags: ["3261-8.2.2-a"] }, () => {
    fc.assert(
      fc.property(
        fc.constantFrom("To", "From", "Via", "CSeq", "Call-ID", "Event"),
        trapText(200),
        (name, value) => {
          read(requestText({ headers: { [name]: value } }))
        },
      ),
      { numRuns: 500 },
    )
  })
})
