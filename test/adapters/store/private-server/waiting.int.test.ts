/**
 * What a program says while it waits for a server that another one has started, or that hangs.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { closeSync, constants, mkdirSync, openSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber } from "effect"
import { describe, it } from "vitest"
import { layerEmbedded } from "../../../../src/adapters/store/layers.ts"
import { newProgramName } from "../../../../src/adapters/store/postgres/connections.ts"
import { beginWait } from "../../../../src/adapters/store/private-server/waiting.ts"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { dataFolder, postmasterOf, refusalOf, serverEnds, userOf } from "../../../support/private-server.ts"

/** A program in this process that opens a folder, and what it is told meanwhile. */
const opening = (folder: string) => {
  const lines: string[] = []
  const onEvent = (line: string) => Effect.sync(() => void lines.push(line))
  const fiber = Effect.runFork(
    Effect.scoped(Effect.flatMap(PgClient.PgClient, (sql) => sql<{ n: number }>`SELECT 1 AS n`)).pipe(
      Effect.provide(layerEmbedded(folder, { application: newProgramName("test"), onEvent })),
    ),
  )
  return { lines, fiber }
}

describe.skipIf(process.platform === "win32")("waiting for a server", { tags: ["OPS-data"] }, () => {
  it("that hangs names its process once, and goes on with it", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const user = await userOf(folder)
    const server = postmasterOf(folder)!
    process.kill(server, "SIGSTOP")
    context.onTestFinished(() => {
      try {
        process.kill(server, "SIGCONT")
      } catch {
        // it has ended
      }
    })
    const [goesOn, ends] = [opening(folder), opening(folder)]
    await holds("both are told", () => goesOn.lines.length > 0 && ends.lines.length > 0)
    for (const { lines } of [goesOn, ends]) {
      assert.deepEqual(lines, [
        `waiting for the database's server in ${folder}, which another program has started, process ${server}`,
      ])
    }
    // as by SIGTERM
    await Effect.runPromise(Fiber.interrupt(ends.fiber))
    process.kill(server, "SIGCONT")
    assert.deepEqual(await Effect.runPromise(Fiber.join(goesOn.fiber)), [{ n: 1 }])
    await user.stop()
    await serverEnds(folder)
  })

  it("of which there is nothing but a pipe ends after its time", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const run = join(folder, "run")
    mkdirSync(run, { mode: 0o700 })
    execFileSync("mkfifo", ["-m", "600", join(run, "in-use")])
    const reader = openSync(join(run, "in-use"), constants.O_RDWR)
    try {
      assert.match(
        await refusalOf(folder, { readyMillis: 300 }),
        /its server is not ready after 0 s; see .*postgres\.log$/,
      )
      assert.deepEqual(readdirSync(run), ["in-use"])
    } finally {
      closeSync(reader)
    }
    assert.equal(await refusalOf(folder), "opened")
  })
})

describe("a wait", () => {
  it("that nobody wants any more ends, and a short one is not told of", async () => {
    const abort = new AbortController()
    const lines: string[] = []
    const patience = {
      signal: abort.signal,
      readyMillis: 60_000,
      recoveryMillis: 60_000,
      tell: (line: string) => void lines.push(line),
    }
    const step = beginWait({ patience, what: () => "it", millis: 60_000 })
    assert.ok(await step())
    const last = step()
    abort.abort()
    await assert.rejects(last, { name: "AbortError" })
    assert.deepEqual(lines, [])
  })
})
