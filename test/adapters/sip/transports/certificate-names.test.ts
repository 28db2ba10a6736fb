/**
 * Which names of a certificate count (RFC 5922 §7.1), and how they are compared (§7.2).
 */
import { X509Certificate } from "node:crypto"
import { assert, beforeAll, describe, it } from "vitest"
import { covers, namesOf } from "../../../../src/adapters/sip/transports/certificate-names.ts"
import type { PeerCertificate } from "../../../../src/adapters/sip/transports/certificate-names.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { Authority, Wanted } from "../../../support/certificates.ts"

let authority: Authority
beforeAll(async () => {
  authority = await makeAuthority()
})

const names = async (wanted: Wanted): Promise<PeerCertificate> =>
  namesOf(new X509Certificate((await authority.sign(wanted)).certificate))

describe("the names of a certificate", () => {
  it("are the domains of its sip URIs, whatever else is in it", { tags: ["5922-7.1-a"] }, async () => {
    const found = await names({
      commonName: "common.example.net",
      uri: ["sip:Example.COM", "sips:example.org", "https://example.info/", "urn:uuid:1"],
      dns: ["proxy.example.com"],
    })
    assert.deepStrictEqual(found, { domains: ["example.com", "example.org"], users: [], addresses: [] })
  })

  it("are its DNS names where it has no sip URI", { tags: ["5922-7.1-a"] }, async () => {
    const found = await names({
      commonName: "common.example.net",
      uri: ["https://example.info/"],
      dns: ["Proxy.Example.com", "b.example.com"],
    })
    assert.deepStrictEqual(found.domains, ["proxy.example.com", "b.example.com"])
  })

  it("are its common name only where it has no other", { tags: ["5922-7.1-a"] }, async () => {
    assert.deepStrictEqual((await names({ commonName: "sip.example.com" })).domains, ["sip.example.com"])
    assert.deepStrictEqual((await names({ commonName: "sip.example.com", ip: ["192.0.2.1"] })).domains, [])
    assert.deepStrictEqual((await names({ commonName: "Alice Smith" })).domains, [])
  })

  it("name users by sip URIs with a user part, which are no domains", { tags: ["5922-7.1-b"] }, async () => {
    const found = await names({
      uri: ["sip:alice@Example.com", "sips:al%69ce@example.com:5061", "sip:bob@example.com"],
      dns: ["example.com"],
    })
    assert.deepStrictEqual<readonly string[]>(found.users, ["sip:alice@example.com", "sip:bob@example.com"])
    assert.deepStrictEqual(found.domains, [])
  })

  it("name hosts by address", async () => {
    const found = await names({ ip: ["192.0.2.1", "2001:db8::1"] })
    assert.isTrue(covers(found, "192.0.2.1"))
    assert.isTrue(covers(found, "[2001:DB8:0:0::1]"))
    assert.isFalse(covers(found, "192.0.2.2"))
  })

  it("never match by a wildcard", { tags: ["5922-7.2-a"] }, async () => {
    const found = await names({ dns: ["*.example.com", "example.org"] })
    assert.deepStrictEqual(found.domains, ["example.org"])
    assert.isFalse(covers(found, "a.example.com"))
    assert.isFalse(covers(found, "*.example.com"))
    assert.isFalse(covers(found, "a.example.org"))
    assert.isTrue(covers(found, "EXAMPLE.org."))
  })

  it("are not made of text inside another name", async () => {
    const found = await names({ uri: ["https://a/, DNS:evil.example.com"], dns: ["good.example.com"] })
    assert.deepStrictEqual(found.domains, ["good.example.com"])
    const forged = await names({ uri: ["https://a/, URI:sip:evil@example.com"] })
    assert.deepStrictEqual(forged.users, [])
  })
})
