/**
 * A program that does everything wrong: `npm run test:embedder` makes ten thousand calls of it.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { tortureEmbedder } from "../../crash/embedder.ts"

describe("a program that does everything wrong", { tags: ["LIB-8"] }, () => {
  it(
    "lives, others are served, and its log is one that can be read",
    { tags: ["LIB-8"], timeout: 300_000 },
    async () => {
      const calls = Number(process.env["PRESENTLY_TEST_CALLS"] ?? 1500)
      const { granted, refused, broken, decisions, faults } = await tortureEmbedder(calls, 1)
      // both happen
      for (const count of [granted, refused, broken, decisions, faults]) assert.ok(count > 0)
    },
  )
})
