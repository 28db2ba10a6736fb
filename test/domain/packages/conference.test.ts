import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { conference, conferenceInfoNamespace } from "../../../src/domain/packages/conference.ts"
import type { ConferenceInfo } from "../../../src/domain/packages/conference.ts"
import { attribute, canonical, element } from "../../../src/domain/packages/element.ts"
import type { Element } from "../../../src/domain/packages/element.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { invariant } from "../../../src/domain/vocabulary.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { anyChoices, anyElement, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed, oversized } from "../../support/xml-corpus.ts"

const contentType = "application/conference-info+xml"
const room = "sip:room@example.com" as Uri
const plain: EventPackage<ConferenceInfo> = conference({ xml: xmlCodec })

const verdict = (text: string): string => {
  const parsed = plain.parse({ contentType, text })
  return parsed._tag === "Unreadable" ? parsed.why : "read"
}

const read = (text: string): ConferenceInfo => {
  const parsed = plain.parse({ contentType, text })
  if (parsed._tag === "Unreadable") throw new Error(`${parsed.why}: ${text.slice(0, 500)}`)
  return parsed.document
}

const composed = (
  documents: readonly ConferenceInfo[],
  ended: readonly ConferenceInfo[] = [],
): ConferenceInfo => {
  const sources = (of: readonly ConferenceInfo[], from: number) =>
    of.map((document, index) => ({ key: `${from + index}`, document }))
  const input = { presentity: room, documents: sources(documents, 1), ended: sources(ended, 11) }
  const document = plain.compose(input)
  invariant(document !== null, "there always is a document")
  return document
}

const amended = (before: ConferenceInfo, modification: ConferenceInfo): ConferenceInfo => {
  invariant(plain.amend !== undefined, "conferences can be amended")
  return plain.amend(before, modification)
}

const written = (inside: string, state = "full"): string =>
  `<conference-info xmlns="${conferenceInfoNamespace}" xmlns:x="urn:x" entity="sip:other@example.com" version="4" state="${state}">${inside}</conference-info>`
const partial = (inside: string): ConferenceInfo => read(written(inside, "partial"))
const users = (inside: string, state?: string): string =>
  `<users${state === undefined ? "" : ` state="${state}"`}>${inside}</users>`
const user = (entity: string, inner = "", state?: string): string =>
  `<user entity="${entity}"${state === undefined ? "" : ` state="${state}"`}${inner === "" ? "/>" : `>${inner}</user>`}`

/** What stands in the root of a rendered document. */
const inside = (of: ConferenceInfo): string =>
  plain
    .render(of)
    .text.replace(/^[^]*?<conference-info[^>]*?(?:\/>|>)/, "")
    .replace(/<\/conference-info>\n$/, "")
    .trim()

/** What a document says, whatever prefixes it is said with. */
const meaning = (of: ConferenceInfo): unknown => ({
  entity: of.entity,
  state: of.state,
  attributes: of.attributes.map(({ namespace, name, value }) => [namespace, name, value]),
  children: of.children.map(canonical),
})

const elementsOf = (of: Element): readonly Element[] => of.children.filter((node) => node._tag === "Element")

/** Names of endpoints by user, as a watcher without any code of the package keeps them (RFC 4575 §4.6). */
type Known = ReadonlyMap<string, ReadonlyMap<string, string>>

const afterReading = (known: Known, document: ConferenceInfo): Known => {
  const list = document.children.find(({ name }) => name === "users")
  const isWhole = (of: Element): boolean => attribute(of, "state") !== "partial"
  if (document.state === "deleted") return new Map()
  if (list === undefined) return document.state === "full" ? new Map() : known
  const next = new Map(document.state === "full" || isWhole(list) ? [] : known)
  for (const one of elementsOf(list)) {
    const entity = attribute(one, "entity") ?? ""
    const endpoints = new Map(isWhole(one) ? [] : next.get(entity))
    for (const it of elementsOf(one).filter(({ name }) => name === "endpoint")) {
      const of = attribute(it, "entity") ?? ""
      if (attribute(it, "state") === "deleted") endpoints.delete(of)
      else endpoints.set(of, elementsOf(it).map(canonical).join())
    }
    if (attribute(one, "state") === "deleted") next.delete(entity)
    else next.set(entity, endpoints)
  }
  return next
}

