/**
 * `publish`, `watch`, `demo` and `user` against a server in a process of its own.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { afterAll, beforeAll, describe, it } from "vitest"
import { fileOf, patient, run, runHere, start, startDev } from "./command.ts"
import type { DevServer } from "./command.ts"

let dev: DevServer
beforeAll(async () => {
  dev = await startDev()
})
afterAll(() => dev.stop())

let people = 0
/** Somebody no other test knows. */
const someone = (): string => `sip:someone-${++people}@example.com`

const clock = String.raw`\d\d:\d\d:\d\d\.\d{3}`

describe.concurrent("publish and watch", patient, () => {
  it("OPS-publish-watch: what one process publishes another is shown, until it is what was waited for", async () => {
    const uri = someone()
    const watcher = start(["watch", "--to", dev.to, uri, "--until", "open", "--timeout", "300"])
    await watcher.says("nothing published")
    const published = await run(["publish", "--to", dev.to, uri, "--open", "--note", "at lunch"])
    assert.deepEqual([published.code, published.stderr], [0, ""])
    assert.match(published.stdout, /^200 OK entity-tag \S+ expires 3600\n$/)
    const { code, stdout, stderr } = await watcher.ended
    assert.deepEqual([code, stderr], [0, ""])
    const [before, after, ...rest] = stdout.trimEnd().split("\n")
    assert.match(before ?? "", new RegExp(`^${clock}  active  nothing published$`))
    assert.match(after ?? "", new RegExp(`^${clock}  active  open \\[presently\\] "at lunch"$`))
    assert.deepEqual(rest, [])
  })

  it("OPS-publish-replace: publishing again without entity-tag replaces what was said", async () => {
    const uri = someone()
    await runHere(["publish", "--to", dev.to, uri, "--open"])
    await runHere(["publish", "--to", dev.to, uri, "--closed", "--note", "gone home"])
    const args = ["watch", "--to", dev.to, uri, "--until", "closed", "--timeout", "300", "--json", "--body"]
    const { code, stdout } = await runHere(args)
    assert.equal(code, 0)
    const { v, time, body, ...line } = JSON.parse(stdout) as Record<string, unknown>
    assert.equal(v, 1)
    assert.match(`${time as string}`, /^\d{4}-\d\d-\d\dT.*Z$/)
    assert.match(`${body as string}`, /<basic>closed<\/basic>/)
    assert.deepEqual(line, {
      presentity: uri,
      event: "presence",
      state: "active",
      reason: null,
      expires: 3600,
      tuples: [{ id: "presently", basic: "closed", notes: ["gone home"] }],
      notes: [],
      contentType: "application/pidf+xml",
    })
  })

  it("OPS-publish-etag: an entity-tag refreshes, changes and removes, over TCP as well", async () => {
    const uri = someone()
    const publish = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout } = await runHere(["publish", "--to", dev.to, `${uri};transport=tcp`, ...args])
      assert.equal(code, 0)
      return /entity-tag (\S+)/.exec(stdout)?.[1] ?? ""
    }
    const first = await publish("--open", "--expires", "600")
    const second = await publish("--etag", first)
    const third = await publish("--etag", second, "--closed")
    const removed = await runHere(["publish", "--to", dev.to, uri, "--etag", third, "--remove"])
    assert.match(removed.stdout, / expires 0\n$/)
    const gone = await runHere(["publish", "--to", dev.to, uri, "--etag", third, "--open"])
    assert.equal(gone.code, 2)
    assert.equal(
      gone.stderr,
      "presently: PUBLISH was refused: 412 Conditional Request Failed " +
        "(that entity-tag is gone: publish again without --etag)\n",
    )
  })

  it("OPS-publish-body: a document of one's own, and one that the server does not take", async (context) => {
    const uri = someone()
    const file = fileOf(
      context,
      "mine.xml",
      `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${uri}"><tuple id="desk"><status><basic>open</basic>` +
        `</status></tuple><note>hello</note></presence>`,
    )
    const published = await runHere(["publish", "--to", dev.to, uri, "--body", file])
    assert.equal(published.code, 0)
    const seen = await runHere(["watch", "--to", dev.to, uri, "--expires", "0"])
    assert.equal(seen.code, 0)
    assert.match(seen.stdout, /terminated \(timeout\) {2}open \[desk\], "hello"\n$/)
    const refused = await runHere([
      "publish",
      "--to",
      dev.to,
      uri,
      "--body",
      file,
      "--content-type",
      "text/plain",
    ])
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /415 .*the server takes application\/pidf\+xml/)
  })

  it("OPS-publish-stay: kept alive until told to stop, then removed", async () => {
    const uri = someone()
    const watcher = start(["watch", "--to", dev.to, uri, "--timeout", "300"])
    await watcher.says("nothing published")
    const publisher = start(["publish", "--to", dev.to, uri, "--open", "--stay", "--expires", "10"])
    await watcher.says("open [presently]")
    // it would have ended by now
    await new Promise((resolve) => setTimeout(resolve, 11_000))
    assert.doesNotMatch(watcher.stdout(), /closed/)
    publisher.signal("SIGTERM")
    assert.equal((await publisher.ended).code, 0)
    await watcher.says("closed [presently]")
    watcher.signal("SIGINT")
    assert.deepEqual((await watcher.ended).code, 0)
  })

  it("OPS-watch-pipe: a reader that has seen enough ends it without a word", async () => {
    const uri = someone()
    const watcher = start(["watch", "--to", dev.to, uri])
    await watcher.says("nothing published")
    watcher.stopReading()
    // there is something to write
    await runHere(["publish", "--to", dev.to, uri, "--open"])
    const { code, stderr } = await watcher.ended
    assert.deepEqual([code, stderr], [0, ""])
  })

  it("OPS-watch-refresh: a short subscription is refreshed before it ends", async () => {
    // the refresh has four seconds until it would be too late
    const watcher = start(["watch", "--to", dev.to, someone(), "--expires", "20", "--timeout", "300"])
    await watcher.says(/nothing published\n.*nothing published\n/)
    watcher.signal("SIGINT")
    const { code, stdout, stderr } = await watcher.ended
    assert.deepEqual([code, stderr], [0, ""])
    assert.doesNotMatch(stdout, /terminated/)
  })

  it("OPS-exit-1: what does not come in time is said, and is exit code 1", async () => {
    const uri = someone()
    const { code, stderr } = await runHere([
      "watch",
      "--to",
      dev.to,
      uri,
      "--until",
      "open",
      "--timeout",
      "0.5",
    ])
    assert.deepEqual([code, stderr], [1, `presently: ${uri} was not seen open within 0.5 s\n`])
    const looked = await runHere(["watch", "--to", dev.to, uri, "--until", "open", "--expires", "0"])
    assert.deepEqual([looked.code, looked.stderr], [1, `presently: ${uri} is not open\n`])
  })

  it("OPS-exit-2: what the server refuses is exit code 2, with its reason and what to do", async () => {
    const { code, stderr } = await runHere(["watch", "--to", dev.to, someone(), "--event", "weather"])
    assert.equal(code, 2)
    assert.match(
      stderr,
      /^presently: SUBSCRIBE was refused: 489 Bad Event \(the server knows the events presence, [^)]*presence\.winfo[^)]*\)\n$/,
    )
  })

  it("OPS-exit-69: nobody there is exit code 69 and names whom was asked", async () => {
    const deaf = createSocket("udp4")
    await new Promise<void>((resolve) => deaf.bind(0, "127.0.0.1", resolve))
    const silent = `127.0.0.1:${deaf.address().port}`
    const publish = ["publish", "sip:a@example.com", "--open", "--to"]
    const [udp, tcp, name] = await Promise.all([
      runHere([...publish, silent]),
      runHere([...publish, silent, "--transport", "tcp"]),
      runHere([...publish, "nowhere.invalid:5060"]),
    ])
    deaf.close()
    assert.deepEqual([udp.code, tcp.code, name.code], [69, 69, 69])
    assert.equal(
      udp.stderr,
      `presently: nobody answers at udp ${silent} (no answer in 4 s): start a server there, ` +
        "or say where one is with --to HOST:PORT, --data DIR or --config FILE\n",
    )
    assert.match(tcp.stderr, new RegExp(`nobody answers at tcp ${silent} \\(.*ECONNREFUSED`))
    assert.match(name.stderr, /nobody answers at udp nowhere\.invalid:5060 \(no such host\)/)
  })

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["a bare name", ["publish", "alice", "--open"], /alice is not .* sip:alice@example\.com/],
    ["a bare number", ["watch", "204"], /204 is not .* sip:alice@example\.com/],
    ["open and closed", ["publish", "sip:a@b.example", "--open", "--closed"], /exclude each other/],
    ["nothing to say", ["publish", "sip:a@b.example"], /--open or --closed/],
    ["remove what", ["publish", "sip:a@b.example", "--remove"], /--remove needs --etag TAG/],
    ["no port", ["publish", "sip:a@b.example", "--open", "--to", "host"], /--to host: expected HOST:PORT/],
    ["half a login", ["watch", "sip:a@b.example", "--user", "a"], /--user NAME and --password-file FILE/],
    ["no state", ["watch", "sip:a@b.example", "--until", "soon"], /--until/],
  ]
  it.each(wrong)("OPS-exit-64: %s is a mistake in usage", async (_, args, message) => {
    const { code, stdout, stderr } = await runHere(args)
    assert.equal(code, 64)
    assert.match(stderr, message)
    assert.doesNotMatch(stdout, /200 OK/)
  })
})

