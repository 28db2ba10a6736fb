/**
 * What holds for every transport, and what a stack makes of the list it is given.
 */
import { assert, describe, it } from "vitest"
import { countersZero, limitsDefault } from "../../../../src/adapters/sip/options.ts"
import { tcp } from "../../../../src/adapters/sip/transports/tcp.ts"
import { transportSet } from "../../../../src/adapters/sip/transports/transport.ts"
import type { Transport } from "../../../../src/adapters/sip/transports/transport.ts"
import { transports } from "../../../../src/adapters/sip/transports/transports.ts"
import { udp } from "../../../../src/adapters/sip/transports/udp.ts"

const parts = {
  limits: limitsDefault,
  counters: countersZero(),
  clock: () => 0,
  carried: new Set<string>(),
  events: { heard: () => {}, message: () => {}, closed: () => {} },
  onLimit: () => {},
}

/** Only its facts count: nothing is opened. */
const secure: Transport = {
  ...tcp,
  name: "secure",
  viaName: "SECURE",
  isSecure: true,
  defaultPort: 5_061,
  namedBy: ["sip:secure", "sips:tcp"],
}

describe.each(transports.all)("the transport $name", (transport) => {
  it("has names that can stand where they are written", () => {
    assert.match(transport.name, /^[a-z]+$/)
    assert.strictEqual(transport.viaName, transport.name.toUpperCase())
    assert.match(transport.naptrService, /^SIPS?\+D2[UTSW]$/)
    assert.match(transport.srvPrefix, /^_sips?\._(?:udp|tcp|sctp|ws)\.$/)
  })

  it("is found by its name, in a flow, and by the URIs that name it", () => {
    assert.strictEqual(transports.named(transport.name), transport)
    assert.strictEqual(transports.ofFlow(`${transport.name}:[2001:db8::1]:5060`), transport)
    for (const text of transport.namedBy) {
      const [scheme = "", parameter = ""] = text.split(":")
      assert.strictEqual(transports.ofUri(scheme, parameter), transport)
    }
    const leadsBack = transports.ofUri("sip", transport.uriParameter)
    const found = leadsBack === "open" ? transports.presumed : leadsBack
    // RFC 7118 §5.2.4 knows `ws` alone: what makes it secure is the scheme
    assert.strictEqual(found?.name, transport.name === "wss" ? "ws" : transport.name)
    if (transport.isSecure)
      assert.strictEqual(transports.ofUri("sips", transport.secureUriParameter), transport)
  })

  it("has streams exactly when it is reliable, and the transports that it names are there", () => {
    assert.strictEqual(transport.makeSockets(parts).kind === "streams", transport.isReliable)
    assert.strictEqual(transport.connect !== null, transport.isReliable && transport.isDialed)
    for (const name of [transport.bigRequestsOver, transport.besidePortOf])
      if (name !== null) assert.isNotNull(transports.named(name))
  })
})

describe("the transports of a stack", () => {
  it("are those of the list: others are not reached", { tags: ["3263-4.1-a"] }, () => {
    const onlyUdp = transportSet([udp])
    assert.isNull(onlyUdp.ofUri("sip", "tcp"))
    assert.isNull(onlyUdp.named("tcp"))
    assert.isNull(onlyUdp.ofFlow("tcp:192.0.2.1:5060"))
    assert.strictEqual(onlyUdp.ofUri("sip", null), "open")
    assert.strictEqual(onlyUdp.ofUri("sip", "udp"), udp)
  })

  it("reach sips URIs by a secure one only", { tags: ["3263-4.1-a"] }, () => {
    const two = transportSet([udp, tcp])
    assert.isFalse(two.reaches("sips"))
    assert.isNull(two.ofUri("sips", null))
    assert.isNull(two.ofUri("sips", "tcp"))
    const three = transportSet([udp, tcp, secure])
    assert.isTrue(three.reaches("sips"))
    assert.strictEqual(three.ofUri("sips", null), secure)
    assert.strictEqual(three.ofUri("sips", "tcp"), secure)
    assert.strictEqual(three.ofUri("sip", "tcp"), tcp)
    assert.isNull(three.ofUri("sips", "udp"))
    assert.isNull(three.ofUri("tel", null))
    assert.isFalse(three.reaches("pres"))
  })

  it("need names of their own", () => {
    assert.throws(() => transportSet([]))
    assert.throws(() => transportSet([udp, udp]))
  })
})
