/**
 * Where a request came from, in fewer octets and back.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { packOrigin, unpackOrigin } from "../../../../src/adapters/store/postgres/origin.ts"

const anyNumber = fc.oneof(
  fc.nat({ max: 300 }).map(String),
  fc.constantFrom("00", "010", "255", "256", "1e1", "+1", "65535", "65536", ""),
)
const anyAddress = fc.array(anyNumber, { minLength: 4, maxLength: 4 }).map((all) => all.join("."))
const anyCallId = fc
  .tuple(fc.string({ unit: "binary", maxLength: 12 }), fc.constantFrom("", "@", "@host", "@192.0.2.20"))
  .map((parts) => parts.join(""))
const anyOrigin = fc.oneof(
  fc
    .record({
      transport: fc.constantFrom("udp", "tcp", "tls", "ws", "wss", "U", "sctp", ""),
      address: fc.oneof(anyAddress, fc.constant("192.0.2.20"), fc.constant("[2001:db8::1]")),
      port: anyNumber,
      callId: anyCallId,
      cseq: anyNumber,
      isHost: fc.boolean(),
    })
    .map(({ transport, address, port, callId, cseq, isHost }) => {
      const id = isHost ? `${callId}@${address}` : callId
      return `${transport}:${address}:${port} ${id} ${cseq}`
    }),
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "",
    "=",
    "UwAACFBPEa84b4c@ 100",
    "=UwAACFBPEa84b4c@ 100",
    "T",
    "rules source /r/sip:alice@example.com.xml",
  ),
)

describe("origin", () => {
  it("comes back as it was, whatever it is", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(anyOrigin, (origin) => {
        assert.equal(unpackOrigin(packOrigin(origin)), origin)
        assert.equal(unpackOrigin(packOrigin(packOrigin(origin))), packOrigin(origin))
      }),
      { numRuns: 2000 },
    )
  })

  it("of a request over IPv4 takes fewer octets", { tags: ["T38"] }, () => {
    assert.equal(
      packOrigin("udp:192.0.2.20:5060 a84b4c76e66710@192.0.2.20 100"),
      "UwAACFBPEa84b4c76e66710@ 100",
    )
    assert.equal(packOrigin("tls:192.0.2.20:5061 a@b 1"), "SwAACFBPFa@b 1")
    for (const other of [
      "udp:[2001:db8::1]:5060 a@b 1",
      "udp:192.0.2.020:5060 a@b 1",
      "udp:192.0.2.20:5060 a@ 1",
    ])
      assert.equal(packOrigin(other), other)
  })
})
