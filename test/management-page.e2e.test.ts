/**
 * Every example of docs/management.md, run as it stands in one shell, and its output compared.
 */
import assert from "node:assert/strict"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { describe, it, vi } from "vitest"
import type { TestContext } from "vitest"
import { assertPrints, examplesOf, hasCurl, readPage } from "./support/page.ts"
import { startPresence } from "./support/server.ts"

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

describe.skipIf(!hasCurl)("docs/management.md", () => {
  it("every example prints what the page says", { tags: ["DOC-management"] }, async (context) => {
    const { page, folder, means, tryAll } = readPage(context, "docs/management.md")
    assert.ok(examplesOf(page).length > 20)
    const receiver = await openReceiver(context)
    means("9000", receiver.port)
    const open = async (port: string, settings: Parameters<typeof startPresence>[0]): Promise<void> => {
      const server = await startPresence({ admin: "127.0.0.1:0", ...settings })
      context.onTestFinished(() => server.stop())
      means(port, new URL(server.admin ?? "").port)
      if (port === "5080") means("5060", server.udpPort)
    }
    await open("5080", {
      webhook_hosts: ["127.0.0.1"],
      policy: "rules",
      cluster_sharing_tags: ["vip=backup"],
    })
    let isGuarded = false
    await tryAll({
      before: async ({ command }) => {
        if (isGuarded || !command.includes(":5081")) return
        isGuarded = true
        await open("5081", { admin_tokens_file: join(folder, "tokens.txt") })
      },
      after: async ({ command }) => {
        if (/-X DELETE.*publications/.test(command))
          await vi.waitFor(() => assert.equal(receiver.messages.length, 1), { timeout: 60_000 })
      },
    })
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
