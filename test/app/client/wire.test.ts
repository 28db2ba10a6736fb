import assert from "node:assert/strict"
import * as fc from "fast-check"
import { describe, it } from "vitest"
import { challengeOf } from "../../../src/app/client/credentials.ts"
import { documentOf } from "../../../src/app/client/document.ts"
import { refreshAfterSeconds } from "../../../src/app/client/publication.ts"
import { formatAnswer, formatRequest, makeSplitter, readMessage } from "../../../src/app/client/wire.ts"
import { shows, summaryOf } from "../../../src/explain/document-summary.ts"
import { messageText, pidf, tuple } from "../../support/sip-client.ts"

const response = messageText("SIP/2.0 200 All Right", {
  Via: "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1",
  From: "<sip:a@b.example>;tag=1",
  To: "<sip:a@b.example>;tag=2",
  "Call-ID": "c",
  CSeq: "1 PUBLISH",
  "sip-etag": "tag-1",
  "WWW-Authenticate": ['Digest realm="x",\r\n nonce="n"', 'Digest realm="y", nonce="n"'],
})

describe("messages", () => {
  it("headers are found by name in any case, with folding undone", { tags: ["3261-7.3.1"] }, () => {
    const message = readMessage(Buffer.from(response))
    assert.equal(message?.reason, "All Right")
    assert.equal(message?.header("SIP-ETag"), "tag-1")
    assert.deepEqual(message?.headers("www-authenticate"), [
      'Digest realm="x", nonce="n"',
      'Digest realm="y", nonce="n"',
    ])
    assert.equal(message?.header("expires"), null)
    assert.equal(readMessage(Buffer.from("nonsense\r\n\r\n")), null)
  })

  it("a stream gives the same messages however it is cut", { tags: ["3261-18.3"] }, () => {
    const body = { contentType: "text/plain", text: "a\r\n\r\nb" }
    const request = formatRequest("PUBLISH", "sip:a@b.example", [["CSeq", "1 PUBLISH"]], body).toString()
    const stream = Buffer.from(`${response}\r\n\r\n${request}${response}`)
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
        const split = makeSplitter()
        const edges = [0, ...cuts.toSorted((a, b) => a - b), stream.length]
        const got = edges.slice(1).flatMap((end, index) => split(stream.subarray(edges[index], end)) ?? [])
        assert.deepEqual(got.map(String), [response, request, response])
      }),
    )
    assert.equal(makeSplitter()(Buffer.from("SIP/2.0 200 OK\r\nCSeq: 1 PUBLISH\r\n\r\n")), null)
  })

  it("an answer copies Via, From, To, Call-ID and CSeq byte for byte", { tags: ["3261-8.2.6.2"] }, () => {
    const head = {
      Via: ["SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1", "SIP/2.0/UDP p.example;branch=z9hG4bK0"],
      From: '"Zoë" <sip:a@b.example>;tag=1',
      To: "<sip:a@b.example>;tag=2",
      "Call-ID": "c",
      CSeq: "1 NOTIFY",
    }
    const request = readMessage(Buffer.from(messageText("NOTIFY sip:x@y.example SIP/2.0", head)))
    assert.ok(request !== null)
    assert.equal(formatAnswer(request, 200, "OK").toString(), messageText("SIP/2.0 200 OK", head))
  })

  it("challenges nobody understands are passed over", { tags: ["8760-2.4-a"] }, () => {
    const message = readMessage(Buffer.from(response))
    assert.ok(message !== null)
    assert.equal(challengeOf(message)?.realm, "x")
    const offers = ['Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth-int"', 'Digest realm="x"']
    assert.equal(challengeOf({ ...message, headers: () => offers }), null)
  })
})

describe("documents", () => {
  const summary = (text: string) => summaryOf({ contentType: "application/pidf+xml", text })

  it("what is written is read back, markup in a note included", { tags: ["3863-4.1.2-a"] }, () => {
    const document = documentOf("sip:alice@example.com", "open", "a <b> & c")
    assert.deepEqual(summaryOf(document), {
      tuples: [{ id: "presently", basic: "open", notes: ["a <b> & c"] }],
      notes: [],
    })
  })

  it("OPS-watch-until: open takes one open tuple, closed a document without", () => {
    const cases: readonly (readonly [string, boolean, boolean])[] = [
      [pidf(tuple("a", "open"), tuple("b", "closed")), true, false],
      [pidf(tuple("a", "closed")), false, true],
      [pidf(tuple("a", "unknown")), false, true],
      [pidf(), false, true],
    ]
    for (const [text, open, closed] of cases) {
      assert.deepEqual([shows(summary(text), "open"), shows(summary(text), "closed")], [open, closed])
    }
    assert.deepEqual([shows(null, "open"), shows(null, "closed")], [false, false])
    assert.equal(summaryOf({ contentType: "text/plain", text: pidf() }), null)
    assert.equal(summary("<oops"), null)
  })

  it("OPS-watch-refresh: a refresh comes before the end, and never in a tight loop", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), (expires) => {
        const after = refreshAfterSeconds(expires)
        assert.ok(after < expires && after >= 0.5)
      }),
    )
  })
})
