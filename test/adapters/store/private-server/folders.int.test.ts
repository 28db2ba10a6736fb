/**
 * Data folders of a private server: of somebody else, of another version, whose path is too long, on file systems that are full or
 * cannot be written to; and which programs open one.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Layer, Logger } from "effect"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { layerEmbedded } from "../../../../src/adapters/store/layers.ts"
import { newProgramName } from "../../../../src/adapters/store/postgres/connections.ts"
import { linkLibraries, packageRoot } from "../../../../src/adapters/store/private-server/programs.ts"
import { possibleRunFolders, runFolders, siteIn } from "../../../../src/adapters/store/private-server/site.ts"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import {
  dataFolder,
  inFolder,
  processesOf,
  refusalOf,
  rowsAgain,
  serverEnds,
  userOf,
} from "../../../support/private-server.ts"

const isRoot = process.getuid?.() === 0

/** Opens the folder and closes it; `said` gets what is logged. */
const layerOf = (folder: string, said: string[]) =>
  Effect.scoped(Layer.build(layerEmbedded(folder, { application: newProgramName("test") }))).pipe(
    Effect.provide(Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])),
  )

const digestOf = (folder: string): string =>
  createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 16)

describe("folders that a private server cannot use", { tags: ["OPS-data"] }, () => {
  const line = async (folder: string): Promise<string> => {
    const text = await refusalOf(folder)
    assert.notInclude(text, "\n")
    assert.include(text, folder)
    return text
  }

  it("of a version whose programs are not here", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    for (const major of ["12", "97"]) {
      writeFileSync(join(folder, "postgres", "PG_VERSION"), `${major}\n`)
      const text = await line(folder)
      assert.include(text, `made by PostgreSQL ${major}, whose programs are needed to open it (here is only `)
      assert.match(text, new RegExp(`here is only \\d+ in .*: install PostgreSQL ${major}, .* pg_upgrade`))
      assert.deepStrictEqual(processesOf(folder), [])
    }
  })

  it("of another account", async (context) => {
    if (!isRoot) return context.skip("needs root")
    const folder = await emptyEmbedded(dataFolder(context))
    execFileSync("chown", ["-R", "65534", join(folder, "postgres")])
    assert.match(await line(folder), /belongs to account 65534, .* chown -R/)
    assert.equal(statSync(join(folder, "postgres")).uid, 65_534)
  })

  it("that holds something else", async (context) => {
    const folder = dataFolder(context)
    mkdirSync(join(folder, "postgres"), { mode: 0o700 })
    writeFileSync(join(folder, "postgres", "letters.txt"), "dear all\n")
    assert.match(await line(folder), /is no PostgreSQL database and not empty: move it away/)
    assert.deepStrictEqual(readdirSync(join(folder, "postgres")), ["letters.txt"])
  })

  it("when programs are named that are none", async (context) => {
    const folder = dataFolder(context)
    assert.match(
      await refusalOf(folder, { programs: folder }),
      /needs the programs of PostgreSQL 14 or newer \(here is only .* holds no initdb and postgres\): install/,
    )
  })

  it("with a setting in it that the server refuses", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    writeFileSync(join(folder, "postgres", "postgresql.conf"), "work_mem = 'much'\n")
    assert.match(await line(folder), /its server does not start: /)
  })

  it("whose database is a link: nothing is changed through it", async (context) => {
    const there = await emptyEmbedded(dataFolder(context))
    const user = await userOf(there)
    const folder = dataFolder(context)
    symlinkSync(join(there, "postgres"), join(folder, "postgres"))
    assert.match(await line(folder), /postgres is a link out of it: move the whole folder/)
    assert.equal(statSync(join(there, "postgres")).mode & 0o777, 0o700)
    assert.deepStrictEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.stop()
  })

  it("whose programs cannot be run: one line, and the process lives", async (context) => {
    const bin = dataFolder(context)
    writeFileSync(join(bin, "postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) 15.4'\n", { mode: 0o755 })
    writeFileSync(join(bin, "initdb"), "#!/nowhere/sh\n", { mode: 0o755 })
    chmodSync(bin, 0o755)
    const folder = dataFolder(context)
    assert.match(await refusalOf(folder, { programs: bin }), /the database could not be made: .*ENOENT/)
  })

  it("a temporary folder that is not there is not needed", async (context) => {
    const folder = dataFolder(context)
    const user = await userOf(folder, { env: { TMPDIR: "/nowhere" } })
    assert.deepStrictEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.stop()
    assert.deepStrictEqual(
      readdirSync(folder).filter((name) => name.includes("scratch")),
      [],
    )
  })

  it("a socket folder of another account is not trusted because its name begins like the data folder", (context) => {
    const folder = dataFolder(context)
    const site = siteIn(folder, "/tmp/presently")
    const run = possibleRunFolders(site).find((candidate) => candidate.startsWith("/tmp/presently-"))!
    mkdirSync(run, { mode: 0o755 })
    context.onTestFinished(() => rmSync(run, { recursive: true }))
    assert.notInclude(runFolders(site), run)
  })

  it("a server that does not answer is waited for aloud, and the wait can be ended", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
    const user = await userOf(folder)
    const postmaster = Number(readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n")[0])
    process.kill(postmaster, "SIGSTOP")
    const said: string[] = []
    const waiting = await Effect.runPromise(Effect.forkDetach(layerOf(folder, said)))
    await holds("it says what it waits for", () => said.length > 0)
    assert.match(said[0]!, new RegExp(`waiting for the database's server in .* \\(process ${postmaster}\\)`))
    const exit = await Effect.runPromise(Effect.andThen(Fiber.interrupt(waiting), Fiber.await(waiting)))
    assert.equal(exit._tag, "Failure")
    process.kill(postmaster, "SIGCONT")
    assert.deepStrictEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.stop()
  })

  it("a folder whose path is too long for a socket has it elsewhere", async (context) => {
    const outer = dataFolder(context)
    const folder = join(outer, "d".repeat(90), "e".repeat(40))
    await emptyEmbedded(folder)
    chmodSync(join(outer, "d".repeat(90)), 0o700)
    const user = await userOf(folder)
    const other = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    assert.deepStrictEqual(await other.ask("SELECT n FROM kept"), [{ n: 1 }])
    const elsewhere = readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n")[4]!
    const place = join("/tmp", `presently-${digestOf(folder)}`)
    assert.include([place, "/proc/self/fd/8"], elsewhere)
    assert.equal(statSync(place).mode & 0o777, 0o700)
    await user.stop()
    await other.stop()
    assert.deepStrictEqual(processesOf(folder), [])
    assert.isFalse(existsSync(join(folder, "run")))
    assert.isFalse(existsSync(place))
  })

  it("a folder of another account in the place under /tmp is not trusted", async (context) => {
    if (!isRoot) return context.skip("needs root")
    const folder = await emptyEmbedded(dataFolder(context))
    const place = join("/tmp", `presently-${digestOf(folder)}`)
    mkdirSync(place, { mode: 0o755 })
    context.onTestFinished(() => rmSync(place, { recursive: true, force: true }))
    let visits = 0
    const stranger = createServer((socket) => {
      visits++
      socket.destroy()
    })
    await new Promise<void>((resolve) => stranger.listen(join(place, ".s.PGSQL.5432"), resolve))
    context.onTestFinished(() => void stranger.close())
    execFileSync("mkfifo", [join(place, "in-use")])
    const reader = openSync(join(place, "in-use"), constants.O_RDWR)
    context.onTestFinished(() => closeSync(reader))
    execFileSync("chown", ["-R", "65534:65534", place])
    // as a server leaves it that was killed
    const left = [2 ** 22 - 1, "", 1_700_000_000, 5432, place, "", " 1 1", "ready"]
    writeFileSync(join(folder, "postgres", "postmaster.pid"), `${left.join("\n")}\n`, { mode: 0o600 })
    for (const mode of [0o755, 0o700]) {
      chmodSync(place, mode)
      assert.equal(await refusalOf(folder), "opened")
    }
    // nor for a folder that has no other place for its socket
    const long = join(dataFolder(context), "d".repeat(90))
    await emptyEmbedded(long)
    const needed = join("/tmp", `presently-${digestOf(long)}`)
    renameSync(place, needed)
    context.onTestFinished(() => rmSync(needed, { recursive: true, force: true }))
    assert.match(
      await refusalOf(long),
      /no place for the database's socket: .* belongs to account 65534: remove it/,
    )
    assert.equal(visits, 0)
  })
})

