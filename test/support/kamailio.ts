/**
 * A real Kamailio with its presence module on a SQLite file: its own scripts create the tables, and a minimal
 * configuration makes it serve PUBLISH and SUBSCRIBE. Null if the machine has no version 5.6 with these modules.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { freePort } from "./postgres.ts"
import { endWithTests, ofTests } from "./reaper.ts"

export interface Kamailio {
  readonly port: number
  /** Its database. */
  readonly file: string
  /** Stops it in order, so that it writes what it has in memory. */
  readonly stop: () => Promise<void>
  readonly remove: () => void
}

const scripts = "/usr/share/kamailio/db_sqlite"

/** Why it cannot run; null: it can. */
export const noKamailio = ((): string | null => {
  if (!existsSync(join(scripts, "presence-create.sql"))) return "kamailio-sqlite-modules is not installed"
  try {
    execFileSync("kamailio", ["-v"], { stdio: "ignore" })
    return null
  } catch {
    return "kamailio is not installed"
  }
})()

const configuration = (port: number, file: string): string => `#!KAMAILIO
debug=1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:${port}
loadmodule "db_sqlite.so"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("presence", "db_url", "sqlite:///${file}")
modparam("presence_xml", "db_url", "sqlite:///${file}")
modparam("presence_xml", "force_active", 1)
request_route {
  if (!t_newtran()) { sl_reply_error(); exit; }
  if (method == "PUBLISH") handle_publish();
  else if (method == "SUBSCRIBE") handle_subscribe();
  else t_reply("405", "Method Not Allowed");
}
`

export const startKamailio = async (): Promise<Kamailio> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-kamailio-"))
  const file = join(folder, "kamailio.db")
  const database = new DatabaseSync(file)
  for (const name of ["standard-create.sql", "presence-create.sql"]) {
    database.exec(readFileSync(join(scripts, name), "utf8"))
  }
  database.close()
  const port = await freePort()
  const config = join(folder, "kamailio.cfg")
  writeFileSync(config, configuration(port, file))
  const isOver = endWithTests({ kind: "folder", path: folder })
  const child = ofTests(
    spawn("kamailio", ["-DD", "-E", "-m", "32", "-M", "4", "-f", config, "-w", folder], {
      stdio: ["ignore", "pipe", "pipe"],
      // it starts processes of its own
      detached: true,
    }),
    "group",
  )
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  const isUp = (): boolean =>
    readFileSync("/proc/net/udp", "utf8").includes(
      `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`,
    )
  for (let waited = 0; !isUp(); waited += 50) {
    if (child.exitCode !== null || waited > 10_000) throw new Error(`kamailio does not start:\n${output}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    file,
    stop: () => {
      child.kill("SIGTERM")
      return ended
    },
    remove: () => {
      child.kill("SIGKILL")
      rmSync(folder, { recursive: true, force: true })
      isOver()
    },
  }
}
