/**
 * Files read again while a server runs: what changes, what is refused, and that nothing ends the process.
 */
import assert from "node:assert/strict"
import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { tokenLine } from "../../../src/adapters/admin/tokens.ts"
import { userLine } from "../../../src/app/config/users.ts"
import { Server } from "../../../src/app/index.ts"
import { asking } from "../../support/admin.ts"
import { holds } from "../../support/condition.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openPhone, script } from "../../support/sip-client.ts"
import { subscribeAs, usersFile } from "../../support/users.ts"
import { fileOf, patient, run, start, startMemory } from "../cli/command.ts"

const line = (user: string, password = `secret-${user}`): string =>
  userLine(user, "example.com", password, "SHA-256")
const write = (file: string, ...lines: readonly string[]): void =>
  writeFileSync(file, `${lines.join("\n")}\n`)
const domain = { domain: ["example.com"] }

const portOf = (addresses: readonly string[], transport: string): number =>
  Number(/:(\d+)$/.exec(addresses.find((one) => one.startsWith(transport)) ?? "")?.[1])

const withServer = async (context: TestContext, settings: object) => {
  const server = await Server.start({ ...domain, reload_check_interval: 0, ...settings })
  context.onTestFinished(() => server.close())
  const phone = await openPhone(
    { portOf: (transport: string) => portOf(server.addresses, transport) } as never,
    "udp",
  )
  context.onTestFinished(() => phone.close())
  const subscribe = async (user: string, password = `secret-${user}`): Promise<number> => {
    const call = script(phone, { user, presentity: "sip:desk@example.com" })
    return (await subscribeAs(call, { user, password }, { Event: "presence", Expires: "600" })).raw.status
  }
  return { server, phone, subscribe }
}

