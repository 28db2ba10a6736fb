/**
 * The private server of a data folder, and what befalls it: programs that are killed, a server that is, leftovers of both.
 */
import { spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
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
import type { User } from "../../../support/private-server.ts"
import { ofTests } from "../../../support/reaper.ts"

const isRoot = process.getuid?.() === 0

const started = async (context: TestContext): Promise<{ folder: string; user: User }> => {
  const folder = await emptyEmbedded(dataFolder(context))
  const user = await userOf(folder)
  await user.ask("CREATE TABLE kept (n int)")
  return { folder, user }
}

const keptIn = (folder: string): Promise<unknown> =>
  inFolder(folder, (sql) => sql`SELECT n FROM kept ORDER BY n`)

describe("the private server of a data folder", { tags: ["OPS-data"] }, () => {
  it("is made, used by several, and stopped with the last of them", async (context) => {
    const folder = dataFolder(context)
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
      await serverEnds(folder)
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
    await serverEnds(folder)
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
    const folder = dataFolder(context)
    mkdirSync(join(folder, "postgres", "base"), { recursive: true })
    writeFileSync(join(folder, "postgres", "PG_VERSION"), "15\n")
    writeFileSync(join(folder, "postgres.unfinished"), "")
    await inFolder(folder, (sql) => sql`CREATE TABLE kept AS SELECT 7 AS n`)
    assert.notInclude(readdirSync(folder), "postgres.unfinished")
    assert.deepStrictEqual(await keptIn(folder), [{ n: 7 }])
  })

  it("postmaster.pid with the number of a process that is something else", async (context) => {
    const folder = await emptyEmbedded(dataFolder(context))
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
    const folder = await emptyEmbedded(dataFolder(context))
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
