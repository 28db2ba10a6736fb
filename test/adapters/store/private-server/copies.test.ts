/**
 * Copies of PostgreSQL's programs: made once, marked by each start, removed when no start uses them and nothing runs from them.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { copyOf } from "../../../../src/adapters/store/private-server/copies.ts"
import { ofTests } from "../../../support/reaper.ts"

const longAgo = new Date("2020-01-01")

/** A package's folder of programs, as old as packages are, and a folder for copies. */
const scene = ({ onTestFinished }: TestContext) => {
  const outer = mkdtempSync(join(tmpdir(), "presently-copies-"))
  onTestFinished(() => rmSync(outer, { recursive: true, force: true }))
  const root = join(outer, "native")
  mkdirSync(join(root, "bin"), { recursive: true })
  writeFileSync(join(root, "bin", "postgres"), "program")
  utimesSync(root, longAgo, longAgo)
  const folder = join(outer, "programs")
  return { root, folder, names: () => readdirSync(folder).sort() }
}

describe.skipIf(process.platform !== "linux")("copies of programs", { tags: ["OPS-data"] }, () => {
  it("are made once for a package and release, and marked by each start", (context) => {
    const { root, folder, names } = scene(context)
    const copy = copyOf(root, "18.4", folder)
    assert.equal(readFileSync(join(copy, "bin/postgres"), "utf8"), "program")
    assert.deepEqual(names(), [basename(copy)])
    assert.ok(statSync(copy).mtimeMs > longAgo.getTime())
    utimesSync(copy, longAgo, longAgo)
    writeFileSync(join(root, "bin", "postgres"), "other")
    assert.equal(copyOf(root, "18.4", folder), copy)
    assert.equal(readFileSync(join(copy, "bin/postgres"), "utf8"), "program")
    assert.ok(statSync(copy).mtimeMs > longAgo.getTime())
  })

  it("that no start has used for a day are removed by the next, unless something runs from them", async (context) => {
    const { root, folder, names } = scene(context)
    const [old, running, recent] = ["18.1", "18.2", "18.3"].map((release) => copyOf(root, release, folder))
    const program = join(running!, "bin", "sleep")
    copyFileSync("/bin/sleep", program)
    const sleeping = ofTests(spawn(program, ["1000"], { stdio: "ignore" }))
    await once(sleeping, "spawn")
    // what another start is copying just now, with the time of what it copies
    mkdirSync(join(folder, "unfinished-abc"))
    for (const path of [old!, running!, join(folder, "unfinished-abc")]) utimesSync(path, longAgo, longAgo)
    const copy = copyOf(root, "18.4", folder)
    const kept = [running!, recent!, copy].map((path) => basename(path))
    assert.deepEqual(names(), [...kept, "unfinished-abc"].sort())
    const ended = once(sleeping, "exit")
    sleeping.kill("SIGKILL")
    await ended
    copyOf(root, "18.4", folder)
    assert.deepEqual(names(), [basename(recent!), basename(copy), "unfinished-abc"].sort())
  })
})
