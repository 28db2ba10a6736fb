/**
 * What is read although the grammar does not allow it, what is refused all the same, and that what is written of it is proper.
 */
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { parseAddress, parseAddresses } from "../../../src/adapters/sip/address-headers.ts"
import { formatNotify } from "../../../src/adapters/sip/format-notify.ts"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { makeOwnAddresses } from "../../../src/adapters/sip/own-addresses.ts"
import { makeRegistrar } from "../../../src/adapters/sip/registrar.ts"
import { makeLocalHosts } from "../../../src/adapters/sip/transports/local-address.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import { ownAddressOf, parseUri, plainHost, writableUri } from "../../../src/adapters/sip/uri.ts"
import { parseVia } from "../../../src/adapters/sip/via.ts"
import type { Publish, Subscribe } from "../../../src/domain/presentity/commands.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { canonicalUri } from "../../../src/domain/uris.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { decodeMessage, requestRules } from "../../support/sip-decoder.ts"
import { headerValue, read, readRequest, requestText } from "../../support/sip-messages.ts"
import type { RequestParts } from "../../support/sip-messages.ts"

/** The final status of the refusal; 0 if a command comes of it. */
const statusOf = (parts: RequestParts): number => {
  const message = readRequest(parts)
  if (message.fault !== null) return message.fault.status
  const decoded = decodeMessage(message)
  return decoded._tag === "Reply" ? decoded.reply.status : 0
}

const commandOf = <Command extends Publish | Subscribe>(parts: RequestParts): Command => {
  const message = readRequest(parts)
  assert.isNull(message.fault)
  const decoded = decodeMessage(message)
  assert(decoded._tag === "Submit", JSON.stringify(decoded))
  return decoded.command as Command
}

/** The first NOTIFY of the subscription that a SUBSCRIBE begins. */
const notifyFor = (parts: RequestParts): string => {
  const { dialog } = commandOf<Subscribe>({ method: "SUBSCRIBE", ...parts })
  const notify = {
    packageName: "presence",
    eventId: null,
    state: "active",
    expires: 60,
    reason: null,
    retryAfter: null,
    rates: null,
    entityTag: null,
    body: null,
    cseq: 1,
  } as unknown as Notify
  return formatNotify(
    notify,
    requestRules.prepareDialog(dialog),
    udp,
    "192.0.2.10:5060",
    "z9hG4bK1",
  ).toString("utf8")
}

/** Lines that nobody needs, each malformed in its own way. */
const odd = [
  "Foo Bar: 1",
  "X-Vendor",
  "X-Vendor\r\n and more of it",
  "X-Vendor\r\n Contact: <sip:mallory@192.0.2.66>",
  ": 1",
  "X-Vendor: a\u0001b",
  "X-Vendor: a\nTo: <sip:mallory@example.com>",
  "X-Vendor: a\rb\0c\x7f",
  "(X): 1",
  "Max-Forwards: 70\r\nMax-Forwards: 69",
  "Max-Forwards: abc",
  "Retry-After: 1\r\nRetry-After: 2",
  "Subscription-State: active\r\nSubscription-State: terminated",
  'Supported: "',
  "Content-Length: 0\r\nContent-Length: 0",
  Array.from({ length: 300 }, (_, index) => `X-${index}: 1`).join("\r\n"),
  `X-Long: ${"x".repeat(9_000)}`,
  `Route: <sip:192.0.2.1;x=${"x".repeat(3_000)}>`,
] as const

/** The request with these lines before its Content-Length, or in place of it if they have one. */
const withLines = (text: string, lines: string): string =>
  lines.startsWith("Content-Length")
    ? text.replace(/Content-Length: \d+/, () => lines)
    : text.replace("Content-Length:", () => `${lines}\r\nContent-Length:`)

