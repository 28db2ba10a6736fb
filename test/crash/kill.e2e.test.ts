import { assert, describe, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { killTest } from "./kill.ts"
import type { KillOptions } from "./kill.ts"

const nothingIsLost = async (what: Pick<KillOptions, "store" | "rounds" | "victims">): Promise<void> => {
  const findings = await killTest({ ...what, publishers: 20, watchers: 2, load: null, say: () => {} })
  const { lost, disorder, missing, left } = findings ?? {}
  assert.deepStrictEqual({ lost, disorder, missing, left }, { lost: [], disorder: [], missing: [], left: [] })
  assert.isAbove(findings?.checked ?? 0, 100)
}

describe("kill -9", () => {
  it.skipIf(postgresBinaries() === null)(
    "kill -9 of server, database and both under load loses nothing that was answered 2xx",
    { tags: ["3903-6-c", "L12", "L16"], timeout: 120_000 },
    () => nothingIsLost({ store: "postgres", rounds: 2 }),
  )

  it(
    "kill -9 of a server, of its embedded database, and of the guard between them, also while it recovers, loses nothing that was answered 2xx and leaves no process",
    { tags: ["3903-6-c", "L12", "L16"], timeout: 180_000 },
    () => nothingIsLost({ store: "embedded", rounds: 3, victims: ["server twice", "guard", "all"] }),
  )
})
