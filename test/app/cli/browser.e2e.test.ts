/**
 * `presently dev` for browsers and over TLS: the bundled command makes a certificate, and the command line's own client
 * believes it when it is named.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { patient, run, start } from "./command.ts"

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-dev-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

const page = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request(url, { rejectUnauthorized: false, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      response.on("end", () => resolve(`${response.statusCode} ${text}`))
    })
      .on("error", reject)
      .end()
  })

describe("dev over TLS", { ...patient, tags: ["OPS-dev"] }, () => {
  it("makes a certificate that its own client can be told of, and says where browsers connect", async (context) => {
    const data = join(folderOf(context), "data")
    const server = start([
      "dev",
      "--data",
      data,
      "--admin",
      "127.0.0.1:0",
      ...["tls:127.0.0.1:0", "ws:127.0.0.1:0", "wss:127.0.0.1:0"].flatMap((address) => ["--listen", address]),
    ])
    context.onTestFinished(async () => {
      server.signal("SIGTERM")
      await server.ended
    })
    const text = await server.says(/ready in [\d.]+ s\n/)
    const at = (name: string): string => new RegExp(` ${name}:(127\\.0\\.0\\.1:\\d+)`).exec(text)?.[1] ?? ""
    assert.ok(text.includes(`wss://${at("wss")}`), text)
    assert.match(await page(`https://${at("wss")}/`), /^426 [^]*certificate/)
    const agent = ["--to", at("tls"), "--transport", "tls"]
    const publish = ["publish", ...agent, "sip:alice@example.com", "--open"]
    const ca = ["--ca", join(data, "phones", "tls-certificate.pem")]
    const published = await run([...publish, ...ca])
    assert.equal(published.code, 0, published.stderr)
    const doubted = await run(publish)
    assert.notEqual(doubted.code, 0)
    assert.match(doubted.stderr, /self-signed certificate/)
    const bySips = await run(["publish", "--to", at("tls"), "sips:alice@example.com", "--open", ...ca])
    assert.equal(bySips.code, 0, bySips.stderr)
    const other = await run([...publish, "--ca", join(data, "missing.pem")])
    assert.match(other.stderr, /--ca cannot be read/)
  })

  it("--browser and --listen exclude each other, with what to write", async () => {
    const { code, stderr } = await run(["dev", "--memory", "--browser", "--listen", "udp:127.0.0.1:0"])
    assert.notEqual(code, 0)
    assert.match(
      stderr,
      /--browser gives this setting itself: leave one of the two out, and add wss:HOST:PORT/,
    )
  })
})
