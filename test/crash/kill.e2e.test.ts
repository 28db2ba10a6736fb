import { assert, describe, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { killTest } from "./kill.ts"
import type { KillOptions } from "./kill.ts"

const nothingIsLost = async (store: KillOptions["store"], kills: number): Promise<void> => {
  const findings = await killTest({ store, kills, publishers: 20, watchers: 2, load: null, say: () => {} })
  assert.deepStrictEqual({ lost: findings?.lost, disorder: findings?.disorder }, { lost: [], disorder: [] })
  assert.isAbove(findings?.checked ?? 0, 100)
}

describe("kill -9", () => {
  it.skipIf(postgresBinaries() === null)(
    "kill -9 of server, database and both under load loses nothing that was answered 2xx",
    { tags: ["3903-6-c", "L12", "L16"], timeout: 120_000 },
    () => nothingIsLost("postgres", 2),
  )

  it(
    "kill -9 of a server with its embedded database, and of the next one while it recovers, loses nothing that was answered 2xx",
    { tags: ["3903-6-c", "L12", "L16"], timeout: 120_000 },
    () => nothingIsLost("embedded", 2),
  )
})