const inConference = (name: string, attributes = {}, children: readonly (Element | string)[] = []): Element =>
  element(conferenceInfoNamespace, name, attributes, children)
const entityOf = (of: Element): string => attribute(of, "entity") ?? ""
const anyForeign = anyElement.filter(({ namespace }) => namespace !== "")
const stated = (state: string | null): Record<string, string> => (state === null ? {} : { state })

const anyEndpoint = fc
  .record({
    entity: fc.constantFrom("sip:1@192.0.2.1", "sip:2@192.0.2.1"),
    state: fc.constantFrom(null, "full", "deleted"),
    status: fc.constantFrom("connected", "on-hold"),
  })
  .map(({ entity, state, status }) =>
    inConference("endpoint", { entity, ...stated(state) }, [inConference("status", {}, [status])]),
  )
const anyUser = fc
  .record({
    entity: fc.constantFrom("sip:a@b", "sip:c@d", "sip:e@f"),
    state: fc.constantFrom(null, "full", "partial", "partial", "deleted"),
    endpoints: fc.uniqueArray(anyEndpoint, { selector: entityOf, maxLength: 2 }),
    extensions: fc.array(anyForeign, { maxLength: 2 }),
  })
  .map(({ entity, state, endpoints, extensions }) =>
    inConference("user", { entity, ...stated(state) }, [...endpoints, ...extensions]),
  )
const anyUsers = fc
  .record({
    state: fc.constantFrom(null, "full", "partial", "partial"),
    list: fc.uniqueArray(anyUser, { selector: entityOf, maxLength: 3 }),
  })
  .map(({ state, list }) => inConference("users", stated(state), list))
const anySubject = fc
  .constantFrom("one", "other")
  .map((subject) => inConference("conference-description", {}, [inConference("subject", {}, [subject])]))

const anyConference = (...states: readonly ConferenceInfo["state"][]): fc.Arbitrary<ConferenceInfo> =>
  fc
    .record({
      description: fc.option(anySubject),
      list: fc.option(anyUsers, { freq: 9 }),
      foreign: fc.array(anyForeign, { maxLength: 2 }),
      state: fc.constantFrom(...states),
    })
    .map(({ description, list, foreign, state }) => {
      const children = [description, ...foreign, list].filter((one) => one !== null)
      const root = inConference("conference-info", { entity: room, version: "1", state }, children)
      return read(xmlCodec.print(root))
    })

/** As a focus publishes it first: nothing in it is partial or deleted. */
const anyWhole = anyConference("full").map((one) => composed([{ ...one, state: "partial" }]))
const anyAny = anyConference("full", "partial", "deleted")

describe("the package", () => {
  it(
    "name, type, lifetime and rate",
    { tags: ["4575-3.1-a", "4575-3.3-a", "4575-3.4-a", "4575-3.9-a"] },
    () => {
      expect(plain).toMatchObject({
        name: "conference",
        accepts: [contentType],
        produces: [contentType],
        defaultExpires: 3_600,
        entityTags: "new-each-time",
        notifyIntervalMillis: 5_000,
      })
      expect(conference({ xml: xmlCodec, notifyIntervalMillis: 0 }).notifyIntervalMillis).toBe(0)
    },
  )

  it("of whom nothing is published a document is shown that says nothing", { tags: ["BUG-34"] }, () => {
    const { text } = plain.render(composed([]))
    expect(text).toContain(`state="full" entity="sip:room@example.com"/>`)
    expect(plain.offline(room)).toEqual(composed([]))
  })
})