describe("headers that nobody needs", () => {
  it.each(odd)("%j hurts no request", { tags: ["3261-8.2.2-a"] }, (lines) => {
    for (const parts of [
      { method: "SUBSCRIBE" },
      { method: "SUBSCRIBE", headers: { To: "<sip:alice@example.com>;tag=ours" } },
      { method: "PUBLISH", headers: { "SIP-If-Match": "a" } },
      { method: "OPTIONS" },
      { method: "REGISTER", uri: "sip:example.com" },
    ]) {
      const plain = requestText(parts)
      const [without, message] = [read(plain)!, read(withLines(plain, lines))!]
      assert.isNull(message.fault, `${parts.method} ${message.fault?.reason}`)
      assert.deepStrictEqual(
        [message.to, message.from, message.vias, message.headers.get("contact")],
        [without.to, without.from, without.vias, without.headers.get("contact")],
      )
      const [expected, decoded] = [decodeMessage(without), decodeMessage(message)]
      assert.strictEqual(decoded._tag, expected._tag)
      if (decoded._tag === "Reply" && expected._tag === "Reply")
        assert.strictEqual(decoded.reply.status, expected.reply.status)
    }
  })

  it.each([
    ...odd,
    "Content-Type: a/b\r\nContent-Type: c/d",
    "Expires: 1\r\nExpires: 2",
    "Event: a\r\nEvent: b",
    `Contact: <sip:bob@127.0.0.1;x=${"x".repeat(3_000)}>`,
    'Contact: "open <sip:a@b>',
    "From: x\r\nTo:",
    `Record-Route: ${"x".repeat(3_000)}`,
  ])("%j hurts no response", { tags: ["3261-8.2.2-a"] }, (lines) => {
    const text =
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: c\r\nCSeq: 7 NOTIFY\r\nContent-Length: 0\r\n\r\n"
    const message = read(withLines(text, lines))!
    assert.deepStrictEqual(
      [message.fault, message.status, message.method, message.cseq, message.callId, message.vias.length],
      [null, 200, "NOTIFY", 7, "c", 1],
    )
  })

  it.each(["SIP/2.0 200 OK", "sip/2.0 200 OK", "Sip/2.0 200", "SIP/2.0 200 \u0001\t?"])(
    "%j is a status line",
    { tags: ["3261-7.1-a"] },
    (line) => {
      assert.strictEqual(read(`${line}\r\nVia: x\r\nCSeq: 1 NOTIFY\r\n\r\n`)?.status, 200)
    },
  )

  it(
    "a header that is needed, and has two values, is refused; the same value again says nothing new",
    { tags: ["4475-3.3.8-a"] },
    () => {
      const body = "<presence/>"
      const cases: readonly (readonly [
        method: string,
        name: string,
        values: readonly [string, string],
        status: number,
      ])[] = [
        ["SUBSCRIBE", "Event", ["presence", "dialog"], 400],
        ["PUBLISH", "Event", ["presence", "dialog"], 400],
        ["SUBSCRIBE", "Expires", ["60", "600"], 400],
        ["PUBLISH", "Expires", ["60", "600"], 400],
        ["SUBSCRIBE", "Content-Type", ["a/b", "c/d"], 0],
        ["OPTIONS", "Expires", ["60", "600"], 200],
        ["OPTIONS", "Event", ["presence", "dialog"], 200],
        ["SUBSCRIBE", "Sender", ["<sip:a@b>", "<sip:c@d>"], 0],
      ]
      for (const [method, name, values, status] of cases) {
        assert.strictEqual(statusOf({ method, headers: { [name]: values } }), status, `${method} ${name}`)
        const same = [values[0], values[0]]
        assert.oneOf(statusOf({ method, headers: { [name]: same } }), [0, 200], `${method} ${name}`)
      }
      const publish = (headers: RequestParts["headers"], text: string) =>
        commandOf<Publish>({ method: "PUBLISH", body: text, headers: { Event: "presence", ...headers } })
          .bodyFault
      assert.strictEqual(
        publish({ "Content-Type": ["application/pidf+xml", "a/b"] }, body)?._tag,
        "BadRequest",
      )
      assert.isNull(publish({ "Content-Type": ["application/pidf+xml", "application/pidf+xml"] }, body))
      assert.isNull(publish({ "Content-Type": ["application/pidf+xml", "a/b"] }, ""))
      for (const name of ["From", "To", "Call-ID", "CSeq"]) {
        const line = new RegExp(`${name}: .*\r\n`)
        assert.strictEqual(read(requestText().replace(line, "$&$&"))?.fault?.status, 400, name)
      }
    },
  )

  it(
    "a control character where it matters leads to the refusal that any other malformed value leads to",
    { tags: ["3261-8.2.2-a"] },
    () => {
      const { Event, ...rest } = { Event: "pre\u0001sence", Contact: "<sip:bob@127\u0001.0.0.1>" }
      assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: { Event } }), 400)
      assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: rest }), 400)
      assert.strictEqual(statusOf({ method: "PUBLISH", headers: { "SIP-If-Match": "a\u0001b" } }), 400)
      assert.strictEqual(statusOf({ headers: { From: "<sip:bob@example.com>;tag=a\nb" } }), 400)
      const notify = notifyFor({
        headers: {
          From: '"B\nX: y" <sip:bob@example.com>;tag=b',
          "Record-Route": '"R\rX: y" <sip:127.0.0.1;lr>',
        },
      })
      assert.isFalse(notify.split("\r\n").some((line) => line.startsWith("X") || /[\r\n]/.test(line)))
    },
  )

  it(
    "an Accept that cannot be read says nothing, an empty one accepts nothing",
    { tags: ["3261-20.1-a"] },
    () => {
      const accept = (lines: string | readonly string[]) =>
        commandOf<Subscribe>({ method: "SUBSCRIBE", headers: { Accept: lines } }).accept
      assert.isNull(accept('c/d;x=", e/f'))
      assert.deepStrictEqual(accept(['c/d;x=", e/f', "a/b"]), ["a/b"])
      assert.deepStrictEqual(accept(""), [])
    },
  )

  it("a semicolon at the end of Event and Content-Type adds nothing", { tags: ["3261-8.2.2-a"] }, () => {
    const command = commandOf<Publish>({
      method: "PUBLISH",
      body: "<presence/>",
      headers: { Event: "presence;", "Content-Type": "application/pidf+xml; " },
    })
    assert.deepStrictEqual(
      [command.packageName, command.body?.contentType],
      ["presence", "application/pidf+xml" as never],
    )
  })

  it(
    "an empty SIP-If-Match begins a publication, as that of a device that has no entity-tag",
    { tags: ["3903-6-a"] },
    () => {
      assert.deepStrictEqual(
        commandOf<Publish>({ method: "PUBLISH", headers: { "SIP-If-Match": "" } }).ifMatch,
        [],
      )
    },
  )
})

