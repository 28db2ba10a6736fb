import { assert, describe, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { hangTest } from "./hang.ts"
import type { HangOptions } from "./hang.ts"

const followsTheLog = async (way: HangOptions["way"]): Promise<void> => {
  const options = { way, rounds: 1, seconds: [4], publishers: 10, watchers: 1, say: () => {} }
  const findings = await hangTest(options)
  const { lost, disorder, differences, lag } = findings ?? {}
  assert.deepStrictEqual(
    { lost, disorder, differences, lag },
    { lost: [], disorder: [], differences: [], lag: 0 },
  )
  assert.isAbove(findings?.checked ?? 0, 30)
}

describe.skipIf(postgresBinaries() === null)("a database that hangs", () => {
  it(
    "tables and snapshots are what the log says when it stood still under load",
    { tags: ["T40", "3903-6-c", "L12"], timeout: 180_000 },
    () => followsTheLog("stopped"),
  )

  it(
    "and when it went on, and its answers were lost",
    { tags: ["T40", "3903-6-c", "L12"], timeout: 180_000 },
    () => followsTheLog("unanswered"),
  )
})
