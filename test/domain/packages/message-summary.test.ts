import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { messageSummary } from "../../../src/domain/packages/message-summary.ts"
import type {
  MessageCounts,
  MessageHeader,
  MessageSummary,
  NewAndOld,
} from "../../../src/domain/packages/message-summary.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { assertLinear } from "../../support/cost.ts"

const contentType = "application/simple-message-summary"
const alice = "sip:alice@example.com" as Uri
const plain = messageSummary()
const strict = messageSummary({ messageHeaders: false })
const silent = messageSummary({ emptySummary: false })

const verdict = (text: string): string => {
  const parsed = plain.parse({ contentType, text })
  return parsed._tag === "Parsed" ? "read" : parsed.why
}

const read = (text: string): MessageSummary => {
  const parsed = plain.parse({ contentType, text })
  if (parsed._tag === "Unreadable") throw new Error(`${parsed.why}: ${text.slice(0, 200)}`)
  return parsed.document
}

const rendered = (text: string): string => plain.render(read(text)).text

const lines = (...all: readonly string[]): string => all.map((one) => `${one}\r\n`).join("")

const composed = (
  documents: readonly MessageSummary[],
  ended: readonly MessageSummary[] = [],
  eventPackage = plain,
) => {
  const sources = (of: readonly MessageSummary[], from: number) =>
    of.map((document, index) => ({ key: `${from + index}`, document }))
  return eventPackage.compose({
    presentity: alice,
    documents: sources(documents, 1),
    ended: sources(ended, 11),
  })
}

const countMax = 4_294_967_295
const anyCount = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, countMax), fc.nat())
const anyPair = fc.record({ new: anyCount, old: anyCount })
const anyName = fc.constantFrom("Subject", "X-Priority", "toString", "Messages-Waiting", "a.b!%*_+`'~")
const anyValue = fc
  .array(fc.constantFrom("a", " ", "\t", ":", "<sip:a@b>", "é", "😀", "/", "(", "1/x", "\u2028"), {
    maxLength: 6,
  })
  .map((parts) => parts.join("").replace(/^[ \t]+|[ \t]+$/g, ""))