describe("reading", () => {
  it("what was rendered reads the same, in whatever spelling", { tags: ["4575-4-a", "L40"] }, () => {
    fc.assert(
      fc.property(anyAny, anyChoices, (document, choose) => {
        const { text } = plain.render(document)
        expect(meaning(read(text))).toEqual(meaning(document))
        const tree = xmlCodec.parse(text)
        if (tree._tag === "Malformed") throw new Error(tree.why)
        expect(meaning(read(writeOtherwise(tree.root, choose)))).toEqual(meaning(document))
      }),
    )
  })

  it("any text is read or refused with a reason", { tags: ["4575-4-a"] }, () => {
    const judged = (text: string): void => {
      expect(verdict(text)).not.toBe("")
    }
    for (const [, text] of [...malformed, ...oversized]) {
      judged(text)
      judged(written(text))
      judged(written(users(user(text, text))))
    }
    const anySpoilt = fc
      .tuple(anyAny, fc.nat(), fc.nat({ max: 9 }), anyText)
      .map(([document, at, length, text]) => {
        const whole = plain.render(document).text
        const from = at % whole.length
        return whole.slice(0, from) + text + whole.slice(from + length)
      })
    fc.assert(fc.property(fc.oneof(anyText, anySpoilt), judged), { numRuns: 500 })
  })

  it(
    "the root is conference-info in its namespace, with an entity, in a state",
    { tags: ["4575-4-a"] },
    () => {
      expect(verdict(`<conference-info xmlns="${conferenceInfoNamespace}" entity="sip:a@b"/>`)).toBe("read")
      expect(verdict('<conference-info entity="sip:a@b"/>')).toBe("root is not <conference-info>")
      expect(verdict(`<conference-info xmlns="${conferenceInfoNamespace}"/>`)).toBe(
        "<conference-info> without entity",
      )
      expect(verdict(written("", "gone"))).toBe("state is neither full, partial nor deleted")
      expect(verdict(written("", "deleted"))).toBe("read")
    },
  )

  it("unknown elements and attributes are kept, wherever they are", { tags: ["4575-4-b"] }, () => {
    const all = `<conference-description x:a="b"><subject>s</subject><x:c/></conference-description>${users(user("sip:a@b", "<endpoint><x:d>e</x:d></endpoint>"))}<x:f><!-- g --></x:f>`
    expect(inside(composed([read(written(all))]))).toBe(all)
  })
})

describe("composition", () => {
  it("the newest document that says the whole is all there is", { tags: ["4575-3-a", "L21"] }, () => {
    fc.assert(
      fc.property(fc.array(anyAny, { minLength: 1 }), fc.array(anyAny), (documents, ended) => {
        const all = composed(documents, ended)
        const newest = documents.findLast(({ state }) => state !== "partial")
        expect(all.entity).toBe(room)
        expect(all.state).toBe(newest?.state ?? "full")
        expect(all.children).toEqual(newest?.children ?? composed(documents.slice(-1)).children)
        expect(composed([all])).toEqual(all)
      }),
    )
  })

  it("a conference that is over stays over until something newer is said", { tags: ["4575-3-a"] }, () => {
    const [open, over] = [read(written(users(user("sip:a@b")))), read(written("", "deleted"))]
    expect(plain.render(composed([open, over])).text).toContain(
      'state="deleted" entity="sip:room@example.com"/>',
    )
    expect(inside(composed([over, open]))).toBe(users(user("sip:a@b")))
  })

  it(
    "of nothing but partial documents the newest is shown as far as it goes",
    { tags: ["4575-4.6-a"] },
    () => {
      const first = partial(users(user("sip:a@b")))
      const second = partial(
        users(
          user("sip:c@d", '<endpoint entity="e" state="deleted"/>', "partial") +
            user("sip:e@f", "", "deleted"),
          "partial",
        ),
      )
      expect(inside(composed([first, second]))).toBe('<users><user entity="sip:c@d"/></users>')
      expect(composed([first, second]).state).toBe("full")
      expect(inside(composed([read(written("<x:whole/>")), second]))).toBe("<x:whole/>")
    },
  )
})

