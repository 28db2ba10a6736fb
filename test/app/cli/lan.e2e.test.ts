/**
 * `presently dev --lan`: a phone registers with what was printed, and accounts see each other; nobody else is let in.
 *
 * Each test has a loopback address of its own, or a network namespace where it needs other networks.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { createSocket } from "node:dgram"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import type { Refused } from "../../../src/app/client/failures.ts"
import { openUserAgent, startConversation } from "../../../src/app/client/user-agent.ts"
import { commandFile } from "../../support/command-file.ts"
import { compileCache } from "../../support/compile-cache.ts"
import { holds } from "../../support/condition.ts"
import { readCodes } from "../../support/qr.ts"
import { ofTests } from "../../support/reaper.ts"
import { patient, run, start } from "./command.ts"
import type { Running } from "./command.ts"

interface Printed {
  readonly server: Running
  readonly text: string
  /** `127.66.42.1:5060` */
  readonly to: string
  /** By user: password and what to type as server. */
  readonly accounts: ReadonlyMap<string, { readonly password: string; readonly place: string }>
}

const accountsIn = (text: string): Printed["accounts"] =>
  new Map(
    [...text.matchAll(/^ {2}(\w+) +([a-z]{14}) +(\S+)$/gm)].map(
      ([, user = "", password = "", place = ""]) => [user, { password, place }],
    ),
  )

const startLan = async (
  { onTestFinished }: TestContext,
  args: readonly string[],
  store: readonly string[] = ["--memory"],
): Promise<Printed> => {
  const server = start(["dev", "--admin", "127.0.0.1:0", ...store, "--lan", ...args])
  onTestFinished(async () => {
    server.signal("SIGTERM")
    await server.ended
  })
  const text = await server.says(/ready in [\d.]+ s\n/)
  return { server, text, to: /udp:(\S+)/.exec(text)?.[1] ?? "", accounts: accountsIn(text) }
}

/** The status of the final response to a REGISTER for an account of that server. */
const register = (
  { to }: Pick<Printed, "to">,
  transport: "udp" | "tcp",
  credentials: { readonly user: string; readonly password: string } | null,
  account = credentials?.user ?? "201",
): Promise<number> => {
  const [host = "", port] = to.split(":")
  return Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const agent = yield* openUserAgent({ target: { host, port: Number(port), transport }, credentials })
        const uri = `<sip:${account}@${host}>`
        const request = {
          method: "REGISTER",
          uri: `sip:${host}`,
          from: uri,
          to: uri,
          headers: [["Contact", agent.contact(account)]] as const,
          body: null,
        }
        const response = yield* agent.request(startConversation(), request)
        assert.ok(response.headers("contact").some((line) => line.includes("expires=")))
        return response.raw.status
      }).pipe(Effect.catchTag("Refused", (refused: Refused) => Effect.succeed(refused.response.raw.status))),
    ),
  )
}

/** The challenges in the response to a REGISTER without credentials. */
const challengeOf = async (printed: Pick<Printed, "to">): Promise<readonly string[]> => {
  const [host = "", port] = printed.to.split(":")
  const socket = createSocket("udp4")
  const answered = new Promise<string>((resolve) =>
    socket.on("message", (bytes) => resolve(bytes.toString("latin1"))),
  )
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  const lines = [
    `REGISTER sip:${host} SIP/2.0`,
    `Via: SIP/2.0/UDP ${host}:${socket.address().port};branch=z9hG4bKlan`,
    "Max-Forwards: 70",
    `From: <sip:201@${host}>;tag=a`,
    `To: <sip:201@${host}>`,
    "Call-ID: lan",
    "CSeq: 1 REGISTER",
    "Content-Length: 0",
  ]
  socket.send(`${lines.join("\r\n")}\r\n\r\n`, Number(port), host)
  const response = await answered
  socket.close()
  assert.match(response, /^SIP\/2\.0 401 /)
  return [...response.matchAll(/^WWW-Authenticate: (.*)$/gm)].map(([, line = ""]) => line)
}