const anyHeader = fc.record<MessageHeader>({ _tag: fc.constant("Header"), name: anyName, value: anyValue })
const anyCounts = fc.record<MessageCounts>({
  _tag: fc.constant("Counts"),
  messageClass: fc.constantFrom("Voice-Message", "voice-message", "FAX-message", "none", "X-Vendor.Class"),
  all: anyPair,
  urgent: fc.option(anyPair),
})
const anySummary = fc.record<MessageSummary>({
  isWaiting: fc.boolean(),
  account: fc.constantFrom(null, "sip:alice@example.com", "sips:a@b;x=1?y=2", "tel:+1-201-555-0123", "im:a"),
  lines: fc.array(
    fc.oneof(
      anyCounts,
      anyHeader.filter(({ name }) => name !== "Messages-Waiting"),
    ),
    {
      maxLength: 4,
    },
  ),
  messages: fc.array(fc.array(anyHeader, { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
})

describe("the package", () => {
  it(
    "name, type, lifetime, rate, and no rules",
    { tags: ["3842-3.1-a", "3842-3.5-a", "3842-3.11-a", "3842-3.3-a"] },
    () => {
      expect(plain).toMatchObject({
        name: "message-summary",
        accepts: [contentType],
        produces: [contentType],
        defaultExpires: 3_600,
        entityTags: "new-each-time",
        notifyIntervalMillis: 1_000,
      })
      expect(plain.rules).toBe(undefined)
      expect(messageSummary({ notifyIntervalMillis: 0 }).notifyIntervalMillis).toBe(0)
    },
  )

  it(
    "who published nothing has no messages waiting, and is not shown without a body",
    { tags: ["BUG-34"] },
    () => {
      const nothing = composed([])
      expect(nothing && plain.render(nothing)).toEqual({ contentType, text: "Messages-Waiting: no\r\n" })
      expect(plain.offline(alice)).toEqual(nothing)
    },
  )

  it(
    "unless that is wanted; but the lamp of who saw a summary goes out when it ends",
    { tags: ["BUG-34"] },
    () => {
      expect(composed([], [], silent)).toBe(null)
      const parting = composed([], [read("Messages-Waiting: yes")], silent)
      expect(parting && silent.render(parting).text).toBe("Messages-Waiting: no\r\n")
      expect(silent.offline(alice)).toEqual(parting)
    },
  )
})

describe("reading", () => {
  it("what was rendered reads the same", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anySummary, (document) => {
        const body = plain.render(document)
        expect(body.contentType).toBe(contentType)
        expect(read(body.text)).toEqual(document)
      }),
    )
  })

  it(
    "line ends, folding, blanks and the case of what is known do not count",
    { tags: ["3842-3.5-b", "L40"] },
    () => {
      const anyBlank = fc.constantFrom("", " ", "\t", "  \t", "\r\n ", "\n\t \r\n  ")
      const anyCase = fc.constantFrom(
        (text: string) => text.toUpperCase(),
        (text: string) => text.toLowerCase(),
      )
      const anyEnd = fc.constantFrom("\n", "\r\n")
      fc.assert(
        fc.property(
          anySummary,
          anyBlank,
          anyCase,
          anyEnd,
          fc.boolean(),
          (document, blank, cased, end, isOpen) => {
            const pair = (of: NewAndOld): string => `${of.new}${blank}/${blank}${of.old}`
            const line = (one: MessageCounts | MessageHeader): string => {
              if (one._tag === "Header") return `${one.name} :${blank}${one.value}${blank}`
              const urgent = one.urgent === null ? "" : `${blank}(${blank}${pair(one.urgent)}${blank})`
              return `${one.messageClass}\t:${blank}${pair(one.all)}${urgent}${blank}`
            }
            const written = [
              cased(`Messages-Waiting:${blank}${document.isWaiting ? "yes" : "no"}`) + blank,
              ...(document.account === null
                ? []
                : [`${cased("Message-Account")}:<${blank}${document.account}>`]),
              ...document.lines.map(line),
              ...document.messages.flatMap((headers) => ["", "", ...headers.map(line)]),
            ].join(end)
            expect(read(isOpen ? written : written + end)).toEqual(document)
          },
        ),
      )
    },
  )

  it("a count above 2^32 - 1 is read as that", { tags: ["3842-3.5-c"] }, () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), (count) => {
        const expected = count > BigInt(countMax) ? countMax : Number(count)
        const text = `Messages-Waiting: yes\r\nVoice-Message: ${count}/0${count} (${count}/${count})\r\n`
        const pair = { new: expected, old: expected }
        expect(read(text).lines).toEqual([
          { _tag: "Counts", messageClass: "Voice-Message", all: pair, urgent: pair },
        ])
      }),
    )
    expect(rendered(`Messages-Waiting: yes\nfax-message: ${"9".repeat(60_000)}/0`)).toBe(
      lines("Messages-Waiting: yes", `fax-message: ${countMax}/0`),
    )
  })

  it("any text is read or refused with the line that is at fault", { tags: ["3842-3.5-b"] }, () => {
    const pieces = [
      "Messages-Waiting",
      ": ",
      "yes",
      "no",
      "\r\n",
      "\n",
      "\r",
      " ",
      "\t",
      "Voice-Message",
      "1/2",
    ]
    const anyText = fc
      .array(fc.constantFrom(...pieces, "(", ")", "Message-Account", "<sip:a@b>", "\0", "é", "\u2028", ":"), {
        maxLength: 30,
      })
      .map((parts) => parts.join(""))
    const anySpoilt = fc
      .tuple(anySummary, fc.nat(), fc.nat({ max: 5 }), anyText)
      .map(([document, at, length, text]) => {
        const whole = plain.render(document).text
        const from = at % whole.length
        return whole.slice(0, from) + text + whole.slice(from + length)
      })
    fc.assert(
      fc.property(fc.oneof(anyText, anySpoilt, fc.string()), (text) => {
        const parsed = plain.parse({ contentType, text })
        const why = parsed._tag === "Unreadable" ? parsed.why : null
        expect(why ?? "line 1: none").toMatch(/^line [1-9][0-9]*: \S.*$/)
        const document = parsed._tag === "Parsed" ? parsed.document : read("Messages-Waiting: no")
        expect(read(plain.render(document).text)).toEqual(document)
      }),
      { numRuns: 1_000 },
    )
  })

  it("hostile lengths are read in time that grows with them", { tags: ["3842-3.5-b"] }, () => {
    const hostile: readonly ((long: number) => string)[] = [
      (long) => "\n".repeat(long),
      (long) => " ".repeat(long),
      (long) => `Messages-Waiting: yes${"\n ".repeat(long)}`,
      (long) => `Messages-Waiting: yes${"\n a".repeat(long / 3)}`,
      (long) => `Messages-Waiting: yes\nVoice-Message: ${" ".repeat(long)}x`,
      (long) => `Messages-Waiting: yes\nVoice-Message: 1/1${" ".repeat(long)}x`,
      (long) => `Messages-Waiting: yes\n${"a".repeat(long)}`,
      (long) => `Messages-Waiting: yes\nMessage-Account: ${"a:".repeat(long / 2)} `,
      (long) => `Messages-Waiting: yes\n${"\na:b".repeat(long / 4)}`,
    ]
    for (const text of hostile) {
      assertLinear(
        JSON.stringify(text(8)),
        (long) => {
          const summary = text(long)
          return () => void verdict(summary)
        },
        2_400,
      )
    }
  })

  it("Messages-Waiting comes first, once, and is yes or no", { tags: ["3842-3.5-b"] }, () => {
    const first = "line 1: Messages-Waiting must come first"
    expect(verdict("")).toBe(first)
    expect(verdict("\r\nMessages-Waiting: yes\r\n")).toBe(first)
    expect(verdict(" Messages-Waiting: yes")).toBe("read")
    expect(verdict("Voice-Message: 1/0\r\nMessages-Waiting: yes\r\n")).toBe(first)
    expect(verdict("Messages-Waiting")).toBe(first)
    expect(verdict('<?xml version="1.0"?><presence/>')).toBe(first)
    expect(verdict("MESSAGES-WAITING:YES")).toBe("read")
    for (const value of ["", "maybe", "yes no", "true", "1"]) {
      expect(verdict(`Messages-Waiting: ${value}`)).toBe("line 1: Messages-Waiting is neither yes nor no")
    }
    expect(verdict(lines("Messages-Waiting: yes", "none: 1/1", "messages-waiting: no"))).toBe(
      "line 3: a second Messages-Waiting",
    )
  })

  it("a class that RFC 3842 knows has counts", { tags: ["3842-3.5-b"] }, () => {
    const at = (line: string): string => verdict(lines("Messages-Waiting: no", "X: y", line))
    for (const value of [
      "",
      "1",
      "1/",
      "/1",
      "-1/0",
      "1.5/0",
      "1/0 (1)",
      "1/0 (1/0",
      "1/0 1/0",
      "1/0 (1/0) x",
      "a/b",
    ]) {
      expect(at(`Voice-Message: ${value}`)).toBe("line 3: voice-message is not new/old or new/old (new/old)")
      expect(at(`X-Message: ${value}`)).toBe("read")
    }
    expect(at("Fax-Message")).toBe("line 3: not a name, a colon and a value")
    expect(at(": 1/0")).toBe("line 3: not a name, a colon and a value")
    expect(at("Fax Message: 1/0")).toBe("line 3: not a name, a colon and a value")
    expect(at("Fax-Message: 1/0\0")).toBe("line 3: not a name, a colon and a value")
    expect(at("X-Other: a\rb")).toBe("line 3: not a name, a colon and a value")
  })

  it("faults are found in headers of messages too, by the line they are on", { tags: ["3842-3.5-b"] }, () => {
    expect(verdict(lines("Messages-Waiting: yes", "", "Subject: a", "\tb", "", "From"))).toBe(
      "line 6: not a name, a colon and a value",
    )
  })

  it(
    "the account is a URI and is said without angle brackets, after Messages-Waiting",
    { tags: ["3842-3.5-d"] },
    () => {
      const published = lines(
        "Messages-Waiting: yes",
        "Voice-Message: 1/0",
        "message-account: < sip:sales@example.com >",
      )
      const shown = lines(
        "Messages-Waiting: yes",
        "Message-Account: sip:sales@example.com",
        "Voice-Message: 1/0",
      )
      expect(rendered(published)).toBe(shown)
      // without its scheme, as of voicemail servers that know one kind of address only
      for (const value of ["sales@example.com", "<sales@example.com>", "sales@[2001:db8::1]:5061"])
        expect(rendered(lines("Messages-Waiting: yes", `Message-Account: ${value}`))).toBe(
          lines("Messages-Waiting: yes", `Message-Account: sip:${value.replace(/[<>]/g, "")}`),
        )
      for (const value of ["a@b@c", "a b@c", "@c", "a@"])
        expect(verdict(`Messages-Waiting: yes\nMessage-Account: ${value}`)).toMatch(/not a URI/)
      for (const value of [
        "",
        "alice",
        "sip:",
        "<sip:a@b",
        "sip:a@b>",
        "<<sip:a@b>>",
        "sip:a b",
        '"A" <sip:a@b>',
      ]) {
        expect(verdict(`Messages-Waiting: yes\nMessage-Account: ${value}`)).toBe(
          "line 2: Message-Account is not a URI",
        )
      }
      const twice = lines("Messages-Waiting: yes", "Message-Account: sip:a@b", "Message-Account: sip:a@b")
      expect(verdict(twice)).toBe("line 3: a second Message-Account")
    },
  )

  it("of a group of classes each line stays, known or not, in its place", { tags: ["3842-3.5-b"] }, () => {
    const text = lines(
      "Messages-Waiting: yes",
      "X-Memo: 3/4",
      "Voice-Message: 1/0 (0/0)",
      "X-Greeting: on",
      "none: 0/0",
    )
    expect(rendered(text)).toBe(text)
    expect(read(text).lines.map(({ _tag }) => _tag)).toEqual(["Counts", "Counts", "Header", "Counts"])
  })
})