describe("Via", () => {
  it.each([
    [";rport;branch=z9hG4bK1;", "z9hG4bK1", 0],
    [";branch=z9hG4bK1 ; ", "z9hG4bK1", null],
    [";branch=z9hG4bK1;rport=", "z9hG4bK1", 0],
    [";rport= ;branch=z9hG4bK1", "z9hG4bK1", 0],
    [";branch=z9hG4bK1;received=", "z9hG4bK1", null],
    [";branch=", "", null],
  ] as const)("with parameters %j is read", { tags: ["3261-18.2.2-a"] }, (parameters, branch, rport) => {
    const via = parseVia(`SIP/2.0/UDP h:5060${parameters}`)
    assert.deepStrictEqual([via?.branch, via?.rport], [branch, rport])
  })

  it.each([";;branch=z9hG4bK1", ";branch=z9hG4bK1;;", ";,SIP/2.0/UDP x", ";=", ";branch=a;branch=b", ';x="'])(
    "with parameters %j is refused",
    { tags: ["4475-3.1.2-a"] },
    (parameters) => {
      assert.isNull(parseVia(`SIP/2.0/UDP h:5060${parameters}`))
    },
  )
})

describe("URIs", () => {
  it.each([
    ["sip:*21#@example.com", "sip:*21%23@example.com"],
    ["sips:9901#1@example.com:5061;x=y", "sips:9901%231@example.com:5061;x=y"],
    ["sip:##:pw@example.com", "sip:%23%23:pw@example.com"],
    ["sip:b\u00c3\u00bcro@example.com", "sip:b%C3%BCro@example.com"],
    ["sip:a@b\u00c3\u00bccher.example", "sip:a@xn--bcher-kva.example"],
    ["sip:b\u00c3\u00bccher.example:5070", "sip:xn--bcher-kva.example:5070"],
    ["SIP:*21#@B\u00c3\u009cCHER.example", "SIP:*21%23@xn--bcher-kva.example"],
  ])("%s is read as %s, and written so", { tags: ["3261-19.1.2-a"] }, (raw, proper) => {
    assert.strictEqual(writableUri(raw), proper)
    assert.deepStrictEqual(parseUri(raw), parseUri(proper))
    assert.isNotNull(parseUri(raw))
    assert.strictEqual(ownAddressOf(parseUri(raw)!), ownAddressOf(parseUri(proper)!))
  })

  it.each([
    "sip:a@example.com#b",
    "sip:a@exa#mple.com",
    "sip:a@example.com;x=#",
    "sip:a@example.com;x=\u00c3\u00bc",
    "sip:a@example.com?x=#",
    "sip:b\u00fcro@example.com",
    "sip:a@b\u00fccher.example",
    "sip:a:#@example.com;x y",
    'sip:a"#@example.com',
    "sip:a b#@example.com",
    "sip:a%#@example.com",
    "http:a#@example.com",
  ])("%j is no URI of ours", { tags: ["3261-19.1.2-a"] }, (text) => {
    assert.isNull(parseUri(text))
  })

  it(
    "what may be written is written as it is, and written once it may be written",
    { tags: ["3261-19.1.2-a"] },
    () => {
      const pieces = [
        "sip:",
        "sips:",
        "tel:",
        "#",
        "@",
        "a",
        "\u00c3\u00bc",
        "\u00fc",
        "%23",
        ";",
        "?",
        ":",
        ".",
        "[::1]",
      ]
      fc.assert(
        fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
          const raw = parts.join("")
          const proper = writableUri(raw)
          assert.strictEqual(writableUri(proper), proper)
          assert.deepStrictEqual(parseUri(raw), parseUri(proper))
          // a number may have a hash (RFC 3966 §3)
          if (parseUri(raw) !== null && !/^tel/i.test(raw)) assert.match(proper, /^[!"$-~]*$/)
        }),
        { numRuns: 1_000 },
      )
    },
  )

  it(
    "rules and Request-URIs name the same user with and without the escape",
    { tags: ["3261-19.1.4-a"] },
    () => {
      assert.strictEqual(canonicalUri("sip:*21#@example.com"), canonicalUri("sip:*21%23@example.com"))
      const presentity = (uri: string) => {
        const decoded = decodeMessage(readRequest({ method: "PUBLISH", uri }))
        return decoded._tag === "Submit" ? decoded.presentity : null
      }
      assert.strictEqual(presentity("sip:*21#@example.com"), "sip:*21%23@example.com" as Uri)
      assert.strictEqual(presentity("sip:*21%23@example.com"), "sip:*21%23@example.com" as Uri)
    },
  )

  it("in NOTIFYs every URI is proper, wherever it came from", { tags: ["3261-8.1.1-a"] }, () => {
    const notify = notifyFor({
      uri: "sip:*21#@example.com",
      headers: {
        To: "<sip:*21#@example.com>",
        From: "<sip:9#@example.com;x=y>;tag=b",
        Contact: "<sip:9#@127.0.0.1:5998;ob?Subject=x>",
        "Record-Route": "<sip:p#@127.0.0.1:5997;lr>, sip:q#@127.0.0.1:5996",
      },
    })
    assert.strictEqual(notify.split("\r\n")[0], "NOTIFY sip:9%23@127.0.0.1:5998;ob SIP/2.0")
    assert.match(headerValue(notify, "From")!, /^<sip:\*21%23@example\.com>;tag=/)
    assert.strictEqual(headerValue(notify, "To"), "<sip:9%23@example.com;x=y>;tag=b")
    assert.notInclude(notify, "#")
  })

  it.each([
    "<201@example.com>",
    "201@example.com",
    "example.com",
    "<example.com:5060>",
    "<sip:>",
    "sip:",
    "<SIP:>",
    "<sips:a@>",
    "<:x>",
    "<tel:>",
  ])("To %j is refused", { tags: ["3261-8.1.1.2-a"] }, (to) => {
    for (const method of ["SUBSCRIBE", "PUBLISH", "OPTIONS", "REGISTER"])
      assert.strictEqual(statusOf({ method, headers: { To: to } }), 400, method)
  })

  it.each(["<sip:>", "<201@example.com>", "<example.com:5060>"])(
    "To %j is refused within a dialog",
    { tags: ["3261-8.1.1.2-a"] },
    (to) => {
      assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: { To: `${to};tag=ours` } }), 400)
    },
  )

  it.each([
    "<urn:service:sos>",
    "<http://www.example.com>",
    "<tel:+1201>",
    "<SIPS:a@example.com>",
    "<pres:a@b>",
  ])("To %j is somebody else's name", { tags: ["4475-3.3.4-a"] }, (to) => {
    assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: { To: to } }), 0)
  })
})

