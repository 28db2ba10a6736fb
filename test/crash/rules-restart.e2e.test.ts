import { assert, describe, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { restartSources, restartTest } from "./rules-restart.ts"

describe("rules that change while the server is down", () => {
  for (const source of restartSources) {
    it.skipIf(postgresBinaries() === null)(
      `${source}: over stops and a kill -9 under load no watcher is shown what the rules in force hide`,
      { tags: ["AUT-7"], timeout: 120_000 },
      async () => {
        const findings = await restartTest({ source, count: 5, kills: 5, seed: 7, say: () => {} })
        assert.deepStrictEqual(findings?.shown, [])
        assert.strictEqual(findings?.lives, 5)
        // there was something to show, and something to hide
        assert.isAbove(findings?.documents ?? 0, 50)
        assert.isAbove(findings?.hidden ?? 0, 20)
      },
    )
  }
})
