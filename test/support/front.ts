/**
 * A real proxy in front of a server, configured by the blocks of a page of docs: a test runs the text that readers copy.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { makeAuthority } from "./certificates.ts"
import { holds } from "./condition.ts"
import { ofTests } from "./reaper.ts"

/** The blocks of a page, by the names in the comments around them. */
export interface Page {
  readonly block: (name: string) => string
  /** A text of the page with something of the page replaced. */
  readonly replaced: (text: string, from: string, to: string) => string
}

export const pageOf = (name: string): Page => {
  const page = readFileSync(resolve(import.meta.dirname, "../../docs", name), "utf8")
  return {
    block: (block) => {
      const shown = new RegExp(`<!-- ${block} -->\\s*\`\`\`\\n([^]*?)\`\`\`\\s*<!-- /${block} -->`).exec(
        page,
      )?.[1]
      if (shown === undefined) throw new Error(`docs/${name} shows no ${block}`)
      return shown
    },
    replaced: (text, from, to) => {
      if (!text.includes(from)) throw new Error(`docs/${name} does not say ${from}`)
      return text.replaceAll(from, () => to)
    },
  }
}

export interface Running {
  readonly output: () => string
  /** Ends it in order; resolves when all its processes have ended. */
  readonly stop: () => Promise<void>
}

/** Starts a program that stays in the foreground, and waits until it accepts connections there. */
export const startFront = async (
  program: string,
  parameters: readonly string[],
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Running> => {
  // it starts processes of its own
  const child: ChildProcess = ofTests(
    spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"], detached: true }),
    "group",
  )
  let output = ""
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  const ended = new Promise<void>((done) => {
    child.once("close", () => done())
    child.once("error", (error) => {
      output += String(error)
      done()
    })
  })
  await holds(
    () => `${program} accepts connections:\n${output}`,
    async () => {
      if (child.exitCode !== null) throw new Error(`${program} does not start:\n${output}`)
      return isListening(host, port)
    },
  )
  return {
    output: () => output,
    stop: async () => {
      child.kill("SIGTERM")
      const killer = setTimeout(() => {
        try {
          process.kill(-child.pid!, "SIGKILL")
        } catch {}
      }, 10_000)
      await ended
      clearTimeout(killer)
    },
  }
}

const isListening = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host, port })
    socket.once("connect", () => {
      socket.destroy()
      done(true)
    })
    socket.once("error", () => done(false))
  })

export interface FrontOptions {
  /** Its address on the side of the phones. */
  readonly outside: string
  /** Its address on the side of the server, from which it connects to that. */
  readonly inside: string
  /** `127.0.0.21:5060` */
  readonly presently: string
  /** Names and passwords, all in example.com. */
  readonly users: Readonly<Record<string, string>>
}

/** A proxy that is configured, with free ports. */
export interface Front {
  readonly portOf: (transport: string) => number
  readonly start: () => Promise<Running>
  readonly remove: () => void
}

/**
 * A folder with what the configuration of a proxy names: its database, as the page makes it, with other accounts, and its
 * certificate.
 */
export const makeFolder = async (
  { block }: Page,
  scripts: string,
  database: string,
  { users, outside }: FrontOptions,
): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-front-"))
  const [, tables = ""] = /^for name in (.*); do cat \/usr\/share/m.exec(block("tables.sh")) ?? []
  const made = new DatabaseSync(join(folder, database))
  for (const name of tables.split(" ")) made.exec(readFileSync(join(scripts, `${name}-create.sql`), "utf8"))
  const insert = made.prepare(
    "insert into subscriber (username, domain, password) values (?, 'example.com', ?)",
  )
  for (const [name, password] of Object.entries(users)) insert.run(name, password)
  made.close()
  const { certificate, key } = await (await makeAuthority()).sign({ dns: ["example.com"], ip: [outside] })
  writeFileSync(join(folder, "example.com.pem"), certificate)
  writeFileSync(join(folder, "example.com.key"), key)
  return folder
}
