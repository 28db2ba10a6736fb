/**
 * A database on another disk, which a link in the data folder leads to; and two data folders that lead to one.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { claimFolder, folderState } from "../../../../src/adapters/store/postgres/private-folder.ts"
import { serverAccounts } from "../../../../src/adapters/store/postgres/system-accounts.ts"
import { runHere } from "../../../app/cli/command.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { dataFolder, inFolder, postmasterOf, refusalOf, userOf } from "../../../support/private-server.ts"

const isRoot = process.getuid?.() === 0
const modeOf = (path: string): number => statSync(path).mode & 0o7777

/** A data folder whose database is in another folder. */
const linkedFolder = async (context: TestContext): Promise<{ folder: string; disk: string }> => {
  const folder = await emptyEmbedded(dataFolder(context))
  const disk = join(folder, "..", "disk")
  mkdirSync(disk, { mode: 0o700 })
  const real = join(disk, "postgres")
  renameSync(join(folder, "postgres"), real)
  symlinkSync(real, join(folder, "postgres"))
  return { folder, disk: real }
}

const linkTo = (context: TestContext, real: string): string => {
  const folder = dataFolder(context)
  symlinkSync(real, join(folder, "postgres"))
  return folder
}

const whyExposed = (folder: string): string => {
  const state = folderState(folder)
  assert.equal(state._tag, "Exposed")
  const why = state._tag === "Exposed" ? state.why : ""
  assert.throws(() => claimFolder(folder), { message: `data = ${folder}: ${why}` })
  assert.ok(!why.includes("\n"))
  return why
}

