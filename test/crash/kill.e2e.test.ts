import { assert, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { killTest } from "./kill.ts"

it.skipIf(postgresBinaries() === null)(
  "3903-6-c, L12, L16: kill -9 of server, database and both under load loses nothing that was answered 2xx",
  async () => {
    const findings = await killTest({ kills: 3, publishers: 20, watchers: 2, load: null, say: () => {} })
    assert.deepStrictEqual({ lost: findings?.lost, disorder: findings?.disorder }, { lost: [], disorder: [] })
    assert.isAbove(findings?.checked ?? 0, 100)
  },
  120_000,
)
