/**
 * L28, the algebra of the privacy filter, and what a watcher may not learn from it, over random documents.
 */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { canonical, element, isNamed, textOf } from "../../../src/domain/packages/element.ts"
import type { Element, Node } from "../../../src/domain/packages/element.ts"
import { closedTuple, idOf } from "../../../src/domain/packages/pidf-document.ts"
import { filterPidf } from "../../../src/domain/packages/pidf-filter.ts"
import { dataModelNamespace, pidfNamespace, presence } from "../../../src/domain/packages/pidf.ts"
import type { Pidf } from "../../../src/domain/packages/pidf.ts"
import { combined } from "../../../src/domain/packages/presence-rules-permissions.ts"
import { everythingShown, nothingGranted } from "../../../src/domain/packages/presence-rules.ts"
import type { Permissions } from "../../../src/domain/packages/presence-rules.ts"
import { anyComposed, anyGrants, isIn, lists } from "../../support/rules-pidf.ts"
import { compose, composed, read, sources } from "../../support/xml-pidf.ts"

const eventPackage = presence({ xml: xmlCodec })
const runs = { numRuns: 1_000 }

const hides = ({ attributes }: Permissions): boolean => !attributes.includes("class")
const selects = ({ devices, persons, services }: Permissions): boolean =>
  [devices, persons, services].some(({ selectors }) => selectors.some(({ by }) => by === "class"))

