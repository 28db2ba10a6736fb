/**
 * A run that is cancelled or killed leaves nothing behind of what its tests started.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { describe, it } from "vitest"
import { holds } from "./condition.ts"
import { postgresBinaries } from "./postgres.ts"
import { ofTests } from "./reaper.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** What a run starts; it prints the process ids and the folders. */
const run = (place: string): string => `
  import { spawn } from "node:child_process"
  import { mkdirSync } from "node:fs"
  import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, "postgres.ts"))}
  import { endWithTests, ofTests } from ${JSON.stringify(join(import.meta.dirname, "reaper.ts"))}
  import { start } from ${JSON.stringify(join(import.meta.dirname, "../app/cli/command.ts"))}

  const cluster = await startPostgres()
  const server = start(["serve", "--memory", "--admin", "off", "--listen", "udp:127.0.0.1:0"])
  await server.says(/ready in/)
  const single = ofTests(spawn("sleep", ["1000"]))
  const shell = ofTests(spawn("sh", ["-c", "sleep 1000 & echo $!; wait"], { detached: true, stdio: ["ignore", "pipe", "ignore"] }), "group")
  const grandchild = await new Promise((resolve) => shell.stdout.once("data", (text) => resolve(Number(text))))
  const over = ofTests(spawn("true"))
  await new Promise((resolve) => over.once("exit", resolve))
  mkdirSync(${JSON.stringify(join(place, "folder"))})
  endWithTests({ kind: "folder", path: ${JSON.stringify(join(place, "folder"))} })
  console.log(JSON.stringify({
    pids: [server.pid, single.pid, shell.pid, grandchild, ...(cluster === null ? [] : [cluster.pid()])],
    folders: [${JSON.stringify(join(place, "folder"))}, ...(cluster === null ? [] : [cluster.data])],
  }))
  setInterval(() => {}, 1000)`

describe("a run of tests that is cancelled", () => {
  it(
    "ends all that it started, however it ends: servers, groups of processes, clusters, folders",
    { tags: ["OPS-tests"] },
    async () => {
      const place = mkdtempSync(join(tmpdir(), "presently-reaper-"))
      const child = ofTests(
        spawn(process.execPath, ["--input-type=module", "--eval", run(place)], {
          stdio: ["ignore", "pipe", "inherit"],
        }),
      )
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const { pids, folders } = JSON.parse((await lines.next()).value ?? "{}") as {
        readonly pids: readonly number[]
        readonly folders: readonly string[]
      }
      assert.equal(pids.length, postgresBinaries() === null ? 4 : 5)
      assert.deepEqual([pids.filter(isAlive), folders.filter(existsSync)], [pids, folders])
      child.kill("SIGKILL")
      await holds("every process is gone", () => pids.filter(isAlive).length === 0)
      await holds("every folder is gone", () => !folders.some(existsSync))
      rmSync(place, { recursive: true })
    },
  )
})