describe.skipIf(process.getuid === undefined)("a link to a database", { tags: ["OPS-data"] }, () => {
  it("is followed, and nothing is narrowed through it", async (context) => {
    const { folder, disk } = await linkedFolder(context)
    const user = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    for (let n = 0; n < 2; n++) {
      assert.deepEqual(folderState(folder), { _tag: "Private" })
      assert.equal(claimFolder(folder).narrowed, null)
      assert.equal(modeOf(disk), 0o700)
    }
    assert.deepEqual(await inFolder(folder, (sql) => sql`SELECT n FROM kept`), [{ n: 1 }])
    await user.stop()
    assert.ok(lstatSync(join(folder, "postgres")).isSymbolicLink())
    assert.deepEqual(await inFolder(folder, (sql) => sql`SELECT n FROM kept`), [{ n: 1 }])
  })

  it("to one that other accounts can enter is refused, and changed by nobody", (context) => {
    const folder = dataFolder(context)
    const real = join(folder, "..", "real")
    for (const mode of [0o750, 0o701, 0o777]) {
      mkdirSync(real, { recursive: true })
      chmodSync(real, mode)
      if (!existsSync(join(folder, "postgres"))) symlinkSync(real, join(folder, "postgres"))
      assert.match(
        whyExposed(folder),
        /^other accounts can enter .*real, where the link .* chmod 700 .*real$/,
      )
      assert.equal(modeOf(real), mode)
    }
  })

  it("that leads nowhere, or to a file, is refused", (context) => {
    const folder = linkTo(context, "/nowhere/at/all")
    assert.match(whyExposed(folder), /is a link to \/nowhere\/at\/all, where nothing is: mount or put back/)
    const file = join(folder, "..", "file")
    writeFileSync(file, "")
    assert.match(whyExposed(linkTo(context, file)), /is a link to .*file, which is no folder/)
  })

  it.skipIf(!isRoot)(
    "to one of another account, or where another account can replace it, is refused",
    (context) => {
      const folder = dataFolder(context)
      const outer = join(folder, "..", "outer")
      const real = join(outer, "real")
      mkdirSync(real, { recursive: true, mode: 0o700 })
      symlinkSync(real, join(folder, "postgres"))
      chownSync(real, 65_534, 65_534)
      assert.match(whyExposed(folder), /real belongs to account 65534, .*: .*chown -R \w+ .*real$/)
      chownSync(real, 0, 0)
      chmodSync(outer, 0o777)
      assert.match(whyExposed(folder), /every account can replace it, since .*outer has mode 0777/)
      assert.equal(modeOf(outer), 0o777)
    },
  )

  it("in the place of the socket's folder is refused, and what it leads to is left", (context) => {
    const folder = dataFolder(context)
    const real = join(folder, "..", "real")
    mkdirSync(real)
    chmodSync(real, 0o755)
    symlinkSync(real, join(folder, "run"))
    assert.match(whyExposed(folder), /run is a link: remove it/)
    assert.equal(modeOf(real), 0o755)
  })

  it("in two data folders: the second is refused while the first runs, which goes on", async (context) => {
    const { folder, disk } = await linkedFolder(context)
    const second = linkTo(context, disk)
    const user = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    const server = postmasterOf(folder)
    assert.match(
      await refusalOf(second),
      new RegExp(`^the data folder .* is in use by process ${server}: stop it`),
    )
    // nor is the folder that holds the files itself joined through
    const outer = dataFolder(context)
    assert.match(await refusalOf(linkTo(context, disk)), /is in use by process/)
    assert.deepEqual(readdirSync(outer), [])
    assert.equal(postmasterOf(folder), server)
    assert.deepEqual(await user.ask("SELECT n FROM kept"), [{ n: 1 }])
    await user.stop()
    // and used when that has ended
    assert.deepEqual(await inFolder(second, (sql) => sql`SELECT n FROM kept`), [{ n: 1 }])
  })

  it("whose making was interrupted is not emptied, since it may be another folder's", async (context) => {
    const { folder, disk } = await linkedFolder(context)
    const second = linkTo(context, disk)
    writeFileSync(join(second, "postgres.unfinished"), "")
    assert.match(await refusalOf(second), /never finished, unless it is another data folder's: empty it/)
    assert.ok(readFileSync(join(disk, "PG_VERSION"), "utf8").length > 0)
    assert.equal(await refusalOf(folder), "opened")
  })
})

describe.skipIf(process.getuid === undefined)("commands that read", { tags: ["OPS-data"] }, () => {
  it("narrow nothing, and say what does where PostgreSQL would not open the database", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const cluster = join(folder, "postgres")
    const verify = (...args: readonly string[]) => runHere(["verify", "--data", folder, ...args])
    chmodSync(folder, 0o750)
    assert.equal((await verify()).code, 0)
    assert.equal(modeOf(folder), 0o750)
    chmodSync(cluster, 0o755)
    const { code, stderr } = await verify()
    assert.equal(code, 74)
    assert.match(
      stderr,
      /other accounts can enter .*postgres \(mode 0755\), and PostgreSQL does not open it: the next start/,
    )
    assert.deepEqual([modeOf(folder), modeOf(cluster)], [0o750, 0o755])
    // one that writes does
    const repaired = await verify("--repair")
    assert.equal(repaired.code, 0, repaired.stderr)
    assert.match(repaired.stderr, /narrowed to its owner/)
    assert.deepEqual([modeOf(folder), modeOf(cluster)], [0o700, 0o700])
  })
})

describe.skipIf(!isRoot)("advice about owners", { tags: ["OPS-data"] }, () => {
  it("names all that has to be given away at once", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const [account] = serverAccounts()
    assert.ok(account !== undefined)
    execFileSync("chown", ["-R", "65534:65534", folder])
    const why = whyExposed(folder)
    const commands = /chown -R 0 \S+ && chown -R \S+ \S+(?=,)/.exec(why)?.[0]
    assert.ok(commands !== undefined, why)
    execFileSync("sh", ["-c", commands])
    assert.equal(statSync(join(folder, "postgres")).uid, account.uid)
    assert.equal(await refusalOf(folder), "opened")
  })
})
