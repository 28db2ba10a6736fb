/**
 * OpenSIPS in front of a server, as docs/behind-opensips.md configures it.
 */
import { execFileSync } from "node:child_process"
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeFolder, pageOf, startFront } from "./front.ts"
import type { Front, FrontOptions } from "./front.ts"
import { freePort } from "./postgres.ts"

const scripts = "/usr/share/opensips/sqlite"
const modules = "/usr/lib/x86_64-linux-gnu/opensips/modules"

/** Why it cannot run; null: it can. */
export const noOpensips = ((): string | null => {
  if (!existsSync(join(scripts, "usrloc-create.sql"))) return "OpenSIPS has no SQLite module here"
  if (!["tls_mgm.so", "tls_mgm/tls_mgm.so"].some((name) => existsSync(join(modules, name))))
    return "OpenSIPS has no TLS module here"
  try {
    execFileSync("opensips", ["-V"], { stdio: "ignore" })
    return null
  } catch {
    return "OpenSIPS is not installed"
  }
})()

export const makeFrontOpensips = async (options: FrontOptions): Promise<Front> => {
  const { outside, inside, presently } = options
  const page = pageOf("behind-opensips.md")
  const { block, replaced } = page
  const folder = await makeFolder(page, scripts, "opensips.sqlite", options)
  const ports = { udp: await freePort(), tls: await freePort(), inside: await freePort() }
  let text = block("opensips.cfg")
  for (const [from, to] of [
    ["socket=udp:203.0.113.1:5060", `socket=udp:${outside}:${ports.udp}`],
    ["socket=tls:203.0.113.1:5061", `socket=tls:${outside}:${ports.tls}`],
    ["socket=tcp:10.0.0.1:5060", `socket=tcp:${inside}:${ports.inside}`],
    ["sip:10.0.0.2:5060", `sip:${presently}`],
    ["/var/lib/opensips/", `${folder}/`],
    ["/etc/opensips/", `${folder}/`],
  ] as const)
    text = replaced(text, from, to)
  const config = join(folder, "opensips.cfg")
  // for the test: few processes, and log output where the test can read it
  writeFileSync(
    config,
    `log_level=1\nstderror_enabled=yes\nsyslog_enabled=no\nudp_workers=1\ntcp_workers=1\n${text}`,
  )
  return {
    portOf: (transport) => (transport === "udp" ? ports.udp : ports.tls),
    start: () =>
      startFront("opensips", ["-F", "-m", "64", "-M", "8", "-f", config, "-w", folder], {
        host: outside,
        port: ports.tls,
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
