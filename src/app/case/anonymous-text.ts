/**
 * Pseudonyms for everything in a text that identifies somebody: URIs, headers, and documents as far as their format is known.
 *
 * What is kept: in XML the names of elements and attributes, namespaces, and values that are a number, an instant, or a word to
 * which packages or rules give a meaning; in URIs the scheme, the port and a few parameters; in `message-summary` the names of
 * lines and the counts. Everything else is replaced word by word, and a word has the same pseudonym wherever it occurs, so that a
 * document's entity still names its presentity, and rules still name their watchers.
 */
import type { Body } from "../../domain/vocabulary.ts"
import type { StandIns } from "./stand-ins.ts"

export interface AnonymousText {
  /** A URI, a header value, a tag, or an address. */
  readonly name: (text: string) => string
  readonly body: (body: Body) => Body
}

/** Values to which documents give a meaning, kept when they are the whole value. */
const vocabulary: ReadonlySet<string> = new Set(
  [
    // PIDF, data model, RPID
    "open closed true false yes no none all everyone unknown busy away idle active offline online work home",
    // watcher information, dialogs, registrations, conferences
    "full partial deleted init pending waiting terminated trying proceeding early confirmed initiator recipient",
    "subscribe approved deactivated probation rejected timeout giveup noresource cancelled replaced local-bye remote-bye",
    "error registered created refreshed shortened expired unregistered connected disconnected on-hold muted-via-focus",
    "alerting dialing-in dialing-out disconnecting dialed-in dialed-out focus-owner sendrecv sendonly recvonly inactive",
    "audio video text message application",
    // rules
    "allow block confirm polite-block bare thresholds",
    // appearances of shared lines
    "seized progressing held held-private",
    // schemes, as rules write them
    "sip sips tel pres im mailto http https xmpp urn",
    // transports
    "udp tcp tls ws wss",
  ]
    .join(" ")
    .split(" "),
)

const numeric = /^[-+]?[0-9]+(?:\.[0-9]+)?$/
const instant = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[-+]\d\d:\d\d)?$/
const duration = /^-?P[0-9TYMDHS.]+$/

/** Elements and attributes whose numbers identify somebody all the same: an extension, a Call-ID, a title. */
const personal: ReadonlySet<string> = new Set(
  (
    "note display display-name display-text name title subject keywords free-text identity remote-identity uri entity aor " +
    "target contact user call-id callid local-tag remote-tag replaces referred-by associated-aors xcon-userid text value " +
    "pval line line-id one except device-id deviceid serviceid endpoint"
  ).split(" "),
)

/** Attributes that name elements and namespaces, not people. */
const structural = /^(?:xmlns(?::.*)?|xsi:type|ns|pname)$/

const words = /[\p{L}\p{N}\p{M}]+/u
const scheme = /\b(?:sips?|tel|pres|im|mailto|https?|urn|xmpp|cid|udp|tcp|tls|wss?):/i
const ipv4 = /(?<![\d.])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?![\d.])/
const ipv6 = /\[[0-9a-fA-F:]*:[0-9a-fA-F:.]*\]/
const escape = /%[0-9a-fA-F]{2}/
const port = /(?<=[\p{L}\p{N}\]]):\d{1,5}(?![\p{L}\p{N}@])/u
const parameter =
  /;\s*(?:transport|user|lr|method|ttl|gr|ob|tag|branch|received|rport|expires|q|boundary|charset|appearance-(?:index|state|uri))\b(?:=(?:udp|tcp|tls|wss?|phone|ip|idle|seized|progressing|alerting|active|held|held-private|\d{1,3}|\*)(?![\p{L}\p{N}.]))?/iu

const pattern = (...alternatives: readonly RegExp[]): RegExp =>
  new RegExp(alternatives.map(({ source }) => source).join("|"), "giu")

const inNames = pattern(escape, scheme, ipv4, ipv6, parameter, port, words)
const inProse = pattern(escape, scheme, ipv4, ipv6, words)
const inXml = pattern(/&[A-Za-z][A-Za-z0-9]*;/, escape, scheme, ipv4, ipv6, words)

