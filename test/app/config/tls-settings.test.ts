/**
 * Certificates as the settings name them: what is read, what is refused with what to write, and what is told of dates.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { refusals } from "../../../src/app/cli/run/server-config.ts"
import type { ConfigInvalid } from "../../../src/app/config/config.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { resolveConfig } from "../../../src/app/config/resolve-config.ts"
import { originAllowed } from "../../../src/app/config/tls-settings.ts"
import { certificates } from "../../../src/app/doctor/certificates.ts"
import { makeAuthority } from "../../support/certificates.ts"
import type { Authority, Wanted } from "../../support/certificates.ts"

const folder = mkdtempSync(join(tmpdir(), "presently-tls-"))
afterAll(() => rmSync(folder, { recursive: true }))
let authority: Authority
const put = (name: string, text: string): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}
const made = async (name: string, wanted: Wanted = { dns: ["example.com"] }) => {
  const { certificate, key } = await authority.sign(wanted)
  return {
    cert: put(`${name}.crt`, certificate),
    key: put(`${name}.key`, key),
    both: put(`${name}.pem`, certificate + key),
  }
}
beforeAll(async () => {
  authority = await makeAuthority()
})

const configOf = (settings: Record<string, unknown>) =>
  readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: { memory: true, listen: ["tls:127.0.0.1:0"], ...settings },
  })
const resolved = (settings: Record<string, unknown>) =>
  Effect.runPromise(Effect.result(resolveConfig(configOf(settings), () => {})))
const faultsOf = async (settings: Record<string, unknown>): Promise<readonly string[]> => {
  const result = await resolved(settings)
  return result._tag === "Failure" ? (result.failure as ConfigInvalid).faults : []
}

describe("certificates in settings", () => {
  it("are files with both, or one for each", async () => {
    const { cert, key, both } = await made("a")
    assert.deepStrictEqual(await faultsOf({ tls_certificate: [`${cert};key=${key}`, both] }), [])
  })

  it("that cannot be used are refused, each in one line with what to write", async () => {
    const [a, b] = [await made("a"), await made("b")]
    const nothing = put("nothing.pem", "no certificate\n")
    for (const [entry, why] of [
      [join(folder, "missing.pem"), /there is no such file/],
      [folder, /it is a folder/],
      [nothing, /no certificate in PEM form/],
      [a.key, /no certificate in PEM form/],
      [a.cert, /the key cannot be used/],
      [`${a.cert};key=${b.key}`, /the key does not belong to the certificate/],
      [`${a.cert};key=${join(folder, "missing.key")}`, /missing\.key: there is no such file/],
      [`${a.cert};key=`, /expected FILE or FILE;key=KEYFILE/],
      [`${a.cert};kez=${a.key}`, /expected FILE or FILE;key=KEYFILE/],
      ["", /expected FILE or FILE;key=KEYFILE/],
    ] as const) {
      const [fault, ...others] = await faultsOf({ tls_certificate: [entry] })
      assert.match(fault!, /^tls_certificate = .*\(default\): /)
      assert.match(fault!, why)
      assert.deepStrictEqual(others, [])
    }
  })

  it("are needed by listeners over TLS", async () => {
    for (const listen of ["tls:127.0.0.1:0", "wss:127.0.0.1:0"])
      assert.match(
        (await faultsOf({ listen: ["udp:127.0.0.1:0", listen] }))[0]!,
        /^listen = (tls|wss):… .*give tls_certificate = FILE/,
      )
    assert.deepStrictEqual(await faultsOf({ listen: ["ws:127.0.0.1:0", "udp:127.0.0.1:0"] }), [])
  })

  it("of clients need an authority, and so do peers by certificate", async () => {
    const { both } = await made("a")
    const own = { tls_certificate: [both] }
    for (const clients of ["optional", "required"])
      assert.match((await faultsOf({ ...own, tls_client_certificates: clients }))[0]!, /give tls_ca = FILE/)
    const ca = put("ca.pem", authority.certificate)
    assert.deepStrictEqual(await faultsOf({ ...own, tls_client_certificates: "required", tls_ca: ca }), [])
    const peer = { ...own, trusted_peers: ["certificate:proxy.example.com;identity=pai"] }
    assert.match((await faultsOf(peer))[0]!, /give tls_client_certificates = optional/)
    assert.deepStrictEqual(await faultsOf({ ...peer, tls_client_certificates: "optional", tls_ca: ca }), [])
    assert.match((await faultsOf({ ...own, tls_ca: put("not-a-ca", "x") }))[0]!, /^tls_ca = .*PEM/)
  })

  it("of clients are authentication, without which other hosts are not served", async () => {
    const { both } = await made("a")
    const open = { listen: ["tls:0.0.0.0:0"], tls_certificate: [both] }
    assert.match(refusals(configOf(open), "serve")[0]!, /without authentication/)
    const asked = {
      ...open,
      tls_client_certificates: "required",
      tls_ca: put("ca.pem", authority.certificate),
    }
    assert.deepStrictEqual(refusals(configOf(asked), "serve"), [])
  })
})

describe("dates of certificates", () => {
  const day = 86_400_000
  const from = (days: number): Date => new Date(Date.now() + days * day)

  it("that are near or past are advice; others are told by the doctor", async () => {
    const soon = await made("soon", { dns: ["example.com"], until: from(9.5) })
    const over = await made("over", { dns: ["example.org"], from: from(-9), until: from(-2) })
    const early = await made("early", { dns: ["example.net"], from: from(2) })
    const good = await made("good", { uri: ["sip:example.info"], until: from(60.5) })
    const settings = {
      tls_certificate: [soon.both, over.both, early.both, good.both],
      domain: ["example.com", "example.info", "missing.example"],
    }
    const result = await resolved(settings)
    assert(result._tag === "Success")
    const advice = result.success.advice.map(({ what, fix }) => `${what}; ${fix}`)
    assert.match(
      advice[0]!,
      /soon\.pem expires on \d{4}-\d\d-\d\d, in 9 days; put a new one in its place, then presently reload/,
    )
    assert.match(advice[1]!, /over\.pem expired on \d{4}-\d\d-\d\d: clients refuse it/)
    assert.match(advice[2]!, /early\.pem is valid from \d{4}-\d\d-\d\d on only/)
    assert.strictEqual(advice.length, 3)
    const checks = certificates(result.success.config, result.success.tls.credentials, Date.now())
    assert.deepStrictEqual(
      checks.map(({ status }) => status),
      ["ok", "warn"],
    )
    assert.match(checks[0]!.detail, /good\.pem expires on .*, in 60 days; for example\.info$/)
    assert.match(checks[1]!.detail, /none names missing\.example/)
  })
})

describe("origins", () => {
  const allowed = (origins: readonly string[], isOpen = false) =>
    originAllowed(configOf({ listen: [], websocket_origins: origins }), isOpen)

  it("are compared whole, without regard to case, and a star stands for what is before a domain", () => {
    const isAllowed = allowed(["https://Phone.example.com", "https://*.example.org", "null"])
    for (const origin of [
      "https://phone.example.com",
      "https://a.example.org",
      "HTTPS://a.b.example.org",
      "null",
    ])
      assert.isTrue(isAllowed(origin), origin)
    for (const origin of [
      "https://phone.example.com:8443",
      "http://phone.example.com",
      "https://phone.example.com.evil.example",
      "https://example.org",
      "https://.example.org",
      "https://evilexample.org",
      "http://a.example.org",
      "https://a.example.org.evil.example",
      "",
    ])
      assert.isFalse(isAllowed(origin), origin)
    assert.isTrue(allowed(["*"])("https://anything.example"))
  })

  it("are all where users have passwords, and those of this machine where nobody has", () => {
    assert.isTrue(allowed([])("https://anything.example"))
    for (const origin of [
      "http://localhost",
      "http://localhost:8080",
      "https://127.0.0.1:3000",
      "http://[::1]:1",
    ])
      assert.isTrue(allowed([], true)(origin), origin)
    for (const origin of [
      "https://anything.example",
      "http://localhost.evil.example",
      "null",
      "http://127.0.0.1.evil.example",
    ])
      assert.isFalse(allowed([], true)(origin), origin)
  })

  it("that are none are refused", async () => {
    for (const origin of ["phone.example.com", "https://", "https://a/b c", "https://a/path"])
      assert.match(
        (await faultsOf({ listen: ["udp:127.0.0.1:0"], websocket_origins: [origin] }))[0] ?? origin,
        /^websocket_origins = /,
      )
  })
})
