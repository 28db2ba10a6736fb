/**
 * What is in force and cannot be meant is told, by the start, `config check` and `doctor`: accounts that nobody can use, settings
 * that change nothing.
 */
import assert from "node:assert/strict"
import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Logger, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { adviceOn, adviceText } from "../../../src/app/config/advice.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { parseUsers, userLine } from "../../../src/app/config/users.ts"
import { watchingChecks } from "../../../src/app/doctor/watching.ts"
import { startServer } from "../../../src/app/server/start-server.ts"
import { usersFile } from "../../support/users.ts"
import { fileOf, patient, runHere, start } from "../cli/command.ts"

const configOf = (settings: Readonly<Record<string, unknown>>) =>
  readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {}, own: settings })

const linesOf = (settings: Readonly<Record<string, unknown>>, users: readonly string[] | null = null) =>
  adviceOn(
    configOf(users === null ? settings : { users_file: "users.txt", ...settings }),
    users === null ? null : parseUsers(users.join("\n"), "users.txt"),
  ).map(adviceText)

const line = (user: string, realm: string, algorithm: "SHA-256" | "MD5" = "SHA-256") =>
  userLine(user, realm, "secret", algorithm)

describe("accounts", () => {
  it(
    "of a realm that is never asked for are told, once for each realm, with the line to make",
    { tags: ["OPS-users_file", "OPS-realm"] },
    () => {
      const domains = { domain: ["example.com", "example.org"] }
      const of = "users_file users.txt"
      const never = "never asked for: the realm of this server is"
      assert.deepEqual(
        linesOf(domains, [
          "# people",
          line("alice", "example.com"),
          line("bob", "example.org"),
          line("bob", "example.org", "MD5"),
          line("carol", "example.org"),
          line("dave", "example.org"),
          line("eve", "example.org"),
          `${line("4711", "pbx")}:sip:frank@example.com`,
        ]),
        [
          `${of}:3: 4 accounts (bob, carol, dave and 1 more) of realm example.org are ${never} example.com; ` +
            "presently user bob --realm example.com --address sip:bob@example.org makes a line that is",
          `${of}:8: 1 account (4711) of realm pbx is ${never} example.com; ` +
            "presently user 4711 --realm example.com --address sip:frank@example.com makes a line that is",
        ],
      )
      assert.deepEqual(linesOf(domains, [line("alice", "example.com"), line("bob", "example.com")]), [])
      assert.deepEqual(linesOf({ ...domains, realm: "example.org" }, [line("bob", "example.org")]), [])
      const [alone] = linesOf({}, [line("bob", "example.org")])
      assert.equal(
        alone,
        `${of}:1: 1 account (bob) of realm example.org is ${never} presently; ` +
          "presently user bob --realm presently --address sip:bob@example.org makes a line that is, or set realm = example.org",
      )
    },
  )

  it("with MD5 only are told while MD5 is not taken", { tags: ["OPS-users_file", "OPS-digest_md5"] }, () => {
    const lines = [line("alice", "presently"), line("bob", "presently", "MD5")]
    assert.deepEqual(linesOf({}, lines), [
      "users_file users.txt:2: 1 account (bob) with MD5 only cannot be used: digest_md5 is off; " +
        "presently user bob --realm presently makes a line for SHA-256, or set digest_md5 = 1",
    ])
    assert.deepEqual(linesOf({ digest_md5: true }, lines), [])
  })

  it(
    "with SHA-256 only are told while MD5 alone is offered",
    { tags: ["OPS-users_file", "OPS-digest_md5_only"] },
    () => {
      const lines = [line("alice", "presently"), line("bob", "presently", "MD5")]
      for (const digest_md5 of [false, true]) {
        assert.deepEqual(linesOf({ digest_md5, digest_md5_only: true }, lines), [
          "users_file users.txt:1: 1 account (alice) with SHA-256 only cannot be used: digest_md5_only is on; " +
            "presently user alice --realm presently --md5 makes a line for MD5, or set digest_md5_only = 0",
        ])
      }
    },
  )
})

