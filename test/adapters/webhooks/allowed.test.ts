/**
 * Where webhooks may go.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { allowedHosts, allowedHostsFaults } from "../../../src/adapters/webhooks/allowed.ts"

const allowed = allowedHosts(["hooks.example.com", "*.example.org", "10.1.0.0/16", "::1", "192.0.2.7"])
const refuses = (url: string): string | null => allowed.refusesUrl(new URL(url))

describe("hosts of webhooks", () => {
  it(
    "only those that are listed, by name, network or address, however they are written",
    { tags: ["T36"] },
    () => {
      for (const url of [
        "https://hooks.example.com/x",
        "https://HOOKS.example.com:8443/",
        "http://a.example.org",
        "http://a.b.example.org",
        "http://10.1.255.1/",
        "http://[::1]:8080/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://192.0.2.7",
      ]) {
        assert.equal(refuses(url), null, url)
      }
      for (const [url, host] of [
        ["https://example.com", "example.com"],
        ["https://example.org", "example.org"],
        ["https://hooks.example.com.attacker.net", "hooks.example.com.attacker.net"],
        ["https://xexample.org", "xexample.org"],
        ["http://127.0.0.1", "127.0.0.1"],
        ["http://2130706433/", "127.0.0.1"],
        ["http://0x7f.1/", "127.0.0.1"],
        ["http://[::ffff:127.0.0.1]/", "::ffff:7f00:1"],
        ["http://localhost", "localhost"],
        ["http://192.0.2.8", "192.0.2.8"],
        ["http://8.8.8.8", "8.8.8.8"],
      ] as const) {
        assert.equal(refuses(url), `webhook_hosts does not list ${host}`, url)
      }
      const everywhere = allowedHosts(["*"])
      assert.equal(everywhere.refusesUrl(new URL("https://any.example.net")), null)
      assert.ok(!everywhere.allowsAddress("127.0.0.1"))
      assert.equal(
        allowedHosts([]).refusesUrl(new URL("https://a.example")),
        "webhook_hosts does not list a.example",
      )
    },
  )

  it(
    "a listed name that stands for an address of this house leads nowhere, unless that address is listed",
    { tags: ["T36"] },
    () => {
      for (const address of [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "172.31.255.255",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "fd00::1",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
      ]) {
        assert.ok(!allowed.allowsAddress(address), address)
      }
      for (const address of [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "::1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "2606:4700::1111",
      ]) {
        assert.ok(allowed.allowsAddress(address), address)
      }
      const octet = fc.integer({ min: 0, max: 255 })
      fc.assert(
        fc.property(
          fc.constantFrom("10", "127", "192.168", "172.16", "169.254"),
          octet,
          octet,
          octet,
          (net, a, b, c) => {
            const address = [...net.split("."), a, b, c].slice(0, 4).join(".")
            assert.equal(allowed.allowsAddress(address), address.startsWith("10.1."))
            assert.equal(allowed.allowsAddress(`::ffff:${address}`), address.startsWith("10.1."))
          },
        ),
      )
    },
  )

  it("names and networks that are none are told", { tags: ["F8"] }, () => {
    const wrong = ["a b", "10.0.0.0/33", "::/129", "-a.example", "https://a.example", "a.*"]
    assert.deepEqual(
      allowedHostsFaults([...wrong, "*", "*.example.com", "a.example", "10.0.0.0/8", "::1"]),
      wrong,
    )
  })
})