describe("display names", () => {
  it.each([
    ["Büro 2 <sip:a@b>", '"Büro 2" <sip:a@b>'],
    ["Bell, Alexander <sip:a@b>", '"Bell, Alexander" <sip:a@b>'],
    ["Bob (desk) <sip:a@b>;x=y", '"Bob (desk)" <sip:a@b>;x=y'],
    ["bob@desk <sip:a@b>", '"bob@desk" <sip:a@b>'],
    ["Desk: 2; left<sip:a@b>", '"Desk: 2; left" <sip:a@b>'],
    ["O\\Neil  <sip:a@b>", '"O\\\\Neil" <sip:a@b>'],
    ['Bob "the  phone" B <sip:a@b>', '"Bob \\"the phone\\" B" <sip:a@b>'],
    ["李雷 <sip:a@b>", '"李雷" <sip:a@b>'],
    ["Bob's <sip:a@b>", "Bob's <sip:a@b>"],
    ['"Büro" <sip:a@b>', '"Büro" <sip:a@b>'],
  ])("%j is written as %j", { tags: ["4475-3.1.2.15-a"] }, (raw, proper) => {
    const line = Buffer.from(raw, "utf8").toString("latin1")
    const address = parseAddress(`${line};tag=1`)
    assert.strictEqual(Buffer.from(address!.untagged, "latin1").toString("utf8"), proper)
    assert.deepStrictEqual([address?.uri, address?.tag], ["sip:a@b", "1"])
    const again = parseAddress(address!.untagged)
    assert.strictEqual(again?.untagged, address?.untagged)
  })

  it(
    "text that is not UTF-8 is taken for ISO-8859-1, as of phones that know nothing else",
    { tags: ["4475-3.1.2.15-a"] },
    () => {
      const address = parseAddress("B\xfcro <sip:a@b>")
      assert.strictEqual(Buffer.from(address!.untagged, "latin1").toString("utf8"), '"Büro" <sip:a@b>')
    },
  )

  it("in a list a comma separates values, quotes or not", { tags: ["4475-3.1.2-a"] }, () => {
    const uris = (line: string) => parseAddresses(line)?.map(({ uri }) => uri) ?? null
    assert.deepStrictEqual(uris("B\xc3\xbcro 1 <sip:a@b>, B (2) <sip:c@d>;q=1"), ["sip:a@b", "sip:c@d"])
    assert.deepStrictEqual(uris("Bell, Alexander <sip:a@b>"), ["Bell", "sip:a@b"])
  })

  it(
    "whatever is read loosely is written so that the grammar reads the same",
    { tags: ["4475-3.1.2.15-a"] },
    () => {
      const piece = fc.constantFrom(
        "a",
        " ",
        "\t",
        ",",
        ";",
        ":",
        "@",
        '"',
        "\\",
        "(",
        "é",
        "\xfc",
        "=",
        "#",
        "*",
      )
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 8 }), (name) => {
          const address = parseAddress(`${name.join("")}<sip:a@b>;tag=1`)
          if (address === null) return
          const written = address.untagged
          const again = parseAddress(written)
          assert.deepStrictEqual([again?.uri, again?.untagged], ["sip:a@b", written])
          assert.match(written, /^(?:"(?:[^"\\]|\\.)*" |[!%*+`'.~\w -]+ )?<sip:a@b>/)
        }),
        { numRuns: 1_000 },
      )
    },
  )

  it("From, To and Contact may have one, and NOTIFYs have it in quotes", { tags: ["3261-8.1.1-a"] }, () => {
    const notify = notifyFor({
      headers: {
        From: "Büro 2 <sip:bob@example.com>;tag=b",
        To: "Müller, Anna <sip:alice@example.com>",
        Contact: "Büro <sip:bob@127.0.0.1:5998>",
      },
    })
    assert.strictEqual(headerValue(notify, "To"), '"Büro 2" <sip:bob@example.com>;tag=b')
    assert.match(headerValue(notify, "From")!, /^"Müller, Anna" <sip:alice@example\.com>;tag=/)
  })
})

