import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { lawsOf, packageLaws } from "../../../src/app/testing/package-laws.ts"
import type { PackageLawsOptions } from "../../../src/app/testing/package-laws.ts"
import { conference, conferenceInfoNamespace } from "../../../src/domain/packages/conference.ts"
import { dialogInfo } from "../../../src/domain/packages/dialog-info.ts"
import type { DialogInfo } from "../../../src/domain/packages/dialog-info.ts"
import { sharedLine } from "../../../src/domain/packages/dialog-sla.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { messageSummary } from "../../../src/domain/packages/message-summary.ts"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { reg, regInfoNamespace } from "../../../src/domain/packages/reg.ts"
import { afterReading, dialog, partial, written } from "../../support/dialog-info.ts"
import type { ReaderTable } from "../../support/dialog-info.ts"
import { stub } from "../../support/stub-package.ts"
import type { Lines } from "../../support/stub-package.ts"

const bodies = (contentType: string, ...texts: readonly string[]) =>
  texts.map((text) => ({ contentType, text }))

const pidf = (inside: string): string =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:x="urn:x" entity="sip:a@b">${inside}</presence>`
const tuple = (id: string, basic: string): string =>
  `<tuple id="${id}"><status><basic>${basic}</basic></status></tuple>`
const presenceBodies = bodies(
  "application/pidf+xml",
  pidf(tuple("t1", "open")),
  pidf(tuple("t1", "closed") + tuple("t2", "open")),
  pidf(`${tuple("t3", "open")}<note>away</note><dm:person id="p1"><x:mood/></dm:person>`),
  pidf(
    '<note xml:lang="en">busy</note><dm:person id="p2"><dm:note>here</dm:note></dm:person><x:other a="b"/>',
  ),
  pidf(""),
)

const dialogBodies = bodies(
  "application/dialog-info+xml",
  written(dialog("1", "early", "c1")),
  written(dialog("1", "confirmed", "c1") + dialog("2", "trying", "c2")),
  written(dialog("1", "terminated", "c1")),
  partial(dialog("2", "confirmed", "c2")),
  written(dialog("3", "proceeding", "c3"), 'version="9" state="full" extra="y"'),
  written(`${dialog("4", "early", "c4")}<x:far/>`),
  written(
    '<dialog id="5" call-id="c5"><state>early</state><remote><identity>sip:bob@b</identity><target uri="sip:192.0.2.1"/></remote></dialog>',
  ),
  written(""),
)
const dialogOptions: PackageLawsOptions<DialogInfo> = {
  documents: dialogBodies,
  meaning: (document) => ({ ...document, version: null }),
  reader: (known, document) => afterReading((known as ReaderTable | undefined) ?? new Map(), document),
}

const summaryBodies = bodies(
  "application/simple-message-summary",
  "Messages-Waiting: yes\r\nMessage-Account: <sip:a@b>\r\nVoice-Message: 2/8 (0/2)\r\n",
  "messages-waiting: no\nFax-Message: 0/1\nX-Other: kept",
  "Messages-Waiting: yes\r\n\r\nSubject: one\r\n folded\r\n\r\nSubject: two\r\n",
)

const regBodies = bodies(
  "application/reginfo+xml",
  ...[
    '<registration aor="sip:a@b" id="1" state="active"><contact id="c1" state="active" event="registered"><uri>sip:x@y</uri></contact></registration>',
    '<registration aor="sip:c@d" id="1" state="init"/><x:y xmlns:x="urn:x"/>',
    '<registration aor="sip:a@b" id="2" state="terminated"><contact id="c2" state="terminated" event="expired"><uri>sip:x@y</uri></contact></registration>',
  ].flatMap((inside) =>
    ["full", "partial"].map(
      (state) => `<reginfo xmlns="${regInfoNamespace}" version="1" state="${state}">${inside}</reginfo>`,
    ),
  ),
)

const conferenceBodies = bodies(
  "application/conference-info+xml",
  ...[
    '<users><user entity="sip:a@b"><endpoint entity="e1"/></user></users>',
    '<users state="partial"><user entity="sip:a@b" state="deleted"/><user entity="sip:c@d" state="partial"><display-text>C</display-text></user></users>',
    '<conference-state><active>true</active></conference-state><x:y xmlns:x="urn:x"/>',
  ].flatMap((inside) =>
    ["full", "partial", "deleted"].map(
      (state) =>
        `<conference-info xmlns="${conferenceInfoNamespace}" entity="sip:r@b" version="1" state="${state}">${inside}</conference-info>`,
    ),
  ),
)

const lineBodies = bodies("text/plain", "open", "closed\naway", "busy", "")

/** So that packages of different documents can stand in one table. */
const bundle = <Doc>(name: string, eventPackage: EventPackage<Doc>, options: PackageLawsOptions<Doc>) =>
  ({ name, laws: lawsOf(eventPackage, options) }) as const

const xml = xmlCodec
const bundled = [
  bundle("presence", presence({ xml }), { documents: presenceBodies }),
  bundle("presence, absence shown", presence({ xml, notifyOfflineBody: true }), {
    documents: presenceBodies,
  }),
  bundle("presence, nothing left behind", presence({ xml, generateOfflineBody: false }), {
    documents: presenceBodies,
  }),
  bundle("presence, ids kept apart", presence({ xml, idCollision: "rename" }), {
    documents: presenceBodies,
    // what has a publication's key in its id gets another one when it is published again
    meaning: (document) =>
      JSON.parse(JSON.stringify(document).replace(/\b(t\d|p\d|note)(?:\.\d+)+/g, "$1")) as unknown,
  }),
  bundle("dialog", dialogInfo({ xml }), dialogOptions),
  bundle("dialog, one only", dialogInfo({ xml, forceSingleDialog: true }), dialogOptions),
  bundle("dialog;sla", sharedLine({ xml }), dialogOptions),
  bundle("dialog;sla, newest", sharedLine({ xml, aggregation: "newest" }), dialogOptions),
  bundle("message-summary", messageSummary(), { documents: summaryBodies }),
  bundle("message-summary, no empty one", messageSummary({ emptySummary: false }), {
    documents: summaryBodies,
  }),
  bundle("message-summary, no headers", messageSummary({ messageHeaders: false }), {
    documents: summaryBodies,
  }),
  bundle("reg", reg({ xml }), { documents: regBodies }),
  bundle("conference", conference({ xml }), { documents: conferenceBodies }),
  bundle("pass-through", passThrough({ name: "ua-profile", contentTypes: ["text/plain", "text/xml"] }), {
    documents: [...lineBodies, ...bodies("text/xml", "<a/>", "open")],
  }),
  bundle("stub", stub(), { documents: lineBodies }),
  bundle("stub, all", stub({ composition: "all" }), { documents: lineBodies }),
  bundle("stub, absence shown", stub({ showsAbsence: true }), { documents: lineBodies }),
]

describe.each(bundled)("the laws of event packages hold for $name", { tags: ["L21", "L40"] }, ({ laws }) => {
  it.each(laws)("$name", { tags: ["L21"] }, ({ check }) => {
    check()
  })
})

/** A stub that is numbered, and whose documents can be amended and compared: a line `+x` adds x, `-x` takes it away. */
const base: EventPackage<Lines> = stub({ composition: "all" })
const numbered: EventPackage<Lines> = {
  ...base,
  parse: (body) => base.parse({ ...body, text: body.text.replace(/^v[0-9]+\n/, "") }),
  render: ({ lines }) => ({ contentType: "text/plain", text: ["v0", ...lines].join("\n") }),
  personalize: (body, { version }) => ({ ...body, text: body.text.replace(/^v0/, `v${version}`) }),
}
const told = ({ lines }: Lines): readonly string[] => lines.filter((line) => line !== "").toSorted()
const amendable: EventPackage<Lines> = {
  ...base,
  compose: ({ documents }) => {
    const lines = [...new Set(documents.flatMap(({ document }) => told(document)))].toSorted()
    return lines.length === 0 ? null : { lines }
  },
  amend: (before, { lines }) => ({
    lines: [...new Set([...before.lines, ...lines])].filter(
      (line) => !lines.includes(`-${line}`) && line[0] !== "-",
    ),
  }),
  difference: (before, after) => ({
    lines: [
      ...after.lines.filter((line) => !before.lines.includes(line)),
      ...before.lines.filter((line) => !after.lines.includes(line)).map((line) => `-${line}`),
    ],
  }),
}
const amendableOptions: PackageLawsOptions<Lines> = { documents: lineBodies, meaning: told }

describe("members that packages need not have", () => {
  it("a package with versions keeps the laws", { tags: ["L21"] }, () => {
    packageLaws(numbered, { documents: lineBodies })
  })

  it(
    "a package that is amended and compared keeps the laws, by amend or by a reader",
    { tags: ["L21"] },
    () => {
      packageLaws(amendable, amendableOptions)
      packageLaws(amendable, {
        ...amendableOptions,
        reader: (known, { lines }) => {
          const next = new Set((known as ReadonlySet<string> | undefined) ?? [])
          for (const line of lines) {
            if (line.startsWith("-")) next.delete(line.slice(1))
            else next.add(line)
          }
          return next
        },
      })
    },
  )
})

let calls = 0
const counted = (): number => {
  calls += 1
  return calls
}

type Fault = readonly [what: string, law: string, says: RegExp, pack: EventPackage<Lines>]
const total = "any body is read or refused with a reason"
const round = "what was rendered reads the same"
const same = "the same documents compose to the same document"
const log = "the log alone gives the order"
const again = "composing what was composed changes nothing"
const sent = "what was composed can be sent and read"
const absent = "nothing composes to the absent form or to none"
const ending = "what has ended is not shown as if it lived"
const version = "a version changes the version and nothing else"
const once = "a modification counts once"
const change = "the difference leads from one document to the other"
const declared = "it declares what a header can say"

const faults: readonly Fault[] = [
  ["a name with a blank", declared, /Event header/, { ...base, name: "a b" }],
  ["a type in upper case", declared, /Text\/Plain is no media type/, { ...base, produces: ["Text/Plain"] }],
  ["a lifetime of nothing", declared, /defaultExpires/, { ...base, defaultExpires: 0 }],
  ["a rate below nothing", declared, /notifyInterval/, { ...base, notifyIntervalMillis: -1 }],
  ["a template", declared, /accepts no media type/, { ...base, accepts: [] }],
  ["examples of another type", total, /not accepted/, { ...base, accepts: ["text/html"] }],
  [
    "an example that is refused",
    total,
    /an example is refused, no: "open"/,
    {
      ...base,
      parse: (body) => (body.text === "open" ? { _tag: "Unreadable", why: "no" } : base.parse(body)),
    },
  ],
  [
    "a parser that throws",
    total,
    /oops; on /,
    {
      ...base,
      parse: (body) => {
        if (body.text.includes("<")) throw new Error("oops")
        return base.parse(body)
      },
    },
  ],
  [
    "a refusal without a reason",
    total,
    /reason is not one line/,
    {
      ...base,
      parse: (body) => (body.text.includes("<") ? { _tag: "Unreadable", why: "" } : base.parse(body)),
    },
  ],
  [
    "a reason that breaks out of its header",
    total,
    /reason is not one line/,
    {
      ...base,
      parse: (body) => (body.text.includes("\r") ? { _tag: "Unreadable", why: body.text } : base.parse(body)),
    },
  ],
  [
    "a parser that counts",
    total,
    /read a second time/,
    { ...base, parse: () => ({ _tag: "Parsed", document: { lines: [`${counted()}`] } }) },
  ],
  [
    "a line that is lost",
    round,
    /reads as something else/,
    { ...base, render: ({ lines }) => base.render({ lines: lines.slice(0, 1) }) },
  ],
  [
    "a type that is not announced",
    round,
    /rendered as text\/html/,
    { ...base, render: (document) => ({ ...base.render(document), contentType: "text/html" }) },
  ],
  [
    "a body that is never the same",
    round,
    /rendered twice/,
    { ...base, render: ({ lines }) => base.render({ lines: [...lines, `${counted()}`] }) },
  ],
  [
    "a body that nobody can read",
    round,
    /refuses, it starts with !/,
    { ...base, render: (document) => ({ ...base.render(document), text: "!" }) },
  ],
  [
    "a lamp that stays lit",
    ending,
    /as if it lived: \{ lines: \[ 'open' \] \}/,
    {
      ...base,
      compose: ({ documents, ended, ...input }) =>
        base.compose({ ...input, documents: [...documents, ...ended], ended: [] }),
    },
  ],
  [
    "a composer that counts",
    same,
    /second time.*: "text\/plain\\n\d+" instead of "text\/plain\\n\d+"/,
    { ...base, compose: () => ({ lines: [`${counted()}`] }) },
  ],
  [
    "a composer that changes what it was given",
    same,
    /not extensible|read only/,
    {
      ...base,
      compose: (input) => {
        for (const { document } of input.documents) (document.lines as string[]).push("x")
        return base.compose(input)
      },
    },
  ],
  [
    "an order of its own",
    log,
    /took them for an order/,
    {
      ...base,
      compose: (input) =>
        base.compose({
          ...input,
          documents: input.documents.toSorted((one, other) => one.key.localeCompare(other.key)),
        }),
    },
  ],
  [
    "a line more each time",
    again,
    /composes to something else/,
    {
      ...base,
      compose: (input) => {
        const document = base.compose(input)
        return document === null ? null : { lines: [...document.lines, "end"] }
      },
    },
  ],
  [
    "a document that nobody can read when something ended",
    sent,
    /refuses/,
    { ...base, compose: (input) => (input.ended.length > 0 ? { lines: ["!"] } : base.compose(input)) },
  ],
  [
    "two forms of absence",
    absent,
    /not its absent form/,
    { ...stub({ showsAbsence: true }), offline: () => ({ lines: ["gone"] }) },
  ],
  [
    "absence shown that is none",
    absent,
    /not its absent form/,
    { ...stub({ showsAbsence: true }), offline: () => null },
  ],
  ["an absent form that nobody can read", absent, /refuses/, { ...base, offline: () => ({ lines: ["!"] }) }],
  [
    "versions that come again",
    version,
    /two versions of one body are the same/,
    {
      ...numbered,
      personalize: (body, { version: no }) => ({ ...body, text: body.text.replace(/^v0/, `v${no % 10}`) }),
    },
  ],
  [
    "versions that are no part of the document",
    version,
    /says something else/,
    { ...base, personalize: (body, { version: no }) => ({ ...body, text: `${body.text}\n${no}` }) },
  ],
  [
    "versions that nobody can read",
    version,
    /with a version it is refused/,
    { ...base, personalize: (body, { version: no }) => ({ ...body, text: `!${no}` }) },
  ],
  [
    "versions that change other things",
    version,
    /differ in more than the version/,
    {
      ...numbered,
      personalize: (body, { version: no }) => ({
        ...body,
        text: body.text.replace(/^v0/, `v${no}${no % 10}`),
      }),
    },
  ],
  [
    "versions of another type",
    version,
    /another media type/,
    { ...numbered, personalize: (body, { version: no }) => ({ contentType: "text/html", text: `${no}` }) },
  ],
  [
    "a modification that counts twice",
    once,
    /repeated changes something/,
    { ...base, amend: (before, { lines }) => ({ lines: [...before.lines, ...lines] }) },
  ],
  ["a modification that nobody can read", once, /refuses/, { ...base, amend: () => ({ lines: ["!"] }) }],
  [
    "a difference that forgets",
    change,
    /does not lead to the whole/,
    {
      ...amendable,
      difference: (before, after) => ({ lines: after.lines.filter((line) => !before.lines.includes(line)) }),
    },
  ],
  [
    "a difference from itself",
    change,
    /from itself says something/,
    { ...amendable, difference: (_, after) => after },
  ],
  [
    "a difference that nobody can read",
    change,
    /refuses/,
    { ...base, difference: (before, after) => (before === after ? null : { lines: ["!"] }) },
  ],
]

describe("each law finds who breaks it", () => {
  it.each(faults)("%s", { tags: ["L21"] }, (_, law, says, eventPackage) => {
    const options: PackageLawsOptions<Lines> = law === change ? amendableOptions : { documents: lineBodies }
    const found = lawsOf(eventPackage, options).find(({ name }) => name === law)
    expect(found?.check).toThrow(says)
    expect(found?.check).toThrow(`event package ${eventPackage.name} breaks the law "${law}": `)
    expect(() => packageLaws(eventPackage, options)).toThrow(/\(seed 1\)$/)
    // what it was seen on, but for what a package says of itself
    const isOfItself = law === declared || says.source.includes("not accepted")
    expect(found?.check).toThrow(isOfItself ? says : /": .*["[{].*\(seed 1\)$/s)
  })

  it("every law is broken by one of these", { tags: ["L21"] }, () => {
    const names = lawsOf(base, { documents: lineBodies }).map(({ name }) => name)
    expect(new Set(faults.map(([, law]) => law))).toEqual(new Set(names))
  })

  it(
    "who changes what it was given is noticed, so nobody has to give anything back",
    { tags: ["OPS-free_body", "OPS-aux_free_body"] },
    () => {
      const personalize: typeof base.personalize = (body) => Object.assign(body, { text: "mine" })
      expect(() => packageLaws({ ...base, personalize }, { documents: lineBodies })).toThrow(
        /read only|read-only/,
      )
    },
  )

  it("a reader that is told too little is noticed", { tags: ["L21"] }, () => {
    const options = {
      ...amendableOptions,
      reader: (known: unknown, { lines }: Lines) => known ?? told({ lines }),
    }
    expect(() => packageLaws(amendable, options)).toThrow("does not know the whole")
  })

  it("nothing is tried without examples", { tags: ["L21"] }, () => {
    expect(() => packageLaws(base, { documents: [] })).toThrow("there are no example documents")
  })

  it("the same seed tries the same", { tags: ["L21"] }, () => {
    const seen: string[][] = []
    for (const seed of [7, 7, 8]) {
      const texts: string[] = []
      const parse: typeof base.parse = (body) => {
        texts.push(body.text)
        return base.parse(body)
      }
      packageLaws({ ...base, parse }, { documents: lineBodies, seed, cases: 20 })
      seen.push(texts)
    }
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).not.toEqual(seen[0])
  })
})
