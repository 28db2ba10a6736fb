/**
 * Rows in which parameters of a media type stand in clear beside an encrypted document, as earlier versions wrote them: whatever a
 * peer sent as parameters is read as it is, and never taken for a ciphertext.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { encrypt, newPersonKey } from "../../../../src/adapters/store/encryption/encrypted-decision.ts"
import { encryptTextEarlier } from "../../../../src/adapters/store/encryption/siv.ts"
import { decodeRow } from "../../../../src/adapters/store/encryption/stored-row.ts"
import { hasEarlierClear } from "../../../../src/adapters/store/encryption/stored-texts.ts"
import type { Body, EntityTag, Uri } from "../../../../src/domain/vocabulary.ts"
import type { Envelope, PersonKey } from "../../../../src/ports/stored-events.ts"

const stream = "sip:alice@example.com" as Uri
const whole = newPersonKey(stream)
/** A key of then. */
const key: PersonKey = { id: "0123456789ab", person: stream, key: whole.key.subarray(0, 32) }

/** The row of a publication with that document; nothing else in it is encrypted. */
const rowWith = (body: Body & { readonly was?: string }): Envelope => ({
  of: key.id,
  events: [
    {
      _tag: "PublicationCreated",
      packageName: "presence",
      entityTag: "e" as EntityTag,
      expiresAt: 9,
      body,
      sender: null,
    },
  ],
})

const bodyOf = (stored: Envelope): Body => {
  const [event] = decodeRow({ origin: "import", nonce: "n1", events: stored }, () => key).events
  assert.ok(event?._tag === "PublicationCreated" && event.body !== null)
  return event.body
}

/** @source RFC 3261 §25.1: token, and parameters as they follow a media type */
const token = fc.stringMatching(/^[A-Za-z0-9\-.!%*_+`'~]{1,40}$/)
const anyParameters = fc.oneof(
  token,
  fc.tuple(token, token).map(([name, value]) => `${name}=${value}`),
  fc.constantFrom(
    "~alice-secret",
    "0~ab",
    "~",
    "12~",
    `${"a".repeat(30)}`,
    `~${"a".repeat(30)}`,
    "charset=utf-8;~x",
  ),
)

const contentType = "application/pidf+xml"

describe("parameters in clear beside an encrypted document", () => {
  it("are read as they are, and found by whoever looks for what stands in clear", () => {
    fc.assert(
      fc.property(anyParameters, (parameters) => {
        const stored = rowWith({ contentType, parameters, text: encryptTextEarlier(key.key, "<x/>") })
        const body = bodyOf(stored)
        assert.equal(body.parameters, parameters)
        assert.equal(body.text, "<x/>")
        assert.equal(hasEarlierClear("", stored), true)
      }),
    )
  })

  it("are read as they are when the document was dropped since", () => {
    for (const parameters of ["~alice-secret", "0~ab", "~", "12~", "charset=utf-8"]) {
      const was = encrypt(key, "was", "digest")
      const body = bodyOf(rowWith({ contentType, parameters, text: "", dropped: "aa", was }))
      assert.equal(body.parameters, parameters)
      assert.equal(body.dropped, "digest")
    }
  })
})
