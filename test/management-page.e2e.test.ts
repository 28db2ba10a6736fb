/**
 * Every example of docs/management.md, run as it stands in one shell, and its output compared.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { describe, it, vi } from "vitest"
import type { TestContext } from "vitest"
import { startPresence } from "./support/server.ts"

const root = resolve(import.meta.dirname, "..")

interface Example {
  readonly command: string
  readonly output: string
}

/** In blocks of four spaces `$ ` begins a command, what follows is what it prints. */
const examplesOf = (page: string): readonly Example[] =>
  [...page.matchAll(/(?:^ {4}\$ .*\n)(?:^ {4}.*\n)*/gm)].flatMap(([block]) =>
    block
      .split(/^ {4}\$ /m)
      .slice(1)
      .map((example) => {
        // what is too long for a line goes on in the next one, six spaces further in
        const [, command = "", output = ""] = /^(.*(?:\n {6}.*)*)\n([^]*)$/.exec(example) ?? []
        return { command, output }
      }),
  )

/** Equal but for white space, with `…` for anything. */
const assertPrints = (actual: string, { command, output }: Example): void => {
  const solid = (text: string): string => text.replaceAll(/\s+/g, "")
  const parts = solid(output)
    .split("…")
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  assert.match(solid(actual), new RegExp(`^${parts.join(".*?")}$`), `${command}\nprinted\n${actual}`)
}

/** A shell that runs one command after the other. */
const openShell = ({ onTestFinished }: TestContext, folder: string) => {
  const shell = spawn("bash", {
    cwd: folder,
    env: { ...process.env, PATH: `${folder}/bin:${process.env["PATH"]}` },
  })
  onTestFinished(() => void shell.kill())
  let printed = ""
  let waits: (() => void) | null = null
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk
      waits?.()
    })
  }
  shell.stdin.write("exec 2>&1\n")
  return (command: string): Promise<string> =>
    new Promise((done) => {
      printed = ""
      waits = () => {
        if (!printed.endsWith("\n--\n")) return
        waits = null
        done(printed.slice(0, -"\n--\n".length))
      }
      shell.stdin.write(`${command}\nprintf '\\n--\\n'\n`)
    })
}

/** Takes every message, and remembers it as it came. */
const openReceiver = async ({ onTestFinished }: TestContext) => {
  const messages: { readonly head: string; readonly body: string }[] = []
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}`)
      messages.push({ head: [`${request.method} ${request.url} HTTP/1.1`, ...headers].join("\n"), body })
      response.end()
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  onTestFinished(() => void server.close())
  return { messages, port: (server.address() as AddressInfo).port }
}

const hasCurl = spawnSync("curl", ["--version"]).status === 0

describe.skipIf(!hasCurl)("docs/management.md", () => {
  it("DOC-management: every example prints what the page says", { timeout: 60_000 }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-page-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const receiver = await openReceiver(context)
    const ports = new Map<string, string>([["9000", String(receiver.port)]])
    const open = async (port: string, settings: Parameters<typeof startPresence>[0]): Promise<void> => {
      const server = await startPresence({ admin: "127.0.0.1:0", ...settings })
      context.onTestFinished(() => server.stop())
      ports.set(port, new URL(server.admin ?? "").port)
      if (port === "5080") ports.set("5060", String(server.udpPort))
    }
    await open("5080", {
      webhook_hosts: ["127.0.0.1"],
      policy: "rules",
      cluster_sharing_tags: ["vip=backup"],
    })
    const run = openShell(context, folder)
    mkdirSync(join(folder, "bin"))
    writeFileSync(
      join(folder, "bin/presently"),
      `#!/bin/sh\nexec ${process.execPath} ${join(root, "src/app/main.ts")} "$@"\n`,
    )
    chmodSync(join(folder, "bin/presently"), 0o755)
    const page = readFileSync(join(root, "docs/management.md"), "utf8")
    const examples = examplesOf(page)
    assert.ok(examples.length > 20)
    for (const example of examples) {
      if (example.command.includes(":5081") && !ports.has("5081"))
        await open("5081", { admin_tokens_file: join(folder, "tokens.txt") })
      let { command } = example
      for (const [written, real] of ports)
        command = command.replaceAll(`127.0.0.1:${written}`, `127.0.0.1:${real}`)
      let printed = await run(command)
      for (const [written, real] of ports)
        printed = printed.replaceAll(`127.0.0.1:${real}`, `127.0.0.1:${written}`)
      assertPrints(printed, example)
      if (/-X DELETE.*publications/.test(command))
        await vi.waitFor(() => assert.equal(receiver.messages.length, 1))
    }
    // what a receiver gets
    const [, head = "", body = ""] = /^ {4}(POST [^]*?)\n\n((?: {4}.*\n)+)/m.exec(page) ?? []
    for (const line of head.split("\n")) {
      const got = receiver.messages[0]?.head
        .split("\n")
        .find((one) => one.split(":")[0] === line.trim().split(":")[0])
      assertPrints(got ?? "", { command: line, output: line })
    }
    assertPrints(receiver.messages[0]?.body ?? "", { command: "body", output: body })
  })
})