describe("files that are read again", { tags: ["OPS-reload"] }, () => {
  it(
    "users that are new, gone or changed are so at once; a subscription of one that is gone gets 401 at its next refresh",
    { tags: ["OPS-reload"] },
    async (context) => {
      const file = usersFile(context, line("alice"), line("bob"), line("carol"))
      const { server, phone, subscribe } = await withServer(context, { users_file: file })
      const call = script(phone, { user: "bob", presentity: "sip:desk@example.com" })
      const asked = { Event: "presence", Expires: "600" }
      assert.equal((await subscribeAs(call, { user: "bob", password: "secret-bob" }, asked)).raw.status, 202)
      assert.deepEqual(await server.reload(), { changes: [], restart: [] })
      write(file, line("alice"), line("carol", "other"), line("dave"))
      assert.deepEqual((await server.reload()).changes, ["1 user more", "1 user gone", "1 user changed"])
      assert.deepEqual(
        [await subscribe("alice"), await subscribe("dave"), await subscribe("carol", "other")],
        [202, 202, 202],
      )
      assert.deepEqual([await subscribe("bob"), await subscribe("carol")], [401, 401])
      assert.equal((await subscribeAs(call, { user: "bob", password: "secret-bob" }, asked)).raw.status, 401)
    },
  )

  it(
    "a file that changes is read again without being told; one that cannot be used changes nothing",
    { tags: ["OPS-reload"] },
    async (context) => {
      const file = usersFile(context, line("alice"), line("bob"))
      const { server, subscribe } = await withServer(context, {
        users_file: file,
        admin: "127.0.0.1:0",
        reload_check_interval: 1,
      })
      const ask = asking(server.admin)
      const count = async (outcome: string): Promise<number> =>
        Number(
          new RegExp(`^presently_reloads_total\\{outcome="${outcome}"\\} (\\d+)$`, "m").exec(
            (await ask("GET", "/metrics")).text,
          )?.[1],
        )
      // in place of the file, as editors and tools of secrets do it
      write(`${file}.new`, line("alice"), line("bob", "another"))
      renameSync(`${file}.new`, file)
      await holds("it is read", async () => (await count("ok")) === 1)
      assert.deepEqual([await subscribe("bob"), await subscribe("bob", "another")], [401, 202])
      write(file, line("alice"), "nonsense")
      await holds("it is refused", async () => (await count("failed")) === 1)
      assert.equal(await subscribe("bob", "another"), 202)
      write(file, line("alice"))
      await holds("it is read", async () => (await count("ok")) === 2)
      assert.deepEqual([await subscribe("bob", "another"), await count("failed")], [401, 1])
    },
  )

  it(
    "anything wrong is named with file and line, all at once, and nothing is changed",
    { tags: ["OPS-reload"] },
    async (context) => {
      const file = usersFile(context, line("alice"))
      const tokens = fileOf(context, "tokens", tokenLine("ops", "admin", "t0ken"))
      const { server, subscribe } = await withServer(context, {
        users_file: file,
        admin: "127.0.0.1:0",
        admin_tokens_file: tokens,
      })
      const ask = asking(server.admin, { authorization: "Bearer t0ken" })
      write(file, line("alice"), "nonsense", line("bob"))
      write(tokens, "ops:everything:x")
      await assert.rejects(server.reload(), (error: { readonly faults: readonly string[] }) => {
        assert.equal(error.faults.length, 2)
        assert.match(error.faults[0]!, new RegExp(`^users_file ${file}:2: expected USER:REALM:HA1`))
        assert.match(error.faults[1]!, new RegExp(`^admin_tokens_file ${tokens}:1: expected NAME:`))
        return true
      })
      assert.equal(await subscribe("bob"), 401)
      const refused = await ask("POST", "/v1/reload")
      assert.equal(refused.status, 409)
      assert.match(refused.text, /users\.txt:2/)
      // the token that is no longer in the file is the one that asks
      write(file, line("alice"), line("bob"))
      write(tokens, tokenLine("desk", "read", "0ther"), tokenLine("root", "admin", "r00t"))
      const done = await ask("POST", "/v1/reload")
      assert.deepEqual(
        [done.status, done.json],
        [200, { changes: ["1 user more", "2 tokens more", "1 token gone"], restart: [] }],
      )
      assert.equal(await subscribe("bob"), 202)
      assert.equal((await ask("GET", "/v1/sources")).status, 401)
      assert.equal(
        (await ask("POST", "/v1/reload", undefined, { authorization: "Bearer 0ther" })).status,
        403,
      )
      const { text } = await ask("GET", "/metrics", undefined, { authorization: "Bearer r00t" })
      assert.match(text, /^presently_reloads_total\{outcome="ok"\} 1$/m)
      assert.match(text, /^presently_reloads_total\{outcome="failed"\} 2$/m)
      assert.match(text, /^presently_reload_last_success_seconds \d{10}$/m)
    },
  )

  it(
    "rules are looked for at once; a folder that is gone is no empty folder",
    { tags: ["OPS-reload"] },
    async (context) => {
      const folder = join(fileOf(context, "x", ""), "..", "rules")
      mkdirSync(folder)
      const { server, phone } = await withServer(context, { rules_dir: folder })
      const call = script(phone, { user: "bob", presentity: "sip:alice@example.com" })
      await call.subscribe({ Event: "presence", Expires: "600" })
      await call.notified({ state: "pending" })
      write(join(folder, "alice@example.com.xml"), ruleset(ruleFor("sip:bob@example.com", "allow")))
      await server.reload()
      await call.notified({ state: "active" })
      renameSync(folder, `${folder}-gone`)
      await assert.rejects(server.reload(), /rules_dir = .*: there is no such folder/)
      renameSync(`${folder}-gone`, folder)
      await server.reload()
    },
  )
})

describe("what would shut everybody out, or is said twice", { tags: ["OPS-reload"] }, () => {
  it(
    "an emptied file of users is refused as one of tokens is, and a file that is gone in plain words",
    { tags: ["OPS-reload"] },
    async (context) => {
      const file = usersFile(context, line("alice"))
      const { server, subscribe } = await withServer(context, { users_file: file })
      for (const text of ["", "# nobody\n\n"]) {
        writeFileSync(file, text)
        await assert.rejects(server.reload(), (error: { readonly faults: readonly string[] }) => {
          assert.deepEqual(error.faults.length, 1)
          assert.match(
            error.faults[0]!,
            /^users_file = \S+: there is no user in it, .*: write the lines that /,
          )
          return true
        })
      }
      renameSync(file, `${file}.gone`)
      await assert.rejects(
        server.reload(),
        /^ConfigInvalid: users_file = \S+: there is no such file: name one/,
      )
      renameSync(`${file}.gone`, file)
      write(file, line("alice"), line("bob"), line("alice", "other"))
      await assert.rejects(
        server.reload(),
        /users\.txt:3: alice:example\.com has a line with SHA-256 already \(line 1\)/,
      )
      assert.equal(await subscribe("alice"), 202)
    },
  )
})