describe.concurrent("user", patient, () => {
  it("its line lets publish and watch log in", { tags: ["OPS-user", "8760-2.6-a"] }, async (context) => {
    const made = await run(["user", "alice", "--realm", "example.com"], { input: "wonder land\n" })
    assert.equal(made.code, 0)
    assert.match(made.stdout, /^alice:example\.com:[0-9a-f]{64}\n$/)
    const md5 = await run(["user", "bob", "--realm", "example.com", "--md5"], { input: "secret" })
    assert.match(md5.stdout, /^bob:example\.com:[0-9a-f]{32}\n$/)
    const users = fileOf(context, "users.txt", made.stdout + md5.stdout)
    const open = ["--set", "policy=open", "--set", "digest_md5=1"]
    const settings = ["--users-file", users, "--domain", "example.com", ...open]
    const server = await startDev(settings)
    context.onTestFinished(() => void server.stop())
    const right = ["--user", "alice", "--password-file", fileOf(context, "password", "wonder land\n")]
    const wrong = ["--user", "alice", "--password-file", fileOf(context, "password", "wonderland\n")]
    const bob = ["--user", "bob", "--password-file", fileOf(context, "password", "secret")]
    const publish = ["publish", "--to", server.to, "sip:alice@example.com", "--open"]
    const [asAlice, asNobody, asGuess, asBob] = await Promise.all([
      runHere([...publish, ...right]),
      runHere(publish),
      runHere([...publish, ...wrong]),
      runHere([...publish, ...bob]),
    ])
    assert.deepEqual([asAlice.code, asNobody.code, asGuess.code, asBob.code], [0, 2, 2, 2])
    assert.match(asNobody.stderr, /401 Unauthorized \(.*--user NAME --password-file FILE\)/)
    assert.match(asGuess.stderr, /401 Unauthorized \(user or password is wrong\)/)
    const watched = await runHere([
      "watch",
      "--to",
      server.to,
      "sip:alice@example.com",
      "--until",
      "open",
      ...right,
    ])
    assert.deepEqual([watched.code, watched.stderr], [0, ""])
  })

  it(
    "a name that would break the line is refused, and so is no password",
    { tags: ["OPS-user"] },
    async () => {
      const colon = await run(["user", "a:b", "--realm", "example.com"], { input: "secret\n" })
      assert.equal(colon.code, 64)
      const empty = await run(["user", "alice", "--realm", "example.com"])
      assert.deepEqual([empty.code, empty.stdout], [64, ""])
    },
  )
})

