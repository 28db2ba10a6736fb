import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { attribute, canonical, element, withAttribute } from "../../../src/domain/packages/element.ts"
import type { Element } from "../../../src/domain/packages/element.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { reg, regInfoNamespace } from "../../../src/domain/packages/reg.ts"
import type { RegInfo } from "../../../src/domain/packages/reg.ts"
import { invariant } from "../../../src/domain/vocabulary.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { anyChoices, anyElement, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed, oversized } from "../../support/xml-corpus.ts"

const contentType = "application/reginfo+xml"
const joe = "sip:joe@example.com" as Uri
const plain: EventPackage<RegInfo> = reg({ xml: xmlCodec })

const verdict = (text: string): string => {
  const parsed = plain.parse({ contentType, text })
  return parsed._tag === "Unreadable" ? parsed.why : "read"
}

const read = (text: string): RegInfo => {
  const parsed = plain.parse({ contentType, text })
  if (parsed._tag === "Unreadable") throw new Error(`${parsed.why}: ${text.slice(0, 500)}`)
  return parsed.document
}

const composed = (documents: readonly RegInfo[], ended: readonly RegInfo[] = []): RegInfo => {
  const sources = (of: readonly RegInfo[], from: number) =>
    of.map((document, index) => ({ key: `${from + index}`, document }))
  const input = { presentity: joe, documents: sources(documents, 1), ended: sources(ended, 11) }
  const document = plain.compose(input)
  invariant(document !== null, "there always is a document")
  return document
}

const amended = (before: RegInfo, modification: RegInfo): RegInfo => {
  invariant(plain.amend !== undefined, "registrations can be amended")
  return plain.amend(before, modification)
}

const numbered = (document: RegInfo, version: number): string => {
  invariant(plain.personalize !== undefined, "registrations are numbered")
  return plain.personalize(plain.render(document), { watcher: joe, version }).text
}

const written = (inside: string, attributes = 'version="0" state="full"'): string =>
  `<reginfo xmlns="${regInfoNamespace}" xmlns:x="urn:x" ${attributes}>${inside}</reginfo>`
const partial = (inside: string): string => written(inside, 'version="1" state="partial"')
const registration = (id: string, state: string, inside = "", aor: string = joe): string =>
  `<registration aor="${aor}" id="${id}" state="${state}">${inside}</registration>`
const contact = (id: string, state = "active", event = "registered"): string =>
  `<contact id="${id}" state="${state}" event="${event}"><uri>sip:${id}@192.0.2.1</uri></contact>`

const elementsOf = (of: Element): readonly Element[] => of.children.filter((node) => node._tag === "Element")

/** Each registration in short: id, state, contacts. */
const summary = (of: RegInfo): readonly string[] =>
  of.registrations.map(({ id, state, element: one }) => {
    const contacts = elementsOf(one).filter(({ name }) => name === "contact")
    return [id, state, ...contacts.map((it) => `${attribute(it, "id")} ${attribute(it, "state")}`)].join(", ")
  })

/** What a document says, whatever prefixes it is said with. */
const meaning = (of: RegInfo): unknown => ({
  state: of.state,
  attributes: of.attributes.map(({ namespace, name, value }) => [namespace, name, value]),
  registrations: of.registrations.map(({ element: one, ...rest }) => ({ ...rest, element: canonical(one) })),
  others: of.others.map(canonical),
})

/** What a watcher knows: contacts that are active, by id, of each registration that is. */
type Known = ReadonlyMap<string, ReadonlyMap<string, string>>

/** What a watcher knows after a document, by RFC 3680 §5; written without any code of the package. */
const afterReading = (known: Known, document: RegInfo): Known => {
  const next = new Map(document.state === "full" ? [] : known)
  for (const { element: one } of document.registrations) {
    const id = attribute(one, "id") ?? ""
    if (attribute(one, "state") !== "active") {
      next.delete(id)
      continue
    }
    const contacts = new Map(next.get(id))
    for (const it of elementsOf(one).filter(
      ({ name, namespace }) => name === "contact" && namespace !== "",
    )) {
      const name = attribute(it, "id") ?? ""
      if (attribute(it, "state") === "active") contacts.set(name, canonical(it))
      else contacts.delete(name)
    }
    next.set(id, contacts)
  }
  return next
}

const inReg = (name: string, attributes = {}, children: readonly (Element | string)[] = []): Element =>
  element(regInfoNamespace, name, attributes, children)

