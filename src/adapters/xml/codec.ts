/**
 * Text ↔ element tree: the XML codec that event packages are given.
 *
 * Reads in one pass (`read.ts`), or on fast-xml-parser (`parser-codec.ts`), with the same verdict, reason and tree; prints with
 * `print.ts`.
 *
 * Not kept, because no event package gives it meaning: processing instructions, white space around the root, which
 * quotes were used, and namespace declarations that only a value refers to (a QName inside text).
 */
import type { XmlCodec } from "../../domain/packages/element.ts"
import { defaultLimits } from "./limits.ts"
import type { XmlLimits } from "./limits.ts"
import { makeParserReader } from "./parser-codec.ts"
import { print } from "./print.ts"
import { read } from "./read.ts"

export type { XmlLimits } from "./limits.ts"

/** What reads the documents: one pass of our own, or fast-xml-parser behind a scan. */
export type XmlReader = "single-pass" | "fast-xml-parser"

/**
 * A codec with limits of its own; those not given are 64 kB, 64 levels, 2000 elements, 64 attributes.
 *
 * @param reader which reader to use; both give the same for every text
 */
export const makeXmlCodec = (
  limits: Partial<XmlLimits> = {},
  reader: XmlReader = "single-pass",
): XmlCodec => {
  const all = { ...defaultLimits, ...limits }
  return { parse: reader === "single-pass" ? (text) => read(text, all) : makeParserReader(all), print }
}

/** The codec with default limits. */
export const xmlCodec: XmlCodec = makeXmlCodec()

/** The same on fast-xml-parser: for documents that are read seldom, such as authorization documents. */
export const parserCodec: XmlCodec = makeXmlCodec({}, "fast-xml-parser")