describe.concurrent("demo", patient, () => {
  const steps = ["SUBSCRIBE", "200 OK", "NOTIFY", "200 OK", "PUBLISH", "200 OK", "NOTIFY", "200 OK"]
  const check = (stdout: string): string => {
    const lines = stdout.trimEnd().split("\n")
    assert.match(lines[0] ?? "", /watcher +server 127\.0\.0\.1:\d+ +publisher/)
    const drawn = lines.slice(1, -1)
    assert.equal(drawn.length, steps.length, stdout)
    drawn.forEach((line, index) => {
      assert.match(line, /^ *\d+\.\d +\|/)
      assert.match(line, new RegExp(`[<-]-+ ${steps[index]} -+[->]`))
    })
    assert.ok(!stdout.includes("\u001b"), "no colour away from a terminal")
    return lines.at(-1) ?? ""
  }

  it(
    "draws SUBSCRIBE, NOTIFY, PUBLISH and NOTIFY by itself and says what to type next",
    { tags: ["F3", "OPS-demo"] },
    async () => {
      const { code, stdout, stderr } = await run(["demo", "sip:alice@example.com"])
      assert.deepEqual([code, stderr], [0, ""])
      const next = check(stdout)
      assert.equal(
        next,
        "Next: presently dev, and in a second terminal: presently watch sip:alice@example.com",
      )
    },
  )

  it("against a server that runs, and leaves nothing there", { tags: ["F3", "OPS-demo"] }, async () => {
    const uri = someone()
    const { code, stdout } = await run(["demo", "--to", dev.to, uri])
    assert.equal(code, 0)
    assert.equal(check(stdout), `Next: presently watch --to ${dev.to} ${uri}`)
    const after = await runHere(["watch", "--to", dev.to, uri, "--expires", "0"])
    assert.match(after.stdout, /nothing published\n$/)
  })
})
