/**
 * A hangup reaches whoever waits for it now.
 */
import { setImmediate } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { listenForHangups } from "../../../src/app/cli/hangup.ts"
import { holds } from "../../support/condition.ts"

describe("hangups of a process that runs one server after the other", () => {
  let before: readonly NodeJS.SignalsListener[] = []
  beforeEach(() => {
    before = process.listeners("SIGHUP") as NodeJS.SignalsListener[]
  })
  // it listens for as long as the process lives, which is here that of the tests
  afterEach(() => {
    for (const listener of process.listeners("SIGHUP") as NodeJS.SignalsListener[])
      if (!before.includes(listener)) process.off("SIGHUP", listener)
  })
  const hangUp = (): void => void process.emit("SIGHUP", "SIGHUP")

  it(
    "one that comes while no server waits for it is for the next one",
    { tags: ["OPS-sighup"] },
    async () => {
      const hangups = listenForHangups(false)
      const reloads: string[] = []
      const serve = (name: string) => Effect.runFork(hangups.each(Effect.sync(() => void reloads.push(name))))
      const first = serve("first")
      hangUp()
      await holds("the first one reads again", () => reloads.length === 1)
      // it waits for the next one by then
      await setImmediate()
      await Effect.runPromise(Fiber.interrupt(first))
      hangUp()
      const second = serve("second")
      await holds("the second one reads again", () => reloads.length === 2)
      hangUp()
      await holds("and again", () => reloads.length === 3)
      await Effect.runPromise(Fiber.interrupt(second))
      assert.deepStrictEqual(reloads, ["first", "second", "second"])
    },
  )

  it("those that come while one is acted on make one more", { tags: ["OPS-sighup"] }, async () => {
    const hangups = listenForHangups(false)
    let reloads = 0
    const ends: (() => void)[] = []
    const work = Effect.callback<void>((resume) => {
      reloads++
      ends.push(() => resume(Effect.void))
    })
    const fiber = Effect.runFork(hangups.each(work))
    hangUp()
    await holds("it is at work", () => ends.length === 1)
    for (let count = 0; count < 3; count++) hangUp()
    ends[0]!()
    await holds("it is at work again", () => ends.length === 2)
    ends[1]!()
    hangUp()
    await holds("and after the next one", () => ends.length === 3)
    await Effect.runPromise(Fiber.interrupt(fiber))
    assert.strictEqual(reloads, 3)
  })
})
