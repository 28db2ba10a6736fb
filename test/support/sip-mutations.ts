/**
 * Mutations of SIP messages and of address lines, the same for the same seed: real shapes of requests and responses, and those of
 * the kinds of RFC 4475, cut, spliced and sprinkled with what parsers stumble over.
 */

const via = "Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK-524287-1---7a3f;rport\r\n"
const phone =
  'Max-Forwards: 70\r\nContact: <sip:alice@192.0.2.20:5060;ob>;+sip.instance="<urn:uuid:0a1b>"\r\n' +
  'To: "Alice, Desk" <sip:alice@example.com>\r\nFrom: "Alice \\"A\\" B" <sip:alice@example.com;transport=udp>;tag=9fxced76sl\r\n'

/** Heads and bodies in latin1. */
export const messages: readonly string[] = [
  `PUBLISH sip:alice@example.com SIP/2.0\r\n${via}${phone}Call-ID: 3848276298220188511\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: 3600\r\n` +
    "Content-Type: application/pidf+xml\r\nContent-Length: 11\r\n\r\n<presence/>",
  `PUBLISH sip:alice@example.com SIP/2.0\r\n${via}${phone}Call-ID: a@[2001:db8::1]\r\nCSeq: 4711 PUBLISH\r\nSIP-If-Match: dx200xyz\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n`,
  `SUBSCRIBE sip:alice@example.com;transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP [2001:db8::9]:5062;received=192.0.2.1;branch=z9hG4bKnashds7;maddr=224.0.1.75\r\n` +
    "Via: SIP/2.0/UDP bigbox.example.com:5060;branch=z9hG4bK77ef4c2312983.1, SIP/2.0/UDP a\r\nRecord-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr=on>\r\n" +
    "From: sip:bob@example.com;tag=ie4hbb8t\r\nTo: <sip:alice@example.com>;tag=cd\r\nCall-ID: cdB34qLToC@terminal.example.com\r\nCSeq: 0322723822 SUBSCRIBE\r\n" +
    "Contact: <sip:bob@terminal.example.com>\r\nAccept: application/pidf+xml, application/rlmi+xml;q=0.5\r\nEvent: dialog;sla;id=7\r\nExpires: 7200\r\nAllow: NOTIFY\r\nUser-Agent: Phone/1.0 (x; y)\r\nContent-Length: 0\r\n\r\n",
  'SUBSCRIBE sip:alice@example.com SIP/2.0\r\nTO :\r\n sip:alice@example.com ;   x-param    = odd\r\nfrom   : "Q. \\\\\\"Quoter\\\\" <sip:q@example.com>\r\n  ;\r\n  tag = t0rtu\r\n' +
    "MaX-fOrWaRdS: 0068\r\nCall-ID: tortuous-own@example.com\r\nCSEQ: 0009\r\n  SUBSCRIBE\r\nVIA  : SIP  /   2.0\r\n /UDP\r\n    127.0.0.1 : 5998;branch=z9hG4bK-own;rport\r\n" +
    'NewFangled:   newfangled "value\\ with;;,, odd"\r\no: presence\r\nm:"Quoted \\"\\"" <sip:bob@127.0.0.1:5998> ; newparam =\r\n     newvalue ;\r\n  second ; q = 0.33\r\nEXPIRES: 600\r\nl: 0\r\n\r\n',
  "OPTIONS sip:a@b;x=y?h=v SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK\r\nf: <sips:b@h>;tag=1\r\nt: tel:+1-201-555-0123;phone-context=x\r\ni: x\r\nCSeq: 2 OPTIONS\r\ne: identity\r\nk: 100rel\r\nl: 3\r\n\r\nabcdef",
  "NOTIFY sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKk;rport=5060;received=1.2.3.4\r\nFrom: <sip:a@b>;tag=1;x=[::1]\r\nTo: <sip:b@a>;tag=2\r\nCall-ID: n1\r\nCSeq: 8 NOTIFY\r\n" +
    "Subscription-State: active;expires=599\r\nEvent: presence\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Length: 4\r\n\r\na\0\xffb",
  `SIP/2.0 200 OK\r\n${via}From: <sip:a@b>;tag=1\r\nTo: <sip:b@a>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 NOTIFY\r\nContact: <sip:b@192.0.2.20:5060>\r\nContent-Length: 0\r\n\r\n`,
  `SIP/2.0 503 \r\n${via}CSeq: 92 NOTIFY\r\nRetry-After: 120 (maintenance)\r\n\r\n`,
  `!interesting-Method0123456789_*+\`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too@example.com SIP/2.0\r\n${via}` +
    "To: <sip:x@y>\r\nFrom: caller<sip:caller@example.com>;tag=323\r\nCall-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\nCSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\r\n\r\n",
  `REGISTER sip:example.com SIP/2.0\r\n\r\n\r\n${via}To: x\r\n\r\n`,
  `\r\n\r\nREGISTER sip:example.com sip/2.0\r\n${via}From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@h>;expires=60, *\r\nAuthorization: Digest username="a", nonce="b,c"\r\n\r\n`,
]

