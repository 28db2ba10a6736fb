/**
 * Where a server's socket is, who is trusted with it, and what a start needs to make it.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { runningIn } from "../../../../src/adapters/store/private-server/server.ts"
import { prepareRun, runFolders, siteIn } from "../../../../src/adapters/store/private-server/site.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { dataFolder, processesOf, serverEnds, userOf } from "../../../support/private-server.ts"
import { endWithTests } from "../../../support/reaper.ts"

const isRoot = process.getuid?.() === 0

const digestOf = (folder: string): string =>
  createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 16)

/** A folder that is removed with the test. */
const removedAfter = ({ onTestFinished }: TestContext, folder: string): string => {
  const isOver = endWithTests({ kind: "folder", path: folder })
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true })
    isOver()
  })
  return folder
}

/** What an impostor makes where a server's socket would be. */
const impostorIn = (context: TestContext, run: string): void => {
  mkdirSync(run, { mode: 0o700 })
  execFileSync("mkfifo", ["-m", "600", join(run, "in-use")])
  const reader = openSync(join(run, "in-use"), constants.O_RDWR)
  context.onTestFinished(() => closeSync(reader))
  chownSync(run, 65_534, 65_534)
}

const longFolder = (context: TestContext): string => {
  const folder = join(dataFolder(context), "d".repeat(100))
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

describe.skipIf(process.platform === "win32")(
  "the folder of a server's socket",
  { tags: ["OPS-data"] },
  () => {
    it.skipIf(!isRoot)("of another account is not trusted, whatever the data folder is called", (context) => {
      // the path of this one is where the name of the other begins
      const folder = removedAfter(context, join("/tmp", "presently-"))
      if (existsSync(folder)) return context.skip("/tmp/presently- is there")
      mkdirSync(folder, { mode: 0o700 })
      const site = siteIn(folder, folder)
      impostorIn(context, removedAfter(context, join("/tmp", `presently-${digestOf(folder)}`)))
      assert.deepEqual(runFolders(site), [])
      assert.equal(runningIn(site), null)
    })

    it.skipIf(!isRoot)("in a data folder is not trusted either when another account made it", (context) => {
      const folder = dataFolder(context)
      const site = siteIn(folder, folder)
      impostorIn(context, join(folder, "run"))
      assert.equal(runningIn(site), null)
      chownSync(join(folder, "run"), 0, 0)
      assert.equal(runningIn(site), join(folder, "run"))
      chmodSync(join(folder, "run"), 0o770)
      assert.equal(runningIn(site), null)
    })

    it("is in XDG_RUNTIME_DIR when the path is too long, if that is this account's alone", async (context) => {
      const own = dataFolder(context, isRoot ? { owner: { uid: 1, gid: 1 } } : {})
      const folder = join(own, "d".repeat(100))
      const runtime = removedAfter(context, mkdtempSync(join(tmpdir(), "presently-runtime-")))
      const account = isRoot ? { account: { uid: 1, gid: 1 } } : {}
      mkdirSync(folder, { mode: 0o700 })
      if (isRoot) for (const path of [folder, runtime]) chownSync(path, 1, 1)
      const name = `presently-${digestOf(folder)}`
      const env = { XDG_RUNTIME_DIR: runtime }
      const first = await userOf(folder, { ...account, env })
      await first.ask("CREATE TABLE kept AS SELECT 1 AS n")
      assert.ok(existsSync(join(runtime, name, "in-use")))
      assert.ok(!existsSync(join("/tmp", name)))
      const second = await userOf(folder, { ...account, env })
      assert.deepEqual(await second.ask("SELECT n FROM kept"), [{ n: 1 }])
      await second.stop()
      await first.stop()
      assert.ok(!existsSync(join(runtime, name)))
      // one that others can enter is not taken
      chmodSync(runtime, 0o755)
      const third = await userOf(folder, { ...account, env })
      assert.ok(existsSync(join("/tmp", name, "in-use")))
      await third.stop()
      await serverEnds(folder)
    })

    it.skipIf(!isRoot)(
      "that another account has made says to an ordinary account what it can do",
      async (context) => {
        const account = { uid: 1, gid: 1 }
        const own = dataFolder(context, { owner: account })
        const folder = join(own, "d".repeat(100))
        mkdirSync(folder, { mode: 0o700 })
        chownSync(folder, 1, 1)
        impostorIn(context, removedAfter(context, join("/tmp", `presently-${digestOf(folder)}`)))
        const line = await userOf(folder, { account, env: { XDG_RUNTIME_DIR: "" } }).then(
          () => "opened",
          (cause: Error) => cause.message,
        )
        assert.match(line, /belongs to account 65534: give a data folder with a path of at most \d+ octets/)
        assert.match(line, /or set XDG_RUNTIME_DIR to a folder of this account with mode 0700/)
        assert.deepEqual(processesOf(folder), [])
      },
    )

    it("names the program that a search path lacks", (context) => {
      const before = process.env["PATH"]
      context.onTestFinished(() => void (process.env["PATH"] = before))
      for (const folder of [dataFolder(context), longFolder(context)]) {
        process.env["PATH"] = folder
        assert.throws(() => prepareRun(siteIn(folder, folder), null), {
          message: `the data folder ${folder} cannot be used: the program mkfifo is not in the search path (PATH = ${folder}): it is part of GNU coreutils and of BusyBox`,
        })
      }
    })
  },
)

describe("a server's address", { tags: ["OPS-data"] }, () => {
  it("is its own whatever the environment says of others", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const env = {
      PGPORT: "5999",
      PGHOST: "db.example.com",
      PGSSLMODE: "require",
      PGUSER: "x",
      PGDATABASE: "x",
    }
    const user = await userOf(folder, { env })
    assert.deepEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.stop()
  })
})