describe("composition", () => {
  it("the newest publication is all there is, whatever ended", { tags: ["3842-3.10-a"] }, () => {
    fc.assert(
      fc.property(fc.array(anySummary, { minLength: 1 }), fc.array(anySummary), (documents, ended) => {
        expect(composed(documents, ended)).toEqual(documents.at(-1))
        expect(composed(documents, ended, silent)).toEqual(documents.at(-1))
      }),
    )
  })

  it("headers of messages are shown as they were published", { tags: ["3842-3.5-e", "MWI-09"] }, () => {
    const text = lines(
      "Messages-Waiting: yes",
      "Voice-Message: 2/8 (0/2)",
      "",
      "To: <sip:alice@example.com>",
      "Subject: carpool",
      "",
      "Subject: HELP!",
    )
    const document = composed([read(text)])
    expect(document && plain.render(document).text).toBe(text)
    expect(document?.messages.length).toBe(2)
  })

  it("or not at all, so that none is in answer to a SUBSCRIBE", { tags: ["3842-3.5-e"] }, () => {
    fc.assert(
      fc.property(anySummary, (document) => {
        const shown = composed([document], [], strict)
        expect(shown).toEqual({ ...document, messages: [] })
        expect(shown && strict.render(shown).text).not.toMatch(/\r\n\r\n/)
      }),
    )
  })
})

