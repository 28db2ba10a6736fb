/**
 * Phones in a browser: JsSIP and SIP.js in Chromium, over WSS with digest authentication, against a real server.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { userLine } from "../../src/app/config/users.ts"
import { ownCertificate } from "../../src/app/lan/own-certificate.ts"
import { bundled, chromium } from "../support/browser.ts"
import { holds } from "../support/condition.ts"
import { freePort, sharedPostgres } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"

const folder = mkdtempSync(join(tmpdir(), "presently-browser-phones-"))
let script = ""

beforeAll(async () => {
  if (chromium === undefined) return
  const page = JSON.stringify(join(import.meta.dirname, "browser-phone.js"))
  script = (await bundled(`import { startPhone } from ${page}; startPhone()`)).code
})
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

interface Page {
  /** Everything the phone said, in order. */
  readonly said: readonly string[]
  /** Waits for it among what it says from now on, or has said since the last time. */
  readonly says: (text: string) => Promise<unknown>
  readonly order: (text: string) => void
  readonly close: () => Promise<void>
}

const report = `addEventListener("error", ({ message }) => fetch("/say", { method: "POST", body: "error: " + message }))`

/** Opens a page of a site of its own in a browser of its own. */
const openPage = async (query: Record<string, string>): Promise<Page> => {
  const said: string[] = []
  let heard = 0
  const orders: string[] = []
  let waiting: ServerResponse | null = null
  const hand = (): void => {
    if (waiting === null || orders.length === 0) return
    waiting.end(orders.shift())
    waiting = null
  }
  const site = createServer((request, response) => {
    if (request.url === "/say") {
      let text = ""
      request.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      request.on("end", () => {
        said.push(text)
        response.end()
      })
    } else if (request.url === "/order") {
      waiting = response
      hand()
    } else if (request.url === "/page.js") response.end(script)
    else {
      response.setHeader("Content-Type", "text/html; charset=utf-8")
      response.end(
        `<!doctype html><meta charset="utf-8"><body><script>${report}</script><script src="/page.js"></script>`,
      )
    }
  })
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve))
  const address = site.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const profile = mkdtempSync(join(folder, "profile-"))
  const child = ofTests(
    spawn(
      chromium!,
      [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        // what a person does once on the page of the server
        "--ignore-certificate-errors",
        `--user-data-dir=${profile}`,
        "--remote-debugging-port=0",
        `http://127.0.0.1:${port}/?${new URLSearchParams(query).toString()}`,
      ],
      { stdio: "ignore", detached: true },
    ),
    "group",
  )
  return {
    said,
    says: (text) =>
      holds(
        () => `${text} among ${said.slice(heard).join(", ")} after ${said.slice(0, heard).join(", ")}`,
        () => {
          const at = said.indexOf(text, heard)
          if (at < 0) return false
          heard = at + 1
          return true
        },
      ),
    order: (text) => {
      orders.push(text)
      hand()
    },
    close: async () => {
      const ended = new Promise((resolve) => child.once("close", resolve))
      try {
        process.kill(-child.pid!, "SIGKILL")
      } catch {
        child.kill("SIGKILL")
      }
      await ended
      site.closeAllConnections()
      await new Promise((resolve) => site.close(resolve))
    },
  }
}

describe.skipIf(chromium === undefined)("phones in a browser", () => {
  it.for(["jssip", "sipjs"] as const)(
    "register, publish, subscribe, see a lamp, and see it again after a reload and a restart of the server (%s)",
    { tags: ["7118-5-a", "7118-8-a"] },
    async (library, context) => {
      const postgres = await sharedPostgres()
      if (postgres === null) return context.skip("no PostgreSQL here")
      const url = postgres.database()
      const users = join(folder, "users.txt")
      const lines = ["alice", "bob"].map((user) => userLine(user, "example.com", `secret-${user}`, "MD5"))
      writeFileSync(users, `${lines.join("\n")}\n`)
      const { file } = await ownCertificate(join(folder, "own"), ["127.0.0.1", "localhost"])
      const port = await freePort()
      const start = (): Promise<PresenceServer> =>
        startPresence({
          listen: [`wss:127.0.0.1:${port}`],
          tls_certificate: [file],
          domain: ["example.com"],
          users_file: users,
          digest_md5: true,
          policy: "open",
          memory: false,
          database_url: url,
        })
      let server = await start()
      const pageOf = (library: string, user: string): Promise<Page> =>
        openPage({ library, server: `wss://127.0.0.1:${port}`, user, password: `secret-${user}` })
      const alice = await pageOf("sipjs", "alice")
      const bob = await pageOf(library, "bob")
      context.onTestFinished(async () => {
        await Promise.all([alice.close(), bob.close()])
        await server.stop()
      })
      await Promise.all([alice.says("registered"), bob.says("registered")])
      alice.order("watch")
      alice.order("confirmed")
      await Promise.all([alice.says("lamp confirmed"), bob.says("lamp confirmed")])
      alice.order("terminated")
      await bob.says("lamp terminated")
      alice.order("early")
      await bob.says("lamp early")

      bob.order("reload")
      await bob.says("registered")
      await bob.says("lamp early")

      await server.stop()
      await bob.says("disconnected")
      server = await start()
      await bob.says("registered")
      await bob.says("lamp early")
      assert.deepStrictEqual(
        [...alice.said, ...bob.said].filter((text) => /error|failed|^terminated/.test(text)),
        [],
      )
    },
  )
})
