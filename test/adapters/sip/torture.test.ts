/**
 * One message of our own for each class of RFC 4475 and RFC 5118 that a presence server meets, through gate and
 * decoder. `none` means that nothing may be answered.
 */
import { assert, describe, it } from "vitest"
import { parseVia } from "../../../src/adapters/sip/via.ts"
import { decodeMessage } from "../../support/sip-decoder.ts"
import { read, requestText } from "../../support/sip-messages.ts"

/** A final status, the tag of the command, or `none`. */
const verdict = (text: string): number | string => {
  const message = read(text)
  if (message === null || !message.isRequest) return "none"
  if (message.fault !== null) return message.fault.status
  if (parseVia(message.vias[0]!) === null) return 400
  const decoded = decodeMessage(message)
  return decoded._tag === "Reply" || decoded._tag === "Registered"
    ? decoded.reply.status
    : (decoded._tag === "Submit" ? decoded : decoded.otherwise).command._tag
}

const tortuous =
  'SUBSCRIBE sip:alice@example.com;x="SIP/2.0\r\n'.replace(';x="', " ") +
  'TO :\r\n sip:alice@example.com ;   x-param    = odd\r\nfrom   : "Q. \\\\\\"Quoter\\\\" <sip:q@example.com>\r\n  ;\r\n  tag = t0rtu\r\n' +
  "MaX-fOrWaRdS: 0068\r\nCall-ID: tortuous-own@example.com\r\nCSEQ: 0009\r\n  SUBSCRIBE\r\n" +
  "VIA  : SIP  /   2.0\r\n /UDP\r\n    127.0.0.1:5998;branch=z9hG4bK-own;rport\r\nv:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n branch  =   z9hG4bKodd,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=z9hG4bKodder\r\n" +
  'NewFangled:   newfangled "value\\ with;;,, odd"\r\no: presence\r\nm:"Quoted string \\"\\"" <sip:bob@127.0.0.1:5998> ; newparam =\r\n     newvalue ;\r\n  secondparam ; q = 0.33\r\nEXPIRES: 600\r\nl: 0\r\n\r\n'

const via = (value: string) => ({ headers: { Via: value } })