describe.concurrent("dev --lan", { ...patient, tags: ["F4", "OPS-lan"] }, () => {
  it("prints three accounts with which phones register over UDP and TCP, and with which nobody else does", async (context) => {
    const printed = await startLan(context, ["127.66.42.1"])
    const { accounts, text, to } = printed
    assert.equal(to, "127.66.42.1:5060")
    assert.deepEqual([...accounts.keys()], ["201", "202", "203"])
    assert.ok([...accounts.values()].every(({ place }) => place === "127.66.42.1"))
    assert.match(text, /^presently \S+ in development mode: for phones on this network, not for production\n/)
    assert.doesNotMatch(text, /[█▀▄]/, "no QR code away from a terminal")
    for (const [user, { password }] of accounts) {
      for (const transport of ["udp", "tcp"] as const)
        assert.equal(await register(printed, transport, { user, password }), 200)
    }
    const { password } = accounts.get("201")!
    assert.equal(await register(printed, "udp", null), 401)
    assert.equal(await register(printed, "udp", { user: "201", password: "wrong" }), 401)
    assert.equal(await register(printed, "udp", { user: "204", password }), 401)
    assert.equal(await register(printed, "udp", { user: "201", password }, "202"), 403)
  })

  it("what it says to try next works as it stands", async (context) => {
    const { text, server } = await startLan(context, ["127.66.42.2"])
    const commands = [...text.matchAll(/^ {2}npx presently (.*)$/gm)].map(([, line = ""]) => line)
    assert.deepEqual(
      commands.map((line) => line.split(" ")[0]),
      ["watch", "publish", "why", "history"],
    )
    const shell = (line: string) =>
      new Promise<string>((resolve) => {
        const env = { ...process.env, ...compileCache }
        const child = ofTests(
          spawn("sh", ["-c", `exec "${process.execPath}" "${commandFile()}" ${line}`], { env }),
        )
        let said = ""
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding("utf8").on("data", (chunk: string) => {
            said += chunk
            if (said.includes("open [")) child.kill("SIGTERM")
          })
        child.on("close", () => resolve(said))
      })
    const [watch = "", publish = "", why = "", history = ""] = commands
    assert.ok(watch.endsWith(" &"))
    const watched = shell(watch.slice(0, -2))
    await holds("202 watches", async () => (await shell(history)).includes("SubscriptionCreated"))
    assert.match(await shell(publish), /^200 OK entity-tag/)
    assert.match(await watched, /active {2}open \[presently\] "hello"/)
    assert.match(await shell(why), /^sip:202@127\.66\.42\.2 was told of the change .* at once/)
    assert.match(await shell(history), /PublicationCreated .* -> 1 told/)
    assert.equal(server.stdout(), text)
  })

  it("accounts see the lamps of each other at once, and publish for themselves only", async (context) => {
    const { accounts, to } = await startLan(context, ["127.66.42.3", "--insecure-no-auth"])
    const client = (user: string, name = user): readonly string[] => {
      const file = fileFor(context, accounts.get(name)?.password ?? "")
      return ["--to", to, "--user", user, "--password-file", file]
    }
    const uri = "sip:201@127.66.42.3"
    const body = fileFor(
      context,
      `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${uri}">` +
        `<dialog id="c1"><state>confirmed</state></dialog></dialog-info>`,
    )
    const type = ["--content-type", "application/dialog-info+xml"]
    const published = await run([
      "publish",
      ...client("201"),
      uri,
      "--event",
      "dialog",
      "--body",
      body,
      ...type,
    ])
    assert.equal(published.code, 0, published.stderr)
    const look = (...args: readonly string[]) => run(["watch", uri, "--expires", "0", ...args])
    const lamp = await look(...client("203"), "--event", "dialog")
    assert.match(lamp.stdout, /confirmed \[c1\]/)
    const presence = await look(...client("202"))
    assert.match(presence.stdout, /nothing published/)
    const [stranger, wrong, other] = await Promise.all([
      look("--to", to),
      look(...client("202", "203")),
      run(["publish", ...client("202"), uri, "--open"]),
    ])
    assert.match(stranger.stderr, /401/)
    assert.match(wrong.stderr, /401.*user or password is wrong/)
    assert.match(other.stderr, /403/)
  })

  it("takes the next port when one of UDP or TCP is in use, and says it to phones", async (context) => {
    const at = "127.66.42.4"
    const udp = createSocket("udp4")
    await new Promise<void>((resolve) => udp.bind(5060, at, resolve))
    const tcp = createServer()
    await new Promise<void>((resolve) => tcp.listen(5062, at, resolve))
    context.onTestFinished(() => {
      udp.close()
      tcp.close()
    })
    const printed = await startLan(context, [at])
    assert.match(printed.text, new RegExp(`  sip +udp:${at}:5063  tcp:${at}:5063\n`))
    assert.equal(printed.accounts.get("201")?.place, `${at}:5063`)
    const { password } = printed.accounts.get("201")!
    assert.equal(await register(printed, "tcp", { user: "201", password }), 200)
  })

  it(
    "offers MD5 alone, because some phones give up at SHA-256, which a setting adds",
    { tags: ["OPS-digest_md5_only"] },
    async (context) => {
      const offersOf = async (printed: Printed, algorithm: string): Promise<boolean> =>
        (await challengeOf(printed)).some((line) => line.includes(`algorithm=${algorithm}`))
      const plain = await startLan(context, ["127.66.42.9"])
      assert.deepEqual([await offersOf(plain, "MD5"), await offersOf(plain, "SHA-256")], [true, false])
      const both = await startLan(context, ["127.66.42.10", "--set", "digest_md5_only=0"])
      assert.deepEqual([await offersOf(both, "MD5"), await offersOf(both, "SHA-256")], [true, true])
      const { password } = both.accounts.get("202")!
      // by SHA-256, which this client takes where it is offered
      assert.equal(await register(both, "udp", { user: "202", password }), 200)
    },
  )

  it("keeps the accounts in the data folder, also when the address is another one tomorrow", async (context) => {
    const data = join(folderFor(context), "office")
    const first = await startLan(context, ["127.66.42.5"], ["--data", data])
    first.server.signal("SIGTERM")
    assert.equal((await first.server.ended).code, 0)
    const second = await startLan(context, ["127.66.42.6"], ["--data", data])
    const passwords = ({ accounts }: Printed) => [...accounts].map(([user, { password }]) => [user, password])
    assert.deepEqual(passwords(second), passwords(first))
    for (const [user, { password, place }] of second.accounts) {
      assert.equal(place, "127.66.42.6")
      assert.equal(await register(second, "udp", { user, password }), 200)
      assert.equal(readFileSync(join(data, "phones", `${user}.password`), "utf8"), `${password}\n`)
    }
    const modes = ["", "users-127.66.42.6", "201.password"].map(
      (name) => statSync(join(data, "phones", name)).mode & 0o777,
    )
    assert.deepEqual(modes, [0o700, 0o600, 0o600])
  })

  it("takes a data folder that others could enter, which it closes, and one where it kept accounts before", async (context) => {
    // the store refuses to close a folder that holds what is not its own
    const data = folderFor(context)
    assert.equal(spawnSync("chmod", ["755", data]).status, 0)
    await startLan(context, ["127.66.42.7"], ["--data", data])
    assert.equal(statSync(data).mode & 0o777, 0o700)
  })

  it("with --memory nothing outlives the process, passwords neither", async (context) => {
    const { server, text } = await startLan(context, ["127.66.42.8"])
    const [, folder = ""] = /kept in (\S+)/.exec(text) ?? []
    assert.ok(existsSync(folder))
    server.signal("SIGTERM")
    assert.equal((await server.ended).code, 0)
    assert.ok(!existsSync(folder))
  })

  it.for([
    [
      ["--lan", "198.51.100.9"],
      78,
      /^presently: --lan: 198\.51\.100\.9 is no address of this machine; .*\n$/,
    ],
    [["--lan=0.0.0.0"], 78, /^presently: --lan: 0\.0\.0\.0 is no address that a phone can be given: .*\n$/],
    [["--lan", "127.0.0.1", "127.0.0.2"], 64, /127\.0\.0\.2/],
    [
      ["--lan=127.0.0.1", "127.0.0.2"],
      64,
      /^presently: --lan takes one address: 127\.0\.0\.1 or 127\.0\.0\.2\n$/,
    ],
    [
      ["127.0.0.1"],
      64,
      /^presently: 127\.0\.0\.1: an address goes with --lan: presently dev --lan 127\.0\.0\.1\n$/,
    ],
    [
      ["--lan", "--listen", "udp:127.0.0.1:0", "--set", "realm=x"],
      78,
      /^presently: listen \(flag --listen\): --lan gives this .*\npresently: realm \(flag --set\): --lan gives this .*\n$/,
    ],
  ] as const)("%j: exit code %d, and why", async ([args, code, why]) => {
    const ended = await run(["dev", "--memory", ...args])
    assert.equal(ended.code, code)
    assert.match(ended.stderr, why)
  })
})

