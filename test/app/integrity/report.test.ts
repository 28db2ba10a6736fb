/** What `presently verify` says to do about what it found. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { signatureColumn } from "../../../src/app/integrity/folded.ts"
import { adviceFor } from "../../../src/app/integrity/report.ts"
import type { Difference } from "../../../src/app/integrity/verify.ts"

const difference = (table: string, column: string): Difference => ({
  kind: "changed",
  table,
  key: "key",
  column,
  log: null,
  found: "found",
})

describe("the advice of verify", () => {
  const unsigned = difference("events", signatureColumn)
  const changed = difference("seals", "digest")
  const row = difference("watchers", "expires")

  it.each([
    [
      "what a key does not prove",
      [unsigned, difference("seals", signatureColumn)],
      /^this key does not prove/,
    ],
    ["a log that was changed", [unsigned, changed], /^the log itself cannot be read there; restore it/],
    ["a row that differs", [row], /^presently verify --repair rewrites/],
    ["a row that differs in a log that was changed", [changed, row], /^presently verify --repair rewrites/],
  ] as const)("%s", { tags: ["T39", "CLI"] }, (_, differences, advice) => {
    assert.match(adviceFor({ differences, fromStart: false }), advice)
  })
})
