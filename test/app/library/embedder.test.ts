/**
 * A program that does everything wrong: `npm run test:embedder` makes ten thousand calls of it.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { tortureEmbedder } from "../../crash/embedder.ts"

describe("LIB-8: a program that does everything wrong", () => {
  it("LIB-8: lives, others are served, and its log is one that can be read", async () => {
    const calls = Number(process.env["PRESENTLY_TEST_CALLS"] ?? 1500)
    const { granted, refused, broken, decisions, faults } = await tortureEmbedder(calls, 1)
    // both happen
    for (const count of [granted, refused, broken, decisions, faults]) assert.ok(count > 0)
  }, 300_000)
})
