/**
 * The certificate that `presently dev` makes: for whom, for how long, kept, and made anew.
 */
import { X509Certificate, createPrivateKey } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { browserLines, browserListen } from "../../../src/app/lan/browser.ts"
import { ownCertificate } from "../../../src/app/lan/own-certificate.ts"
import { makeAuthority } from "../../support/certificates.ts"

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-own-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, "phones")
}
const hosts = ["localhost", "127.0.0.1", "::1", "pbx.example.com"]

describe("the certificate of dev", () => {
  it("names what phones connect to, has its key beside it, and is its owner's alone", async (context) => {
    const { file, certificateFile, isNew } = await ownCertificate(folderOf(context), hosts)
    assert.isTrue(isNew)
    const pem = readFileSync(file, "utf8")
    const certificate = new X509Certificate(pem)
    for (const name of ["localhost", "pbx.example.com"]) assert.strictEqual(certificate.checkHost(name), name)
    for (const address of ["127.0.0.1", "::1"]) assert.isDefined(certificate.checkIP(address))
    assert.isUndefined(certificate.checkHost("example.com"))
    assert.isTrue(certificate.checkPrivateKey(createPrivateKey(pem)))
    assert.isTrue(certificate.verify(certificate.publicKey))
    const days = (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / 86_400_000
    assert.isAtMost(days, 398)
    assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    assert.notInclude(readFileSync(certificateFile, "utf8"), "PRIVATE")
  })

  it("is the same at the next start, and another where it would not do", async (context) => {
    const folder = folderOf(context)
    const made = await ownCertificate(folder, hosts)
    const text = (): string => readFileSync(made.file, "utf8")
    const first = text()
    assert.isFalse((await ownCertificate(folder, hosts.slice(1))).isNew)
    assert.strictEqual(text(), first)
    assert.isTrue((await ownCertificate(folder, [...hosts, "192.0.2.1"])).isNew)
    assert.notStrictEqual(text(), first)
    const soon = new Date(Date.now() + 20 * 86_400_000)
    const { certificate, key } = await (await makeAuthority()).sign({ dns: ["localhost"], until: soon })
    for (const damaged of [certificate + key, "nonsense", ""]) {
      writeFileSync(made.file, damaged)
      assert.isTrue((await ownCertificate(folder, ["localhost"])).isNew)
      assert.isFalse((await ownCertificate(folder, ["localhost"])).isNew)
    }
  })
})

describe("listeners for browsers", () => {
  it("are on each address that is listened on", () => {
    const given = { flags: {}, set: [], env: {}, file: null }
    const listen = ["udp:192.0.2.1:5062", "tcp:192.0.2.1:5062", "udp:[2001:db8::1]:5060"]
    const beside = browserListen(readConfig({ ...given, defaults: { memory: true, listen } }))
    assert.deepStrictEqual(beside, [
      ...listen,
      ...["192.0.2.1", "[2001:db8::1]"].flatMap((host) => [
        `tls:${host}:5061`,
        `ws:${host}:5066`,
        `wss:${host}:7443`,
      ]),
    ])
    const lines = browserLines(beside).join("\n")
    assert.include(lines, "ws://192.0.2.1:5066")
    assert.include(lines, "https://192.0.2.1:7443")
    assert.deepStrictEqual(browserLines(listen), [])
  })
})