describe("torture", () => {
  it.each<readonly [string, string, number | string]>([
    ["4475-3.1.1.1: folding, odd case, compact names, blanks everywhere", tortuous, "Subscribe"],
    [
      "4475-3.1.1.2: a method of odd but legal characters",
      requestText({ method: "!interesting-Method0123456789_*+`.%indeed'~" }),
      501,
    ],
    [
      "4475-3.1.1.3: an escaped user",
      requestText({ method: "PUBLISH", uri: "sip:%61lice@example.com" }),
      "Publish",
    ],
    ["4475-3.1.1.5: an escaped method is not decoded", requestText({ method: "PUBLI%53H" }), 501],
    [
      "4475-3.1.1.6: no blank before the bracket",
      requestText({ headers: { From: "caller<sip:caller@example.com>;tag=n" } }),
      200,
    ],
    [
      "4475-3.1.1.8: octets after the message",
      `${requestText()}PUBLISH sip:alice@example.com SIP/2.0\r\n\r\n`,
      200,
    ],
    [
      "4475-3.1.1.11: binary in a body",
      requestText({
        method: "PUBLISH",
        body: "a\0\r\n\r\nb",
        headers: { "Content-Type": "multipart/mixed" },
      }),
      "Publish",
    ],
    [
      "4475-3.1.1.13: a response without reason",
      "SIP/2.0 100 \r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 NOTIFY\r\n\r\n",
      "none",
    ],
    [
      "4475-3.1.2.1: separators at the end of headers",
      requestText({ headers: { From: "<sip:bob@example.com>;tag=1;" } }),
      400,
    ],
    ["4475-3.1.2.3: negative Content-Length", requestText({ headers: { "Content-Length": "-999" } }), 400],
    ["4475-3.1.2.4: overlarge CSeq", requestText({ headers: { CSeq: "36893488147419103232 OPTIONS" } }), 400],
    [
      "4475-3.1.2.5: overlarge response",
      "SIP/2.0 503 X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 9292394834772304023312 NOTIFY\r\n\r\n",
      "none",
    ],
    [
      "4475-3.1.2.6: an open quote",
      requestText({ headers: { To: '"Mr. J. User <sip:j.user@example.com>' } }),
      400,
    ],
    ["4475-3.1.2.7: brackets around the Request-URI", requestText({ uri: "<sip:alice@example.com>" }), 400],
    ["4475-3.1.2.8: a blank in the Request-URI", requestText({ uri: "sip:alice@example.com; lr" }), 400],
    [
      "4475-3.1.2.9: two blanks in the request line",
      requestText().replace(" SIP/2.0\r\n", "  SIP/2.0\r\n"),
      400,
    ],
    [
      "4475-3.1.2.10: a blank at the end of the request line",
      requestText().replace(" SIP/2.0\r\n", " SIP/2.0 \r\n"),
      400,
    ],
    [
      "4475-3.1.2.11: escaped headers in the Request-URI are read, not acted upon",
      requestText({ uri: "sip:alice@example.com?Route=%3Csip:example.com%3E" }),
      200,
    ],
    [
      "4475-3.1.2.13: a Contact with headers but no brackets",
      requestText({ method: "SUBSCRIBE", headers: { Contact: "sip:bob@127.0.0.1?Route=%3Csip:x%3E" } }),
      400,
    ],
    [
      "4475-3.1.2.14: blanks inside an addr-spec",
      requestText({ headers: { To: '"Watson" < sip:t. watson@example.org >' } }),
      400,
    ],
    [
      "4475-3.1.2.15: a display name that is no token",
      requestText({ headers: { From: "Bell, Alexander <sip:a.g.bell@example.com>;tag=4" } }),
      200,
    ],
    ["4475-3.1.2.16: another version", requestText().replace("SIP/2.0\r\n", "SIP/7.0\r\n"), 505],
    ["4475-3.1.2.17: the method of CSeq", requestText({ headers: { CSeq: "8 INVITE" } }), 400],
    [
      "4475-3.1.2.18: the same, with an unknown method",
      requestText({ method: "NEWMETHOD", headers: { CSeq: "8 INVITE" } }),
      400,
    ],
    [
      "4475-3.2.1: a branch that is only the cookie",
      requestText(via("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK")),
      200,
    ],
    [
      "4475-3.3.1: nothing but a request line and Via",
      "OPTIONS sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n",
      400,
    ],
    [
      "4475-3.3.2: an unknown scheme",
      requestText({ uri: "nobodyKnowsThisScheme:totallyopaquecontent" }),
      416,
    ],
    ["4475-3.3.3: an atypical scheme", requestText({ uri: "soap.beep://192.0.2.103:3002" }), 416],
    [
      "4475-3.3.4: another scheme in From",
      requestText({ headers: { From: "<http://www.example.com>;tag=3" } }),
      200,
    ],
    [
      "4475-3.3.5: Require of the unknown",
      requestText({ headers: { Require: "nothingSupportsThis, nothingSupportsThisEither" } }),
      420,
    ],
    [
      "4475-3.3.6: an unknown Content-Type",
      requestText({ method: "PUBLISH", body: "?", headers: { "Content-Type": "application/unknownformat" } }),
      "Publish",
    ],
    [
      "4475-3.3.8: several values of single headers",
      requestText({ headers: { "Call-ID": ["a", "b"], CSeq: ["5 OPTIONS", "59 OPTIONS"] } }),
      400,
    ],
    ["4475-3.3.9: two Content-Lengths", requestText({ headers: { "Content-Length": ["13", "5"] } }), 400],
    ["4475-3.3.11 3261-16.3-a: Max-Forwards 0", requestText({ headers: { "Max-Forwards": "0" } }), 200],
    [
      "4475-3.3.13: an unknown parameter in the Contact URI",
      requestText({ method: "SUBSCRIBE", headers: { Contact: "<sip:bob@127.0.0.1:5998;unknownparam>" } }),
      "Subscribe",
    ],
    [
      "4475-3.3.14: Contacts of several schemes",
      requestText({
        method: "SUBSCRIBE",
        headers: { Contact: "<sip:a@127.0.0.1>, <tel:+1201>, <mailto:a@b>" },
      }),
      400,
    ],
    ["5118-4.1: IPv6 without brackets in the Request-URI", requestText({ uri: "sip:2001:db8::10" }), 400],
    ["5118-4.2: with them", requestText({ uri: "sip:[2001:db8::10]" }), 404],
    [
      "5118-4.5: received with and without brackets",
      requestText(via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111")),
      200,
    ],
    [
      "5118-4.6: sent-by without brackets",
      requestText(via("SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bKas3-111")),
      400,
    ],
    [
      "OPS-torture: a Via parameter named __proto__",
      requestText(via("SIP/2.0/UDP h;__proto__;constructor=x;branch=z9hG4bKx")),
      200,
    ],
    [
      "OPS-torture: header names of object members",
      requestText({ headers: { constructor: "x", toString: "y", hasOwnProperty: "z" } }),
      200,
    ],
    ["OPS-torture: blanks after a bracket", requestText({ headers: { To: `<${" ".repeat(2_400)}` } }), 400],
    ["OPS-torture: nothing but blanks", " ".repeat(60_000), "none"],
    ["OPS-torture: nothing at all", "", "none"],
    ["OPS-torture: bare line feeds", requestText().replaceAll("\r\n", "\n"), "none"],
    ["OPS-torture: no blank line", requestText().slice(0, -4), "none"],
    [
      "OPS-torture: a Content-Length with an exponent",
      requestText({ method: "PUBLISH", body: "<a/>", headers: { "Content-Length": "4e0" } }),
      400,
    ],
    ["OPS-torture: no Event", requestText({ method: "SUBSCRIBE", headers: { Event: null } }), "Subscribe"],
    ["OPS-torture: a NOTIFY for nobody", requestText({ method: "NOTIFY" }), 481],
    ["OPS-torture: a star as Contact", requestText({ method: "SUBSCRIBE", headers: { Contact: "*" } }), 400],
  ])("%s", (_what, text, expected) => {
    assert.strictEqual(verdict(text), expected)
  })
})
