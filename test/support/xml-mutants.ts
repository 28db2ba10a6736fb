/**
 * Documents as publishers send them, and the same with damage: what two readers of XML have to judge alike.
 *
 * Everything follows from a seed.
 */

/** One document of each package that has XML, and one that is none. */
export const published: readonly (readonly [what: string, text: string])[] = [
  [
    "pidf",
    `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">
  <tuple id="desk">
    <status><basic>open</basic></status>
    <contact priority="0.8">sip:alice@desk.example.com;transport=udp</contact>
    <note xml:lang="en">At my desk &amp; on</note>
    <timestamp>2026-11-22T10:00:00Z</timestamp>
  </tuple>
  <tuple id="mobile">
    <status><basic>closed</basic></status>
    <contact priority="0.3">tel:+15550001</contact>
  </tuple>
</presence>
`,
  ],
  [
    "pidf with data model and RPID",
    `<?xml version='1.0' encoding='utf-8'?>\r
<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"\r
  xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xml:lang="de" entity='pres:b&#xfc;ro@example.com'>\r
  <p:tuple id="soft"><p:status><p:basic>open</p:basic></p:status><r:relationship><r:self/></r:relationship>
    <p:contact>sip:b@example.com?a=1&amp;b=2</p:contact><p:note>10 &lt; 11</p:note></p:tuple>
  <!-- written by hand -->
  <dm:person id="p1"><r:activities r:from="2026-01-01T00:00:00Z"><r:meeting/></r:activities>
    <r:mood><r:happy/></r:mood><dm:note xml:lang="en"><![CDATA[Back after <lunch> & a walk]]></dm:note></dm:person>
  <dm:device id="d1"><dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>
</p:presence>`,
  ],
  [
    "dialog-info",
    `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="7" state="full" entity="sip:alice@example.com">
  <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
    <state event="rejected" code="486">terminated</state>
    <duration>145</duration>
    <local><identity display="Alice">sip:alice@example.com</identity>
      <target uri="sip:alice@pc33.example.com"><param pname="+sip.rendering" pval="yes"/></target></local>
    <remote><identity>sip:bob@example.org</identity><target uri="sip:bob@192.0.2.4"/></remote>
  </dialog>
</dialog-info>
`,
  ],
  [
    "watcherinfo",
    `<?xml version="1.0"?><watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0" state="full">` +
      `<watcher-list resource="sip:alice@example.com" package="presence">` +
      `<watcher status="active" id="8ajksjda7s" duration-subscribed="509" event="approved">sip:bob@example.org</watcher>` +
      `<watcher status="pending" id="hh8juja87s997-ass7" display-name="Mr. &quot;C&quot;" event="subscribe">sip:c@example.org</watcher>` +
      `</watcher-list></watcherinfo>`,
  ],
  [
    "reginfo",
    `<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1" state="partial">
  <registration aor="sip:user1_public1@home1.example.net" id="a7" state="active">
    <contact id="76" state="active" event="registered" duration-registered="7322" q="0.8"><uri>sip:user@pc887.example.com</uri>
      <unknown-param name="+sip.instance">"&lt;urn:uuid:f81d4fae&gt;"</unknown-param></contact>
  </registration>
</reginfo>`,
  ],
  [
    "conference-info",
    `<?xml version="1.0" encoding="UTF-8"?>
<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="sips:conf233@example.com" state="full" version="1">
 <conference-description><subject>Agenda: This month's goals</subject><maximum-user-count>50</maximum-user-count></conference-description>
 <users><user entity="sip:bob@example.com" state="full"><display-text>Bob Hoskins</display-text>
   <endpoint entity="sip:bob@pc33.example.com"><media id="1"><type>audio</type><src-id>432424</src-id></media></endpoint></user></users>
</conference-info>`,
  ],
  [
    "authorization rules",
    `<?xml version="1.0" encoding="UTF-8"?>
<cr:ruleset xmlns:cr="urn:ietf:params:xml:ns:common-policy" xmlns="urn:ietf:params:xml:ns:pres-rules">
  <cr:rule id="a"><cr:conditions><cr:identity><cr:one id="sip:user@example.com"/></cr:identity></cr:conditions>
    <cr:actions><sub-handling>allow</sub-handling></cr:actions>
    <cr:transformations><provide-services><service-uri-scheme>sip</service-uri-scheme></provide-services>
      <provide-mood>true</provide-mood></cr:transformations></cr:rule>
</cr:ruleset>`,
  ],
  [
    "call features",
    `<?xml version="1.0" encoding="us-ascii"?><SetDoNotDisturb xmlns="http://www.ecma-international.org/standards/ecma-323/csta/ed3">` +
      `<device></device><doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>`,
  ],
  [
    "message summary",
    "Messages-Waiting: yes\r\nMessage-Account: sip:alice@example.com\r\nVoice-Message: 2/8 (0/2)\r\n",
  ],
]

