import { once } from "node:events"
/**
 * The management port over HTTPS: its certificates, those of clients, a reload, and the commands that ask it.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { request } from "node:https"
import type { RequestOptions } from "node:https"
import { connect as connectPlainly } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text as textOf } from "node:stream/consumers"
import { connect } from "node:tls"
import { assert, beforeAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { tokenLine } from "../../../src/adapters/admin/tokens.ts"
import { Server } from "../../../src/app/index.ts"
import { asking } from "../../support/admin.ts"
import { makeAuthority } from "../../support/certificates.ts"
import type { Authority } from "../../support/certificates.ts"
import { eventually } from "../../support/sip-peer.ts"
import { patient, run } from "../cli/command.ts"

let authority: Authority
let stranger: Authority
beforeAll(async () => {
  authority = await makeAuthority()
  stranger = await makeAuthority("Another Authority")
})

const begin = async (context: TestContext, settings: Record<string, unknown> = {}) => {
  const folder = mkdtempSync(join(tmpdir(), "presently-https-"))
  context.onTestFinished(() => rmSync(folder, { recursive: true }))
  const put = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const certify = async (...dns: readonly string[]): Promise<string> => {
    const { certificate, key } = await authority.sign({ dns, ip: ["127.0.0.1"] })
    return put("own.pem", certificate + key)
  }
  const ca = put("ca.pem", authority.certificate)
  const tokens = put("tokens", `${tokenLine("ops", "admin", "secret")}\n`)
  const server = await Server.start({
    reload_check_interval: 0,
    listen: ["udp:127.0.0.1:0"],
    admin: "https://127.0.0.1:0",
    admin_tokens_file: tokens,
    tls_certificate: [await certify("first.example")],
    tls_ca: ca,
    ...settings,
  })
  context.onTestFinished(() => server.close())
  const port = Number(new URL(server.admin!).port)
  const ask = async (
    path: string,
    options: RequestOptions = {},
  ): Promise<{ readonly status: number; readonly text: string }> => {
    const asked = request({
      host: "127.0.0.1",
      port,
      path,
      agent: false,
      ca: authority.certificate,
      headers: { authorization: "Bearer secret" },
      ...options,
    })
    asked.end()
    const [answer] = (await once(asked, "response")) as [IncomingMessage]
    return { status: answer.statusCode ?? 0, text: await textOf(answer) }
  }
  const shown = async (servername?: string): Promise<string> => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
    })
    await once(socket, "secureConnect")
    const name = socket.getPeerX509Certificate()?.subjectAltName ?? ""
    socket.destroy()
    return name
  }
  return { server, port, ask, shown, put, certify, ca }
}

const failed = async (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => assert.fail("it was answered"),
    (cause: { readonly code?: string }) => cause.code ?? "",
  )

describe("the management port over HTTPS", { tags: ["OPS-tokens"] }, () => {
  it("answers over TLS and in no other way, and asks for tokens as ever", async (context) => {
    const { server, ask, port } = await begin(context)
    assert.strictEqual(server.admin, `https://127.0.0.1:${port}`)
    assert.strictEqual((await ask("/status")).status, 200)
    assert.strictEqual((await ask("/live", { headers: {} })).text, "live\n")
    assert.strictEqual((await ask("/status", { headers: {} })).status, 401)
    assert.match(await failed(ask("/live", { ca: stranger.certificate })), /^(?:UNABLE|SELF|CERT)/)
    assert.isNotEmpty(
      await failed(
        asking(`http://127.0.0.1:${port}`)("GET", "/live").catch((cause: Error) =>
          Promise.reject(Object.assign(cause, { code: "closed" })),
        ),
      ),
    )
    assert.isNotEmpty(
      await failed(
        ask("/live", { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
      ),
    )
  })

  it("without tokens answers programs, not pages, by its address", async (context) => {
    const { ask, port } = await begin(context, { admin_tokens_file: null })
    const of = async (headers: Record<string, string>): Promise<number> =>
      (await ask("/status", { headers, checkServerIdentity: () => undefined })).status
    assert.strictEqual(await of({}), 200)
    assert.strictEqual(await of({ origin: `https://127.0.0.1:${port}` }), 200)
    assert.strictEqual(await of({ origin: "https://pages.example" }), 403)
    assert.strictEqual(await of({ host: `pages.example:${port}` }), 403)
  })

  it("shows the certificate for the name that is asked for, and new ones after a reload", async (context) => {
    const { server, shown, certify, put, ask } = await begin(context, {})
    assert.include(await shown(), "DNS:first.example")
    await certify("second.example")
    assert.deepStrictEqual(await server.reload(), { changes: ["certificates replaced"], restart: [] })
    assert.include(await shown(), "DNS:second.example")
    put("own.pem", "nonsense")
    await server.reload().catch(() => {})
    assert.include(await shown(), "DNS:second.example")
    assert.strictEqual((await ask("/status")).status, 200)
  })

  it("chooses by name among several", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-https-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true }))
    const files = await Promise.all(
      ["one.example", "two.example"].map(async (name) => {
        const { certificate, key } = await authority.sign({ dns: [name] })
        const file = join(folder, name)
        writeFileSync(file, certificate + key)
        return file
      }),
    )
    const { shown } = await begin(context, { tls_certificate: files })
    assert.strictEqual(await shown("two.example"), "DNS:two.example")
    assert.strictEqual(await shown("other.example"), "DNS:one.example")
  })

  it("with admin_client_certificates = required serves nobody without one, and the token is needed too", async (context) => {
    const { ask, certify, server } = await begin(context, { admin_client_certificates: "required" })
    const of = async (from: Authority, headers?: Record<string, string>) => {
      const { certificate, key } = await from.sign({ dns: ["monitor.example"] })
      return ask("/status", { cert: certificate, key, ...(headers === undefined ? {} : { headers }) })
    }
    assert.strictEqual((await of(authority)).status, 200)
    assert.strictEqual((await of(authority, {})).status, 401)
    assert.isNotEmpty(await failed(of(stranger)))
    assert.isNotEmpty(await failed(ask("/live")))
    // a reload keeps asking
    await certify("second.example")
    await server.reload()
    assert.isNotEmpty(await failed(ask("/live")))
    assert.strictEqual((await of(authority)).status, 200)
  })

  it("a handshake that takes too long is given up", async (context) => {
    const { port } = await begin(context, { handshake_timeout: 1 })
    const silent = connectPlainly(port)
    context.onTestFinished(() => void silent.destroy())
    let isClosed = false
    silent.on("error", () => {}).on("close", () => (isClosed = true))
    silent.resume()
    await eventually(() => isClosed)
  })

  it(
    "commands ask it with --admin https://…, and say why they are not answered",
    { ...patient, tags: ["CLI"] },
    async (context) => {
      const { server, ca, put, port } = await begin(context, { admin_client_certificates: "required" })
      const { certificate, key } = await authority.sign({ dns: ["staff.example"] })
      const pem = put("staff.pem", certificate + key)
      const admin = server.admin!
      const good = await run([
        "mi",
        "--admin",
        admin,
        "--ca",
        ca,
        "--certificate",
        pem,
        "--token",
        "secret",
        "cleanup",
      ])
      assert.deepStrictEqual([good.code, good.stdout], [0, "OK\n"])
      const env = {
        PRESENTLY_ADMIN: admin,
        PRESENTLY_CA: ca,
        PRESENTLY_CERTIFICATE: pem,
        PRESENTLY_TOKEN: "secret",
      }
      assert.strictEqual((await run(["presentities"], { env })).code, 0)
      for (const [args, why] of [
        [
          ["--admin", admin, "--certificate", pem],
          /the certificate of https:\S+ is not believed \(.*\): name its authority with --ca FILE/,
        ],
        [
          ["--admin", admin, "--ca", ca],
          /asks for a certificate of an authority that it knows: show one with --certificate FILE/,
        ],
        [["--admin", `127.0.0.1:${port}`], /closed the connection: if it speaks HTTPS, write https:\/\/127/],
        [
          ["--admin", admin, "--ca", "/nowhere.pem"],
          /a file of --ca or --certificate cannot be read: ENOENT/,
        ],
        [["--admin", "https://127.0.0.1:1", "--ca", ca], /nobody answers at https/],
      ] as const) {
        const { code, stderr } = await run(["mi", ...args, "--token", "secret", "cleanup"])
        assert.strictEqual(code, 69, stderr)
        assert.match(stderr, why)
      }
    },
  )

  it("serve takes tokens off loopback over HTTPS", { ...patient, tags: ["CLI"] }, async (context) => {
    const { put, ca } = await begin(context)
    const { certificate, key } = await authority.sign({ dns: ["own.example"] })
    const tokens = put("others", `${tokenLine("ops", "admin", "secret")}\n`)
    const serve = (admin: string, ...more: readonly string[]) =>
      run(["config", "check", "--memory", "--admin", admin, "--admin-tokens-file", tokens, ...more])
    const refused = await serve("0.0.0.0:0")
    assert.strictEqual(refused.code, 78)
    assert.match(
      refused.stderr + refused.stdout,
      /serve takes tokens over plain HTTP on loopback addresses only/,
    )
    assert.strictEqual((await serve("0.0.0.0:0", "--set", "admin_insecure_http=1")).code, 0)
    const pem = put("other.pem", certificate + key)
    assert.strictEqual(
      (await serve("https://0.0.0.0:0", "--set", `tls_certificate=${pem}`, "--set", `tls_ca=${ca}`)).code,
      0,
    )
    assert.strictEqual((await serve("localhost:0")).code, 0)
    assert.strictEqual((await serve("[::1]:0")).code, 0)
  })
})
