/**
 * The private server of a data folder, and what befalls it: programs that are killed, a server that is, leftovers of both, folders
 * of somebody else, of another version, that cannot be written to.
 */
import { execFileSync, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { linkLibraries, packageRoot } from "../../../../src/adapters/store/private-server/programs.ts"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { inFolder, postmasterOf, processesOf, refusalOf, userOf } from "../../../support/private-server.ts"
import type { User } from "../../../support/private-server.ts"
import { endWithTests, ofTests } from "../../../support/reaper.ts"

const isRoot = process.getuid?.() === 0

const gone = (folder: string) => holds("the server has ended", () => processesOf(folder).length === 0)

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-private-"))
  const isOver = endWithTests({ kind: "folder", path: folder })
  onTestFinished(async () => {
    for (const { pid } of processesOf(folder)) process.kill(pid, "SIGKILL")
    await gone(folder)
    rmSync(folder, { recursive: true, force: true })
    isOver()
  })
  return folder
}

const started = async (context: TestContext): Promise<{ folder: string; user: User }> => {
  const folder = await emptyEmbedded(folderOf(context))
  const user = await userOf(folder)
  await user.ask("CREATE TABLE kept (n int)")
  return { folder, user }
}

const keptIn = (folder: string): Promise<unknown> =>
  inFolder(folder, (sql) => sql`SELECT n FROM kept ORDER BY n`)

/** A pool may have failures from the meantime to hand out first. */
const rowsAgain = (user: User, statement = "SELECT n FROM kept") =>
  holds("the database answers again", async () => {
    const answer = await user.ask(statement)
    return Array.isArray(answer) ? (answer as readonly { n: number }[]) : null
  })

/** The guard may have ended the server and itself by then. */
const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause
  }
}

