/**
 * Rows in which parameters of a media type stand in clear beside an encrypted document, as earlier versions wrote them: whatever a
 * peer sent as parameters is read as it is, and never taken for a ciphertext.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  encryptDecision,
  newPersonKey,
} from "../../../../src/adapters/store/encryption/encrypted-decision.ts"
import { decodeRow } from "../../../../src/adapters/store/encryption/stored-row.ts"
import { hasEarlierClear } from "../../../../src/adapters/store/encryption/stored-texts.ts"
import type { Decision } from "../../../../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../../../../src/domain/vocabulary.ts"
import type { Envelope, PackedEnvelope } from "../../../../src/ports/stored-events.ts"

const stream = "sip:alice@example.com" as Uri
const key = newPersonKey(stream)

const decision: Decision = {
  stream,
  version: 1,
  at: 0,
  cause: "Publish",
  origin: "udp:192.0.2.1:5060",
  nonce: "n1",
  events: [
    {
      _tag: "PublicationCreated",
      packageName: "presence",
      entityTag: "e" as EntityTag,
      expiresAt: 9,
      body: { contentType: "application/pidf+xml", text: "<x/>" },
      sender: null,
    },
  ],
}

/** The row with the parameters in clear. */
const rowWith = (parameters: string): Envelope => {
  // an origin that is nobody's: nothing but the document is encrypted
  const nobodys = { ...decision, origin: "import" }
  const { of: id, e: packed } = encryptDecision(nobodys, null, () => key).stored as PackedEnvelope
  const events = packed.map((event) =>
    event._tag === "PublicationCreated" ? { ...event, body: { ...event.body!, parameters } } : event,
  )
  return { of: id!, events }
}

/** @source RFC 3261 §25.1: token, and parameters as they follow a media type */
const token = fc.stringMatching(/^[A-Za-z0-9\-.!%*_+`'~]{1,40}$/)
const anyParameters = fc.oneof(
  token,
  fc.tuple(token, token).map(([name, value]) => `${name}=${value}`),
  fc.constantFrom("~alice-secret", "0~ab", "~", "12~", `${"a".repeat(30)}`, "charset=utf-8;~x"),
)

describe("parameters in clear beside an encrypted document", () => {
  it("are read as they are, and found by whoever looks for what stands in clear", () => {
    fc.assert(
      fc.property(anyParameters, (parameters) => {
        const stored = rowWith(parameters)
        const { events } = decodeRow({ origin: "", nonce: "n1", events: stored }, () => key)
        const [event] = events
        assert.ok(event?._tag === "PublicationCreated")
        assert.equal(event.body?.parameters, parameters)
        assert.equal(event.body?.text, "<x/>")
        assert.equal(hasEarlierClear("", stored), true)
      }),
    )
  })
})
