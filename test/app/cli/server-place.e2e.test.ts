/**
 * Commands that talk to a running server find it by its data folder and by its configuration file, and say so when they do not.
 */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { leaveNote } from "../../../src/app/server-note.ts"
import { startPresence } from "../../support/server.ts"
import { fileOf, patient, run, runHere } from "./command.ts"
import type { Ended } from "./command.ts"

const alice = "sip:alice@example.com"

const emptyFolder = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-place-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server on ports of its own, the folder that names it, and its configuration file. */
const placed = async (context: TestContext, listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]) => {
  const server = await startPresence({ admin: "127.0.0.1:0", listen })
  context.onTestFinished(() => server.stop())
  const admin = new URL(server.admin!).host
  const addresses = listen.map((entry) => {
    const transport = entry.startsWith("udp") ? "udp" : "tcp"
    return `${transport}:127.0.0.1:${server.portOf(transport)}`
  })
  const folder = emptyFolder(context)
  leaveNote(folder, { admin, listen: addresses })
  const settings = `admin: ${admin}\nlisten: ${JSON.stringify(addresses)}\nmemory: true\n`
  return { admin, addresses, folder, config: fileOf(context, "presently.yaml", settings) }
}

const assertEnds = (ended: Ended, code: number, says: RegExp, what: string): void => {
  assert.equal(ended.code, code, `${what}\n${ended.stdout}${ended.stderr}`)
  assert.match(ended.stdout + ended.stderr, says, what)
}

