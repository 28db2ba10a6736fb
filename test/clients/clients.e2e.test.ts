/**
 * Clients that others wrote, against a real server: sipp as publisher and watcher, baresip as watcher.
 *
 * Each is skipped where it is not installed; continuous integration installs both.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import { ownCertificate } from "../../src/app/lan/own-certificate.ts"
import { asking } from "../support/admin.ts"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { holds, patienceMillis } from "../support/condition.ts"
import { freePort } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { openPhone, script } from "../support/sip-client.ts"

const isInstalled = (name: string): boolean => spawnSync("which", [name]).status === 0
const folder = mkdtempSync(join(tmpdir(), "presently-clients-"))
let server: PresenceServer

/** The certificate of the server, which it has signed itself. */
let authority: string

beforeAll(async () => {
  const { file, certificateFile } = await ownCertificate(join(folder, "own"), ["127.0.0.1"])
  authority = certificateFile
  server = await startPresence({
    admin: "127.0.0.1:0",
    listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"],
    tls_certificate: [file],
  })
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly output: string
}

const run = (
  command: string,
  args: readonly string[],
  options: { readonly killAfter?: string } = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = ofTests(
      spawn(command, args, {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...compileCache },
      }),
    )
    let output = ""
    let isTold = false
    const timer = setTimeout(() => child.kill("SIGTERM"), patienceMillis)
    const heard = (bytes: Buffer): void => {
      output += bytes.toString("latin1")
      if (isTold || options.killAfter === undefined || !output.includes(options.killAfter)) return
      isTold = true
      // its own answer leaves first
      setTimeout(() => child.kill("SIGTERM"), 1_000)
    }
    child.stdout.on("data", heard)
    child.stderr.on("data", heard)
    child.once("error", reject)
    child.once("close", (code) => {
      clearTimeout(timer)
      resolve({ code, output })
    })
  })

/** `tn`: a connection for each of the calls, which are begun at once. */
const sipp = async (
  scenario: string,
  transport: "u1" | "t1" | "tn",
  { calls = 1, to = server }: { readonly calls?: number; readonly to?: PresenceServer } = {},
): Promise<Ended> =>
  run("sipp", [
    "-sf",
    join(import.meta.dirname, scenario),
    `127.0.0.1:${transport === "u1" ? to.udpPort : to.tcpPort}`,
    "-t",
    transport,
    "-m",
    `${calls}`,
    "-l",
    `${calls}`,
    "-r",
    `${calls}`,
    "-max_socket",
    `${calls + 10}`,
    "-i",
    "127.0.0.1",
    "-p",
    `${await freePort()}`,
    "-nostdin",
    "-timeout",
    "300",
  ])

/** A client takes as long as it takes to start. */
const somebodyWatches = (presentity: string): Promise<boolean> =>
  holds(`a watcher of ${presentity}`, async () => {
    const answer = await asking(server.admin)("GET", "/v1/subscriptions")
    return answer.text.includes(presentity)
  })

const lamp = (state: string): string =>
  `<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com"><dialog id="1"><state>${state}</state></dialog></dialog-info>`

const summary = ({ output }: Ended): string => output.split("\n").slice(-40).join("\n")

