/**
 * What `presently doctor` says of a running server whose settings it was not given: what the server says of itself, or that it
 * is not known; never its own defaults.
 */
import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { emptyFolder } from "../../support/moving.ts"
import { freePort } from "../../support/postgres.ts"
import { fileOf, patient, run, start } from "./command.ts"

/** A server with accounts and rules, on its own folder. */
const startGuarded = async (context: TestContext, more: readonly string[] = []) => {
  const cwd = emptyFolder(context)
  mkdirSync(cwd, { recursive: true })
  writeFileSync(join(cwd, "users"), `alice:example.com:${"0".repeat(64)}\n`, { mode: 0o600 })
  mkdirSync(join(cwd, "rules"))
  const listen = ["--listen", "udp:127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "log=json"]
  const who = ["--users-file", "users", "--rules-dir", "rules", "--set", "realm=example.com"]
  const server = start(["serve", "--data", "log", ...listen, ...who, ...more], { cwd })
  context.onTestFinished(async () => {
    server.signal("SIGTERM")
    await server.ended
  })
  const said = await server.says(/ready in \d/)
  const port = (pattern: RegExp): string => pattern.exec(said)![1]!
  return { cwd, admin: port(/http:\/\/(127\.0\.0\.1:\d+)/), sip: port(/udp:127\.0\.0\.1:(\d+)/) }
}

describe("doctor beside a running server", { ...patient, tags: ["OPS-doctor"] }, () => {
  it("--admin and --data say what the server says of itself", { tags: ["OPS-doctor"] }, async (context) => {
    const { cwd, admin, sip } = await startGuarded(context)
    for (const [place, folder] of [
      [["--admin", admin], cwd],
      [["--data", join(cwd, "log")], "/"],
      [["--data", "log"], cwd],
    ] as const) {
      const { stdout, code } = await run(["doctor", ...place], { cwd: folder })
      const what = `${place.join(" ")}\n${stdout}`
      assert.equal(code, 0, what)
      assert.match(stdout, /^ok {4}auth: users$/m, what)
      assert.match(stdout, /^ok {4}watching: rules: presence.* \| domain: /m, what)
      assert.ok(stdout.includes(`server: http://${admin}/ready says ready`), what)
      assert.ok(stdout.includes(`udp:127.0.0.1:${sip}: in use, and a server answers`), what)
      assert.match(stdout, /^ok {4}store: embedded PostgreSQL in .* answers/m, what)
      assert.doesNotMatch(stdout, /everyone|everybody may watch|none answers|:5060|:5080/, what)
    }
    // the file says all that there is
    const file = fileOf(
      context,
      "presently.yaml",
      `data: ${join(cwd, "log")}\nadmin: ${admin}\nlisten: ["udp:127.0.0.1:${sip}"]\ninsecure_no_auth: true\n`,
    )
    const { stdout } = await run(["doctor", "--config", file], { cwd: "/" })
    assert.match(stdout, /^warn {2}auth: none: everyone may see and publish everything/m)
  })

  it("without a token for it: not known, with what to give", { tags: ["OPS-doctor"] }, async (context) => {
    const made = await run(["token", "ops", "--scope", "read"])
    const [, token = ""] = /: ([\w-]{20,})\n/.exec(made.stderr) ?? []
    const line = made.stdout.trim()
    const tokens = fileOf(context, "tokens", `${line}\n`)
    const { cwd, admin } = await startGuarded(context, ["--admin-tokens-file", tokens])
    for (const place of [
      ["--admin", admin],
      ["--data", join(cwd, "log")],
    ]) {
      const { stdout } = await run(["doctor", ...place], { cwd: "/" })
      assert.match(stdout, /^warn {2}auth: not known: .*token.*; give --config FILE/m)
      assert.match(stdout, /^warn {2}watching: not known: /m)
      assert.doesNotMatch(stdout, /everyone|everybody may watch/)
    }
    const { stdout } = await run(["doctor", "--admin", admin, "--token", token], { cwd: "/" })
    assert.match(stdout, /^ok {4}auth: users$/m, stdout)
  })

  it(
    "without a management port: not known, and its sockets are its own",
    { tags: ["OPS-doctor"] },
    async (context) => {
      const cwd = emptyFolder(context)
      mkdirSync(cwd, { recursive: true })
      const port = await freePort()
      const listen = ["--listen", `udp:127.0.0.1:${port}`, "--admin", "off", "--set", "log=json"]
      const server = start(["serve", "--data", "log", ...listen], { cwd })
      context.onTestFinished(async () => {
        server.signal("SIGTERM")
        await server.ended
      })
      await server.says(/ready in \d/)
      const { stdout } = await run(["doctor", "--data", "log"], { cwd })
      assert.match(stdout, /^warn {2}auth: not known: the server has no management port; give --config FILE/m)
      assert.ok(stdout.includes(`ok    udp:127.0.0.1:${port}: in use, and a server answers`), stdout)
    },
  )

  it(
    "a server without a log here: its own words, and no fault of defaults",
    { tags: ["OPS-doctor"] },
    async (context) => {
      const users = fileOf(context, "users", `alice:example.com:${"0".repeat(64)}\n`)
      const listen = ["--listen", "udp:127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "log=json"]
      const who = ["--users-file", users, "--set", "realm=example.com"]
      const server = start(["serve", "--memory", ...listen, ...who])
      context.onTestFinished(async () => {
        server.signal("SIGTERM")
        await server.ended
      })
      const admin = /http:\/\/(127\.0\.0\.1:\d+)/.exec(await server.says(/ready in \d/))![1]!
      const { stdout, code } = await run(["doctor", "--admin", admin], { cwd: "/" })
      assert.equal(code, 0, stdout)
      assert.ok(stdout.includes(`ok    auth: ${users}`), stdout)
      assert.match(stdout, /^warn {2}store: memory, or a store of the server's own/m)
    },
  )
})
