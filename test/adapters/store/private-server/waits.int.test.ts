/**
 * Waiting for a server that does not become ready: it ends when it is not wanted any more and when it has taken too long, and
 * leaves nothing behind. And a server that comes back elsewhere.
 */
import assert from "node:assert/strict"
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Logger } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { layerEmbedded } from "../../../../src/adapters/store/layers.ts"
import type { EmbeddedOptions } from "../../../../src/adapters/store/layers.ts"
import { newProgramName } from "../../../../src/adapters/store/postgres/connections.ts"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { postgresBinaries } from "../../../support/postgres.ts"
import {
  dataFolder,
  inFolder,
  killIfThere,
  postmasterOf,
  processesOf,
  refusalOf,
  rowsAgain,
  serverEnds,
  userOf,
} from "../../../support/private-server.ts"

const binaries = postgresBinaries()

/** Programs whose server stops (SIGSTOP) before it does anything, and goes on when it is told to. */
const stoppingPrograms = (context: TestContext): string => {
  const bin = join(dataFolder(context), "..", "bin")
  mkdirSync(bin, { mode: 0o755 })
  const script = (name: string, before: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${before}exec ${binaries}/${name} "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
  script("initdb", "")
  script("postgres", '[ "$1" = --version ] || kill -STOP $$\n')
  return bin
}

/** Processes of such a server that are stopped. */
const stopped = (bin: string): readonly number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "")
        return line.startsWith(`/bin/sh\0${bin}/postgres\0`) && stat.startsWith("T")
      } catch {
        return false
      }
    })
    .map(Number)

const goOn = (bin: string): void => {
  for (const pid of stopped(bin)) process.kill(pid, "SIGCONT")
}

const opened = (folder: string, options: Partial<EmbeddedOptions>) =>
  Effect.runFork(
    Effect.scoped(Effect.flatMap(PgClient.PgClient, (sql) => sql`SELECT 1`)).pipe(
      Effect.provide(layerEmbedded(folder, { application: newProgramName("test"), ...options })),
      Effect.provide(Logger.layer([])),
    ),
  )

const users = (folder: string): readonly string[] =>
  readdirSync(join(folder, "run")).filter((name) => name.startsWith("user."))

describe.skipIf(binaries === null)(
  "a private server that does not become ready",
  { tags: ["OPS-data"] },
  () => {
    it("is not waited for any more by a program that is interrupted, and ends as soon as it can", async (context) => {
      const bin = stoppingPrograms(context)
      const folder = await emptyEmbedded(dataFolder(context))
      const first = opened(folder, { programs: bin })
      await holds("the server is stopped", () => stopped(bin).length === 1)
      const second = opened(folder, { programs: bin })
      await holds("the second waits for it", () => users(folder).length === 1)
      for (const fiber of [second, first]) await Effect.runPromise(Fiber.interrupt(fiber))
      assert.deepEqual(users(folder), [])
      // told to stop before it could listen to that
      goOn(bin)
      await serverEnds(folder)
    })

    it("is given up in one line after its time, by the program that started it and by others", async (context) => {
      const bin = stoppingPrograms(context)
      const folder = await emptyEmbedded(dataFolder(context))
      const first = refusalOf(folder, { programs: bin, readyMillis: 3000 })
      await holds("the server is stopped", () => stopped(bin).length === 1)
      const second = refusalOf(folder, { programs: bin, readyMillis: 1000 })
      assert.match(
        await second,
        /^the data folder .*: its server is not ready after 1 s; see .*postgres\.log$/,
      )
      assert.match(await first, /its server is not ready after 3 s; see .*postgres\.log$/)
      goOn(bin)
      await serverEnds(folder)
      await inFolder(folder, (sql) => sql`SELECT 1`)
    })
  },
)

describe.skipIf(binaries === null)("a private server that is started again", { tags: ["OPS-data"] }, () => {
  it("with its socket in another folder is found by those that use it", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const user = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 5 AS n")
    const run = join(folder, "run")
    const server = postmasterOf(folder)!
    // in the place of the folder is a file when it is started again
    for (const { pid, kind } of processesOf(folder)) if (kind === "guard") process.kill(pid, "SIGSTOP")
    killIfThere(server)
    rmSync(run, { recursive: true })
    writeFileSync(run, "")
    for (const { pid, kind } of processesOf(folder)) if (kind === "guard") killIfThere(pid)
    assert.deepEqual(await rowsAgain(user), [{ n: 5 }])
    assert.notEqual(postmasterOf(folder), server)
    await user.stop()
    await serverEnds(folder)
  })
})