describe.skipIf(!isInstalled("sipp"))("sipp", () => {
  it.each(["u1", "t1"] as const)(
    "a watcher sees what a publisher publishes (%s)",
    { tags: ["3265-3.1.6.2-a", "3903-4.3-a"] },
    async (transport) => {
      const watcher = sipp("watch.sipp.xml", transport)
      await somebodyWatches("sip:alice@")
      const publisher = sipp("publish.sipp.xml", transport)
      const [watched, published] = await Promise.all([watcher, publisher])
      assert.strictEqual(published.code, 0, summary(published))
      assert.strictEqual(watched.code, 0, summary(watched))
    },
  )

  it(
    "an office of 200 phones over TCP behind one address: each sees its lamp go on and off, and none is cut off",
    { tags: ["OPS-connections_per_source_max"] },
    async () => {
      const calls = 200
      const office = await startPresence({ admin: "127.0.0.1:0", domain: ["example.com"] })
      onTestFinished(() => office.stop())
      const metrics = async (name: string): Promise<number> => {
        const text = await (await fetch(`${office.admin}/metrics`)).text()
        const at = text.split("\n").find((line) => line.startsWith(name)) ?? ""
        return Number(at.slice(at.lastIndexOf(" ") + 1))
      }
      const accepted = (atLeast: number): Promise<unknown> =>
        holds(`${atLeast} answers to NOTIFYs`, async () => {
          return (await metrics('presently_notify_outcomes_total{outcome="accepted"}')) >= atLeast
        })
      const watching = sipp("office.sipp.xml", "tn", { calls, to: office })
      await accepted(calls)
      assert.strictEqual(await metrics("presently_sip_connections "), calls)
      const phone = await openPhone(office, "udp")
      onTestFinished(() => phone.close())
      const line = script(phone, { user: "alice" })
      const headers = { Event: "dialog", "Content-Type": "application/dialog-info+xml", Expires: "600" }
      const on = await line.publish(headers, lamp("confirmed"))
      assert.strictEqual(on.raw.status, 200)
      await accepted(2 * calls)
      const etag = { "SIP-If-Match": on.header("sip-etag")! }
      assert.strictEqual((await line.publish({ ...headers, ...etag }, lamp("terminated"))).raw.status, 200)
      const watched = await watching
      assert.strictEqual(watched.code, 0, summary(watched))
      assert.strictEqual(await metrics('presently_notify_outcomes_total{outcome="accepted"}'), 4 * calls)
      const limited = 'presently_sip_connections_limited_total{limit="connections_per_source_max"}'
      assert.strictEqual(await metrics(limited), 0)
    },
  )
})

const baresipModules = ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"].find((one) =>
  existsSync(one),
)

describe.skipIf(!isInstalled("baresip") || baresipModules === undefined)("baresip", () => {
  it.each(["udp", "tcp", "tls"] as const)(
    "shows what another client publishes, with its own Route to the server in every request (%s)",
    { tags: ["3856-6.7-a"] },
    async (transport) => {
      const home = join(folder, `baresip-${transport}`)
      mkdirSync(home)
      const domain = `127.0.0.1:${server.portOf(transport)}`
      writeFileSync(
        join(home, "config"),
        [
          `module_path ${baresipModules}`,
          `sip_listen 127.0.0.1:${await freePort()}`,
          // a server is to prove itself
          `sip_cafile ${authority}`,
          "sip_verify_server yes",
          ...["account.so", "contact.so", "menu.so", "presence.so"].flatMap((one) => [
            `module ${one}`,
            `module_app ${one}`,
          ]),
          "",
        ].join("\n"),
      )
      writeFileSync(
        join(home, "accounts"),
        `<sip:bob@${domain}>;regint=0;outbound="sip:${domain};transport=${transport}"\n`,
      )
      writeFileSync(join(home, "contacts"), `"Alice" <sip:alice-${transport}@${domain}>;presence=p2p\n`)
      // it is told to stop when it has shown what it is to show, or shows nothing for minutes
      const watching = run("baresip", ["-4", "-f", home, "-s", "-v"], { killAfter: "seen by baresip" })
      await somebodyWatches(`sip:alice-${transport}@127.0.0.1`)
      const published = await run(process.execPath, [
        commandFile(),
        "publish",
        "--to",
        domain,
        "--transport",
        transport,
        "--ca",
        authority,
        `sip:alice-${transport}@127.0.0.1`,
        "--open",
        "--note",
        "seen by baresip",
      ])
      assert.strictEqual(published.code, 0, published.output)
      const { output } = await watching
      assert.include(output, "seen by baresip")
      // it answered 200 to that NOTIFY and unsubscribed when it was told to stop
      assert.match(output, /Subscription-State: terminated;reason=timeout/)
    },
  )
})
