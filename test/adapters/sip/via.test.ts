import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import { parseVia, responseTarget, stampVia } from "../../../src/adapters/sip/via.ts"
import { trapText } from "../../support/sip-messages.ts"

const stamp = (line: string, address = "192.0.2.7", port = 4711): string =>
  stampVia(line, parseVia(line)!, address, port)
const ownParameters = fc.constantFrom(";rport", ";rport=5", ";received=1.2.3.4", " ; Received", ";maddr=h")
const target = (line: string) => responseTarget(parseVia(line)!, "192.0.2.7", 4711, udp)

describe("via", () => {
  it(
    "rport is filled in with the source port, and received is added even when it says nothing new",
    { tags: ["3581-4-a"] },
    () => {
      assert.strictEqual(
        stamp("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1"),
        "SIP/2.0/UDP 192.0.2.7:5060;rport=4711;branch=z9hG4bK1;received=192.0.2.7",
      )
      assert.deepStrictEqual(target("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1"), {
        address: "192.0.2.7",
        port: 4711,
      })
    },
  )

  it.each(["h:5070", "h :5070", "h: 5070", "h \t:  5070"])(
    "blanks may stand around the colon of sent-by: %j",
    { tags: ["4475-3.1.1-a"] },
    (sentBy) => {
      const via = parseVia(`SIP/2.0/UDP ${sentBy};branch=z9hG4bK1`)
      assert.deepStrictEqual([via?.host, via?.port, via?.branch], ["h", 5070, "z9hG4bK1"])
    },
  )

  it("received is added when sent-by is another host, and only then", { tags: ["3261-18.2.1-a"] }, () => {
    assert.strictEqual(
      stamp("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1"),
      "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
    )
    assert.strictEqual(
      stamp("SIP/2.0/UDP pc.example.com;branch=z9hG4bK1"),
      "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1;received=192.0.2.7",
    )
  })

  it("a received that the client wrote itself is replaced", { tags: ["3261-18.2.1-a"] }, () => {
    assert.strictEqual(
      stamp("SIP/2.0/UDP h:5060;received=1.2.3.4;branch=z9hG4bK1, SIP/2.0/UDP x;received=5.6.7.8"),
      "SIP/2.0/UDP h:5060;branch=z9hG4bK1;received=192.0.2.7, SIP/2.0/UDP x;received=5.6.7.8",
    )
  })

  it.each([
    [";rport;branch=z9hG4bK1;rport", ";rport=4711;branch=z9hG4bK1;received=192.0.2.7"],
    [";RPORT=1 ; rport=2;branch=z9hG4bK1", ";rport=4711;branch=z9hG4bK1;received=192.0.2.7"],
    [";received=1.2.3.4;branch=z9hG4bK1;Received=5.6.7.8", ";branch=z9hG4bK1;received=192.0.2.7"],
    [
      ";received=1.2.3.4;rport;received;x;rport=5;branch=z9hG4bK1;received=9.9.9.9, SIP/2.0/UDP y;rport;rport",
      ";rport=4711;x;branch=z9hG4bK1;received=192.0.2.7, SIP/2.0/UDP y;rport;rport",
    ],
  ])(
    "rport and received that come several times are filled in once, so that none is left as the client wrote it: %j",
    { tags: ["3261-18.2.1-a", "3581-4-a"] },
    (written, stamped) => {
      assert.strictEqual(stamp(`SIP/2.0/UDP h:5060${written}`), `SIP/2.0/UDP h:5060${stamped}`)
    },
  )

  it(
    "without rport the response goes to the sent-by port of the source, with maddr to a group and to nobody else",
    { tags: ["3261-18.2.2-a"] },
    () => {
      assert.deepStrictEqual(target("SIP/2.0/UDP h:5070;branch=z9hG4bK1"), {
        address: "192.0.2.7",
        port: 5070,
      })
      assert.deepStrictEqual(target("SIP/2.0/UDP h;branch=z9hG4bK1"), { address: "192.0.2.7", port: 5060 })
      assert.deepStrictEqual(target("SIP/2.0/UDP h:5070;maddr=224.0.1.75;branch=z9hG4bK1"), {
        address: "224.0.1.75",
        port: 5070,
      })
      for (const stranger of [
        "192.0.2.99",
        "255.255.255.255",
        "240.0.0.1",
        "0.0.0.0",
        "127.0.0.1",
        "example.net",
        "[2001:db8::9]",
        "[::ffff:192.0.2.99]",
        "[ff02::1]",
        "192.0.2.7",
      ])
        assert.deepStrictEqual(
          target(`SIP/2.0/UDP h:5070;maddr=${stranger};branch=z9hG4bK1`),
          { address: "192.0.2.7", port: 5070 },
          stranger,
        )
      const to6 = (line: string) => responseTarget(parseVia(line)!, "2001:db8::7", 4711, udp)
      assert.deepStrictEqual(to6("SIP/2.0/UDP h;maddr=[ff02::1]"), { address: "ff02::1", port: 5060 })
      for (const stranger of ["[2001:db8::9]", "192.0.2.9", "224.0.1.75", "[::ffff:224.0.0.1]"])
        assert.deepStrictEqual(to6(`SIP/2.0/UDP h;maddr=${stranger};rport`), {
          address: "2001:db8::7",
          port: 4711,
        })
    },
  )

  it(
    "IPv6 in sent-by needs brackets; received is written without and read with or without",
    { tags: ["5118-4.5-a"] },
    () => {
      assert.strictEqual(
        parseVia("SIP/2.0/UDP [2001:db8::9:1]:5062;branch=z9hG4bK-v6")?.host,
        "[2001:db8::9:1]",
      )
      assert.isNull(parseVia("SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bK-v6"))
      assert.strictEqual(
        stamp("SIP/2.0/UDP [2001:db8::2];received=[2001:db8::3];branch=z9hG4bK1", "2001:db8::1"),
        "SIP/2.0/UDP [2001:db8::2];branch=z9hG4bK1;received=2001:db8::1",
      )
      assert.isNotNull(parseVia("SIP/2.0/UDP [2001:db8::2];received=2001:db8::3;branch=z9hG4bK1"))
    },
  )

  it.each(["__proto__", "constructor", "toString"])(
    "a parameter named %s is a plain name",
    { tags: ["3261-8.2.2-a"] },
    (name) => {
      assert.strictEqual(parseVia(`SIP/2.0/UDP h;${name};branch=z9hG4bK1;${name}x=1`)?.branch, "z9hG4bK1")
    },
  )

  it("blanks may stand around every separator", { tags: ["4475-3.1.1-a"] }, () => {
    const via = parseVia(
      'SIP  / 2.0\t/ udp   h.example.com : 5066 ; branch = z9hG4bK9 ; x = "a;b,c" ; rport , SIP/2.0/TCP y',
    )
    assert.deepStrictEqual(
      [via?.transport, via?.host, via?.port, via?.branch, via?.rport],
      ["UDP", "h.example.com", 5066, "z9hG4bK9", 0],
    )
  })

  it.each([
    "",
    "SIP/2.0/UDP",
    "SIP/2.0/UDP ",
    "SIP/3.0/UDP h",
    "SIP/2.0 h",
    "X/2.0/UDP h",
    "SIP/2.0/UDP h:0",
    "SIP/2.0/UDP h:70000",
    'SIP/2.0/UDP h;x="a',
    "SIP/2.0/UDP h;branch=a;branch=b",
    "SIP/2.0/UDP h;=x",
  ])("%j is no Via", { tags: ["4475-3.1.2-a"] }, (text) => {
    assert.isNull(parseVia(text))
  })

  it(
    "whatever Via is readable, stamping it gives a readable one with the same branch and sent-by, and nothing of ours twice",
    { tags: ["3261-8.2.6.2-a"] },
    () => {
      fc.assert(
        fc.property(fc.array(fc.oneof(trapText(20), ownParameters), { maxLength: 6 }), (pieces) => {
          const line = `SIP/2.0/UDP h.example.com:5066;branch=z9hG4bK1${pieces.join("")}`
          const via = parseVia(line)
          if (via === null) return
          const again = parseVia(stampVia(line, via, "192.0.2.7", 4711))
          assert.deepStrictEqual([again?.branch, again?.host, again?.port], [via.branch, via.host, via.port])
          assert.deepStrictEqual(again?.repeated, [])
        }),
        { numRuns: 1_000 },
      )
    },
  )
})
