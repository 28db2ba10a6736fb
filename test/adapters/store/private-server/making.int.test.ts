/**
 * Making a database where something is in the way: programs that do not run or do not answer, a umask, a TMPDIR that is not there.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { findPrograms } from "../../../../src/adapters/store/private-server/programs.ts"
import { holds } from "../../../support/condition.ts"
import { postgresBinaries } from "../../../support/postgres.ts"
import { dataFolder, refusalOf, serverEnds, userOf } from "../../../support/private-server.ts"
import { endWithTests } from "../../../support/reaper.ts"

const binaries = postgresBinaries()

/** Programs in a folder of their own, some of which are something else. @param scripts the text of a shell script, or null: not executable */
const programs = (context: TestContext, scripts: Readonly<Record<string, string | null>>): string => {
  const bin = join(dataFolder(context), "..", "bin")
  mkdirSync(bin, { mode: 0o755 })
  for (const name of ["initdb", "postgres"]) {
    const script = scripts[name]
    if (script === undefined) symlinkSync(join(binaries!, name), join(bin, name))
    else {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script ?? ""}`)
      chmodSync(join(bin, name), script === null ? 0o644 : 0o755)
    }
  }
  return bin
}

describe.skipIf(binaries === null)("a database that is to be made", { tags: ["OPS-data"] }, () => {
  it("by an initdb that cannot be executed is refused in one line", async (context) => {
    const folder = dataFolder(context)
    const line = await refusalOf(folder, { programs: programs(context, { initdb: null }) })
    assert.match(
      line,
      /^the data folder .* cannot be used: the database could not be made: .*initdb does not run \(.*EACCES/,
    )
    assert.ok(!line.includes("\n"))
    assert.equal(await refusalOf(folder), "opened")
  })

  it("by a server that cannot be executed is refused with what the shell says", async (context) => {
    const folder = dataFolder(context)
    const bin = programs(context, {
      // fit to say its version, once
      postgres: `[ "$1" = --version ] && { echo "postgres (PostgreSQL) 15.0"; exit; }\necho "no server here: Operation not permitted" >&2\nexit 1\n`,
      initdb: `exec ${binaries}/initdb "$@"\n`,
    })
    assert.match(
      await refusalOf(folder, { programs: bin }),
      /(?:does not start|could not be made): .*(?:Operation not permitted|no server here|postgres)/,
    )
  })

  it("by programs that do not say their version in time", async (context) => {
    const bin = programs(context, { postgres: "sleep 60\n" })
    const { programs: found, others } = await findPrograms(null, bin, dataFolder(context), 200)
    assert.equal(found, null)
    assert.deepEqual(others, [`${realpathSync(bin)} does not answer postgres --version within 0.2 s`])
  })

  it("where TMPDIR is not there", async (context) => {
    const folder = dataFolder(context)
    const user = await userOf(folder, { env: { TMPDIR: "/nowhere/at/all" } })
    assert.deepEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.stop()
    assert.deepEqual(readdirSync(folder).sort(), ["postgres", "postgres.log", "run"])
  })

  it("and is given up while initdb hangs, by its time and by whoever ends the start", async (context) => {
    const folder = dataFolder(context)
    const bin = programs(context, { initdb: "kill -STOP $$\n" })
    const line = await refusalOf(folder, { programs: bin, readyMillis: 500 })
    assert.match(line, /could not be made: .*initdb has not ended after 1 s$|has not ended after 0 s$/)
    assert.equal(await refusalOf(folder), "opened")
  })

  it("kill -9 meanwhile leaves nothing outside of the data folder", async (context) => {
    const folder = dataFolder(context)
    const scratch = mkdtempSync(join(tmpdir(), "presently-scratch-"))
    const isOver = endWithTests({ kind: "folder", path: scratch })
    context.onTestFinished(() => {
      rmSync(scratch, { recursive: true })
      isOver()
    })
    chmodSync(scratch, 0o777)
    const bin = programs(context, { initdb: "sleep 2\n" })
    const user = userOf(folder, { programs: bin, env: { TMPDIR: scratch } }).catch((cause: Error) => cause)
    await holds("it is made", () => existsSync(join(folder, "postgres.unfinished")))
    const starter = readdirSync("/proc").find((pid) => {
      try {
        return (
          lstatSync(`/proc/${pid}`).isDirectory() &&
          /^\d+$/.test(pid) &&
          commandOf(pid).includes(`.cjs\0${folder}\0`)
        )
      } catch {
        return false
      }
    })
    assert.ok(starter !== undefined)
    process.kill(Number(starter), "SIGKILL")
    await user
    assert.deepEqual(readdirSync(scratch), [])
    await serverEnds(folder)
    assert.equal(await refusalOf(folder), "opened")
  })
})

const commandOf = (pid: string): string => readFileSync(`/proc/${pid}/cmdline`, "utf8")

/** A copy that a process with a strict umask makes. */
const copied = (root: string, folder: string): string => {
  const file = join(import.meta.dirname, "../../../../src/adapters/store/private-server/copies.ts")
  const program = `import { copyOf } from ${JSON.stringify(file)}
    process.umask(0o077)
    console.log(copyOf(${JSON.stringify(root)}, "18.1", ${JSON.stringify(folder)}))`
  return execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" }).trim()
}

describe("copies of programs", { tags: ["OPS-data"] }, () => {
  it("can be gone to whatever the umask was, also when an earlier one had closed them", (context) => {
    const outer = mkdtempSync(join(tmpdir(), "presently-copies-"))
    const isOver = endWithTests({ kind: "folder", path: outer })
    context.onTestFinished(() => {
      rmSync(outer, { recursive: true })
      isOver()
    })
    const root = join(outer, "native")
    mkdirSync(join(root, "bin"), { recursive: true })
    writeFileSync(join(root, "bin", "postgres"), "")
    const modeOf = (path: string): number => lstatSync(path).mode & 0o777
    const folder = join(outer, "lib", "programs")
    const copy = copied(root, folder)
    const all = (): readonly number[] => [join(outer, "lib"), folder, copy, join(copy, "bin")].map(modeOf)
    assert.deepEqual(all(), [0o755, 0o755, 0o755, 0o755])
    for (const path of [join(outer, "lib"), folder]) chmodSync(path, 0o700)
    assert.equal(copied(root, folder), copy)
    assert.deepEqual(all(), [0o755, 0o755, 0o755, 0o755])
    // what holds something else as well is not opened
    writeFileSync(join(outer, "lib", "other"), "")
    chmodSync(join(outer, "lib"), 0o700)
    copied(root, folder)
    assert.equal(modeOf(join(outer, "lib")), 0o700)
  })
})