describe("the filter", () => {
  it("a filtered document passes the same filter unchanged", { tags: ["5025-4-a"] }, () => {
    fc.assert(
      fc.property(anyComposed, anyGrants, (document, grants) => {
        const once = filterPidf(document, grants)
        expect(filterPidf(once, grants)).toStrictEqual(once)
      }),
      runs,
    )
  })

  it("only takes away, and keeps the order", { tags: ["OPS-apply_auth_nbody", "L28"] }, () => {
    fc.assert(
      fc.property(anyComposed, anyGrants, (document, grants) => {
        expect(isIn(filterPidf(document, grants), document)).toBe(true)
      }),
      runs,
    )
  })

  it("who may see more, sees what others see and more", { tags: ["L28"] }, () => {
    fc.assert(
      fc.property(anyComposed, anyGrants, anyGrants, (document, less, further) => {
        const more = combined([less, further])
        expect(isIn(filterPidf(document, less), filterPidf(document, more))).toBe(true)
      }),
      runs,
    )
  })

  it(
    "two filters may change places, unless one selects by a class that the other hides",
    { tags: ["L28"] },
    () => {
      fc.assert(
        fc.property(anyComposed, anyGrants, anyGrants, (document, one, two) => {
          fc.pre(!(selects(one) && hides(two)) && !(selects(two) && hides(one)))
          expect(filterPidf(filterPidf(document, one), two)).toStrictEqual(
            filterPidf(filterPidf(document, two), one),
          )
        }),
        runs,
      )
    },
  )

  it("everything shown is the document itself", { tags: ["5025-3.3.2.15-a"] }, () => {
    fc.assert(
      fc.property(anyComposed, (document) => {
        expect(filterPidf(document, everythingShown)).toBe(document)
      }),
    )
  })

  it("with all attributes a visible element is shown as it is", { tags: ["5025-3.3.2.15-a"] }, () => {
    fc.assert(
      fc.property(anyComposed, anyGrants, (document, grants) => {
        const { allAttributes, attributes, userInput } = everythingShown
        const all = combined([grants, { ...nothingGranted, allAttributes, attributes, userInput }])
        const shown = filterPidf(document, all)
        for (const list of lists) for (const one of shown[list]) expect(document[list]).toContain(one)
      }),
    )
  })

  it("nothing granted is a valid document without elements", { tags: ["5025-3.3.1-a"] }, () => {
    fc.assert(
      fc.property(anyComposed, (document) => {
        const shown = filterPidf(document, nothingGranted)
        const nothing = { tuples: [], notes: [], persons: [], devices: [], others: [] }
        expect(shown).toStrictEqual({ entity: document.entity, attributes: [], ...nothing })
        expect(read(eventPackage.render(shown).text)).toStrictEqual(shown)
      }),
    )
  })

  it(
    "each level of user input shows at least what the lower ones show",
    { tags: ["5025-3.3.2.12-a"] },
    () => {
      fc.assert(
        fc.property(anyComposed, anyGrants, (document, grants) => {
          fc.pre(!grants.allAttributes)
          const levels = (["false", "bare", "thresholds", "full"] as const).map((userInput) =>
            filterPidf(document, { ...grants, userInput }),
          )
          levels.forEach((shown, index) => expect(isIn(levels[index - 1] ?? shown, shown)).toBe(true))
        }),
      )
    },
  )

  it("what may not be seen leaves no trace", { tags: ["L23"] }, () => {
    const secret = fc.constantFrom<Node>(
      element("urn:secret", "s", {}, ["secret"]),
      { _tag: "Comment", text: "secret" },
      { _tag: "Text", text: "\n    " },
    )
    /** With something hidden put before every child of it and of its status. */
    const disturbed = (of: Element, hidden: Node): Element => ({
      ...of,
      attributes: [...of.attributes, { namespace: "urn:secret", name: "s", prefix: "s", value: "1" }],
      children: [
        ...of.children.flatMap((node) => [
          hidden,
          isNamed(node, pidfNamespace, "status") ? disturbed(node, hidden) : node,
        ]),
        hidden,
      ],
    })
    const stranger = (namespace: string, name: string): Element => element(namespace, name, { id: "hidden" })
    fc.assert(
      fc.property(anyComposed, anyGrants, secret, (document, grants, hidden) => {
        fc.pre(!grants.allAttributes)
        const { services, persons, devices } = grants
        const unseen = (is: boolean, one: Element): readonly Element[] => (is ? [one] : [])
        const other: Pidf = {
          ...document,
          attributes: [{ namespace: "urn:secret", name: "s", prefix: "s", value: "1" }],
          tuples: [
            ...unseen(!services.all, stranger(pidfNamespace, "tuple")),
            ...document.tuples.map((one) => disturbed(one, hidden)),
          ],
          persons: [
            ...unseen(!persons.all, stranger(dataModelNamespace, "person")),
            ...document.persons.map((one) => disturbed(one, hidden)),
          ],
          devices: [
            ...unseen(!devices.all, stranger(dataModelNamespace, "device")),
            ...document.devices.map((one) => disturbed(one, hidden)),
          ],
          others: [...document.others, element("urn:secret", "s")],
        }
        expect(eventPackage.render(filterPidf(other, grants)).text).toBe(
          eventPackage.render(filterPidf(document, grants)).text,
        )
      }),
      runs,
    )
  })

  it(
    "composing shows nobody what the publications by themselves would not",
    { tags: ["3856-6.11.1-b"] },
    () => {
      const isNote = (node: Node): boolean => isNamed(node, dataModelNamespace, "note")
      /** All that is in a document, but for where a note is kept: that may move, into a person made for it if need be. */
      const contents = ({ tuples, devices, others, notes, persons }: Pidf): readonly string[] => {
        const inside = persons.flatMap(({ children }) => children.filter((node) => node._tag === "Element"))
        const noteless = persons
          .filter((person) => !idOf(person).startsWith("note."))
          .map((person) => ({ ...person, children: person.children.filter((node) => !isNote(node)) }))
        return [
          ...[...tuples, ...devices, ...others, ...noteless].map(canonical),
          ...[...notes, ...inside.filter(isNote)].map((note) => `note ${textOf(note)}`),
        ]
      }
      let together = 0
      for (const of of [eventPackage, presence({ xml: xmlCodec, idCollision: "rename" })]) {
        fc.assert(
          fc.property(
            fc.array(anyComposed, { minLength: 2, maxLength: 4 }),
            fc.nat(1),
            anyGrants,
            (documents, gone, grants) => {
              const all = sources(documents)
              const alone = all.map((one) => filterPidf(composed(of, [one]), grants))
              // of what has ended no more than that it is closed, and that to those who could see it
              const closed = alone.flatMap(({ tuples }) => tuples.map((tuple) => closedTuple(idOf(tuple))))
              const allowed = new Set([...alone.flatMap(contents), ...closed.map(canonical)])
              const document = compose(of, all.slice(gone), all.slice(0, gone))
              const shown = document === null ? [] : contents(filterPidf(document, grants))
              expect(shown.filter((one) => !allowed.has(one))).toEqual([])
              together += shown.length
            },
          ),
          { numRuns: 2_000 },
        )
      }
      expect(together).toBeGreaterThan(3_000)
    },
  )

  it("what is shown survives rendering and reading", { tags: ["3863-4.2.3-a"] }, () => {
    fc.assert(
      fc.property(anyComposed, anyGrants, (document, grants) => {
        const shown = filterPidf(document, grants)
        const back = read(eventPackage.render(shown).text)
        for (const list of lists) expect(back[list].map(canonical)).toEqual(shown[list].map(canonical))
      }),
      runs,
    )
  })
})
