/**
 * A real Kamailio in front of a server, configured as in docs/behind-a-proxy.md: the test runs the text of the page.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { TestContext } from "vitest"
import { freePort } from "./postgres.ts"

const page = readFileSync(resolve(import.meta.dirname, "../../docs/behind-a-proxy.md"), "utf8")

/** The block of the page between comments with that name. */
const shown = (name: string): string => {
  const text = new RegExp(`<!-- ${name} -->\\s*\`\`\`\\n([^]*?)\`\`\`\\s*<!-- /${name} -->`).exec(page)?.[1]
  if (text === undefined) throw new Error(`docs/behind-a-proxy.md shows no ${name}`)
  return text
}

const scripts = "/usr/share/kamailio/db_sqlite"

/** Why it cannot run; null: it can. */
export const noKamailioProxy = ((): string | null => {
  if (!existsSync(join(scripts, "auth_db-create.sql"))) return "kamailio-sqlite-modules is not installed"
  if (!existsSync("/usr/lib/x86_64-linux-gnu/kamailio/modules/pua_dialoginfo.so"))
    return "kamailio-presence-modules is not installed"
  try {
    execFileSync("kamailio", ["-v"], { stdio: "ignore" })
    return null
  } catch {
    return "kamailio is not installed"
  }
})()

export interface ProxyOptions {
  /** `127.0.0.20`: its address, different from those of phones and server. */
  readonly address: string
  /** `127.0.0.1:5060` */
  readonly presently: string
  /** Names and passwords, all in example.com. */
  readonly users: Readonly<Record<string, string>>
  /** Also uses the configuration of `pua_dialoginfo` from the page, with calls to that address of a phone. */
  readonly calls?: string
  /** Absent: any free port. */
  readonly port?: number
  /** Changes the text of the page. */
  readonly edit?: (text: string) => string
}

export interface KamailioProxy {
  readonly address: string
  readonly port: number
}

const replaced = (text: string, from: string | RegExp, to: string): string => {
  const after = text.replace(from, () => to)
  if (after === text) throw new Error(`docs/behind-a-proxy.md does not say ${String(from)}`)
  return after
}

export const startKamailioProxy = async (
  { onTestFinished }: TestContext,
  { address, presently, users, calls, port = 0, edit = (text) => text }: ProxyOptions,
): Promise<KamailioProxy> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-proxy-"))
  const file = join(folder, "kamailio.db")
  const database = new DatabaseSync(file)
  for (const name of ["standard-create.sql", "auth_db-create.sql", "presence-create.sql"])
    database.exec(readFileSync(join(scripts, name), "utf8"))
  const insert = database.prepare(
    "insert into subscriber (username, domain, password) values (?, 'example.com', ?)",
  )
  for (const [name, password] of Object.entries(users)) insert.run(name, password)
  database.close()
  const chosen = port === 0 ? await freePort() : port
  let text = shown("kamailio.cfg")
  text = replaced(text, "udp:10.0.0.1:5060", `udp:${address}:${chosen}`)
  text = replaced(text, "sip:10.0.0.2:5060", `sip:${presently}`)
  text = replaced(text, "sqlite:////etc/kamailio/kamailio.sqlite", `sqlite:///${file}`)
  // for the test: few processes, no TCP, and log output where the test can read it
  text = replaced(
    text,
    "#!KAMAILIO\n",
    "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nchildren=1\nauto_aliases=no\ndisable_tcp=yes\n",
  )
  if (calls !== undefined) {
    text = replaced(
      text,
      '\nmodparam("auth_db", "db_url"',
      `\n${shown("pua.cfg")}\nmodparam("auth_db", "db_url"`,
    )
    text = replaced(
      text,
      '  if (!is_method("SUBSCRIBE|PUBLISH"))',
      `  if (is_method("INVITE")) { record_route(); dlg_manage(); $du = "sip:${calls}"; t_relay(); exit; }\n` +
        '  if (is_method("ACK|CANCEL")) { t_relay(); exit; }\n' +
        '  if (!is_method("SUBSCRIBE|PUBLISH"))',
    )
  }
  const config = join(folder, "kamailio.cfg")
  writeFileSync(config, edit(text))
  const child = spawn("kamailio", ["-DD", "-E", "-m", "32", "-M", "4", "-f", config, "-w", folder], {
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk
    })
  }
  const ended = new Promise<void>((done) => child.on("close", () => done()))
  onTestFinished(async () => {
    child.kill("SIGTERM")
    const killer = setTimeout(() => child.kill("SIGKILL"), 5_000)
    await ended
    clearTimeout(killer)
    rmSync(folder, { recursive: true, force: true })
  })
  const octets = address.split(".").map(Number).reverse()
  const socket = [
    octets.map((octet) => octet.toString(16).padStart(2, "0")).join(""),
    chosen.toString(16).padStart(4, "0"),
  ]
    .join(":")
    .toUpperCase()
  const isUp = (): boolean => readFileSync("/proc/net/udp", "utf8").includes(socket)
  for (let waited = 0; !isUp(); waited += 50) {
    if (child.exitCode !== null || waited > 20_000) throw new Error(`kamailio does not start:\n${output}`)
    await new Promise((done) => setTimeout(done, 50))
  }
  return { address, port: chosen }
}
