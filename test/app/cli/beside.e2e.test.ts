/**
 * Commands beside the server of `presently dev`: with the flags of its store, with its management port, with its configuration file,
 * and without any flag in its folder; and the same when it has stopped.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, it } from "vitest"
import { emptyWithin } from "../../support/embedded.ts"
import { live } from "../../support/watched.ts"
import { patient, run, runHere, start, startMemory } from "./command.ts"
import type { Ended, Running } from "./command.ts"

const folder = mkdtempSync(join(tmpdir(), "presently-beside-"))
const alice = "sip:alice@example.com"
const watched = [alice, "--watcher", "sip:bob@example.com"]

/** Each command, and what it says. */
const commands: readonly (readonly [readonly string[], RegExp])[] = [
  [["history", alice], /PublicationCreated|published/i],
  [["at", alice, "now"], /sip:alice@example\.com/],
  [["why", ...watched], /bob/],
  [["seen", "sip:bob@example.com", alice], /presence #1 CSeq 1/],
  [["diff", alice, "1h", "now"], /phone|publication/],
  [["ladder", alice], /NOTIFY/],
  [["verify"], /0 differences/],
  [["doctor"], /^ok {4}store: embedded PostgreSQL in .* answers/m],
]

const ports = { sip: "", admin: "" }
let server: Running

const startDev = async (): Promise<Running> => {
  const dev = start(
    ["dev", "--listen", "udp:127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "db_update_period=1"],
    {
      cwd: folder,
    },
  )
  const said = await dev.says(/ready in/)
  ports.sip = /udp:127\.0\.0\.1:(\d+)/.exec(said)![1]!
  ports.admin = /http:\/\/(127\.0\.0\.1:\d+)/.exec(said)![1]!
  return dev
}

/** As processes in the folder of the server, where they find it without a flag. */
const inItsFolder = (args: readonly string[]): Promise<Ended> => run(args, { cwd: folder })

/** Each command; those that are told where the log is run in this process, which is elsewhere. */
const all = async (place: () => readonly string[], runs = runHere): Promise<void> => {
  for (const [command, says] of commands) {
    const { code, stdout, stderr } = await runs([...command, ...place()])
    const what = `${command.join(" ")} ${place().join(" ")}: ${code}\n${stdout}\n${stderr}`
    // doctor finds what is bad about a port that is in use, and diff what is different
    if (!["doctor", "diff"].includes(command[0]!)) assert.equal(code, 0, what)
    assert.match(stdout, says, what)
    assert.doesNotMatch(stderr, /in use/, what)
  }
  const file = join(folder, `${Math.random()}.case`)
  const exported = await runs(["export", "--case", file, alice, ...place()])
  assert.equal(exported.code, 0, exported.stderr)
  assert.match(exported.stdout, /decisions about 1 stream from embedded PostgreSQL in /)
  assert.ok(readFileSync(file, "utf8").includes(alice))
}

beforeAll(async () => {
  server = await startDev()
  await live(Number(ports.sip))
}, patient.timeout)

afterAll(async () => {
  server.signal("SIGTERM")
  await server.ended
  rmSync(folder, { recursive: true, force: true })
})

describe("beside the running server", () => {
  it("commands with --data", { ...patient, tags: ["CLI"] }, () =>
    all(() => ["--data", join(folder, "data/dev")]),
  )

  it("commands with --admin", { ...patient, tags: ["CLI"] }, () => all(() => ["--admin", ports.admin]))

  it("commands with --config", { ...patient, tags: ["CLI"] }, () => {
    const file = join(folder, "presently.yaml")
    writeFileSync(file, `data: ${join(folder, "data/dev")}\n`, { mode: 0o600 })
    return all(() => ["--config", file])
  })

  it("commands without a flag, in its folder", { ...patient, tags: ["CLI"] }, () =>
    all(() => [], inItsFolder),
  )

  it("psql prints the line to paste", { ...patient, tags: ["CLI"] }, async (context) => {
    const { code, stdout } = await run(["psql"], { cwd: folder })
    assert.equal(code, 0)
    assert.match(stdout, /^psql 'postgresql:\/\/presently@\/postgres\?host=%2F.*&port=5432'\n$/)
    if (!existsSync("/usr/bin/psql")) return context.skip("psql is not installed")
    const line = `${stdout.trim()} --no-psqlrc -Atc "SELECT count(*) > 0 FROM events"`
    assert.equal(execFileSync("sh", ["-c", line], { encoding: "utf8" }), "t\n")
  })

  it(
    "psql for a database elsewhere keeps the user and leaves out passwords",
    { ...patient, tags: ["CLI"] },
    async () => {
      const url =
        "postgres://presence:se%23cret@db.example.com:6432/presence?sslmode=require&sslpassword=other"
      const { code, stdout } = await run(["psql", "--database-url", url], { cwd: folder })
      assert.equal(code, 0)
      assert.equal(stdout, "psql 'postgres://presence@db.example.com:6432/presence?sslmode=require'\n")
    },
  )

  it("psql of a database within the process fails with one line", { ...patient, tags: ["CLI"] }, async () => {
    const within = await emptyWithin(join(folder, "within"))
    const flags = ["--data", within, "--set", "postgres_bin=none"]
    const serve = start([
      "serve",
      ...flags,
      "--listen",
      "udp:127.0.0.1:0",
      "--admin",
      "off",
      "--set",
      "log=json",
    ])
    await serve.says(/ready in/)
    serve.signal("SIGTERM")
    await serve.ended
    const { code, stdout, stderr } = await run(["psql", ...flags])
    assert.deepEqual([code, stdout], [74, ""], stderr)
    assert.match(stderr, /cannot be used: it is kept within this process, where psql cannot connect\n$/)
  })

  it("the server repairs its tables while it runs", { ...patient, tags: ["CLI"] }, async () => {
    for (const command of [
      ["projections", "rebuild"],
      ["verify", "--repair"],
    ]) {
      const { code, stdout, stderr } = await run([...command, "--admin", ports.admin])
      assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`)
    }
  })

  it("whatever writes is refused, and says who has the log", { ...patient, tags: ["CLI"] }, async () => {
    for (const command of [
      ["erase", alice],
      ["compact", "--yes", "--set", "retention=30"],
      ["verify", "--repair"],
    ]) {
      const { code, stderr } = await run([...command, "--data", join(folder, "data/dev")])
      assert.equal(code, 74, `${command.join(" ")}: ${stderr}`)
      assert.match(stderr, /embedded PostgreSQL in .* is taken by presently dev .*: stop that one first/)
    }
    const second = await run(["dev", "--listen", "udp:127.0.0.1:0", "--admin", "off"], { cwd: folder })
    assert.equal(second.code, 74, second.stderr)
    assert.match(second.stderr, /embedded PostgreSQL in data\/dev is taken by presently dev/)
  })

  it(
    "a server with its log elsewhere is named to whoever asks where that is",
    { ...patient, tags: ["CLI"] },
    async () => {
      const { server: memory, admin } = await startMemory()
      const { code, stderr } = await run(["verify", "--admin", admin])
      assert.equal(code, 69)
      assert.match(
        stderr,
        /the server at 127\.0\.0\.1:\d+ keeps its log in no database that another program could read/,
      )
      // the environment of a service may say both where its log is and where its server listens
      const env = { PRESENTLY_ADMIN: admin, PRESENTLY_DATA: join(folder, "data/dev") }
      const verified = await run(["verify"], { env, cwd: "/" })
      assert.equal(verified.code, 0, verified.stderr)
      memory.signal("SIGTERM")
      await memory.ended
    },
  )
})

describe("when the server has stopped", () => {
  it("the same commands start the database themselves", { ...patient, tags: ["CLI"] }, async () => {
    server.signal("SIGTERM")
    await server.ended
    assert.ok(!existsSync(join(folder, "data/dev/server.json")))
    await all(() => [], inItsFolder)
    await all(() => ["--data", join(folder, "data/dev")])
    const psql = start(["psql"], { cwd: folder })
    await psql.says(/^psql '.*'\n/)
    psql.signal("SIGTERM")
    await psql.ended
    server = await startDev()
  })
})
