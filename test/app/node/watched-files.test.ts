/**
 * Files that are read again when they change.
 */
import assert from "node:assert/strict"
import { mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { describe, it } from "vitest"
import { stateOfFiles, watchFiles } from "../../../src/app/node/watched-files.ts"

/** Plays states of files, one for each look. @returns at which looks there was a reload */
const reloads = (states: readonly string[], isGood: (state: string) => boolean): Promise<readonly number[]> =>
  Effect.gen(function* () {
    let look = 0
    let read = "start"
    const at: number[] = []
    const now = (): string => (look === 0 ? "start" : states[look - 1]!)
    const reload = Effect.sync(() => {
      at.push(look)
      if (isGood(now())) read = now()
    })
    const watching = yield* Effect.forkChild(watchFiles({ read: () => read, now }, 1, reload))
    yield* Effect.yieldNow
    for (look = 1; look <= states.length; look++) yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(watching)
    return at
  }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)

describe("files that are looked at", { tags: ["OPS-reload"] }, () => {
  it("are read when they have changed and are the same at two looks, and once, whether they can be used or not", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("start", "good", "other", "bad"), { maxLength: 20 }),
        async (states) => {
          let read = "start"
          let refused = ""
          const expected = states.flatMap((state, index) => {
            const before = index === 0 ? "start" : states[index - 1]
            if (state !== before || state === read || state === refused) return []
            if (state === "bad") refused = state
            else [read, refused] = [state, state]
            return [index + 1]
          })
          assert.deepEqual(await reloads(states, (state) => state !== "bad"), expected)
        },
      ),
      { numRuns: 100 },
    )
  })

  it("differ when one is written, replaced, touched, removed, or is a link that leads elsewhere", (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-watched-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true }))
    const [file, other, link] = ["file", "other", "link"].map((name) => join(folder, name))
    const states = new Set<string>()
    const look = (): void => void states.add(stateOfFiles([file!, link!]))
    look()
    writeFileSync(file!, "a")
    look()
    writeFileSync(other!, "b")
    symlinkSync(file!, link!)
    look()
    symlinkSync(other!, `${link}.new`)
    renameSync(`${link}.new`, link!)
    look()
    writeFileSync(other!, "longer")
    look()
    utimesSync(file!, 1, 1)
    look()
    renameSync(other!, file!)
    look()
    assert.equal(states.size, 7)
    look()
    assert.equal(states.size, 7)
  })
})
