/**
 * Kamailio in front of a server, as docs/behind-kamailio.md configures it.
 */
import { execFileSync } from "node:child_process"
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeFolder, pageOf, startFront } from "./front.ts"
import type { Front, FrontOptions } from "./front.ts"
import { freePort } from "./postgres.ts"

const scripts = "/usr/share/kamailio/db_sqlite"
const modules = "/usr/lib/x86_64-linux-gnu/kamailio/modules"

/** Why it cannot run; null: it can. */
export const noFrontKamailio = ((): string | null => {
  if (!existsSync(join(scripts, "usrloc-create.sql"))) return "kamailio-sqlite-modules is not installed"
  if (!existsSync(join(modules, "tls.so"))) return "kamailio-tls-modules is not installed"
  try {
    execFileSync("kamailio", ["-v"], { stdio: "ignore" })
    return null
  } catch {
    return "kamailio is not installed"
  }
})()

export const makeFrontKamailio = async (options: FrontOptions): Promise<Front> => {
  const { outside, inside, presently } = options
  const page = pageOf("behind-kamailio.md")
  const { block, replaced } = page
  const folder = await makeFolder(page, scripts, "kamailio.sqlite", options)
  const ports = { udp: await freePort(), tls: await freePort(), inside: await freePort() }
  let text = block("kamailio.cfg")
  for (const [from, to] of [
    ["listen=udp:203.0.113.1:5060", `listen=udp:${outside}:${ports.udp}`],
    ["listen=tls:203.0.113.1:5061", `listen=tls:${outside}:${ports.tls}`],
    ["listen=tcp:10.0.0.1:5060", `listen=tcp:${inside}:${ports.inside}`],
    ["tcp_source_ipv4=10.0.0.1", `tcp_source_ipv4=${inside}`],
    ["sip:10.0.0.2:5060", `sip:${presently}`],
    ["/var/lib/kamailio/", `${folder}/`],
    ["/etc/kamailio/", `${folder}/`],
    // for the test: few processes, and log output where the test can read it
    ["#!KAMAILIO\n", "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\n"],
  ] as const)
    text = replaced(text, from, to)
  const config = join(folder, "kamailio.cfg")
  writeFileSync(config, text)
  return {
    portOf: (transport) => (transport === "udp" ? ports.udp : ports.tls),
    start: () =>
      startFront("kamailio", ["-DD", "-E", "-m", "64", "-M", "8", "-f", config, "-w", folder], {
        host: outside,
        port: ports.tls,
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