describe.concurrent(
  "a process that is told to read its files again",
  { ...patient, tags: ["OPS-sighup"] },
  () => {
    const serve = (context: TestContext, ...users: readonly string[]) => {
      const file = usersFile(context, ...users)
      const settings = (more: object): string =>
        JSON.stringify({
          listen: ["udp:127.0.0.1:0"],
          admin: "off",
          memory: true,
          log: "json",
          domain: ["example.com"],
          users_file: file,
          reload_check_interval: 0,
          ...more,
        })
      const config = fileOf(context, "presently.json", settings({}))
      const server = start(["serve", "--config", config])
      const hangUp = (): void => void process.kill(server.pid ?? 0, "SIGHUP")
      return { file, config, settings, server, hangUp }
    }

    it(
      "says what has changed and what needs a restart, keeps the old when anything is wrong, and never ends",
      { tags: ["OPS-sighup"] },
      async (context) => {
        const { file, config, settings, server, hangUp } = serve(context, line("alice"), line("bob"))
        await server.says(/ready in \d/)
        write(file, line("alice"), line("carol"), line("dave"), line("erin"))
        writeFileSync(config, settings({ log_level: "debug", max_expires_publish: 600 }))
        hangUp()
        await server.says(/reloaded: 3 users more, 1 user gone, log level info → debug"/)
        await server.says(/changed, and in force after a restart only: max_expires_publish"/)
        hangUp()
        await server.says(/only: max_expires_publish"[\s\S]*only: max_expires_publish"/)
        assert.doesNotMatch(server.stdout(), /nothing has changed/)
        write(file, "nonsense")
        writeFileSync(config, settings({ log_level: "loud", max_expires_publish: 600 }))
        hangUp()
        await server.says(/reload: log_level = loud \(file .*presently\.json:1\): expected/)
        await server.says(/reload: users_file .*:1: expected USER:REALM:HA1/)
        await server.says(/reload refused: what was in force stays/)
        writeFileSync(config, "no: [yaml")
        hangUp()
        await server.says(/reload: config \(file /)
        write(file, line("alice"))
        writeFileSync(config, settings({ log_level: "debug" }))
        for (let index = 0; index < 50; index++) hangUp()
        await server.says(/reloaded: 3 users gone"/)
        server.signal("SIGTERM")
        for (let index = 0; index < 20; index++) hangUp()
        assert.equal((await server.ended).code, 0)
      },
    )

    it(
      "one that comes while it starts is not lost, and does not end it",
      { tags: ["OPS-sighup"] },
      async (context) => {
        const { server, hangUp } = serve(context, line("alice"))
        await server.says("listening")
        hangUp()
        await server.says(/reloaded: nothing has changed/)
        server.signal("SIGTERM")
        assert.equal((await server.ended).code, 0)
      },
    )

    it(
      "presently reload does the same over the management port",
      { tags: ["OPS-sighup"] },
      async (context) => {
        const file = usersFile(context, line("alice"))
        const { server, admin } = await startMemory([
          "--users-file",
          file,
          "--domain",
          "example.com",
          "--set",
          "reload_check_interval=0",
        ])
        write(file, line("alice"), line("bob"))
        assert.deepEqual(await run(["reload", "--admin", admin]), {
          code: 0,
          stdout: "1 user more\n",
          stderr: "",
        })
        write(file, "nonsense")
        const refused = await run(["reload", "--admin", admin])
        assert.equal(refused.code, 2)
        assert.match(refused.stderr, /^presently: users_file .*:1: expected USER:REALM:HA1/)
        server.signal("SIGTERM")
        assert.equal((await server.ended).code, 0)
      },
    )
  },
)