describe("where a server is", patient, () => {
  it("every command of a running server takes --data and --config", { tags: ["CLI"] }, async (context) => {
    const { folder, config } = await placed(context)
    const rules = fileOf(
      context,
      "rules.xml",
      `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"><rule id="a"><conditions><identity><one id="sip:bob@example.com"/></identity></conditions>` +
        `<actions><sub-handling xmlns="urn:ietf:params:xml:ns:pres-rules">allow</sub-handling></actions></rule></ruleset>`,
    )
    for (const place of [
      ["--data", folder],
      ["--config", config],
    ]) {
      for (const [command, code, says] of [
        [["publish", alice, "--open"], 0, /^200 OK/],
        [["watch", "sip:carol@example.com", "--expires", "0"], 0, /nothing published/],
        [["demo", "sip:dora@example.com"], 0, /PUBLISH[^]*NOTIFY/],
        [["presentities"], 0, /sip:alice@example\.com/],
        [["watchers", alice], 0, /^/],
        [["rules", "put", alice, rules], 0, /are in force/],
        [["rules", "get", alice], 0, /ruleset/],
        [["rules", "test", alice, "--watcher", "sip:bob@example.com"], 0, /allow/],
        [["rules", "delete", alice], 0, /has no rules/],
        [["reload"], 0, /nothing has changed|after a restart/],
        [["mi", "cleanup"], 0, /^OK/],
      ] as const)
        assertEnds(await run([...command, ...place]), code, says, `${command.join(" ")} ${place.join(" ")}`)
    }
  })

  it("publish and watch find the server of this folder", { tags: ["CLI"] }, async (context) => {
    const { addresses, admin } = await placed(context, ["tcp:127.0.0.1:0"])
    const cwd = emptyFolder(context)
    mkdirSync(join(cwd, "data/dev"), { recursive: true })
    leaveNote(join(cwd, "data/dev"), { admin, listen: addresses })
    assertEnds(await run(["publish", alice, "--open"], { cwd }), 0, /^200 OK/, "tcp, since there is no udp")
    assertEnds(await run(["presentities"], { cwd }), 0, /alice/, "presentities")
    const udp = await run(["publish", alice, "--open", "--transport", "udp"], { cwd })
    assertEnds(udp, 64, /udp: the server listens on tcp:127\.0\.0\.1:\d+: give --transport/, "udp")
    const elsewhere = await run(["publish", alice, "--open", "--to", "127.0.0.1:1", "--transport", "tcp"], {
      cwd,
    })
    assertEnds(elsewhere, 69, /nobody answers at tcp 127\.0\.0\.1:1 /, "--to goes before")
  })

  it("a server on every address is reached on loopback", { tags: ["CLI"] }, async (context) => {
    const { addresses } = await placed(context)
    const folder = emptyFolder(context)
    const wide = addresses.map((entry) => entry.replace("127.0.0.1", "0.0.0.0"))
    leaveNote(folder, { admin: null, listen: wide })
    assertEnds(await runHere(["publish", alice, "--open", "--data", folder]), 0, /^200 OK/, "publish")
    const off = await runHere(["presentities", "--data", folder])
    assertEnds(off, 69, /that server has no management port \(admin = off\)/, "presentities")
  })

  it("addresses over which no command speaks are none", { tags: ["CLI"] }, async (context) => {
    const { addresses } = await placed(context)
    const folder = emptyFolder(context)
    const browsers = ["wss:127.0.0.1:443", "ws:127.0.0.1:80"]
    const publish = ["publish", alice, "--open", "--data", folder]
    leaveNote(folder, { admin: null, listen: [...browsers, ...addresses] })
    assertEnds(await runHere(publish), 0, /^200 OK/, "beside others")
    const tls = await runHere([...publish, "--transport", "tls"])
    assertEnds(tls, 64, /tls: the server listens on udp:\S+, tcp:\S+: give --transport/, "another one")
    leaveNote(folder, { admin: null, listen: browsers })
    const none =
      /the server listens on wss:127\.0\.0\.1:443, ws:127\.0\.0\.1:80, and this command speaks udp, tcp, tls: give --to/
    assertEnds(await runHere(publish), 64, none, "alone")
  })

  it("says what to give where none is", { tags: ["CLI"] }, async (context) => {
    const folder = emptyFolder(context)
    const nobody = /no server runs on that folder/
    assertEnds(await runHere(["presentities", "--data", folder]), 69, nobody, "presentities")
    assertEnds(await runHere(["watch", alice, "--data", folder]), 69, nobody, "watch")
    const hint =
      /nobody answers at 127\.0\.0\.1:1: start a server there, or say where one is with --admin HOST:PORT, --data DIR or --config FILE/
    const env = { PRESENTLY_ADMIN: "127.0.0.1:1" }
    for (const command of [
      ["presentities"],
      ["watchers", alice],
      ["history", alice],
      ["mi", "cleanup"],
      ["reload"],
    ])
      assertEnds(await run(command, { env, cwd: folder }), 69, hint, command.join(" "))
    const { folder: running } = await placed(context)
    // a flag goes before the environment
    assertEnds(await run(["mi", "cleanup", "--data", running], { env }), 0, /^OK/, "--data")
  })
})

describe("mi", patient, () => {
  it("names an unknown command once, with those there are", { tags: ["OPS-mi"] }, async (context) => {
    const { admin } = await placed(context)
    const { code, stderr } = await runHere(["mi", "nonsense", "--admin", admin])
    assert.equal(code, 2)
    assert.match(
      stderr,
      /^presently: nonsense: there is no such command; there are .*refreshWatchers.* \(-32601\)\n$/,
    )
    const wrong = await runHere(["mi", "refreshWatchers", alice, "--admin", admin])
    assert.match(
      wrong.stderr,
      /^presently: refreshWatchers: event is missing; expected presentity_uri, event, /,
    )
  })

  it("help lists every command under all its names, without a server", { tags: ["OPS-mi"] }, async () => {
    const { code, stdout } = await runHere(["mi", "help", "--admin", "127.0.0.1:1"])
    assert.equal(code, 0)
    assert.match(
      stdout,
      /^refreshWatchers \| refresh_watchers \| presence:refresh_watchers presentity_uri event refresh_type\n {4}\S/m,
    )
    assert.match(stdout, /^cleanup \| presence:cleanup\n/m)
  })
})
