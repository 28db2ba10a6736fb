/**
 * A program says who asked it for a change, and its log tells it.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { Presence } from "../../../src/app/index.ts"

const alice = "sip:alice@example.com"
const body =
  '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="t"><status><basic>open</basic></status></tuple></presence>'

describe("who asked a program", () => {
  it(
    "stands in the log, in full and by reference, unless it is the presentity",
    { tags: ["T38"] },
    async () => {
      const presence = await Presence.make()
      try {
        await presence.publish({ presentity: alice, body })
        await presence.publish({ presentity: alice, body, askedBy: alice })
        await presence.publish({ presentity: alice, body, askedBy: "sip:carol@example.com" })
        await presence.terminate({ presentity: alice, askedBy: "carol@EXAMPLE.com" })
        await presence.publish({ presentity: alice, body, askedBy: "sip:carol@example.com" })
        const decisions = await presence.history(alice)
        assert.deepEqual(
          decisions.map(({ about }) => about),
          [undefined, undefined, { by: { identity: "sip:carol@example.com" } }, { by: 3 }],
        )
        await assert.rejects(
          presence.publish({ presentity: alice, body, askedBy: "no address" }),
          /no address is no URI of a person/,
        )
      } finally {
        await presence.close()
      }
    },
  )
})