describe("the private server of a data folder", { tags: ["OPS-data"] }, () => {
  it("is made, used by several, and stopped with the last of them", async (context) => {
    const folder = folderOf(context)
    const users = await Promise.all([1, 2, 3, 4].map(() => userOf(folder)))
    const last = users[3]!
    await last.ask("CREATE TABLE kept (n int)")
    for (const [n, user] of users.entries()) await user.ask(`INSERT INTO kept VALUES (${n})`)
    const server = postmasterOf(folder)
    const shown = { fsync: "on", synchronous_commit: "on", full_page_writes: "on", listen_addresses: "" }
    for (const [name, value] of Object.entries(shown))
      assert.deepStrictEqual(await last.ask(`SHOW ${name}`), [{ [name]: value }])
    for (const user of users.slice(0, 3)) await user.stop()
    assert.equal(postmasterOf(folder), server)
    assert.deepStrictEqual(await last.ask("SELECT count(*)::int AS n FROM kept"), [{ n: 4 }])
    await last.stop()
    assert.deepStrictEqual(processesOf(folder), [])
    assert.notInclude(readdirSync(join(folder, "postgres")), "postmaster.pid")
    assert.deepStrictEqual(await keptIn(folder), [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }])
    assert.deepStrictEqual(readdirSync(folder).sort(), ["postgres", "postgres.log", "run"])
    for (const name of ["", "postgres", "run"])
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o700, name)
    assert.equal(statSync(join(folder, "postgres.log")).mode & 0o777, 0o600)
  })

  for (const how of ["the program", "its process group"] as const) {
    it(`kill -9 of ${how}: the server stops, and keeps what was answered`, async (context) => {
      const { folder, user } = await started(context)
      await user.ask("INSERT INTO kept VALUES (1)")
      if (how === "the program") await user.kill()
      else process.kill(-user.process.pid!, "SIGKILL")
      await gone(folder)
      assert.deepStrictEqual(await keptIn(folder), [{ n: 1 }])
    })
  }

  it("kill -9 of the server: it is started again under those who use it", async (context) => {
    const { folder, user } = await started(context)
    const other = await userOf(folder)
    await user.ask("INSERT INTO kept VALUES (1)")
    const before = postmasterOf(folder)!
    process.kill(before, "SIGKILL")
    // what is left of the killed one answers for a moment
    await holds("another server runs", () => ![before, null].includes(postmasterOf(folder)))
    for (const each of [user, other]) {
      assert.deepStrictEqual(await rowsAgain(each), [{ n: 1 }])
    }
    await user.stop()
    assert.deepStrictEqual(await rowsAgain(other), [{ n: 1 }])
    await other.stop()
    assert.deepStrictEqual(processesOf(folder), [])
  })

  it("kill -9 of one of the server's processes: it recovers, and goes on", async (context) => {
    const { folder, user } = await started(context)
    await user.ask("INSERT INTO kept VALUES (1)")
    const server = postmasterOf(folder)
    const child = processesOf(folder).find(({ pid, kind }) => kind === "server" && pid !== server)!
    process.kill(child.pid, "SIGKILL")
    await rowsAgain(user)
    assert.equal(postmasterOf(folder), server)
    await user.stop()
  })

  it("kill -9 of program, server and guard: the next start finds everything", async (context) => {
    const { folder, user } = await started(context)
    await user.ask("INSERT INTO kept VALUES (1)")
    const all = processesOf(folder)
    const kinds = all.map(({ kind }) => kind)
    assert.includeMembers(kinds, ["guard", "server"])
    user.process.kill("SIGKILL")
    for (const { pid } of all) killIfThere(pid)
    assert.deepStrictEqual(await keptIn(folder), [{ n: 1 }])
    await user.kill()
  })

  it("a server whose guard was killed with the program is ended by the next start", async (context) => {
    const { folder, user } = await started(context)
    await user.ask("INSERT INTO kept VALUES (1)")
    const orphan = postmasterOf(folder)!
    for (const { pid, kind } of processesOf(folder)) if (kind === "guard") killIfThere(pid)
    await user.kill()
    const left = processesOf(folder).map(({ pid }) => pid)
    assert.include(left, orphan)
    const next = await userOf(folder)
    assert.notEqual(postmasterOf(folder), orphan)
    assert.deepStrictEqual(await next.ask("SELECT n FROM kept"), [{ n: 1 }])
    await next.stop()
    assert.deepStrictEqual(processesOf(folder), [])
  })

  it("signals that a service manager sends to every process leave the guard in place", async (context) => {
    const { folder, user } = await started(context)
    for (const { pid, kind } of processesOf(folder)) {
      if (kind === "guard")
        for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(pid, name)
    }
    assert.deepStrictEqual(await user.ask("SELECT 1 AS n"), [{ n: 1 }])
    await user.kill()
    await gone(folder)
  })

  it("every commit is forced to the disk before it is answered", async (context) => {
    const { folder, user } = await started(context)
    const trace = join(folder, "trace.txt")
    const server = processesOf(folder).filter(({ kind }) => kind === "server")
    const each = server.flatMap(({ pid }) => ["-p", `${pid}`])
    let tracer
    try {
      tracer = ofTests(
        spawn("strace", ["-f", "-e", "trace=fdatasync,fsync,sendto", "-o", trace, ...each], {
          stdio: "pipe",
        }),
      )
      await Promise.race([
        new Promise((resolve) => tracer!.stderr.once("data", resolve)),
        new Promise((_, reject) => tracer!.once("error", reject)),
      ])
    } catch {
      return context.skip("strace is not installed")
    }
    // it says so when it has attached itself to each
    const seen = (): string => (existsSync(trace) ? readFileSync(trace, "utf8") : "")
    await holds("the server is traced", async () => {
      await user.ask("SELECT 1")
      return seen().includes("sendto(") || tracer.exitCode !== null
    })
    if (tracer.exitCode !== null) return context.skip("strace may not trace here")
    const mark = seen().split("\n").length - 1
    const commits = 20
    for (let n = 0; n < commits; n++) await user.ask(`INSERT INTO kept VALUES (${n})`)
    tracer.kill("SIGINT")
    await new Promise((resolve) => tracer.once("exit", resolve))
    const calls = seen().split("\n").slice(mark)
    // of each process: what it does between two answers to its client
    const forced = new Map<string, number>()
    let covered = 0
    for (const call of calls) {
      const [, pid = "", name = ""] = /^(\d+) +(?:<\.\.\. )?(\w+)/.exec(call) ?? []
      if (name.startsWith("f") && call.endsWith(" = 0")) forced.set(pid, (forced.get(pid) ?? 0) + 1)
      if (name === "sendto" && (forced.get(pid) ?? 0) > 0) {
        covered++
        forced.set(pid, 0)
      }
    }
    assert.isAtLeast(covered, commits, calls.join("\n"))
    await user.stop()
  })

  it("a database that was killed while it was made is made again", async (context) => {
    const folder = folderOf(context)
    mkdirSync(join(folder, "postgres", "base"), { recursive: true })
    writeFileSync(join(folder, "postgres", "PG_VERSION"), "15\n")
    writeFileSync(join(folder, "postgres.unfinished"), "")
    await inFolder(folder, (sql) => sql`CREATE TABLE kept AS SELECT 7 AS n`)
    assert.notInclude(readdirSync(folder), "postgres.unfinished")
    assert.deepStrictEqual(await keptIn(folder), [{ n: 7 }])
  })

  it("postmaster.pid with the number of a process that is something else", async (context) => {
    const folder = await emptyEmbedded(folderOf(context))
    const data = join(folder, "postgres")
    const file = join(data, "postmaster.pid")
    const text = [process.pid, data, 1_700_000_000, 5432, join(folder, "run"), "", " 1 1", "ready"]
    writeFileSync(file, `${text.join("\n")}\n`, { mode: 0o600 })
    const { uid, gid } = statSync(data)
    if (isRoot) chownSync(file, uid, gid)
    await inFolder(folder, (sql) => sql`SELECT 1`)
    assert.isFalse(existsSync(file))
  })

  it("a server that somebody else started on the folder is left alone", async (context) => {
    const folder = await emptyEmbedded(folderOf(context))
    const [config] = await inFolder(
      folder,
      (sql) => sql<{ bin: string }>`SELECT setting AS bin FROM pg_config WHERE name = 'BINDIR'`,
    )
    if (isRoot) chmodSync(folder, 0o755)
    const data = join(folder, "postgres")
    const { uid, gid } = statSync(data)
    const args = ["-D", data, "-c", "listen_addresses=", "-c", `unix_socket_directories=${data}`]
    const account = isRoot ? { uid, gid } : {}
    const other = ofTests(spawn(join(config!.bin, "postgres"), args, { stdio: "ignore", ...account }))
    const ended = new Promise((resolve) => other.once("exit", resolve))
    await holds("it listens", () => existsSync(join(data, ".s.PGSQL.5432")))
    if (isRoot) chmodSync(folder, 0o700)
    const busy = new RegExp(`^the data folder .* is in use by process ${other.pid}: stop it`)
    assert.match(await refusalOf(folder), busy)
    assert.equal(other.exitCode, null)
    other.kill("SIGINT")
    await ended
  })
})