describe("lengths", () => {
  it(
    "push parameters, long tags and Call-IDs are served, and come back",
    { tags: ["8599-4.1-a", "4475-3.1.1.7-a"] },
    () => {
      const contact = `sip:bob@127.0.0.1:5998;pn-provider=webpush;pn-param=${"k".repeat(85)};pn-prid=https:%2F%2Fpush.example%2F${"e".repeat(2_900)}`
      const headers = {
        Contact: `<${contact}>;+sip.instance="<urn:uuid:0>"`,
        From: `<sip:bob@example.com>;tag=${"t".repeat(500)}`,
        "Call-ID": "c".repeat(1_000),
      }
      assert.include(notifyFor({ headers }), `NOTIFY ${contact} SIP/2.0\r\n`)
      assert.strictEqual(
        statusOf({ method: "SUBSCRIBE", headers: { ...headers, To: "<sip:alice@example.com>;tag=ours" } }),
        0,
      )
      assert.strictEqual(statusOf({ headers: { "Call-ID": "c".repeat(1_025) } }), 400)
    },
  )

  it("a list is the same in one line and in several", { tags: ["3261-7.3.1-a"] }, () => {
    const hops = Array.from(
      { length: 12 },
      (_, hop) => `<sip:127.0.0.1:${5_000 + hop};lr;did=${"d".repeat(900)}>`,
    )
    const routes = (lines: readonly string[]) =>
      commandOf<Subscribe>({ method: "SUBSCRIBE", headers: { "Record-Route": lines } }).dialog.routeSet
    assert.deepStrictEqual(routes([hops.join(",")]), hops)
    assert.deepStrictEqual(routes(hops), hops)
    assert.deepStrictEqual(routes([hops.slice(0, 5).join(" , "), hops.slice(5).join(",")]), hops)
  })
})