const wholeWord = new RegExp(`^${words.source}$`, "u")
const wholeIpv4 = new RegExp(`^${ipv4.source}$`)

export const makeAnonymousText = (standIns: StandIns): AnonymousText => {
  const replaced = (text: string, what: RegExp): string =>
    text.replaceAll(what, (found) => {
      if (wholeIpv4.test(found)) return standIns.ipv4(found)
      if (found.startsWith("[")) return `[${standIns.hex(found.slice(1, -1))}]`
      return wholeWord.test(found) ? standIns.word(found) : found
    })

  /** A value in XML; kept where its meaning matters. */
  const value = (local: string, text: string): string => {
    const plain = withWordsDecoded(text)
    const trimmed = plain.trim()
    if (trimmed === "" || vocabulary.has(trimmed) || instant.test(trimmed)) return plain
    if (!personal.has(local) && (numeric.test(trimmed) || duration.test(trimmed))) return plain
    return replaced(plain, inXml)
  }

  const tag = (text: string): string =>
    text.replaceAll(
      /([\w:.-]+)(\s*=\s*)("[^"]*"|'[^']*')/g,
      (whole: string, name: string, equals: string, quoted: string) =>
        structural.test(name)
          ? whole
          : `${name}${equals}${quoted[0]}${value(localName(name), quoted.slice(1, -1))}${quoted[0]}`,
    )

  const xml = (text: string): string => {
    let element = ""
    return text.replaceAll(
      /<!--[^]*?-->|<!\[CDATA\[[^]*?\]\]>|<\?[^]*?\?>|<(?:[^<>"']|"[^"]*"|'[^']*')*>|[^<]+|</g,
      (part) => {
        if (part === "<" || part.startsWith("<?xml ")) return part
        if (part.startsWith("<![CDATA[")) return `<![CDATA[${value(element, part.slice(9, -3))}]]>`
        if (part.startsWith("<!--")) return `<!--${replaced(part.slice(4, -3), inProse)}-->`
        if (part.startsWith("<?")) return `<?${replaced(part.slice(2, -2), inProse)}?>`
        if (!part.startsWith("<")) return value(element, part)
        element = localName(/^<\/?([^\s/>]*)/.exec(part)?.[1] ?? "")
        return tag(part)
      },
    )
  }

  /** Lines of the form `Name: value`, whose names are kept. */
  const lines = (text: string): string =>
    text
      .split(/(?<=\n)/)
      .map((line) => {
        const [, name, rest] = /^([A-Za-z][A-Za-z-]*[ \t]*:)([^]*)$/.exec(line) ?? []
        if (name === undefined || rest === undefined || scheme.test(name)) return replaced(line, inProse)
        const trimmed = rest.trim()
        return (
          name +
          (vocabulary.has(trimmed.toLowerCase()) || /^[\d\s/()]*$/.test(trimmed)
            ? rest
            : replaced(rest, inNames))
        )
      })
      .join("")

  return {
    name: (text) => replaced(text, inNames),
    body: (body) => {
      const isXml = body.contentType.endsWith("xml") || /^\s*</.test(body.text)
      const isLines =
        body.contentType === "application/simple-message-summary" || body.contentType === "message/sipfrag"
      const text = isXml ? xml(body.text) : isLines ? lines(body.text) : replaced(body.text, inProse)
      return {
        ...body,
        ...(body.parameters === undefined ? {} : { parameters: replaced(body.parameters, inNames) }),
        // the digest of a document would prove that somebody has it
        ...(body.dropped === undefined ? {} : { dropped: replaced(body.dropped, inNames) }),
        text,
      }
    },
  }
}

/** Without character references that stand for parts of words. */
const withWordsDecoded = (text: string): string =>
  text.replaceAll(/&#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));/g, (whole, hex, decimal) => {
    const code = Number.parseInt(hex ?? decimal, hex === undefined ? 10 : 16)
    const char = code <= 0x10ffff ? String.fromCodePoint(code) : whole
    // a name that consists of digits is still a name
    return wholeWord.test(char) ? char : whole
  })

const localName = (name: string): string => name.slice(name.indexOf(":") + 1)
