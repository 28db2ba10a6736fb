/**
 * Certificates of a server that runs: replaced by a reload, refused when they are no good, counted and dated in metrics.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, beforeAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { Server } from "../../../src/app/index.ts"
import { asking } from "../../support/admin.ts"
import { makeAuthority } from "../../support/certificates.ts"
import type { Authority } from "../../support/certificates.ts"
import { tlsPeer } from "../../support/secure-peer.ts"
import { requestText } from "../../support/sip-messages.ts"
import { eventually } from "../../support/sip-peer.ts"

let authority: Authority
beforeAll(async () => {
  authority = await makeAuthority()
})

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-certificates-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}
const until = new Date(Date.UTC(2099, 0, 31))

describe("certificates while a server runs", { tags: ["OPS-reload"] }, () => {
  it("are replaced for later handshakes, and stay when the new ones are no good", async (context) => {
    const file = join(folderOf(context), "tls.pem")
    const put = async (...dns: readonly string[]): Promise<void> => {
      const { certificate, key } = await authority.sign({ dns, until })
      writeFileSync(file, certificate + key)
    }
    await put("first.example")
    const server = await Server.start({
      reload_check_interval: 0,
      listen: ["tls:127.0.0.1:0", "wss:127.0.0.1:0"],
      admin: "127.0.0.1:0",
      tls_certificate: [file],
      domain: ["example.com"],
    })
    context.onTestFinished(() => server.close())
    const ports = server.addresses.map((address) => Number(address.split(":").at(-1)))
    const shown = async (): Promise<readonly string[]> =>
      Promise.all(
        ports.map(async (port) => {
          const peer = await tlsPeer(port)
          const name = peer.socket.getPeerX509Certificate()?.subjectAltName ?? ""
          peer.close()
          return name
        }),
      )
    const twice = (name: string): readonly string[] => [`DNS:${name}`, `DNS:${name}`]
    const early = await tlsPeer(ports[0]!)
    context.onTestFinished(() => early.close())
    assert.deepStrictEqual(await shown(), twice("first.example"))
    assert.deepStrictEqual(await server.reload(), { changes: [], restart: [] })

    await put("second.example")
    assert.deepStrictEqual(await server.reload(), { changes: ["certificates replaced"], restart: [] })
    assert.deepStrictEqual(await shown(), twice("second.example"))

    writeFileSync(file, "nonsense")
    let fault = ""
    await server.reload().catch((error: { readonly faults: readonly string[] }) => {
      fault = error.faults.join()
    })
    assert.match(fault, /^tls_certificate = .*no certificate in PEM form/)
    assert.deepStrictEqual(await shown(), twice("second.example"))

    early.send(requestText({ headers: { Via: `SIP/2.0/TLS 127.0.0.1:${early.localPort};branch=z9hG4bK-e` } }))
    await eventually(() => early.text().startsWith("SIP/2.0 200 "))

    const { text } = await asking(server.admin)("GET", "/metrics")
    assert.include(text, `presently_certificate_expiry_seconds{file="${file}"} ${until.getTime() / 1_000}`)
    assert.match(text, /^presently_sip_handshakes_failed_total\{reason="limit"\} 0$/m)
  })
})
