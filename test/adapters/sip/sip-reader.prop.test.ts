/**
 * The readers of messages, Via and addresses beside the grammar of RFC 3261 and the npm package `sip`, on mutated messages.
 * `npm run test:sip-reader` compares a million.
 */
import { assert, describe, it } from "vitest"
import { parseAddresses } from "../../../src/adapters/sip/address-headers.ts"
import { parseVia, stampVia } from "../../../src/adapters/sip/via.ts"
import { assertLinear } from "../../support/cost.ts"
import { addressLines, makeNumbers, messages, mutated, mutatedLine } from "../../support/sip-mutations.ts"
import { addressDifferences, messageDifferences } from "../../support/sip-reference.ts"

const runs = Number(process.env["PRESENTLY_TEST_RUNS"] ?? 3_000)

describe("the SIP reader", () => {
  it("reads each message of the corpus as the grammar and the package do", { tags: ["4475-3.1.1-a"] }, () => {
    for (const text of messages) assert.deepStrictEqual(messageDifferences(text), [], JSON.stringify(text))
    for (const line of addressLines) assert.deepStrictEqual(addressDifferences(line), [], line)
  })

  it("reads mutated messages as the grammar and the package do", { tags: ["4475-3.1.2-a"] }, () => {
    const number = makeNumbers(1)
    for (let run = 0; run < runs; run++) {
      const text = mutated(messages, number)
      assert.deepStrictEqual(messageDifferences(text), [], JSON.stringify(text))
    }
  })

  it("reads mutated address lines as the grammar and the package do", { tags: ["4475-3.1.2-a"] }, () => {
    const number = makeNumbers(2)
    for (let run = 0; run < runs; run++) {
      const line = mutatedLine(number)
      assert.deepStrictEqual(addressDifferences(line), [], JSON.stringify(line))
    }
  })

  it("OPS-linear-time: lists, and parameters of Via, are read and filled in in time that grows with their length only", () => {
    for (const piece of ["a,", "a b,", "<sip:a@b>,", '"a"<a:b>,', "a;b=c,", "a;b,"])
      assertLinear(
        piece,
        (length) => {
          const line = piece.repeat(length / piece.length)
          return () => void parseAddresses(`${line}sip:a@b`)
        },
        1_000,
      )
    for (const piece of [";a", ";received=1", ";rport", " ", ';a="b"', ";a = b"])
      assertLinear(
        piece,
        (length) => {
          const line = `SIP/2.0/UDP h${piece.repeat(length / piece.length)}`
          return () => void stampVia(line, parseVia(line)!, "192.0.2.7", 5060)
        },
        1_000,
      )
  })
})
