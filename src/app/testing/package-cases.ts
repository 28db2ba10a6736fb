/**
 * The inputs that the laws of event packages are tried on: examples in many orders, and garbage made of them. See
 * `package-laws.ts`.
 */
import { canonical } from "../../domain/packages/element.ts"
import type { Element } from "../../domain/packages/element.ts"
import type { Composition, EventPackage, Source } from "../../domain/packages/event-package.ts"
import type { Body, Uri } from "../../domain/vocabulary.ts"
import { makeRandom } from "./random.ts"
import type { Random } from "./random.ts"

export interface PackageLawsOptions<Doc> {
  /** Bodies as publishers send them. All must be readable; the more varied they are, the more is found. */
  readonly documents: readonly Body[]
  /** Left out: 1; a failure names it. */
  readonly seed?: number
  /** How many cases each law is tried on; left out: 200. */
  readonly cases?: number
  /**
   * The meaning of a document, for comparison: without what parsing or rendering may change, such as a published version. Left
   * out: the document itself, except for prefixes and the order of attributes in XML elements.
   */
  readonly meaning?: (document: Doc) => unknown
  /**
   * What a watcher knows after a document, given what it knew before (undefined at first). If given, `difference` is judged by
   * it; otherwise by `amend`, where both exist. Write it from the format's specification, not with the package's own code.
   */
  readonly reader?: (known: unknown, document: Doc) => unknown
}

/** What a law is tried with. */
export interface Trial {
  readonly eventPackage: EventPackage
  readonly options: PackageLawsOptions<unknown>
  readonly random: Random
  readonly cases: number
  readonly meaning: (document: unknown) => unknown
}

export const trialOf = (
  eventPackage: EventPackage,
  options: PackageLawsOptions<unknown>,
  seed: number,
): Trial => {
  const meaning = options.meaning ?? ((document) => document)
  return {
    eventPackage,
    // copies, because cases are frozen, and the caller's own objects must not be
    options: { ...options, documents: options.documents.map((body) => ({ ...body })) },
    random: makeRandom(seed),
    cases: options.cases ?? 200,
    meaning: (document) => withoutSpelling(meaning(document)),
  }
}

export const presentity = "sip:presentity@example.com" as Uri

export const sources = (documents: readonly unknown[], from = 1): readonly Source<unknown>[] =>
  documents.map((document, index) => ({ key: `${from + index}`, document }))

/** The examples as documents that nothing can change. */
export const examples = ({ eventPackage, options }: Trial): readonly unknown[] =>
  options.documents.flatMap((body) => {
    const parsed = eventPackage.parse(frozen(body))
    return parsed._tag === "Parsed" ? [frozen(parsed.document)] : []
  })

/** None, each alone, and then several in any order, possibly one twice, with some that have just ended. */
export const compositions = (trial: Trial): readonly Composition<unknown>[] => {
  const { random, cases } = trial
  const documents = examples(trial)
  const chosen = (max: number): readonly unknown[] =>
    Array.from({ length: documents.length === 0 ? 0 : random.int(max + 1) }, () => random.pick(documents))
  const lists = [
    [],
    ...documents.map((document) => [document]),
    ...Array.from({ length: cases }, () => chosen(5)),
  ]
  return lists.map((list, index) => {
    const ended = index % 2 === 0 ? [] : chosen(2)
    return frozen({ presentity, documents: sources(list), ended: sources(ended, 11) })
  })
}

/** What parsers stumble over: delimiters of several formats, lone surrogates, overlong characters. */
const pieces = [
  ..." |\n|\r\n|\t|\0|<|>|&|\"|'|/|:|]]>|<a>|</a>|<!--|&#0;|%|😀|-1|__proto__|\u{d800}|\u{feff}".split("|"),
  "",
  "9".repeat(400),
  "a".repeat(5_000),
]

/** Bodies that are nearly one of the examples, and some that are like none. */
export const garbage = ({ options, random, cases }: Trial): readonly Body[] => {
  const { documents } = options
  const types = [...documents.map(({ contentType }) => contentType), "application/octet-stream", ""]
  const strange = pieces.flatMap((text) => types.map((contentType) => ({ contentType, text })))
  return [
    ...strange,
    ...Array.from({ length: cases }, () => spoilt(random.pick(documents), documents, random)),
  ]
}

const spoilt = (body: Body, bodies: readonly Body[], random: Random): Body => {
  const { text } = body
  const at = random.int(text.length + 1)
  const rest = text.slice(at)
  const piece = rest.slice(0, random.int(20))
  const otherText = random.pick(bodies).text
  const texts = [
    text.slice(0, at),
    rest,
    text.slice(0, at) + random.pick(pieces) + rest,
    text.slice(0, at) + random.pick(pieces) + rest.slice(piece.length),
    text.slice(0, at) + piece + rest,
    text.slice(0, at) + rest.slice(piece.length),
    text.slice(0, at) + otherText.slice(random.int(otherText.length + 1)),
    text.slice(0, at) + rest.toUpperCase(),
    text + otherText,
  ]
  return { ...body, text: random.pick(texts) }
}

/** Deeply frozen, so that code that changes its arguments fails. */
export const frozen = <T>(value: T): T => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) frozen(member)
  return value
}

/** Elements by expanded name, attributes without prefixes; everything else as it is. */
const withoutSpelling = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutSpelling)
  if (typeof value !== "object" || value === null) return value
  if ("_tag" in value && value._tag === "Element") return canonical(value as Element)
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const isAttribute = "namespace" in value && "value" in value
  const entries = Object.entries(value).filter(([key]) => !isAttribute || key !== "prefix")
  return Object.fromEntries(entries.map(([key, member]) => [key, withoutSpelling(member)]))
}