/** Written in the manner of servers that publish or send summaries, each with what is its own. */
describe("documents", () => {
  const golden: readonly (readonly [of: string, published: string, shown: string])[] = [
    [
      "a PBX like Asterisk: urgent counts always, an account of its own naming",
      lines(
        "Messages-Waiting: yes",
        "Message-Account: sip:asterisk@192.0.2.1:5061",
        "Voice-Message: 3/12 (0/0)",
      ),
      lines(
        "Messages-Waiting: yes",
        "Message-Account: sip:asterisk@192.0.2.1:5061",
        "Voice-Message: 3/12 (0/0)",
      ),
    ],
    [
      "a switch like FreeSWITCH: both kinds of line end in one body",
      "Messages-Waiting: no\nMessage-Account: sip:1000@example.com\nVoice-Message: 0/4 (0/0)\r\n",
      lines("Messages-Waiting: no", "Message-Account: sip:1000@example.com", "Voice-Message: 0/4 (0/0)"),
    ],
    [
      "an enterprise voicemail like Cisco's: angle brackets, several classes, no urgent counts",
      lines(
        "Messages-Waiting: yes",
        "Message-Account: <sip:5551234@example.com>",
        "Voice-Message: 1/0",
        "Fax-Message: 0/2",
      ),
      lines(
        "Messages-Waiting: yes",
        "Message-Account: sip:5551234@example.com",
        "Voice-Message: 1/0",
        "Fax-Message: 0/2",
      ),
    ],
    [
      "a hosted service as Polycom phones meet it: lower case, no account, no end of the last line",
      "messages-waiting: YES\r\nvoice-message: 2/8 (0/2)",
      lines("Messages-Waiting: yes", "voice-message: 2/8 (0/2)"),
    ],
    [
      "a mail store with a mailbox that is shared: headers of messages, folded, blank lines at the end",
      "Messages-Waiting:yes\nMessage-Account:sip:sales@example.com\nVoice-Message:4/8 (1/2)\n\nTo:<sales@example.com>\nSubject: call me\n  back\n\n\nSubject:\n\n\n",
      lines(
        "Messages-Waiting: yes",
        "Message-Account: sip:sales@example.com",
        "Voice-Message: 4/8 (1/2)",
        "",
        "To: <sales@example.com>",
        "Subject: call me back",
        "",
        "Subject:",
      ),
    ],
    ["a bare lamp", "Messages-Waiting: no", lines("Messages-Waiting: no")],
  ]

  it.each(golden)("%s", { tags: ["3842-3.5-b", "L40"] }, (_, published, shown) => {
    expect(rendered(published)).toBe(shown)
    expect(rendered(shown)).toBe(shown)
    expect(read(published)).toEqual(read(shown))
  })
})
