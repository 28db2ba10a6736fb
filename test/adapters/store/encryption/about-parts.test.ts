/** What is stored of a request is what somebody has said to be personal or not. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { aboutAsTexts } from "../../../../src/adapters/store/encryption/about-texts.ts"
import type { About } from "../../../../src/domain/presentity/about.ts"
import { decodeAbout } from "../../../../src/encoding/about-codec.ts"

describe("parts of what is known of a request", () => {
  const full: Required<About> = {
    command: "{}",
    by: { account: "bob", from: "sip:bob@example.com" },
    request: "abc",
    node: "n1",
    epoch: 3,
    profile: "phone",
  }

  it("every part is read again, and every personal one is encrypted", () => {
    assert.deepEqual(decodeAbout(full), full)
    const stored = aboutAsTexts(full, (_, kind) => `<${kind}>`)
    assert.deepEqual(stored, {
      command: "<command>",
      by: "<by>",
      request: "<request>",
      node: "n1",
      epoch: 3,
      profile: "<profile>",
    })
  })

  it("what is no part is not stored: it may be personal", () => {
    const foreign = { ...full, displayName: "Bob Secret" } as About
    assert.doesNotMatch(JSON.stringify(aboutAsTexts(foreign, (_, kind) => kind)), /Secret/)
  })
})