export const addressLines: readonly string[] = [
  "<sip:alice@example.com>;tag=9fxced76sl",
  '"Alice, \\"Desk\\" <x>;y" <sip:alice@example.com;transport=udp>;tag=1;x="q;,=";y',
  "sip:bob@example.com;tag=a73kszlfl",
  "caller<sip:caller@example.com>;tag=323",
  'A B\tC  < sips:b@[2001:db8::1]:5061;lr?h=v >\t; tag = "x" ; z = [::1];q=0.5',
  "<sip:p1.example.com;lr>, <sip:p2.example.com;lr=on>,sip:c@d",
  "tel:+1-201-555-0123;phone-context=example.com;TAG=t;__proto__=x;constructor",
  "*",
  '"é" <sip:a@h;x=1,2>;q=1;q=2;+sip.instance="<urn:uuid:0>"',
  "<sip:a@b>;tag=1;tag=2",
  "<>;tag=",
]

const traps = [
  " ",
  "\t",
  "<",
  ">",
  '"',
  ";",
  ",",
  ":",
  "=",
  "@",
  "?",
  "%41",
  "\\",
  "[",
  "]",
  "a",
  "1",
  "\r\n",
  "\r\n ",
  "\r",
  "\n",
  "\0",
  "\x7f",
  "é",
  ";tag=",
  ";tag=x",
  " ;\t",
  "<sip:",
  "tag",
  "\r\nTo: x",
  "\r\nl: 1",
  "\r\nVia: SIP/2.0/UDP h",
  "SIP/2.0",
  '\\"',
  ";x=[::1]",
  '="',
  "",
  "99999999999",
] as const

/** Numbers below 2^32 from a seed (xorshift). */
export const makeNumbers = (seed: number): ((below: number) => number) => {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

/** A header's value, which no line end is in once folding has been undone. */
export const mutatedLine = (number: (below: number) => number): string =>
  mutated(addressLines, number).replaceAll(/[\r\n]/g, " ")

/** One of the texts with a few places changed. */
export const mutated = (texts: readonly string[], number: (below: number) => number): string => {
  let text = texts[number(texts.length)]!
  for (let changes = number(4); changes > 0; changes--) {
    const from = number(text.length + 1)
    const length = number(4) === 0 ? number(40) : number(3)
    const insert = change(texts, text, number)
    text = text.slice(0, from) + insert + text.slice(from + length)
  }
  return text
}

const change = (texts: readonly string[], text: string, number: (below: number) => number): string => {
  const kind = number(8)
  if (kind < 5) return traps[number(traps.length)]!
  if (kind === 5) return traps[number(traps.length)]!.repeat(1 + number(4))
  const source = kind === 6 ? text : texts[number(texts.length)]!
  const start = number(source.length)
  return source.slice(start, start + number(60))
}
