/**
 * Every example of docs/phone.md, run as it stands in one shell, with baresip as the phone.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { holds } from "./support/condition.ts"
import { examplesOf, readPage } from "./support/page.ts"
import { freePort } from "./support/postgres.ts"
import { ofTests } from "./support/reaper.ts"

const modules = ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"].find((folder) =>
  existsSync(folder),
)
const hasBaresip = modules !== undefined && spawnSync("which", ["baresip"]).status === 0

/** So that it disturbs nobody, and nobody it. */
const address = "127.66.44.1"

/** Empty as long as there is no such file. */
const textIn = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "")

/** Registers with an account as a person would type it in, and publishes that it is online. */
const startPhone = (folder: string, place: string, user: string, password: string, port: number) => {
  const home = join(folder, "phone")
  mkdirSync(home)
  const names = ["account.so", "contact.so", "menu.so", "presence.so"]
  writeFileSync(
    join(home, "config"),
    [
      `module_path ${modules}`,
      `sip_listen ${address}:${port}`,
      ...names.map((name) => `module_app ${name}`),
      "",
    ].join("\n"),
  )
  writeFileSync(
    join(home, "accounts"),
    `<sip:${user}@${place}>;auth_pass=${password};regint=600;pubint=600\n`,
  )
  writeFileSync(join(home, "contacts"), "")
  const phone = ofTests(
    spawn("baresip", ["-4", "-f", home, "-s", "-v"], { stdio: ["ignore", "pipe", "pipe"] }),
  )
  let said = ""
  for (const stream of [phone.stdout, phone.stderr])
    stream.setEncoding("latin1").on("data", (text: string) => (said += text))
  return { said: () => said, stop: () => void phone.kill("SIGKILL") }
}

describe.skipIf(!hasBaresip)("docs/phone.md (left out without baresip: a phone that registers)", () => {
  it(
    "DOC-phone: every example prints what the page says, with a phone of somebody else's",
    { tags: ["F4"] },
    async (context) => {
      const { page, folder, means, stands, run, tryAll } = readPage(context, "docs/phone.md")
      assert.ok(examplesOf(page).length > 7)
      stands("dev --lan", `dev --lan ${address}`)
      stands("192.0.2.10", address)
      await run("unset PRESENTLY_ADMIN; export PRESENTLY_WRITER_LEASE=30")
      let phone: ReturnType<typeof startPhone> | null = null
      context.onTestFinished(() => phone?.stop())
      await tryAll({
        after: async ({ command }) => {
          if (command.startsWith("presently watch") && command.includes("contact.txt")) {
            await holds("202 watches", () => textIn(join(folder, "contact.txt")).includes("active"))
            const printed = readFileSync(join(folder, "server.txt"), "utf8")
            const [, user = "", password = "", place = ""] = /^ {2}(201) +(\w+) +(\S+)$/m.exec(printed) ?? []
            phone = startPhone(folder, place, user, password, await freePort())
            const { said } = phone
            // the phone's own words when its REGISTER was answered 200
            await holds(said, () => /201@\S+.*\b200 OK\b/.test(said()))
          }
        },
        before: async ({ command }) => {
          if (!command.startsWith('until grep -q "ready in"')) return
          const file = join(folder, "server.txt")
          await holds("the server is ready", () => textIn(file).includes("ready in"))
          const printed = readFileSync(file, "utf8")
          // the usual port may be in use on this machine
          const [, admin = ""] = /admin +http:\/\/([^/]+)/.exec(printed) ?? []
          means("5080", admin.split(":")[1] ?? "")
          await run(`export PRESENTLY_ADMIN=${admin}`)
        },
      })
    },
  )
})
