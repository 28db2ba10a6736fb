/**
 * `warm_up_first`: sockets open when the code has run for so long, and open in any case.
 */
import assert from "node:assert/strict"
import { Effect, Logger } from "effect"
import { describe, it } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { startServer } from "../../../src/app/server/start-server.ts"

interface Spent {
  /** Processor time of this thread until the sockets were open, in milliseconds. */
  readonly processor: number
  /** Whether they were open before they would have been opened in any case. */
  readonly isInTime: boolean
}

/** Starts a server and stops it. */
const untilOpen = (warm_up: number, warm_up_first: number): Promise<Spent> => {
  const defaults = { listen: ["udp:127.0.0.1:0"], admin: "off", memory: true, warm_up, warm_up_first }
  const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults })
  return Effect.runPromise(
    Effect.gen(function* () {
      const from = process.threadCpuUsage()
      const began = performance.now()
      const server = yield* startServer(config)
      const { user, system } = process.threadCpuUsage(from)
      const isInTime = performance.now() - began < 3000
      assert.match(server.addresses().join(), /^udp:127\.0\.0\.1:[1-9]/)
      yield* server.ready
      return { processor: (user + system) / 1000, isInTime }
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))),
  )
}

describe("warm_up_first", { tags: ["L12"] }, () => {
  it("is over when sockets open", async () => {
    // what a start costs by itself is less, once its own code is compiled
    await untilOpen(0, 0)
    const [without, within] = [await untilOpen(0, 0), await untilOpen(60_000, 400)]
    // a machine with other work may take longer over it than sockets stay closed
    assert.ok(within.processor >= 400 || !within.isInTime, `${within.processor} ms`)
    assert.ok(without.processor < 400, `${without.processor} ms without it`)
  })

  it.for([
    ["nothing is run", 0, 60_000],
    ["less is run in all", 50, 60_000],
    ["it takes longer than sockets stay closed", 60_000, 60_000],
  ] as const)("sockets open although %s", async ([, whole, first]) => {
    await assert.doesNotReject(untilOpen(whole, first))
  })
})
