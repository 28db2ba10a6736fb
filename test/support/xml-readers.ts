/**
 * The reader in one pass held against that on fast-xml-parser: what they make of one text.
 */
import { makeXmlCodec } from "../../src/adapters/xml/codec.ts"
import type { XmlCodec } from "../../src/domain/packages/element.ts"
import { drawFrom, mutant } from "./xml-mutants.ts"

/** Limits under which the readers are compared: those of the server, and such as damaged documents reach. */
const limits = [{}, { depthMax: 4 }, { elementsMax: 8 }, { attributesMax: 2 }, { bytesMax: 900 }]

const pairs: readonly (readonly [XmlCodec, XmlCodec])[] = limits.map((some) => [
  makeXmlCodec(some),
  makeXmlCodec(some, "fast-xml-parser"),
])

/** What two readers make of a text, where they differ: verdict, reason, or tree with the order of its parts. */
export interface Difference {
  readonly text: string
  readonly singlePass: string
  readonly parser: string
}

/** @param which of the limits */
export const differenceIn = (text: string, which = 0): Difference | null => {
  const [own, reference] = pairs[which % pairs.length]!
  const [singlePass, parser] = [JSON.stringify(own.parse(text)), JSON.stringify(reference.parse(text))]
  return singlePass === parser ? null : { text, singlePass, parser }
}

export interface Comparison {
  readonly count: number
  readonly parsed: number
  /** How often each reason was given, by its words without names and numbers. */
  readonly refused: ReadonlyMap<string, number>
  readonly differences: readonly Difference[]
}

/** Compares the readers on this many mutants, one seed each. */
export const compareReaders = (count: number, firstSeed: number): Comparison => {
  const refused = new Map<string, number>()
  const differences: Difference[] = []
  let parsed = 0
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const draw = drawFrom(seed)
    const text = mutant(draw)
    // four of five with the server's limits
    const which = draw(5) === 0 ? draw(limits.length) : 0
    const difference = differenceIn(text, which)
    if (difference !== null) differences.push(difference)
    const result = pairs[which]![0].parse(text)
    if (result._tag === "Parsed") parsed += 1
    else {
      const reason = result.why
        .replace(/<[^>]*>/g, "<…>")
        .replace(/(attribute|attributes|prefix|encoding) \S+/g, "$1 …")
      refused.set(reason, (refused.get(reason) ?? 0) + 1)
    }
  }
  return { count, parsed, refused, differences }
}