const anyForeign = anyElement.filter(({ namespace }) => namespace !== "")
const anyContact = fc
  .record({
    id: fc.constantFrom("1", "2", "3"),
    state: fc.constantFrom("active", "terminated"),
    q: fc.constantFrom("0.5", "1"),
    extension: fc.option(anyForeign),
  })
  .map(({ id, state, q, extension }) =>
    inReg("contact", { id, state, event: "refreshed", q }, [
      inReg("uri", {}, [`sip:${id}@192.0.2.1`]),
      ...(extension === null ? [] : [extension]),
    ]),
  )
const anyId = (of: Element): string => attribute(of, "id") ?? ""

interface Constraints {
  readonly ids?: readonly string[]
  readonly aors?: readonly string[]
  readonly state?: "full" | "partial"
}

const anyRegInfo = (constraints: Constraints = {}): fc.Arbitrary<RegInfo> => {
  const { ids = ["a", "b", "a.2", "a&<\"'>"], aors = [joe, "sip:sales@example.com"] } = constraints
  const anyRegistration = fc
    .record({
      id: fc.constantFrom(...ids),
      aor: fc.constantFrom(...aors),
      state: fc.constantFrom("init", "active", "active", "active", "terminated"),
      contacts: fc.uniqueArray(anyContact, { selector: anyId, maxLength: 3 }),
      extension: fc.option(anyForeign),
    })
    .map(({ id, aor, state, contacts, extension }) =>
      inReg("registration", { aor, id, state }, [
        ...(state === "active" ? contacts : []),
        ...(extension === null ? [] : [extension]),
      ]),
    )
  return fc
    .record({
      registrations: fc.uniqueArray(anyRegistration, { selector: anyId, maxLength: 4 }),
      others: fc.array(anyForeign, { maxLength: 2 }),
      extra: fc.constantFrom(null, "x", ' version="0000000000"'),
      state:
        constraints.state === undefined ? fc.constantFrom("full", "partial") : fc.constant(constraints.state),
    })
    .map(({ registrations, others, extra, state }) => {
      const root = inReg("reginfo", { version: "7", state }, [...registrations, ...others])
      return read(xmlCodec.print(extra === null ? root : withAttribute(root, "extra", extra)))
    })
}

const anyPublications = fc.array(anyRegInfo(), { maxLength: 5 })

describe("the package", () => {
  it(
    "name, type, lifetime and rate",
    { tags: ["3680-4.1-a", "3680-4.4-a", "3680-4.5-a", "3680-4.10-a"] },
    () => {
      expect(plain).toMatchObject({
        name: "reg",
        accepts: [contentType],
        produces: [contentType],
        defaultExpires: 3_761,
        entityTags: "new-each-time",
        notifyIntervalMillis: 5_000,
      })
      const other = reg({ xml: xmlCodec, defaultExpires: 3_600, notifyIntervalMillis: 0 })
      expect([other.defaultExpires, other.notifyIntervalMillis]).toEqual([3_600, 0])
    },
  )

  it("who published nothing is shown with a document that has no registrations", { tags: ["BUG-34"] }, () => {
    const empty = `<?xml version="1.0" encoding="UTF-8"?>\n<reginfo xmlns="${regInfoNamespace}" version="3" state="full"/>\n`
    expect(numbered(composed([]), 3)).toBe(empty)
    expect(plain.offline(joe)).toEqual(composed([]))
  })
})

