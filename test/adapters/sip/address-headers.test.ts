import * as fc from "fast-check"
import sip from "sip"
import { assert, describe, it } from "vitest"
import { parseAddress, parseAddresses } from "../../../src/adapters/sip/address-headers.ts"
import { formatUri } from "../../../src/adapters/sip/sip-package.ts"
import { tcp } from "../../../src/adapters/sip/transports/tcp.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import { assertLinear } from "../../support/cost.ts"
import { trapText } from "../../support/sip-messages.ts"

const token = fc.constantFrom("a", "tag1", "x-y", "9", "+sip.instance", "__proto__", "constructor")
const addressParts = fc.record({
  display: fc.constantFrom("", "Alice", "Alice B", '"A, \\"B\\" <c>;d"', '"é"'),
  uri: fc.constantFrom(
    "sip:alice@example.com",
    "sips:b;x=y@h:5061;lr",
    "tel:+1201",
    "sip:[2001:db8::1]:5070",
  ),
  tag: fc.option(fc.constantFrom("t1", "as7-d.f"), { nil: null }),
  parameters: fc.uniqueArray(
    fc.tuple(token, fc.option(fc.constantFrom("1", '"q;,="', "tok"), { nil: null })),
    {
      selector: ([name]) => name,
      maxLength: 3,
    },
  ),
})
const textOf = ({
  display,
  uri,
  tag,
  parameters,
}: typeof addressParts extends fc.Arbitrary<infer T> ? T : never): string =>
  `${display} <${uri}>${parameters.map(([name, value]) => `;${name}${value === null ? "" : `=${value}`}`).join("")}${tag === null ? "" : `;tag=${tag}`}`

describe("address headers", () => {
  it("what is written is what is read", { tags: ["4475-3.1.1-a"] }, () => {
    fc.assert(
      fc.property(addressParts, (parts) => {
        const address = parseAddress(textOf(parts))
        assert.deepStrictEqual([address?.uri, address?.tag], [parts.uri, parts.tag])
        assert.isFalse(address!.untagged.includes(";tag="))
        const again = parseAddress(`${address!.untagged};tag=again`)
        assert.deepStrictEqual(
          [again?.uri, again?.tag, again?.untagged],
          [parts.uri, "again", address!.untagged],
        )
      }),
      { numRuns: 1_000 },
    )
  })

  it(
    "the short way for tags at the end agrees with the package's own reading of the line",
    { tags: ["4475-3.1.1-a"] },
    () => {
      fc.assert(
        fc.property(addressParts, (parts) => {
          const theirs = sip.parse(`X sip:x SIP/2.0\r\nTo: ${textOf(parts)}\r\n\r\n`)?.headers.to
          const ours = parseAddress(textOf(parts))!
          assert.deepStrictEqual(
            [ours.uri, ours.tag],
            [theirs?.uri, parts.tag === null ? null : (theirs?.params["tag"] ?? null)],
          )
        }),
        { numRuns: 500 },
      )
    },
  )

  it("any text is read or refused, in time that grows with its length", { tags: ["4475-3.1.2-a"] }, () => {
    fc.assert(
      fc.property(fc.constantFrom("", "<sip:a@b", '"', "sip:a@b"), trapText(300), (start, text) => {
        parseAddresses(start + text)
      }),
      { numRuns: 2_000 },
    )
    const around = [
      (text: string) => `<sip:a@b>${text}`,
      (text: string) => text,
      (text: string) => `"${text}" <sip:a@b>`,
    ]
    for (const trap of [" ", '"', "<", ";", "a ", ";a", '\\"', ",", ";tag=", "; tag = a "]) {
      for (const [which, within] of around.entries()) {
        assertLinear(
          `${which} ${trap}`,
          (length) => {
            const text = within(trap.repeat(length / trap.length))
            return () => void parseAddresses(text)
          },
          1_000,
        )
      }
    }
  })

  it("a display name needs no blank before the bracket", { tags: ["4475-3.1.1-a"] }, () => {
    assert.strictEqual(parseAddress("caller<sip:caller@example.com>;tag=1")?.uri, "sip:caller@example.com")
  })

  it(
    "without brackets parameters belong to the header, with them to the URI",
    { tags: ["3261-20.10-a"] },
    () => {
      assert.strictEqual(parseAddress("sip:bob@h;x=y")?.uri, "sip:bob@h")
      assert.strictEqual(parseAddress("<sip:bob@h;x=y>")?.uri, "sip:bob@h;x=y")
    },
  )

  it("lists are split at commas outside quotes and brackets", { tags: ["4475-3.1.2-a"] }, () => {
    const uris = parseAddresses('"a,b" <sip:a@h;x=1,2>;q=1, <sip:b@h> , sip:c@h')?.map(({ uri }) => uri)
    assert.deepStrictEqual(uris, ["sip:a@h;x=1,2", "sip:b@h", "sip:c@h"])
  })

  it.each([
    "",
    "*x <sip:a@b",
    '"open <sip:a@b>',
    "<sip:a@b",
    "<>",
    "< >",
    ";tag=1",
    ",<sip:a@b>",
    "<sip:a@b>,",
    "<sip:a@b>;tag=1;tag=2",
    "sip:a@b?Route=x",
    "sip:c@d, Bell <sip:a@b>",
    "c@d, Bell <sip:a@b>",
    "Bell, sip:c@d <sip:a@b>",
    "; <sip:a@b>",
    'Bell "Alex <sip:a@b>',
    "Bell > Alexander <sip:a@b>",
    "Bell, Alexander <a@b>",
    "Bell, Alexander <sip:a@b>, <sip:c@d>",
    "Bell, Alexander <sip:a b@c>",
    "<sip:a b@c>",
    "<sip:a@b> trailing",
    "<sip:a@b>;",
    "<sip:a@b>;tag=",
    '<sip:a@b>;x="open',
  ])("%j is refused", { tags: ["4475-3.1.2-a"] }, (text) => {
    assert.isNull(parseAddress(text))
  })

  it("our Contact is a URI that names the transport when it is not UDP", { tags: ["3261-12.1.1-a"] }, () => {
    assert.strictEqual(formatUri("presence", "192.0.2.1", 5060, udp), "sip:presence@192.0.2.1:5060")
    assert.strictEqual(formatUri("", "[::1]", 5070, tcp), "sip:[::1]:5070;transport=tcp")
  })
})