describe("settings that change nothing", () => {
  const settings = {
    watch_policy: ["reg=domain"],
    line_members: ["sip:a@example.com=sip:b@example.com"],
    mailbox_owners: ["sip:a@example.com=sip:b@example.com"],
    no_rules: "allow",
  }

  it(
    "are told while everybody may watch, with the reason",
    { tags: ["OPS-watch_policy", "OPS-line_members", "OPS-mailbox_owners"] },
    () => {
      const told = (more: Readonly<Record<string, unknown>>) => linesOf({ ...settings, ...more })
      assert.deepEqual(
        told({}),
        Object.keys(settings).map(
          (name) =>
            `${name} (option) changes nothing: everybody may watch, since there is no authentication and no source of rules; ` +
            "leave it out, or give users_file, trusted_peers or policy = rules",
        ),
      )
      assert.deepEqual(
        told({ policy: "open", rules_dir: "rules", trusted_peers: ["10.0.0.1;identity=pai"] }),
        [...Object.keys(settings), "rules_dir"].map(
          (name) =>
            `${name} (option) changes nothing: everybody may watch, since policy = open (option); leave it out, or leave policy out`,
        ),
      )
      for (const judged of [
        { policy: "rules" },
        { rules_dir: "rules" },
        { trusted_peers: ["10.0.0.1;identity=pai"] },
      ])
        assert.deepEqual(told(judged), [])
      // who says nothing is told nothing
      assert.deepEqual(linesOf({ policy: "open" }), [])
    },
  )

  it("CLI: doctor says why everybody may watch, as it is", () => {
    const said = (own: Readonly<Record<string, unknown>>) => {
      const config = configOf(own)
      return watchingChecks(config, packagesOf(config)).map(({ detail }) => detail)
    }
    const open = "everybody may watch, but lists of watchers are for their owner"
    assert.deepEqual(said({}), [`${open}: there is no authentication and no source of rules`])
    assert.deepEqual(said({ policy: "open", users_file: "users.txt" }), [`${open}: policy = open (option)`])
    const lists = said({
      policy: "rules",
      line_members: settings.line_members,
      mailbox_owners: [...settings.mailbox_owners, "sip:c@example.com=sip:b@example.com"],
    })
    assert.deepEqual(lists.slice(-2), ["1 line", "2 mailboxes"])
  })

  it("CLI: start, config check and doctor say all of it", patient, async (context) => {
    const users = usersFile(context, line("bob", "example.org"))
    const file = fileOf(
      context,
      "presently.json",
      JSON.stringify({
        users_file: users,
        domain: ["example.com"],
        memory: true,
        policy: "open",
        watch_policy: ["reg=domain"],
        listen: ["udp:127.0.0.1:0"],
        admin: "off",
      }),
    )
    const expected = [
      /watch_policy \(file .*\) changes nothing: /,
      /bob.* of realm example\.org is never asked for/,
    ]
    const checked = await runHere(["config", "check", "--config", file])
    const doctor = await runHere(["doctor", "--config", file])
    const warned: string[] = []
    const scope = Effect.runSync(Scope.make())
    const config = readConfig({ flags: {}, set: [], env: {}, file, defaults: {} })
    const logger = Logger.make(({ message, logLevel }) => void warned.push(`${logLevel} ${String(message)}`))
    await Effect.runPromise(
      startServer(config).pipe(Scope.provide(scope), Effect.provide(Logger.layer([logger]))),
    )
    await Effect.runPromise(Scope.close(scope, Exit.void))
    assert.equal(checked.code, 0, checked.stderr)
    for (const one of expected) {
      assert.match(checked.stderr, one)
      assert.match(doctor.stdout, one)
      assert.ok(
        warned.some((said) => said.startsWith("Warn ") && one.test(said)),
        warned.join("\n"),
      )
    }
    assert.match(doctor.stdout, /^warn {2}config: users_file .*:1: 1 account \(bob\)/m)
  })
})

describe.skipIf(process.getuid === undefined)("presently doctor", () => {
  const folderOf = ({ onTestFinished }: TestContext): string => {
    const folder = mkdtempSync(join(tmpdir(), "presently-data-"))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    return join(folder, "data")
  }

  it(
    "CLI OPS-data: narrows nothing in the folder that it looks at, and says what is in it",
    patient,
    async (context) => {
      const data = folderOf(context)
      const server = start([
        "serve",
        "--data",
        data,
        "--listen",
        "udp:127.0.0.1:0",
        "--admin",
        "off",
        "--set",
        "log=json",
      ])
      await server.says(/ready in/)
      server.signal("SIGTERM")
      await server.ended
      for (const path of [data, join(data, "postgres")]) chmodSync(path, 0o755)
      chmodSync(join(data, "postgres/PG_VERSION"), 0o644)
      const modes = (): Readonly<Record<string, string>> =>
        Object.fromEntries(
          [
            data,
            ...readdirSync(data, { recursive: true, encoding: "utf8" }).map((name) => join(data, name)),
          ].map((path) => [path, (lstatSync(path).mode & 0o7777).toString(8)]),
        )
      const before = modes()
      const said = await runHere(["doctor", "--data", data, "--listen", "udp:127.0.0.1:0", "--admin", "off"])
      const after = modes()
      // files that the database makes while it is open are its own affair
      for (const [path, mode] of Object.entries(before))
        if (path in after) assert.equal(after[path], mode, path)
      assert.match(
        said.stdout,
        /^warn {2}data folder: other accounts can enter .* the next start narrows them/m,
      )
      // PostgreSQL opens no database that other accounts can enter
      assert.match(said.stdout, /^warn {2}store: embedded PostgreSQL in .*: not looked into/m)
      assert.ok(!said.stderr.includes("narrowed"), said.stderr)
      chmodSync(join(data, "postgres"), 0o700)
      const looked = await runHere([
        "doctor",
        "--data",
        data,
        "--listen",
        "udp:127.0.0.1:0",
        "--admin",
        "off",
      ])
      assert.match(looked.stdout, /^warn {2}data folder: other accounts can enter /m)
      assert.match(looked.stdout, /^ok {4}store: embedded PostgreSQL in .* answers/m)
      assert.equal(lstatSync(data).mode & 0o777, 0o755)
    },
  )
})