describe("reading", () => {
  it("what was rendered reads the same, in whatever spelling", { tags: ["3680-5-a", "L40"] }, () => {
    fc.assert(
      fc.property(anyRegInfo(), anyChoices, (document, choose) => {
        const { text } = plain.render(document)
        expect(meaning(read(text))).toEqual(meaning(document))
        const tree = xmlCodec.parse(text)
        if (tree._tag === "Malformed") throw new Error(tree.why)
        expect(meaning(read(writeOtherwise(tree.root, choose)))).toEqual(meaning(document))
      }),
    )
  })

  it("any text is read or refused with a reason", { tags: ["3680-5-a"] }, () => {
    const judged = (text: string): void => {
      expect(verdict(text)).not.toBe("")
    }
    for (const [, text] of [...malformed, ...oversized]) {
      judged(text)
      judged(written(text))
      judged(written(registration(text, "active", contact(text))))
    }
    const anySpoilt = fc
      .tuple(anyRegInfo(), fc.nat(), fc.nat({ max: 9 }), anyText)
      .map(([document, at, length, text]) => {
        const whole = plain.render(document).text
        const from = at % whole.length
        return whole.slice(0, from) + text + whole.slice(from + length)
      })
    fc.assert(fc.property(fc.oneof(anyText, anySpoilt), judged), { numRuns: 500 })
  })

  it("the root is reginfo in its namespace; version and state may be missing", { tags: ["3680-5-a"] }, () => {
    expect(verdict(`<reginfo xmlns="${regInfoNamespace}"/>`)).toBe("read")
    expect(verdict("<reginfo/>")).toBe("root is not <reginfo>")
    expect(verdict(`<registration xmlns="${regInfoNamespace}"/>`)).toBe("root is not <reginfo>")
    expect(verdict(written("", 'version="-1"'))).toBe("version is not a 32-bit number")
    expect(verdict(written("", 'state="deleted"'))).toBe("state is neither full nor partial")
    expect(read(written("", "")).state).toBe("full")
    expect(verdict("<reginfo>")).not.toBe("read")
  })

  it("a registration has an id of its own, an address-of-record and a state", { tags: ["3680-5-b"] }, () => {
    const id = "<registration> without id"
    expect(verdict(written('<registration aor="sip:a@b" state="init"/>'))).toBe(id)
    expect(verdict(written(registration(" ", "init")))).toBe(id)
    expect(verdict(written(registration("1", "init") + registration("1", "init", "", "sip:x@y")))).toBe(
      "two <registration> with one id",
    )
    expect(verdict(written('<registration id="1" state="init"/>'))).toBe("<registration> without aor")
    expect(verdict(written(registration("1", "init", "", " ")))).toBe("<registration> without aor")
    for (const state of ["", "Active", "toString", "partial"]) {
      expect(verdict(written(registration("1", state)))).toBe(
        "<registration> in a state that RFC 3680 does not know",
      )
    }
  })

  it(
    "a contact has an id of its own in its registration and is active or terminated",
    { tags: ["3680-5-c"] },
    () => {
      const of = (inside: string): string => verdict(written(registration("1", "active", inside)))
      expect(of('<contact state="active"/>')).toBe("<contact> without id")
      expect(of(contact("1") + contact("1"))).toBe("two <contact> with one id")
      expect(of(contact("1", "init"))).toBe("<contact> neither active nor terminated")
      expect(of("<x:contact/><x:a><contact/></x:a>")).toBe("read")
      const both = registration("1", "active", contact("1")) + registration("2", "active", contact("1"))
      expect(verdict(written(both))).toBe("read")
    },
  )

  it("unknown elements and attributes are kept, wherever they are", { tags: ["3680-5-d"] }, () => {
    const inside = `${registration("1", "active", '<contact id="1" state="active" x:a="b"><uri>sip:a@b</uri><x:c><!-- d -->e</x:c></contact><x:f/>')}<x:g h="i"/>`
    const { text } = plain.render(read(written(inside, 'x:root="1" other="2"')))
    expect(text).toContain(inside)
    expect(text).toContain('other="2"')
  })
})

describe("composition", () => {
  const sales = "sip:sales@example.com"

  it(
    "all registrations, the newest word of each, in the order of what was published last",
    { tags: ["3680-4.7-a", "L21"] },
    () => {
      const first = written(registration("1", "active", contact("a")) + registration("2", "init", "", sales))
      const second = written(registration("3", "active") + registration("1", "terminated"))
      const together = (...texts: readonly string[]) => summary(composed(texts.map(read)))
      expect(together(first, second)).toEqual(["2, init", "3, active", "1, terminated"])
      expect(together(second, first)).toEqual(["3, active", "1, active, a active", "2, init"])
      expect(together(partial(registration("1", "active")))).toEqual(["1, active"])
    },
  )

  it("an address-of-record is one in all its spellings", { tags: ["3680-4.7-a"] }, () => {
    const [one, other] = ["sip:joe@example.com", "sip:joe@EXAMPLE.com"].map((aor) =>
      read(written(registration("1", "active", "", aor))),
    )
    expect(composed([one!, other!]).registrations).toEqual(other!.registrations)
  })

  it("one id for two addresses-of-record: the older gets another, free one", { tags: ["3680-5-b"] }, () => {
    const of = (id: string, aor: string): RegInfo => read(written(registration(id, "active", "", aor)))
    const all = composed([of("1", sales), of("1.2", "sip:c@d"), of("1", "sip:a@b"), of("1", joe)])
    expect(all.registrations.map(({ id, aor }) => [id, aor])).toEqual([
      ["1.4", sales],
      ["1.2", "sip:c@d"],
      ["1.3", "sip:a@b"],
      ["1", joe],
    ])
    expect(meaning(read(plain.render(all).text))).toEqual(meaning(all))
  })

  it("ids are there once, nothing is lost, and composing again changes nothing", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPublications, (documents) => {
        const once = composed(documents)
        const ids = once.registrations.map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        const published = documents.flatMap((one) => one.registrations.map(({ aor, id }) => `${aor} ${id}`))
        expect(ids.length).toBe(new Set(published).size)
        expect(composed([once])).toEqual(once)
        expect(composed([once, once]).registrations).toEqual(once.registrations)
      }),
    )
  })

  it("the newest document is there as it is, what ended leaves nothing behind", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPublications, anyRegInfo(), anyPublications, (documents, newest, ended) => {
        const all = composed([...documents, newest], ended)
        expect(all).toEqual(composed([...documents, newest]))
        const count = newest.registrations.length
        expect(count === 0 ? [] : all.registrations.slice(-count)).toEqual(newest.registrations)
      }),
    )
  })
})

