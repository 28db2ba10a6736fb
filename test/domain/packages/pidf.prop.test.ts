/**
 * L21, the algebra of composition, and what goes with it, over random publications.
 */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { attribute, canonical, childrenNamed, element, textOf } from "../../../src/domain/packages/element.ts"
import { dataModelNamespace, pidfNamespace, presence } from "../../../src/domain/packages/pidf.ts"
import type { Pidf } from "../../../src/domain/packages/pidf.ts"
import { anyChoices, anyElement, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed } from "../../support/xml-corpus.ts"
import * as pidf from "../../support/xml-pidf.ts"

const newest = pidf.plain
const rename = presence({ xml: xmlCodec, idCollision: "rename" })
const both = [newest, rename]
const { all, alice, anyDisjoint, anyPidf, bag, composed, identified, nameless, sources } = pidf

const anyPublications = fc.array(anyPidf(), { maxLength: 5 })
const idsOf = (of: Pidf): readonly (string | null)[] => identified(of).map((one) => attribute(one, "id"))

/** The elements of a document with the notes of persons counted as notes: where a note is kept is not its content. */
const contents = (of: Pidf): readonly string[] => {
  const noteless = of.persons.map((person) => ({
    ...person,
    children: person.children.filter((node) => node._tag !== "Element" || node.name !== "note"),
  }))
  return bag([
    ...of.tuples,
    ...of.devices,
    ...of.others,
    ...noteless.filter(({ children }) => children.length > 0),
  ])
}

const noteTexts = (of: Pidf): ReadonlySet<string> =>
  new Set(
    [...of.notes, ...of.persons.flatMap((person) => childrenNamed(person, dataModelNamespace, "note"))].map(
      textOf,
    ),
  )