/** An interface with a carrier. */
const link = (name: string): string =>
  `ip link add ${name} type veth peer name ${name}-peer; ip link set ${name}-peer up; ip link set ${name} up`

const canUnshare = spawnSync("unshare", ["-n", "sh", "-c", link("office")]).status === 0

/** Runs a script in a network namespace of its own; `presently` there is the command. */
const inNamespace = (context: TestContext, script: string) => {
  const file = fileFor(context, `ip link set lo up\n${script}\n`)
  return spawnSync("unshare", ["-n", "bash", file], {
    encoding: "utf8",
    env: { ...process.env, ...compileCache },
  })
}

/** Starts it in the background, waits until it is ready or has ended, ends it, and prints what it printed. */
const oneStart = (flags: string): string =>
  `out=$(mktemp); "${process.execPath}" "${commandFile()}" dev --memory --admin off ${flags} > $out 2>&1 & server=$!
   until grep -q "ready in" $out || ! kill -0 $server 2> /dev/null; do sleep 0.1; done
   kill $server 2> /dev/null; wait $server; cat $out; rm $out`

describe.skipIf(!canUnshare)(
  "dev --lan on other networks (left out where no network namespace can be made)",
  { ...patient, tags: ["F4", "OPS-lan"] },
  () => {
    const networks = `
      ${link("office")}; ip addr add 192.168.7.20/24 dev office
      ${link("vpn")}; ip addr add 10.8.0.2/24 dev vpn
      ${link("world")}; ip addr add 8.8.4.4/24 dev world`

    it("listens on the address of the default route, names the others, and --lan ADDRESS chooses", (context) => {
      const { stdout } = inNamespace(
        context,
        `${networks}
         ip route add default via 192.168.7.1
         ${oneStart("--lan")}
         ${oneStart("--lan 10.8.0.2")}`,
      )
      const [first = "", second = ""] = stdout.split(/(?<=ready in .* s\n)/)
      assert.match(first, /  sip +udp:192\.168\.7\.20:5060  tcp:192\.168\.7\.20:5060\n/, stdout)
      assert.match(first, /Other addresses of this machine, .*: 10\.8\.0\.2 \(vpn\), 8\.8\.4\.4 \(world\)\n/)
      assert.doesNotMatch(first, /public/)
      assert.match(second, /  sip +udp:10\.8\.0\.2:5060/)
    })

    it("is never open on a public address without being told so", (context) => {
      const { stdout } = inNamespace(
        context,
        `${networks}
         ip route add default via 8.8.4.1
         ${oneStart("--lan")}
         echo --
         ${oneStart("--lan 8.8.4.4")}`,
      )
      const [refused = "", told = ""] = stdout.split("--\n")
      assert.match(refused, /^presently: --lan: 8\.8\.4\.4 \(world\) is a public address, .*\n$/)
      assert.match(told, /  sip +udp:8\.8\.4\.4:5060/)
      assert.match(told, /^8\.8\.4\.4 is a public address: the whole Internet can try passwords here$/m)
    })

    it("says so where there is no network, and serves this machine when told to", (context) => {
      const { stdout } = inNamespace(
        context,
        `${oneStart("--lan")}
         echo --
         ${oneStart("--lan 127.0.0.1")}`,
      )
      const [refused = "", told = ""] = stdout.split("--\n")
      assert.match(refused, /^presently: --lan: this machine has no address on a network: .*\n$/)
      assert.match(told, /  sip +udp:127\.0\.0\.1:5060/)
    })

    it("speaks IPv6 where there is nothing else", (context) => {
      const { stdout } = inNamespace(
        context,
        `${link("office")}; ip -6 addr add fd00:7::20/64 dev office nodad
         ip -6 route add default via fd00:7::1
         presently() { "${process.execPath}" "${commandFile()}" "$@"; }
         out=$(mktemp); "${process.execPath}" "${commandFile()}" dev --memory --admin off --lan > $out 2>&1 & server=$!
         until grep -q "ready in" $out || ! kill -0 $server 2> /dev/null; do sleep 0.1; done; cat $out
         try() { eval "$(sed -n "s/^  npx \\(presently $1 [^&]*\\).*/\\1/p" $out) $2" 2>&1; }
         try publish; try watch "--expires 0"
         kill $server; wait $server; rm $out`,
      )
      assert.match(stdout, / {2}sip +udp:\[fd00:7::20\]:5060 {2}tcp:\[fd00:7::20\]:5060\n/)
      assert.match(stdout, /^ {2}201 +[a-z]{14} {2}\[fd00:7::20\]$/m)
      // with the accounts, as printed
      assert.match(stdout, /^200 OK entity-tag \S+ expires 3600$/m)
      assert.match(stdout, /open \[presently\] "hello"\n$/)
    })
  },
)

