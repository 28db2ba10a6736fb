/**
 * Presence documents for tests: written by hand in short, or at random with clashing ids.
 */
import fc from "fast-check"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { canonical, element } from "../../src/domain/packages/element.ts"
import type { Element } from "../../src/domain/packages/element.ts"
import type { EventPackage, Source } from "../../src/domain/packages/event-package.ts"
import { dataModelNamespace, pidfNamespace, presence } from "../../src/domain/packages/pidf.ts"
import type { Pidf } from "../../src/domain/packages/pidf.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anyElement } from "./xml-arbitraries.ts"

export const alice = "sip:alice@example.com" as Uri

const prefixes = `xmlns="${pidfNamespace}" xmlns:dm="${dataModelNamespace}" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:x="urn:x"`

/** A document with that inside, published by someone who calls the presentity something else. */
export const written = (inside: string, attributes = ""): string =>
  `<presence ${prefixes} entity="pres:someone@example.com" ${attributes}>${inside}</presence>`

/** The content of a rendered document, without its frame and the declarations there. */
export const inside = (text: string): string =>
  text.replace(/^[^]*?<presence[^>]*>/, "").replace(/<\/presence>\n$|^\n$/, "")

export const plain: EventPackage<Pidf> = presence({ xml: xmlCodec })

export const read = (text: string): Pidf => {
  const parsed = plain.parse({ contentType: "application/pidf+xml", text })
  if (parsed._tag === "Unreadable") throw new Error(`${parsed.why}: ${text.slice(0, 500)}`)
  return parsed.document
}

/** Publications in order, with keys 1, 2 …, or those given. */
export const sources = (documents: readonly Pidf[], keys: readonly string[] = []): readonly Source<Pidf>[] =>
  documents.map((document, index) => ({ key: keys[index] ?? `${index + 1}`, document }))

export const compose = (
  eventPackage: EventPackage<Pidf>,
  documents: readonly Source<Pidf>[],
  ended: readonly Source<Pidf>[] = [],
): Pidf | null => eventPackage.compose({ presentity: alice, documents, ended })

export const composed = (eventPackage: EventPackage<Pidf>, documents: readonly Source<Pidf>[]): Pidf => {
  const document = compose(eventPackage, documents)
  if (document === null) throw new Error("nothing to show")
  return document
}

export const identified = (document: Pidf): readonly Element[] => [
  ...document.tuples,
  ...document.persons,
  ...document.devices,
]
export const all = (document: Pidf): readonly Element[] => [
  ...identified(document),
  ...document.notes,
  ...document.others,
]

/** What a list holds, whatever its order. */
export const bag = (list: readonly Element[]): readonly string[] => list.map(canonical).toSorted()

/** An element without its id, to compare what was renamed. */
export const nameless = (element: Element): string =>
  canonical({
    ...element,
    attributes: element.attributes.filter(({ name, namespace }) => name !== "id" || namespace !== ""),
  })

const anyId = (from: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...from)
const stamps = ["2026-01-01T10:00:00Z", "2026-01-01T10:00:01.5Z", "yesterday"]

const anyTuple = (ids: readonly string[]): fc.Arbitrary<Element> =>
  fc
    .tuple(
      anyId(ids),
      fc.constantFrom("open", "closed", "unknown", null),
      fc.option(anyElement),
      fc.constantFrom(...stamps),
    )
    .map(([id, basic, extension, stamp]) =>
      element(pidfNamespace, "tuple", { id }, [
        element(
          pidfNamespace,
          "status",
          {},
          basic === null ? [] : [element(pidfNamespace, "basic", {}, [basic])],
        ),
        ...(extension === null ? [] : [extension]),
        element(pidfNamespace, "timestamp", {}, [stamp]),
      ]),
    )

const anyNoteText = fc.constantFrom("busy", "away", "at lunch")

const anyPart = (ids: readonly string[], name: "person" | "device"): fc.Arbitrary<Element> =>
  fc
    .tuple(anyId(ids), fc.option(anyNoteText), fc.option(anyElement))
    .map(([id, note, extension]) =>
      element(dataModelNamespace, name, { id }, [
        ...(extension === null ? [] : [extension]),
        ...(note === null ? [] : [element(dataModelNamespace, "note", {}, [note])]),
      ]),
    )

/** A document as published; ids come from `ids`, so that few of them make for many clashes. */
export const anyPidf = (
  ids: readonly string[] = ["a", "b", "a.2", "a.2.2", "note.1"],
  notes: fc.Arbitrary<string> = anyNoteText,
): fc.Arbitrary<Pidf> =>
  fc
    .tuple(
      fc.array(anyTuple(ids), { maxLength: 3 }),
      fc.array(notes, { maxLength: 2 }),
      fc.array(anyPart(ids, "person"), { maxLength: 2 }),
      fc.array(anyPart(ids, "device"), { maxLength: 2 }),
      fc.array(
        anyElement.filter(({ namespace }) => namespace !== pidfNamespace),
        { maxLength: 2 },
      ),
    )
    .map(([tuples, texts, persons, devices, others]) => {
      const remarks = texts.map((text) => element(pidfNamespace, "note", {}, [text]))
      const children = [...tuples, ...remarks, ...persons, ...devices, ...others]
      return read(
        xmlCodec.print(element(pidfNamespace, "presence", { entity: "pres:someone@example.com" }, children)),
      )
    })

/** Some documents no two of which share an id, a note or another element. */
export const anyDisjoint: fc.Arbitrary<readonly Pidf[]> = fc
  .tuple(
    anyPidf(["a", "b"], fc.constant("one")),
    anyPidf(["c", "d"], fc.constant("two")),
    anyPidf(["e", "f.2"], fc.constant("three")),
  )
  .map((documents) =>
    documents.map((document, index) => ({ ...document, others: index === 0 ? document.others : [] })),
  )
