/**
 * `dev` and `serve` as processes: how they start, how they refuse to, how they end.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { describe, it } from "vitest"
import { fileOf, patient, run, runHere, start, startDev } from "./command.ts"
import type { RunOptions } from "./command.ts"

describe.concurrent("a server that starts", patient, () => {
  it(
    "says where it listens, what it keeps, what to type next, and last that it is ready",
    { tags: ["F2", "OPS-banner"] },
    async () => {
      const dev = await startDev()
      const lines = dev.process.stdout().trimEnd().split("\n")
      assert.match(lines[0] ?? "", /^presently \S+ in development mode/)
      assert.match(lines[1] ?? "", /^ {2}sip {7}udp:127\.0\.0\.1:\d+ {2}tcp:127\.0\.0\.1:\d+$/)
      assert.ok(lines.includes("  store     memory: nothing outlives the process"))
      assert.ok(lines.some((line) => line.startsWith(`  npx presently publish --to ${dev.to} `)))
      assert.match(lines.at(-1) ?? "", /^ready in \d+\.\d s$/)
      const { code, stderr } = await dev.stop()
      assert.deepEqual([code, stderr], [0, ""])
    },
  )

  it("SIGINT ends it as well, with exit code 0", { tags: ["F10", "OPS-drain"] }, async () => {
    const dev = await startDev()
    dev.process.signal("SIGINT")
    assert.equal((await dev.process.ended).code, 0)
  })

  it("OPS-config-file: the environment names the file of settings", async (context) => {
    const settings = { listen: ["udp:127.0.0.1:0"], admin: "off", memory: true, log: "json" }
    const file = fileOf(context, "good.json", JSON.stringify(settings))
    const server = start(["serve"], { env: { PRESENTLY_CONFIG: file } })
    await server.says(/ready in \d/)
    server.signal("SIGTERM")
    assert.equal((await server.ended).code, 0)
  })

  it("F9 OPS-port-taken: one line, exit code 74", async (context) => {
    const squatter = createSocket("udp4")
    await new Promise<void>((resolve) => squatter.bind(0, "127.0.0.1", resolve))
    context.onTestFinished(() => void squatter.close())
    const taken = `udp:127.0.0.1:${squatter.address().port}`
    const { code, stderr } = await run(["dev", "--memory", "--admin", "off", "--listen", taken])
    assert.equal(code, 74)
    const [line, ...rest] = stderr.trimEnd().split("\n")
    assert.match(
      line ?? "",
      new RegExp(`^presently: cannot listen on ${taken} \\(.*EADDRINUSE.*\\): stop what`),
    )
    assert.deepEqual(rest, [])
  })

  it("OPS-exit-64: an unknown flag and an unknown command", async () => {
    const [flag, command] = await Promise.all([run(["dev", "--bogus"]), run(["bogus"])])
    assert.deepEqual([flag.code, command.code], [64, 64])
    assert.match(flag.stderr, /--bogus/)
    assert.match(command.stderr, /bogus/)
  })
})

describe.concurrent(
  "a wrong setting ends the start with exit code 78 and says which",
  { ...patient, tags: ["F8", "OPS-config"] },
  () => {
    const listen = (value: string): string =>
      `listen = ${value} (flag --listen): expected TRANSPORT:HOST:PORT with udp, tcp, tls, ws, wss as the transport and an IP address, ` +
      "for example udp:127.0.0.1:5060"
    const unsafe = (source: string, command: string): string =>
      `listen = 0.0.0.0 (${source}): ${command} without authentication is for loopback addresses only: give ` +
      "--users-file FILE, or trusted_peers, or --insecure-no-auth if everyone who can reach it may see and publish everything"
    const database = (source: string): string =>
      `database_url = mysql://***@db/x (${source}): expected postgres://USER:PASSWORD@HOST:PORT/NAME`
    const range = "expected a whole number from 1 to 31536000"
    const open = "udp:0.0.0.0:0"

    type Wrong = readonly [args: readonly string[], faults: readonly string[], options?: RunOptions]
    const wrong: readonly Wrong[] = [
      [["--listen", "nowhere"], [listen("nowhere")]],
      [["--listen", "udp:127.0.0.1:99999"], [listen("udp:127.0.0.1:99999")]],
      [
        ["--admin", "nonsense"],
        [
          "admin = nonsense (flag --admin): expected HOST:PORT, https://HOST:PORT or off, for example 127.0.0.1:5080",
        ],
      ],
      [["--set", "max_expires_publish=0"], [`max_expires_publish = 0 (flag --set): ${range}`]],
      [
        ["--set", "max_expires_pubish=5"],
        ["max_expires_pubish (flag --set): there is no such setting; did you mean max_expires_publish?"],
      ],
      [
        ["--set", "noequals"],
        ["--set noequals: expected NAME=VALUE, for example --set max_expires_publish=600"],
      ],
      [["--set", "id_collision=oldest"], ["id_collision = oldest (flag --set): expected newest or rename"]],
      [
        ["--set", "digest_md5=maybe", "--set", "log=loud"],
        [
          "digest_md5 = maybe (flag --set): expected 1 or 0 (also true, false, yes, no, on, off)",
          "log = loud (flag --set): expected auto or json or pretty",
        ],
      ],
      [
        ["--set", "min_expires_publish=7200"],
        ["min_expires_publish = 7200 (flag --set): must not be above max_expires_publish = 3600"],
      ],
      [["--listen", open], [unsafe("flag --listen", "dev")]],
      [[], [unsafe("env PRESENTLY_LISTEN", "dev")], { env: { PRESENTLY_LISTEN: open } }],
      [
        [],
        [
          "listn (env PRESENTLY_LISTN): there is no such setting; did you mean listen?",
          `max_expires_subscribe = abc (env PRESENTLY_MAX_EXPIRES_SUBSCRIBE): ${range}`,
        ],
        { env: { PRESENTLY_LISTN: "x", PRESENTLY_MAX_EXPIRES_SUBSCRIBE: "abc" } },
      ],
      [[], [database("env DATABASE_URL")], { env: { DATABASE_URL: "mysql://root:secret@db/x" } }],
      [["--database-url", "mysql://root:secret@db/x"], [database("flag --database-url")]],
    ]
    it.for(wrong)("dev %s %s", async ([args, faults, options]) => {
      // what is about databases goes with the embedded one, since memory would be another choice
      const given = ["dev", ...(args[0] === "--database-url" ? [] : ["--memory"]), ...args]
      // an environment of its own needs a process of its own
      const { code, stdout, stderr } = await (options === undefined ? runHere(given) : run(given, options))
      assert.deepEqual(
        stderr.trimEnd().split("\n"),
        faults.map((fault) => `presently: ${fault}`),
      )
      assert.deepEqual([code, stdout], [78, ""])
    })

    it("serve needs a store, and authentication beyond loopback", async () => {
      const [bare, reachable] = await Promise.all([
        run(["serve"]),
        runHere(["serve", "--memory", "--listen", open]),
      ])
      assert.deepEqual([bare.code, reachable.code], [78, 78])
      assert.match(
        bare.stderr,
        /^presently: database_url \(default\): serve needs to know where .*--memory\n$/,
      )
      assert.equal(reachable.stderr, `presently: ${unsafe("flag --listen", "serve")}\n`)
    })

    const files: readonly (readonly [string, readonly string[]])[] = [
      [
        `{"max_expires_publish": "soon", "listn": "x"}`,
        [
          "listn (file FILE:1): there is no such setting; did you mean listen?",
          `max_expires_publish = soon (file FILE:1): ${range}`,
        ],
      ],
      ["[1]", ["config (file FILE): expected settings by name, for example log: json"]],
    ]
    it.for(files)("a file with %s", async ([text, faults], context) => {
      const file = fileOf(context, "settings.json", text)
      const { code, stderr } = await runHere(["serve", "--config", file])
      assert.deepEqual(
        stderr.trimEnd().split("\n"),
        faults.map((fault) => `presently: ${fault.replace("FILE", file)}`),
      )
      assert.equal(code, 78)
    })

    it("a file that is not there, and a file of users with a line that is none", async (context) => {
      const users = fileOf(context, "users.txt", "# people\nalice:example.com:zz\n")
      const [missing, unreadable] = await Promise.all([
        runHere(["serve", "--config", `${users}.none`]),
        runHere(["dev", "--memory", "--admin", "off", "--listen", "udp:127.0.0.1:0", "--users-file", users]),
      ])
      assert.deepEqual([missing.code, unreadable.code], [78, 78])
      assert.match(missing.stderr, /^presently: config \(file .*users\.txt\.none\): there is no such file/)
      assert.equal(
        unreadable.stderr,
        `presently: users_file ${users}:2: expected USER:REALM:HA1, HA1 of 64 (SHA-256) or 32 (MD5) hex digits\n`,
      )
    })
  },
)
