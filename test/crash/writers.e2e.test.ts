import { assert, describe, it } from "vitest"
import { postgresBinaries } from "../support/postgres.ts"
import { writersTest } from "./writers.ts"

describe("two servers on one database", () => {
  it.skipIf(postgresBinaries() === null)(
    "one is killed, one stopped and woken, the database restarted: never two that write, nothing lost, nothing false",
    { tags: ["OPS-writer", "3903-6-c", "L12", "L16"] },
    async () => {
      const findings = await writersTest({
        rounds: 3,
        servers: 2,
        lease: 2,
        stop: 5,
        publishers: 8,
        watchers: 2,
        actions: ["kill", "stop", "database"],
        say: () => {},
      })
      const { lost, disorder, mixed, wrong } = findings!
      assert.deepStrictEqual({ lost, mixed, wrong }, { lost: [], mixed: [], wrong: [] })
      // a process that is stopped while it hands a NOTIFY to the system hands it over when it wakes: nobody can keep it from that
      assert.isAtMost(disorder.length, 1, disorder.join())
      assert.isAbove(findings!.checked, 30)
      assert.isAtLeast(findings!.claims, 3)
    },
  )
})
