/**
 * Who runs a private server: root, who needs an account for it, ordinary accounts, and user ids that the system does not know.
 */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { canReach } from "../../../../src/adapters/store/private-server/account.ts"
import { disguiseFor } from "../../../../src/adapters/store/private-server/disguise.ts"
import { packageRoot } from "../../../../src/adapters/store/private-server/programs.ts"
import { dataFolder, postmasterOf, processesOf, serverEnds, userOf } from "../../../support/private-server.ts"

const isRoot = process.getuid?.() === 0

/** A user id without an entry in the system's list. */
const unknown = { uid: 48_217, gid: 48_217 }

const ownerOf = (pid: number): number => statSync(`/proc/${pid}`).uid

/** A search path without a command. */
const pathWithout = (context: TestContext, command: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-path-"))
  chmodSync(folder, 0o755)
  context.onTestFinished(() => rmSync(folder, { recursive: true }))
  const needed = ["sh", "mkfifo", "cp", "getent", "rm", "env", "pg_config"].filter((name) => name !== command)
  for (const name of needed) {
    const place = ["/bin", "/usr/bin"].map((bin) => join(bin, name)).find((file) => existsSync(file))
    if (place !== undefined) symlinkSync(place, join(folder, name))
  }
  return folder
}

describe.skipIf(!isRoot)("accounts of a private server", { tags: ["OPS-data"] }, () => {
  it("root has an account for it, which owns the database and nothing else, and need not come to the folder", async (context) => {
    const folder = dataFolder(context, { outerMode: 0o700 })
    const user = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    const { uid } = statSync(join(folder, "postgres"))
    assert.notInclude([0, 65_534], uid)
    const names = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .filter((line) => line.split(":")[2] === String(uid))
    assert.match(names[0] ?? "", /^(presently|postgres):/)
    assert.equal(ownerOf(postmasterOf(folder)!), uid)
    for (const { pid } of processesOf(folder)) assert.equal(ownerOf(pid), uid)
    assert.equal(statSync(folder).uid, 0)
    assert.isFalse(canReach(join(folder, "postgres"), { uid, gid: uid, name: "" }))
    await user.stop()
    const again = await userOf(folder)
    assert.deepStrictEqual(await again.ask("SELECT n FROM kept"), [{ n: 1 }])
    await again.stop()
    assert.deepStrictEqual(processesOf(folder), [])
  })

  it("an ordinary account runs it itself", async (context) => {
    const account = { uid: 1, gid: 1 }
    const folder = dataFolder(context, { owner: account })
    const user = await userOf(folder, { account })
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    assert.equal(ownerOf(postmasterOf(folder)!), account.uid)
    assert.equal(statSync(join(folder, "postgres")).uid, account.uid)
    await user.kill()
    await serverEnds(folder)
    const again = await userOf(folder, { account })
    assert.deepStrictEqual(await again.ask("SELECT n FROM kept"), [{ n: 1 }])
    await again.stop()
  })

  it("what root keeps is not another account's to open, and the other way round", async (context) => {
    const account = { uid: 1, gid: 1 }
    const roots = dataFolder(context)
    await (await userOf(roots)).stop()
    const ofAccount = await userOf(roots, { account }).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(ofAccount, /belongs to account 0, .*: run as account 0, or chown/)
    const theirs = dataFolder(context, { owner: account })
    await (await userOf(theirs, { account })).stop()
    const ofRoot = await userOf(theirs).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(ofRoot, /belongs to account 1, .*: run as account 1, or chown/)
  })

  it("a user id that the system does not know runs it where something can stand in for the entry", async (context) => {
    const folder = dataFolder(context, { owner: unknown })
    const canUnshare = (): boolean => {
      try {
        const inside = ["--user", "--map-user=1", "--map-group=1", "--", "true"]
        execFileSync("unshare", inside, { stdio: "ignore", ...unknown })
        return true
      } catch {
        return false
      }
    }
    const hasWrapper = disguiseFor(unknown.uid, folder)?.env["LD_PRELOAD"] !== undefined
    if (!canUnshare() && !hasWrapper) return context.skip("neither user name spaces nor nss_wrapper are here")
    const user = await userOf(folder, { account: unknown })
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    assert.equal(ownerOf(postmasterOf(folder)!), unknown.uid)
    for (const name of ["postgres", "postgres/PG_VERSION", "postgres/base"])
      assert.equal(statSync(join(folder, name)).uid, unknown.uid)
    await user.stop()
    // the entry is needed only while the database is made
    const again = await userOf(folder, { account: unknown, env: { PATH: pathWithout(context, "unshare") } })
    assert.deepStrictEqual(await again.ask("SELECT n FROM kept"), [{ n: 1 }])
    await again.stop()
  })

  it("where nothing can, it is told in one line, with what helps", async (context) => {
    const folder = dataFolder(context, { owner: unknown })
    if (disguiseFor(unknown.uid, folder)?.env["LD_PRELOAD"] !== undefined)
      return context.skip("nss_wrapper is here")
    const line = await userOf(folder, {
      account: unknown,
      env: { PATH: pathWithout(context, "unshare") },
    }).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(
      line,
      /^the data folder .* the user id 48217, which the system does not know: add a line such as presently:x:48217:48217:/,
    )
    assert.match(line, /libnss-wrapper/)
    assert.notInclude(line, "\n")
    assert.deepStrictEqual(processesOf(folder), [])
  })

  it("programs of the npm package whose links no install script made, where nothing can be written beside them", async (context) => {
    const root = packageRoot()
    if (root === null) return context.skip("the npm package is not installed")
    const account = { uid: 1, gid: 1 }
    const folder = dataFolder(context, { owner: account })
    const copy = join(folder, "../native")
    execFileSync("cp", ["-r", root, copy])
    for (const name of readdirSync(join(copy, "lib")))
      if (/^lib(?:pq|icu\w+|ecpg\w*|pgtypes)\.so(?:\.\d+)?$/.test(name)) rmSync(join(copy, "lib", name))
    const user = await userOf(folder, { account, programs: join(copy, "bin") })
    assert.match(JSON.stringify(await user.ask("SHOW server_version")), /"18\./)
    await user.stop()
    assert.include(readdirSync(join(folder, "libraries")), "libpq.so.5")
  })

  it("root has programs copied that its account cannot go to", async (context) => {
    const root = packageRoot()
    if (root === null) return context.skip("the npm package is not installed")
    const folder = dataFolder(context)
    const home = dataFolder(context)
    const copy = join(home, "native")
    execFileSync("cp", ["-r", root, copy])
    const user = await userOf(folder, { programs: join(copy, "bin") })
    assert.match(JSON.stringify(await user.ask("SHOW server_version")), /"18\./)
    const [program] = readFileSync(`/proc/${postmasterOf(folder)}/cmdline`, "utf8").split("\0")
    assert.match(program!, /^\/var\/lib\/presently\/programs\/18\.\d+-[0-9a-f]{16}\/bin\/postgres$/)
    await user.stop()
    rmSync(join(program!, "../.."), { recursive: true })
  })
})