describe("hosts", () => {
  it("a host is served in whatever spelling", { tags: ["5954-4.2-a", "3261-25.1-a"] }, () => {
    const options = { domains: ["Example.com.", "bücher.example", "2001:DB8::1", "192.0.2.7"] }
    const { serves, isOwnHost, add } = makeOwnAddresses(
      options,
      makeLocalHosts(() => 0),
      [],
    )
    add("2001:db8::9")
    const uriHost = (text: string): string => {
      const uri = parseUri(`sip:a@${Buffer.from(text, "utf8").toString("latin1")}`)
      assert(uri !== null && uri.scheme !== "tel", text)
      return uri.host
    }
    const domains = [
      "example.com",
      "EXAMPLE.com.",
      "bücher.example",
      "BÜCHER.example.",
      "xn--bcher-kva.example",
      "XN--BCHER-KVA.example",
      "[2001:db8::1]",
      "[2001:0DB8:0:0:0:0:0:1]",
      "192.0.2.7",
      "[::ffff:192.0.2.7]",
    ]
    for (const host of domains) {
      assert.isTrue(serves(uriHost(host)), host)
      assert.isFalse(isOwnHost(uriHost(host)), host)
    }
    for (const host of [
      "[2001:db8::9]",
      "[2001:db8:0::0:9]",
      "localhost.",
      "127.0.0.1",
      "[0:0:0:0:0:0:0:1]",
    ]) {
      assert.isTrue(serves(uriHost(host)), host)
      assert.isTrue(isOwnHost(uriHost(host)), host)
    }
    for (const host of ["example.org", "com", "bucher.example", "[2001:db8::2]", "192.0.2.8"])
      assert.isFalse(serves(uriHost(host)), host)
  })

  it("the platform's IDNA and the domain's are one", { tags: ["5891-4-a"] }, () => {
    for (const host of ["bücher.example", "BÜCHER.Example.", "faß.example", "例え.jp", "mañana.example"])
      assert.strictEqual(
        `sip:a@${plainHost(host)}` as Uri,
        ownAddressOf(parseUri(`sip:a@${Buffer.from(host, "utf8").toString("latin1")}`)!),
      )
  })
})

