/**
 * Which address and which port `dev --lan` listens on.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { describe, it } from "vitest"
import {
  chooseAddress,
  freePort,
  isPublic,
  localAddresses,
  ownAddresses,
} from "../../../src/app/lan/network.ts"

const eth0 = { address: "192.168.1.20", link: "eth0" }
const wlan0 = { address: "10.0.0.7", link: "wlan0" }
const self = { address: "169.254.9.9", link: "eth1" }
const ula = { address: "fd00::2", link: "eth0" }
const world = { address: "8.8.4.4", link: "ppp0" }

const entry = (address: string, internal = false) => ({
  address,
  internal,
  netmask: "",
  family: address.includes(":") ? ("IPv6" as const) : ("IPv4" as const),
  mac: "",
  cidr: null,
  scopeid: 0,
})

describe("the address of dev --lan", { tags: ["F4"] }, () => {
  it("is one of the machine's, but for loopback and what is link-local in IPv6", () => {
    const found = localAddresses({
      lo: [entry("127.0.0.1", true), entry("::1", true)],
      eth0: [entry("192.168.1.20"), entry("fe80::1"), entry("FEBF::1"), entry("fd00::2")],
      eth1: [entry("169.254.9.9")],
    })
    assert.deepEqual(found, [eth0, ula, self])
  })

  it.for([
    // of several, that of the default route, and IPv6 too where that is the route
    ["10.0.0.7", [eth0, wlan0], "10.0.0.7"],
    ["fd00::2", [eth0, ula], "fd00::2"],
    // without a default route: private before self-assigned, IPv4 before IPv6, public never by itself
    [null, [self, ula, eth0], "192.168.1.20"],
    [null, [self, ula], "fd00::2"],
    [null, [self], "169.254.9.9"],
    [null, [world, self], "169.254.9.9"],
    // a route that leads through none of them
    ["172.16.0.1", [wlan0], "10.0.0.7"],
  ] as const)("is chosen by the default route %s from %j: %s", ([routed, addresses, expected]) => {
    const choice = chooseAddress(null, routed, addresses)
    assert.ok(choice._tag === "Chosen")
    assert.equal(choice.address, expected)
    assert.deepEqual(
      choice.others.map(({ address }) => address),
      addresses.map(({ address }) => address).filter((address) => address !== expected),
    )
  })

  it.for([
    [null, null, [], /this machine has no address on a network: .*--lan 127\.0\.0\.1/],
    // never public without being told so, also where there is a private one beside it
    [
      null,
      "8.8.4.4",
      [world],
      /8\.8\.4\.4 \(ppp0\) is a public address.*: --lan 8\.8\.4\.4 if that is meant$/,
    ],
    [
      null,
      "8.8.4.4",
      [world, eth0],
      /public address.*another address of this machine: 192\.168\.1\.20 \(eth0\)$/,
    ],
    [
      "10.9.9.9",
      null,
      [eth0, wlan0],
      /10\.9\.9\.9 is no address of this machine; there are 192\.168\.1\.20 \(eth0\), 10\.0\.0\.7/,
    ],
    ["10.9.9.9", null, [], /no address of this machine; it has none on a network/],
    ["0.0.0.0", null, [eth0], /0\.0\.0\.0 is no address that a phone can be given/],
    ["[::]", null, [eth0], /\[::\] is no address that a phone can be given/],
    ["pbx.example.com", null, [eth0], /pbx\.example\.com is no IP address/],
    ["192.168.1.20:5060", null, [eth0], /is no IP address/],
  ] as const)("%s, routed %s, of %j: refused", ([wanted, routed, addresses, why]) => {
    const choice = chooseAddress(wanted, routed, addresses)
    assert.ok(choice._tag === "None")
    assert.match(choice.why, why)
    assert.match(choice.why, /^--lan: .*[^\n]$/)
  })

  it.for([
    ["8.8.4.4", "8.8.4.4"],
    ["10.0.0.7", "10.0.0.7"],
    ["[FD00::2]", "fd00::2"],
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
  ] as const)("is %s when that is asked for, public or not", ([wanted, expected]) => {
    const choice = chooseAddress(wanted, "192.168.1.20", [eth0, wlan0, ula, world])
    assert.ok(choice._tag === "Chosen")
    assert.equal(choice.address, expected)
  })

  it("public: what the IANA registries say is reached from everywhere", () => {
    const all = [
      "8.8.8.8",
      "100.64.0.1",
      "10.1.1.1",
      "172.31.0.1",
      "172.32.0.1",
      "192.168.0.1",
      "fd00::1",
      "2a00::1",
    ]
    assert.deepEqual(all.filter(isPublic), ["8.8.8.8", "172.32.0.1", "2a00::1"])
  })
})

describe("the port of dev --lan", { tags: ["F4"] }, () => {
  const at = "127.66.41.1"
  it("is 5060, or the next that is free for UDP and TCP, without that of TLS", async ({ onTestFinished }) => {
    assert.equal(await freePort(at), 5060)
    const udp = createSocket("udp4")
    await new Promise<void>((resolve) => udp.bind(5060, at, resolve))
    onTestFinished(() => void udp.close())
    assert.equal(await freePort(at), 5062)
    const tcp = createServer()
    await new Promise<void>((resolve) => tcp.listen(5062, at, resolve))
    onTestFinished(() => void tcp.close())
    assert.equal(await freePort(at), 5063)
    // another address has its own
    assert.equal(await freePort("127.66.41.2"), 5060)
  })

  it("is none where every one is taken, and an error where the address is not of this machine", async ({
    onTestFinished,
  }) => {
    const place = "127.66.41.3"
    for (let port = 5060; port < 5080; port++) {
      const udp = createSocket("udp4")
      await new Promise<void>((resolve) => udp.bind(port, place, resolve))
      onTestFinished(() => void udp.close())
    }
    assert.equal(await freePort(place), null)
    await assert.rejects(freePort("198.51.100.77"), /EADDRNOTAVAIL/)
  })
})

describe("the addresses of this machine in URIs", { tags: ["OPS-domain"] }, () => {
  const interfaces = {
    lo: [{ address: "127.0.0.1" }, { address: "::1" }],
    eth0: [{ address: "192.0.2.7" }, { address: "2001:db8::7" }, { address: "fe80::1" }],
  } as never
  const at = (...hosts: readonly string[]): readonly string[] =>
    ownAddresses(
      hosts.map((host) => ({ host })),
      interfaces,
    )

  it("are those that are listened on, all of a family where that is, and none of a link alone", () => {
    assert.deepEqual(at("127.0.0.1", "127.0.0.1", "2001:db8::9"), ["127.0.0.1", "[2001:db8::9]"])
    assert.deepEqual(at("0.0.0.0"), ["127.0.0.1", "192.0.2.7"])
    assert.deepEqual(at("::"), ["127.0.0.1", "[::1]", "192.0.2.7", "[2001:db8::7]"])
    assert.deepEqual(at(), [])
  })
})