describe("amending", () => {
  it("a full modification replaces", { tags: ["3680-5-e"] }, () => {
    fc.assert(
      fc.property(anyRegInfo(), anyRegInfo({ state: "full" }), (before, after) => {
        expect(amended(before, after)).toEqual(after)
      }),
    )
  })

  it(
    "a reader of all modifications knows what a reader of the amended document knows",
    { tags: ["3680-5-e"] },
    () => {
      const anyModification = anyRegInfo({ aors: [joe] })
      fc.assert(
        fc.property(fc.array(anyModification, { minLength: 1, maxLength: 5 }), (modifications) => {
          const [first, ...rest] = modifications
          if (first === undefined) return
          const whole = rest.reduce(amended, { ...first, state: "full" })
          const told = rest.reduce(afterReading, afterReading(new Map(), first))
          expect(afterReading(new Map(), whole)).toEqual(told)
          expect(meaning(read(plain.render(whole).text))).toEqual(meaning(whole))
        }),
      )
    },
  )

  it("repeating a modification changes nothing", { tags: ["3680-5-e"] }, () => {
    fc.assert(
      fc.property(anyRegInfo(), anyRegInfo(), (before, modification) => {
        const after = amended(before, modification)
        expect(amended(after, modification)).toEqual(after)
      }),
    )
  })

  it("contacts are changed one by one; what is over is told once", { tags: ["3680-5-e"] }, () => {
    const before = read(written(registration("1", "active", `${contact("a")}${contact("b")}<x:y/>`)))
    const gone = amended(
      before,
      read(partial(registration("1", "active", contact("a", "terminated", "expired")))),
    )
    expect(summary(gone)).toEqual(["1, active, b active, a terminated"])
    expect(plain.render(gone).text).toContain("<x:y/>")
    const next = amended(
      gone,
      read(partial(registration("2", "active", contact("c"), "sip:sales@example.com"))),
    )
    expect(summary(next)).toEqual(["1, active, b active", "2, active, c active"])
    const over = amended(next, read(partial(registration("1", "terminated", contact("b", "terminated")))))
    expect(summary(over)).toEqual(["2, active, c active", "1, terminated, b terminated"])
    expect(summary(amended(over, read(partial(""))))).toEqual(["2, active, c active"])
  })

  it("another address-of-record under the same id is another registration", { tags: ["3680-5-e"] }, () => {
    const before = read(written(registration("1", "active", contact("a"))))
    const other = read(partial(registration("1", "active", contact("b"), "sip:sales@example.com")))
    expect(summary(amended(before, other))).toEqual(["1, active, b active"])
  })

  it("what stands beside registrations stays unless it is said anew", { tags: ["3680-5-d"] }, () => {
    const before = read(written("<x:a/>", 'one="1" two="1"'))
    const after = amended(before, read(written("", 'state="partial" two="2"')))
    expect(after.others).toEqual(before.others)
    expect(after.attributes.map(({ name, value }) => [name, value])).toEqual([
      ["one", "1"],
      ["two", "2"],
    ])
    expect(amended(before, read(partial("<x:b/>"))).others.map(({ name }) => name)).toEqual(["b"])
  })
})

describe("versions", () => {
  it("a document says the version of its subscription and the same as before", { tags: ["3680-5-f"] }, () => {
    const anyVersion = fc.oneof(fc.constantFrom(0, 1, 9, 10, 0xffff_ffff), fc.nat())
    fc.assert(
      fc.property(anyRegInfo(), anyVersion, (document, version) => {
        const text = numbered(document, version)
        expect(meaning(read(text))).toEqual(meaning(document))
        const tree = xmlCodec.parse(text)
        expect(tree._tag === "Parsed" && attribute(tree.root, "version")).toBe(`${version}`)
      }),
    )
  })
})