const hasScript = spawnSync("script", ["--version"]).status === 0

describe.skipIf(!hasScript)(
  "dev --lan on a terminal (left out without `script`)",
  { ...patient, tags: ["F4"] },
  () => {
    const onTerminal = (
      context: TestContext,
      address: string,
      columns: number,
      env: Record<string, string>,
    ) => {
      const file = fileFor(
        context,
        `stty cols ${columns}
       exec "${process.execPath}" "${commandFile()}" dev --memory --admin off --lan ${address}`,
      )
      const child = ofTests(
        spawn("script", ["-qec", `bash ${file}`, "/dev/null"], {
          env: { ...process.env, ...compileCache, LC_ALL: "C.UTF-8", TERM: "xterm", ...env },
          stdio: ["pipe", "pipe", "ignore"],
        }),
      )
      let said = ""
      let isStopped = false
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text
        // as from the keyboard
        if (!isStopped && /ready in [\d.]+ s/.test(said)) child.stdin.write("\u0003")
        isStopped ||= /ready in [\d.]+ s/.test(said)
      })
      return new Promise<string>((resolve) => child.on("close", () => resolve(said.replaceAll("\r\n", "\n"))))
    }

    it.for([
      ["127.66.43.1", 120, {}],
      ["127.66.43.2", 80, { NO_COLOR: "1" }],
    ] as const)(
      "at %s, %d columns, %j: a camera reads what was printed",
      async ([address, columns, env], context) => {
        const said = await onTerminal(context, address, columns, env)
        const expected = [...accountsIn(said)].map(
          ([user, { password, place }]) => `User: ${user}\nPassword: ${password}\nServer: ${place}`,
        )
        assert.equal(expected.length, 3)
        assert.deepEqual(readCodes(said.split("\n")), expected)
        assert.equal(said.includes("\u001b["), !("NO_COLOR" in env))
      },
    )

    it("too narrow: plain lines", async (context) => {
      const said = await onTerminal(context, "127.66.43.3", 30, {})
      assert.equal(accountsIn(said).size, 3)
      assert.doesNotMatch(said, /[█▀▄]|camera/)
    })
  },
)

const folderFor = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-lan-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const fileFor = (context: TestContext, text: string): string => {
  const file = join(folderFor(context), "file")
  writeFileSync(file, text)
  return file
}