describe("composition", () => {
  it("one publication composes to itself, but for the entity", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPidf(), (document) => {
        expect(composed(newest, sources([document]))).toEqual({ ...document, entity: alice })
        const alone = composed(rename, sources([document], ["8"]))
        expect(identified(alone).map(nameless)).toEqual(identified(document).map(nameless))
      }),
    )
  })

  it("publications that share nothing compose to the same in any order", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyDisjoint, fc.nat({ max: 5 }), (documents, turn) => {
        for (const eventPackage of both) {
          const given = sources(documents)
          const shuffled = given
            .toSpliced(turn % 3, 1)
            .toSpliced(turn % 2, 0, ...given.slice(turn % 3, (turn % 3) + 1))
          const [one, two] = [composed(eventPackage, given), composed(eventPackage, shuffled)]
          for (const list of ["tuples", "notes", "persons", "devices", "others"] as const) {
            expect(bag(two[list])).toEqual(bag(one[list]))
          }
        }
      }),
    )
  })

  it("publications that share nothing compose in any grouping", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyDisjoint, (documents) => {
        const [one, two, three] = documents as readonly [Pidf, Pidf, Pidf]
        const left = composed(newest, sources([composed(newest, sources([one, two])), three], ["1", "3"]))
        const right = composed(
          newest,
          sources([one, composed(newest, sources([two, three], ["2", "3"]))], ["1", "2"]),
        )
        expect(contents(left)).toEqual(contents(right))
        expect(noteTexts(left)).toEqual(noteTexts(right))
      }),
    )
  })

  it("the same document twice adds nothing", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPidf(), (document) => {
        const distinct = {
          ...document,
          notes: [...new Map(document.notes.map((one) => [canonical(one), one])).values()],
        }
        const once = composed(newest, sources([distinct]))
        const twice = composed(newest, sources([distinct, distinct]))
        expect(contents(twice)).toEqual(contents(once))
        expect(noteTexts(twice)).toEqual(noteTexts(once))
      }),
    )
  })

  it("all ids of a composed document are distinct", { tags: ["3863-4.1.2-a"] }, () => {
    fc.assert(
      fc.property(anyPublications, anyPublications, fc.boolean(), (live, ended, odd) => {
        for (const eventPackage of both) {
          // Keys that are no decimal numbers give no promise of stable names, but never two elements one id.
          const given = sources(live, odd ? ["1", "x", "2.2", "y", ""] : [])
          const gone = sources(ended, ["10", "11", "12", "13", "14"])
          const document = pidf.compose(eventPackage, given, gone)
          if (document === null) continue
          expect(new Set(idsOf(document)).size).toBe(idsOf(document).length)
          expect(idsOf(document)).not.toContain(null)
        }
      }),
      { numRuns: 300 },
    )
  })

  it("exactly the newest of each kind and id is shown", { tags: ["AGG-1"] }, () => {
    fc.assert(
      fc.property(anyPublications, (documents) => {
        fc.pre(documents.length > 0)
        const document = composed(newest, sources(documents.map((one) => ({ ...one, notes: [] }))))
        for (const list of ["tuples", "persons", "devices"] as const) {
          const last = new Map(
            documents.flatMap((one) => one[list].map((it) => [attribute(it, "id"), it] as const)),
          )
          expect(document[list].map(nameless).toSorted()).toEqual([...last.values()].map(nameless).toSorted())
        }
      }),
    )
  })

  it("with rename every element of every publication is shown", { tags: ["3863-4.1.2-a"] }, () => {
    fc.assert(
      fc.property(anyPublications, (documents) => {
        fc.pre(documents.length > 0)
        const document = composed(rename, sources(documents.map((one) => ({ ...one, notes: [] }))))
        expect(identified(document).map(nameless).toSorted()).toEqual(
          documents.flatMap(identified).map(nameless).toSorted(),
        )
      }),
    )
  })

  it("with rename no name depends on other publications", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPublications, fc.nat(), (documents, index) => {
        fc.pre(documents.length > 1)
        const quiet = sources(documents.map((one) => ({ ...one, notes: [] })))
        const fewer = quiet.toSpliced(index % quiet.length, 1)
        const before = bag(identified(composed(rename, quiet)))
        const after = bag(identified(composed(rename, fewer)))
        const gone = bag(
          identified(composed(rename, quiet.slice(index % quiet.length, (index % quiet.length) + 1))),
        )
        expect([...after, ...gone].toSorted()).toEqual(before)
      }),
    )
  })

  it("a further publication takes away nothing but what it replaces", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPublications, anyPidf(), (documents, further) => {
        fc.pre(documents.length > 0)
        const before = composed(newest, sources(documents))
        const after = composed(newest, sources([...documents, further]))
        for (const list of ["tuples", "devices"] as const) {
          const ids = new Set(further[list].map((one) => attribute(one, "id")))
          const replaced = documents
            .flatMap((one) => one[list])
            .filter((one) => ids.has(attribute(one, "id")))
          const known = new Set([...after[list], ...replaced].map(nameless))
          for (const one of before[list]) expect(known).toContain(nameless(one))
        }
        const others = new Set(after.others.map(canonical))
        for (const one of before.others) expect(others).toContain(canonical(one))
        const texts = noteTexts(after)
        for (const { notes } of [...documents, further])
          for (const note of notes) expect(texts).toContain(textOf(note))
      }),
    )
  })

  it(
    "a person without note stands under the notes of its own publisher or under none",
    { tags: ["4479-5-b"] },
    () => {
      fc.assert(
        fc.property(anyDisjoint, (documents) => {
          for (const eventPackage of both) {
            const document = composed(eventPackage, sources(documents))
            const root = document.notes.map(textOf)
            documents.forEach((one, index) => {
              const bare = one.persons.filter(
                (person) => childrenNamed(person, dataModelNamespace, "note").length === 0,
              )
              for (const person of bare) {
                const id = attribute(person, "id") ?? ""
                const isPlain = eventPackage === newest || (index === 0 && !/\.\d+$/.test(id))
                const name = isPlain ? id : `${id}.${index + 1}`
                const shown = document.persons.filter((it) => attribute(it, "id") === name)
                expect(shown).toHaveLength(1)
                const own = shown.flatMap((it) => childrenNamed(it, dataModelNamespace, "note")).map(textOf)
                expect(new Set(own.length > 0 ? own : root)).toEqual(new Set(one.notes.map(textOf)))
              }
            })
          }
        }),
      )
    },
  )

  it("extensions survive composition, rendering and reading again", { tags: ["3863-4.2.3-a"] }, () => {
    fc.assert(
      fc.property(anyPidf(["a"]), anyPidf(["b"]), (one, two) => {
        const document = composed(newest, sources([one, two]))
        const back = pidf.read(newest.render(document).text)
        expect(all(back).map(canonical)).toEqual(all(document).map(canonical))
        const shown = new Set(document.others.map(canonical))
        for (const other of [...one.others, ...two.others]) expect(shown).toContain(canonical(other))
      }),
    )
  })

  it("every timestamp shown was published", { tags: ["3863-4.1.7-b"] }, () => {
    const stamp = /<(?:[^\s<>/]+:)?timestamp[^<>]*>[^<]*/g
    const stamps = (text: string): readonly string[] =>
      (text.match(stamp) ?? []).map((one) => one.replace(/^.*>/, ""))
    fc.assert(
      fc.property(anyPublications, anyPublications, (live, ended) => {
        const document = pidf.compose(newest, sources(live), sources(ended, ["6", "7", "8", "9", "10"]))
        if (document === null) return
        const published = new Set([...live, ...ended].flatMap((one) => stamps(newest.render(one).text)))
        for (const one of stamps(newest.render(document).text)) expect(published).toContain(one)
      }),
    )
  })

  it("nothing of an ended publication is shown but closed tuples", { tags: ["L22"] }, () => {
    fc.assert(
      fc.property(anyPublications, anyPublications, (live, ended) => {
        const alive = pidf.compose(newest, sources(live))
        const document = pidf.compose(newest, sources(live), sources(ended, ["6", "7", "8", "9", "10"]))
        const extra = document?.tuples.slice(alive?.tuples.length ?? 0) ?? []
        const gone = new Set(ended.flatMap(({ tuples }) => tuples.map((one) => attribute(one, "id"))))
        for (const one of extra) {
          expect(gone).toContain(attribute(one, "id"))
          expect(nameless(one)).toBe(canonical(closed))
        }
        const tuples = document?.tuples.slice(0, alive?.tuples.length ?? 0)
        const rest = document === null || live.length === 0 ? null : { ...document, tuples }
        expect(rest).toEqual(alive)
      }),
    )
  })

  const closed = element(pidfNamespace, "tuple", {}, [
    element(pidfNamespace, "status", {}, [element(pidfNamespace, "basic", {}, ["closed"])]),
  ])
})