describe("folders that a private server cannot use", { tags: ["OPS-data"] }, () => {
  const line = async (folder: string): Promise<string> => {
    const text = await refusalOf(folder)
    assert.notInclude(text, "\n")
    assert.include(text, folder)
    return text
  }

  it("of a version whose programs are not here", async (context) => {
    const folder = await emptyEmbedded(folderOf(context))
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
    const folder = await emptyEmbedded(folderOf(context))
    execFileSync("chown", ["-R", "65534", join(folder, "postgres")])
    assert.match(await line(folder), /belongs to account 65534, .* chown -R/)
    assert.equal(statSync(join(folder, "postgres")).uid, 65_534)
  })

  it("that holds something else", async (context) => {
    const folder = folderOf(context)
    mkdirSync(join(folder, "postgres"), { mode: 0o700 })
    writeFileSync(join(folder, "postgres", "letters.txt"), "dear all\n")
    assert.match(await line(folder), /is no PostgreSQL database and not empty: move it away/)
    assert.deepStrictEqual(readdirSync(join(folder, "postgres")), ["letters.txt"])
  })

  it("when programs are named that are none", async (context) => {
    const folder = folderOf(context)
    assert.match(
      await refusalOf(folder, { programs: folder }),
      /needs the programs of PostgreSQL 14 or newer \(here is only .* holds no initdb and postgres\): install/,
    )
  })

  it("with a setting in it that the server refuses", async (context) => {
    const folder = await emptyEmbedded(folderOf(context))
    writeFileSync(join(folder, "postgres", "postgresql.conf"), "work_mem = 'much'\n")
    assert.match(await line(folder), /its server does not start: /)
  })

  it("a folder whose path is too long for a socket has it elsewhere", async (context) => {
    const outer = folderOf(context)
    const folder = join(outer, "d".repeat(90), "e".repeat(40))
    await emptyEmbedded(folder)
    chmodSync(join(outer, "d".repeat(90)), 0o700)
    const user = await userOf(folder)
    const other = await userOf(folder)
    await user.ask("CREATE TABLE kept AS SELECT 1 AS n")
    assert.deepStrictEqual(await other.ask("SELECT n FROM kept"), [{ n: 1 }])
    const elsewhere = readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n")[4]!
    const digest = createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 16)
    const place = join("/tmp", `presently-${digest}`)
    assert.include([place, "/proc/self/fd/8"], elsewhere)
    assert.equal(statSync(place).mode & 0o777, 0o700)
    await user.stop()
    await other.stop()
    assert.deepStrictEqual(processesOf(folder), [])
    assert.isFalse(existsSync(join(folder, "run")))
    assert.isFalse(existsSync(place))
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
      await gone(folder)
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
    const outer = folderOf(context)
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