describe.skipIf(!isRoot)("a private server on a file system", { tags: ["OPS-data"] }, () => {
  /** A small file system; null: none can be mounted here. */
  const mounted = (context: TestContext, options: string): string | null => {
    const folder = mkdtempSync(join(tmpdir(), "presently-mount-"))
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", options, "presently-test", folder], { stdio: "ignore" })
    } catch {
      rmSync(folder, { recursive: true })
      return null
    }
    context.onTestFinished(async () => {
      await serverEnds(folder)
      execFileSync("umount", [folder])
      rmSync(folder, { recursive: true })
    })
    return folder
  }

  const remount = (folder: string, options: string): void =>
    void execFileSync("mount", ["-o", `remount,${options}`, folder])

  it("that can only be read is refused", async (context) => {
    const folder = mounted(context, "size=100m,mode=700")
    if (folder === null) return context.skip("nothing can be mounted here")
    for (const isEmpty of [true, false]) {
      if (!isEmpty) await emptyEmbedded(folder)
      remount(folder, "ro")
      assert.match(await refusalOf(folder), /nothing can be written .*read-only/)
      remount(folder, "rw")
    }
    assert.equal(await refusalOf(folder), "opened")
  })

  it("that is full fails, and loses nothing that was answered", async (context) => {
    const folder = mounted(context, "size=80m,mode=700")
    if (folder === null) return context.skip("nothing can be mounted here")
    await emptyEmbedded(folder)
    const user = await userOf(folder)
    await user.ask("CREATE TABLE kept (n int, text text)")
    let answered = 0
    for (let n = 0; n < 100; n++) {
      const answer = await user.ask(
        `INSERT INTO kept SELECT ${n}, string_agg(md5(random()::text), '') FROM generate_series(1, 60000)`,
      )
      if (!Array.isArray(answer)) break
      answered++
    }
    assert.isAbove(answered, 0)
    assert.isBelow(answered, 100)
    remount(folder, "size=400m")
    const rows = await rowsAgain(user, "SELECT count(*)::int AS n FROM kept")
    assert.isAtLeast(rows?.[0]?.n ?? 0, answered)
    await user.stop()
  })

  it("that is too small for a database is refused, and serves when there is room", async (context) => {
    const folder = mounted(context, "size=20m,mode=700")
    if (folder === null) return context.skip("nothing can be mounted here")
    assert.match(await refusalOf(folder), /could not be made: .*No space left on device/)
    remount(folder, "size=100m")
    assert.equal(await refusalOf(folder), "opened")
  })
})

describe("programs of PostgreSQL", { tags: ["OPS-data"] }, () => {
  it("those of the npm package work without its install script, and later starts keep to them", async (context) => {
    const root = packageRoot()
    if (root === null) return context.skip("the npm package is not installed")
    const outer = dataFolder(context)
    if (isRoot) chmodSync(outer, 0o755)
    const copy = join(outer, "native")
    execFileSync("cp", ["-r", root, copy])
    for (const name of readdirSync(join(copy, "lib")))
      if (/^libpq\.so(\.5)?$|^libicu.*\.so(\.60)?$/.test(name)) rmSync(join(copy, "lib", name))
    assert.equal(linkLibraries(copy, join(outer, "elsewhere")), null)
    const folder = join(outer, "data")
    const versionWith = (programs: string | null) =>
      inFolder(folder, (sql) => sql<{ server_version: string }>`SHOW server_version`, { programs })
    const version = await versionWith(join(copy, "bin"))
    assert.match(version[0]!.server_version, /^18\./)
    // whatever else is installed
    assert.deepStrictEqual(await versionWith(null), version)
  })
})