describe("registrations", () => {
  const granted = (headers: NonNullable<RequestParts["headers"]>): string => {
    const register = makeRegistrar(limitsDefault, 3_600, () => 0)
    const message = readRequest({ method: "REGISTER", uri: "sip:example.com", headers })
    const { status, headers: lines } = register(message, "sip:bob@example.com" as Uri)
    return `${status} ${[...lines.matchAll(/;expires=(\d+)/g)].map(([, seconds]) => seconds).join(" ")}`
  }

  it("a binding lasts as long as asked or less, never longer", { tags: ["3261-10.3-a"] }, () => {
    const contact = "<sip:bob@192.0.2.20>"
    assert.strictEqual(granted({ Contact: contact, Expires: "30" }), "200 30")
    assert.strictEqual(granted({ Contact: `${contact};expires=20`, Expires: "3600" }), "200 20")
    assert.strictEqual(granted({ Contact: `${contact};expires="20"` }), "200 20")
    assert.strictEqual(granted({ Contact: `${contact};expires=1` }), "200 1")
    assert.strictEqual(granted({ Contact: contact, Expires: "7200" }), "200 3600")
    assert.strictEqual(granted({ Contact: contact }), "200 3600")
    assert.strictEqual(granted({ Contact: `${contact};expires=0` }), "200 ")
    assert.strictEqual(
      granted({ Contact: `${contact};expires=5, <sip:bob@192.0.2.21>`, Expires: "40" }),
      "200 5 40",
    )
    assert.strictEqual(granted({ Contact: contact, Expires: ["30", "40"] }), "400 ")
    fc.assert(
      fc.property(fc.nat(10_000), (asked) => {
        const [, seconds = "0"] = granted({ Contact: contact, Expires: `${asked}` }).split(" ")
        assert.strictEqual(Number(seconds), Math.min(asked, 3_600))
      }),
    )
  })

  it(
    "a Contact comes back as it may be written, and has a limit with its parameters",
    { tags: ["3261-10.3-a"] },
    () => {
      const register = makeRegistrar(limitsDefault, 3_600, () => 0)
      const contactOf = (contact: string) =>
        register(
          readRequest({ method: "REGISTER", headers: { Contact: contact } }),
          "sip:bob@example.com" as Uri,
        )
      assert.include(contactOf("Büro <sip:9#@192.0.2.20>").headers, "Contact: <sip:9%23@192.0.2.20>;expires=")
      assert.strictEqual(contactOf(`<sip:a@b;x=${"x".repeat(4_000)}>`).status, 200)
      assert.strictEqual(contactOf(`<sip:a@b>;x=${"x".repeat(4_200)}`).status, 400)
    },
  )
})

describe("bodies", () => {
  const publish = (body: string, type = "application/pidf+xml") => {
    const message = read(
      requestText({
        method: "PUBLISH",
        headers: { "Content-Type": type, "Content-Length": `${body.length}` },
      }),
    )!
    // octets as they are
    const octets = Buffer.from(body, "latin1")
    const decoded = decodeMessage({ ...message, headers: message.headers, body: octets })
    assert(decoded._tag === "Submit")
    return decoded.command as Publish
  }

  it.each([
    ['<?xml version="1.0" encoding="ISO-8859-1"?><a>B\xfcro</a>', "application/pidf+xml"],
    ["<?xml version='1.0' encoding='windows-1252'?><a>B\xfcro</a>", "application/dialog-info+xml"],
    ["<a>B\xfcro</a>", "application/pidf+xml;charset=ISO-8859-1"],
    ["X: B\xfcro", 'text/plain;charset="latin1"'],
    ['\r\n<?xml version="1.0" encoding="UTF-8"?><a>B\xc3\xbcro</a>\0', "application/pidf+xml"],
  ])("%j of type %s is text", { tags: ["3863-4.1-a"] }, (body, type) => {
    const command = publish(body, type)
    assert.isNull(command.bodyFault)
    assert.match(command.body!.text, /^[<X]/)
    assert.include(command.body!.text, "Büro")
    assert.notInclude(command.body!.text, "\0")
    assert.notMatch(command.body!.text, /8859|1252/)
    assert.strictEqual(command.body!.parameters, undefined)
  })

  it(
    "of a charset that is not known the refusal says which is, and not the type that was sent",
    { tags: ["3261-21.4.13-a"] },
    () => {
      for (const charset of ["utf-16", "x-none", "iso-2022-jp"]) {
        const { bodyFault } = publish("<a/>", `application/pidf+xml;charset=${charset}`)
        assert.deepStrictEqual(bodyFault, {
          _tag: "UnsupportedMediaType",
          status: 415,
          accept: ["application/pidf+xml;charset=utf-8"],
        })
      }
    },
  )
})