/** What is put into documents: all that means something to XML, or nearly so. */
const pieces = [
  ..."<>&;\"'=/?!-[]:# \t\n\r.\u0085\u00a0\u1680\ufeff\u2028\0\u0008\ufffe\uffff\ud800\udc00éß名a1_".split(
    "",
  ),
  "😀",
  "<!--",
  "-->",
  "--",
  "<!-- x -->",
  "<![CDATA[",
  "]]>",
  "<![CDATA[a]]>",
  "<?",
  "?>",
  "<?pi x?>",
  "<?xml version='1.0'?>",
  "<?xml",
  "<!DOCTYPE a>",
  "<!DOCTYPE a [<!ENTITY x 'y'>]>",
  "&amp;",
  "&lt;",
  "&x;",
  "&#65;",
  "&#x41;",
  "&#0;",
  "&#xD800;",
  "&#x10FFFF;",
  "&#x110000;",
  "&#9;",
  "&",
  "<a>",
  "</a>",
  "<a/>",
  "<a b='c'/>",
  "<a",
  "</",
  "/>",
  " b=''",
  ' b="c"',
  " b",
  " b=c",
  " p:b=''",
  " id='x'",
  " xmlns=''",
  " xmlns='u'",
  " xmlns:p='u'",
  " xmlns:q='u'",
  " xmlns:p=''",
  " xmlns:dm='v'",
  " xmlns:xml='http://www.w3.org/XML/1998/namespace'",
  " xmlns:p='http://www.w3.org/XML/1998/namespace'",
  " xmlns='http://www.w3.org/2000/xmlns/'",
  " xmlns:xmlns='u'",
  " xml:lang='en'",
  "xmlns",
  "xmlns:",
  "p:",
  ":p",
  "__proto__",
  "constructor",
  "prototype",
  "<__proto__/>",
  "<constructor a=''>",
  " __proto__='1'",
  " constructor='1'",
  "<#text/>",
  "<:@/>",
  " .a='1'",
  "UTF-16",
  "us-ascii",
  "  ",
  "\r\n",
]

/** What may stand in a start tag. */
const attributePieces = pieces.filter((piece) => /^ \S+=/.test(piece))
/** What may stand between two tags. */
const contentPieces = pieces.filter((piece) => /^(?:&#?[a-zA-Z0-9]+;|<.*>|[^<>&]+)$/.test(piece))

/** Numbers below a bound, all from one seed (xorshift32). */
type Draw = (bound: number) => number

export const drawFrom = (seed: number): Draw => {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

const pick = <Item>(items: readonly Item[], draw: Draw): Item => items[draw(items.length)]!

/** One of the documents, with one to four pieces of damage; about one in sixteen has none. */
export const mutant = (draw: Draw): string => {
  let text = pick(published, draw)[1]
  if (draw(16) === 0) return text
  for (let count = 1 + draw(4); count > 0; count--) {
    text = draw(2) === 0 ? damaged(text, draw) : extended(text, draw)
  }
  return text
}

/** More of what documents are made of, at a place for it: what is wrong then is mostly what it means. */
const extended = (text: string, draw: Draw): string => {
  const end = text.indexOf(">", draw(text.length + 1))
  if (end === -1) return damaged(text, draw)
  if (draw(2) === 0) return text.slice(0, end + 1) + pick(contentPieces, draw) + text.slice(end + 1)
  const at = text[end - 1] === "/" ? end - 1 : end
  return text.slice(0, at) + pick(attributePieces, draw) + text.slice(at)
}

const damaged = (text: string, draw: Draw): string => {
  // markup is where it hurts: half of the damage begins at such a character
  const at = draw(2) === 0 ? draw(text.length + 1) : markupAt(text, draw)
  const length = draw(4) === 0 ? draw(60) : draw(4)
  switch (draw(8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1)
    case 1:
      return text.slice(0, at) + text.slice(at + length)
    case 2:
    case 3:
      return text.slice(0, at) + pick(pieces, draw) + text.slice(at)
    case 4:
      return text.slice(0, at) + pick(pieces, draw) + text.slice(at + length)
    case 5: {
      const copied = text.slice(at, at + length)
      const to = draw(text.length + 1)
      return text.slice(0, to) + copied + text.slice(to)
    }
    case 6: {
      const other = pick(published, draw)[1]
      const from = draw(other.length)
      return text.slice(0, at) + other.slice(from, from + draw(200)) + text.slice(at + length)
    }
    default:
      return draw(4) === 0
        ? text.slice(0, at)
        : text.slice(0, at) + text.slice(at, at + length).toUpperCase() + text.slice(at + length)
  }
}

const markupAt = (text: string, draw: Draw): number => {
  const from = draw(text.length + 1)
  for (let at = from; at < text.length; at++) if ("<>&\"'=:".includes(text[at]!)) return at + draw(2)
  return from
}