describe("reading and writing", () => {
  it(
    "renaming prefixes, and other spellings, change nothing that is shown",
    { tags: ["3863-4.1.1-a"] },
    () => {
      fc.assert(
        fc.property(anyPidf(), anyChoices, (document, choose) => {
          const text = newest.render(document).text
          const tree = xmlCodec.parse(text)
          if (tree._tag === "Malformed") throw new Error(tree.why)
          const other = pidf.read(writeOtherwise(tree.root, choose))
          expect(all(other).map(canonical)).toEqual(all(document).map(canonical))
        }),
      )
    },
  )

  it("equal documents render to equal text", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyPublications, (documents) => {
        const document = pidf.compose(newest, sources(documents))
        if (document === null) return
        expect(newest.render(structuredClone(document))).toEqual(newest.render(document))
      }),
    )
  })

  it(
    "any tree and any text is read or refused with a reason; what is read composes",
    { tags: ["4479-5-c"] },
    () => {
      const texts = fc.oneof(
        anyText,
        fc.constantFrom(...malformed.map(([, text]) => text)),
        anyElement.map((tree) => xmlCodec.print(tree)),
        fc
          .array(anyElement, { maxLength: 3 })
          .map((children) => xmlCodec.print(element(pidfNamespace, "presence", { entity: "x" }, children))),
      )
      fc.assert(
        fc.property(texts, (text) => {
          const parsed = newest.parse({ contentType: "application/pidf+xml", text })
          const verdicts =
            parsed._tag === "Unreadable"
              ? [parsed.why !== ""]
              : both.map(
                  (eventPackage) =>
                    composed(eventPackage, sources([parsed.document, parsed.document])).entity === alice,
                )
          expect(verdicts).not.toContain(false)
        }),
        { numRuns: 300 },
      )
    },
  )
})
