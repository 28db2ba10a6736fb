/**
 * Whose the process is that a `postmaster.pid` names, with and without a /proc to look into.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { commandOf } from "../../../../src/adapters/store/private-server/guard.ts"
import { ownerOf } from "../../../../src/adapters/store/private-server/leftovers.ts"
import { holds } from "../../../support/condition.ts"
import { ofTests } from "../../../support/reaper.ts"

const place = ({ onTestFinished }: TestContext): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "presently-left-")))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const name of ["a", "b"]) mkdirSync(join(folder, name, "postgres"), { recursive: true })
  return folder
}

/** Something that looks like a server in the list of processes, and works in its folder. */
const server = async (context: TestContext, program: string, cwd: string, options: readonly string[]) => {
  const child = ofTests(
    // the words after the program stand in its command line, and are not heeded
    spawn("/bin/sh", ["-c", "read _", program, ...options], {
      cwd,
      argv0: program,
      stdio: ["pipe", "ignore", "ignore"],
    }),
  )
  context.onTestFinished(() => void child.kill("SIGKILL"))
  await holds("it is there", () => commandOf(child.pid!)?.includes(program) === true)
  return child.pid!
}

const nowhere = "/nowhere-proc"

const optionsOf = (folder: string): readonly string[] => [
  "-D",
  join(folder, "postgres"),
  "-c",
  `unix_socket_directories=${join(folder, "run")}`,
  "-c",
  "cluster_name=presently-private",
]

describe.skipIf(process.platform === "win32")("what postmaster.pid names", { tags: ["OPS-data"] }, () => {
  for (const proc of ["/proc", nowhere]) {
    const where = proc === nowhere ? "without /proc" : "with /proc"

    it(`${where}: a server of this folder is ours, one of a folder that shares its database is not`, async (context) => {
      const folder = place(context)
      const [own, other] = [join(folder, "a"), join(folder, "b")]
      const data = join(own, "postgres")
      const pid = await server(context, "postgres", data, optionsOf(own))
      const found = { pid, isReady: true, data }
      assert.equal(ownerOf(data, [join(own, "run")], found, proc), "ours")
      rmSync(join(other, "postgres"), { recursive: true })
      symlinkSync(data, join(other, "postgres"))
      assert.equal(ownerOf(join(other, "postgres"), [join(other, "run")], found, proc), "other")
      // a path that only begins like it
      assert.equal(ownerOf(data, [join(own, "ru")], found, proc), "other")
    })

    it(`${where}: the server of the folder that this one was copied from is left alone, and not in the way`, async (context) => {
      const folder = place(context)
      const [original, copy] = [join(folder, "a"), join(folder, "b")]
      const pid = await server(context, "postgres", join(original, "postgres"), optionsOf(original))
      const found = { pid, isReady: true, data: join(original, "postgres") }
      assert.equal(ownerOf(join(copy, "postgres"), [join(copy, "run")], found, proc), "nobody")
    })

    it(`${where}: a server that somebody else started is left alone`, async (context) => {
      const folder = place(context)
      const data = join(folder, "a", "postgres")
      const pid = await server(context, "postgres", data, ["-D", data])
      assert.equal(ownerOf(data, [join(folder, "a", "run")], { pid, isReady: true, data }, proc), "other")
    })

    it(`${where}: a number that something else has got is nobody's`, async (context) => {
      const folder = place(context)
      const data = join(folder, "a", "postgres")
      const pid = await server(context, "editor", folder, [])
      assert.equal(ownerOf(data, [join(folder, "a", "run")], { pid, isReady: true, data }, proc), "nobody")
    })
  }

  it("without /proc and ps nothing is known, so it is left alone", (context) => {
    const folder = place(context)
    const data = join(folder, "a", "postgres")
    const before = process.env["PATH"]
    context.onTestFinished(() => void (process.env["PATH"] = before))
    process.env["PATH"] = join(folder, "a")
    const found = { pid: process.pid, isReady: true, data }
    assert.equal(ownerOf(data, [join(folder, "a", "run")], found, nowhere), "other")
  })

  it("one that has ended is nobody's", (context) => {
    const folder = place(context)
    const data = join(folder, "a", "postgres")
    writeFileSync(join(data, "postmaster.pid"), "")
    assert.equal(ownerOf(data, [], { pid: 2 ** 22 - 1, isReady: true, data }), "nobody")
  })
})