describe("amending", () => {
  it("a full modification replaces, and so does the end", { tags: ["4575-4.6-a"] }, () => {
    fc.assert(
      fc.property(anyAny, anyConference("full", "deleted"), (before, after) => {
        expect(amended(before, after)).toEqual(after)
      }),
    )
  })

  it(
    "a reader of all modifications knows what a reader of the amended document knows",
    { tags: ["4575-4.6-a"] },
    () => {
      const anyModification = anyConference("partial", "partial", "partial", "full", "deleted")
      fc.assert(
        fc.property(anyWhole, fc.array(anyModification, { maxLength: 5 }), (first, modifications) => {
          const whole = modifications.reduce(amended, first)
          const told = modifications.reduce(afterReading, afterReading(new Map(), first))
          expect(afterReading(new Map(), composed([whole]))).toEqual(told)
          expect(meaning(read(plain.render(whole).text))).toEqual(meaning(whole))
        }),
        { numRuns: 500 },
      )
    },
  )

  it("repeating a modification changes nothing", { tags: ["4575-4.6-a"] }, () => {
    fc.assert(
      fc.property(anyAny, anyAny, (before, modification) => {
        const after = amended(before, modification)
        expect(meaning(amended(after, modification))).toEqual(meaning(after))
      }),
      { numRuns: 500 },
    )
  })

  it("what is applied to a whole document is whole, all the way down", { tags: ["4575-4.6-a"] }, () => {
    fc.assert(
      fc.property(anyWhole, anyConference("partial"), (before, modification) => {
        const after = amended(before, modification)
        expect(after.state).toBe("full")
        const { text } = plain.render({
          ...after,
          children: after.children.filter(({ name }) => name === "users"),
        })
        const inKnown = text.replace(/<x?[^<>]*xmlns[^<>]*>/g, "")
        expect(inKnown).not.toMatch(/<(?:users|user|endpoint)[^>]* state="(?:partial|deleted)"/)
      }),
    )
  })

  it(
    "elements are told apart by entity, id or uri, and what has no key is replaced together",
    { tags: ["4575-4.6-a"] },
    () => {
      const media = (id: string, type: string): string => `<media id="${id}"><type>${type}</type></media>`
      const side = (uri: string, name: string): string =>
        `<entry><uri>${uri}</uri><display-text>${name}</display-text></entry>`
      const endpoint = (state: string, inner: string): string =>
        `<endpoint entity="e"${state}>${inner}</endpoint>`
      const before = read(
        written(
          users(user("sip:a@b", endpoint("", media("1", "audio") + media("2", "video")))) +
            `<sidebars-by-ref>${side("sip:s1@b", "one")}${side("sip:s2@b", "two")}</sidebars-by-ref><x:a/><x:b/><x:a/>`,
        ),
      )
      const after = amended(
        before,
        partial(
          users(user("sip:a@b", endpoint(' state="partial"', media("2", "text")), "partial"), "partial") +
            `<sidebars-by-ref state="partial">${side("sip:s1@b", "uno")}</sidebars-by-ref><x:a y="z"/>`,
        ),
      )
      expect(inside(after)).toBe(
        users(user("sip:a@b", endpoint("", media("1", "audio") + media("2", "text")))) +
          `<sidebars-by-ref>${side("sip:s1@b", "uno")}${side("sip:s2@b", "two")}</sidebars-by-ref><x:a y="z"/><x:b/>`,
      )
    },
  )

  it("what is new stands where the schema wants it", { tags: ["4575-4.6-a"] }, () => {
    const before = read(written(`<x:z/>${users(user("sip:a@b", '<endpoint entity="e"/>'))}`))
    const change = "<conference-state><active>true</active></conference-state>"
    const named = users(user("sip:a@b", "<display-text>A</display-text>", "partial"), "partial")
    expect(inside(amended(before, partial(named + change)))).toBe(
      `${change}${users(user("sip:a@b", '<display-text>A</display-text><endpoint entity="e"/>'))}<x:z/>`,
    )
  })

  it("a partial document after the end begins the conference anew", { tags: ["4575-4.6-a"] }, () => {
    const after = amended(read(written("<x:a/>", "deleted")), partial(users(user("sip:a@b"), "partial")))
    expect([after.state, inside(after)]).toEqual(["full", users(user("sip:a@b"))])
  })

  it("state means nothing on elements that RFC 4575 gives none", { tags: ["4575-4.6-a"] }, () => {
    const before = read(written('<conference-state><x:a state="deleted"/></conference-state>'))
    const after = amended(
      before,
      partial('<conference-state state="deleted"><active>true</active></conference-state>'),
    )
    expect(inside(after)).toBe('<conference-state state="deleted"><active>true</active></conference-state>')
  })
})

describe("versions", () => {
  it("a document says the version of its subscription and the same as before", { tags: ["4575-4-c"] }, () => {
    const anyVersion = fc.oneof(fc.constantFrom(0, 1, 9, 10, 0xffff_ffff), fc.nat())
    fc.assert(
      fc.property(anyAny, anyVersion, (document, version) => {
        const body = plain.personalize?.(plain.render(document), { watcher: room, version })
        const text = body?.text ?? ""
        expect(meaning(read(text))).toEqual(meaning(document))
        const tree = xmlCodec.parse(text)
        expect(tree._tag === "Parsed" && attribute(tree.root, "version")).toBe(`${version}`)
      }),
    )
  })
})
