/**
 * SHA-256 in plain JavaScript is that of Node, however a text is cut.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { nodeSha256 } from "../../src/app/case/node-sha256.ts"
import { pureSha256 } from "../../src/explain/case/sha256.ts"

describe("SHA-256", () => {
  it("of any text, with lone surrogates, is Node's", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        assert.equal(pureSha256.hex(text), nodeSha256.hex(text))
      }),
    )
    assert.equal(pureSha256.hex("a\ud800b"), nodeSha256.hex("a\ud800b"))
  })

  it("of each length around the blocks is Node's", () => {
    for (let length = 0; length <= 260; length++) {
      const text = "x".repeat(length)
      assert.equal(pureSha256.hex(text), nodeSha256.hex(text))
    }
  })

  it("of texts one after the other is that of all of them, and may be asked on the way", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 150 })), (texts) => {
        const running = pureSha256.running()
        let all = ""
        for (const text of texts) {
          running.update(text)
          all += text
          assert.equal(running.hex(), nodeSha256.hex(all))
        }
      }),
    )
  })
})
