/**
 * `warm_up_first`: sockets open when the code has run for so long, and open in any case.
 */
import assert from "node:assert/strict"
import { Effect, Logger } from "effect"
import { describe, it } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { startServer } from "../../../src/app/server/start-server.ts"

/** Starts a server and stops it; the processor time of this thread until its sockets were open, in milliseconds. */
const millisUntilOpen = (warm_up: number, warm_up_first: number): Promise<number> => {
  const defaults = { listen: ["udp:127.0.0.1:0"], admin: "off", memory: true, warm_up, warm_up_first }
  const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults })
  return Effect.runPromise(
    Effect.gen(function* () {
      const from = process.threadCpuUsage()
      const server = yield* startServer(config)
      const { user, system } = process.threadCpuUsage(from)
      assert.match(server.addresses().join(), /^udp:127\.0\.0\.1:[1-9]/)
      yield* server.ready
      return (user + system) / 1000
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))),
  )
}

describe("warm_up_first", { tags: ["L12"] }, () => {
  it("is over when sockets open", async () => {
    // what a start costs by itself is less, once its own code is compiled
    await millisUntilOpen(0, 0)
    const [without, within] = [await millisUntilOpen(0, 0), await millisUntilOpen(60_000, 400)]
    assert.ok(within >= 400, `${within} ms`)
    assert.ok(without < 400, `${without} ms without it`)
  })

  it.for([
    ["nothing is run", 0, 60_000],
    ["less is run in all", 50, 60_000],
    ["it takes longer than sockets stay closed", 60_000, 60_000],
  ] as const)("sockets open although %s", async ([, whole, first]) => {
    await assert.doesNotReject(millisUntilOpen(whole, first))
  })
})
