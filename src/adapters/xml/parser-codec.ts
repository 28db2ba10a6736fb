/**
 * Text → element tree on fast-xml-parser: the reader of documents that are not published (authorization documents), the
 * reference that `read.ts` is held against, and the reader of everything where a setting says so.
 *
 * Three steps: `scan.ts` refuses what is not well-formed or too big, the parser makes nested arrays of it, and this
 * file turns those into elements with namespaces and decoded references. What is well-formed is judged here and in `read.ts`
 * separately, and on purpose: neither could be held against the other if they shared that. They share what comes before the content
 * (`begin.ts`) and what names and values mean (`namespaces.ts`).
 */
import { XMLParser } from "fast-xml-parser"
import type { Attribute, Element, Node, XmlResult } from "../../domain/packages/element.ts"
import type { XmlLimits } from "./limits.ts"
import * as meaning from "./namespaces.ts"
import { droppedMark, scan } from "./scan.ts"

/** A reader with these limits; it gives what `read` gives. */
export const makeParserReader = (limits: XmlLimits): ((text: string) => XmlResult) => {
  const parser = makeParser(limits.depthMax)
  return (text) => parse(text, limits, parser)
}

/**
 * Stands before every name, which no name begins with: the parser keeps nodes and attributes as members of objects, and
 * refuses the names that objects have themselves (`__proto__`, `constructor`, `prototype`).
 */
const nameMark = "."

/** The parser asks twice for the name of an element without content. */
const marked = (name: string): string => (name.startsWith(nameMark) ? name : nameMark + name)

const makeParser = (depthMax: number): XMLParser =>
  new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: "",
    textNodeName,
    cdataPropName: cdataName,
    commentPropName: commentName,
    // Values stay the characters they are: no numbers, no trimming, no references but ours.
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    processEntities: false,
    htmlEntities: false,
    // A value that went missing shows up as `true` and is refused instead of vanishing.
    allowBooleanAttributes: true,
    removeNSPrefix: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: depthMax + 1,
    jPath: false,
    strictReservedNames: false,
    transformTagName: marked,
    transformAttributeName: marked,
  })

const textNodeName = "#text"
const cdataName = "#cdata"
const commentName = "#comment"
const attributesName = ":@"

/** One node as the parser gives it: a single member named after the element, and maybe its attributes. */
type Raw = Readonly<Record<string, unknown>>

/** What the walk over the parser's result carries along. */
interface Reading extends meaning.Meaning {
  elements: number
  attributes: number
}

const parse = (document: string, limits: XmlLimits, parser: XMLParser): XmlResult => {
  const scanned = scan(document, limits)
  if (scanned._tag === "Malformed") return scanned
  let raw: readonly Raw[]
  try {
    raw = parser.parse(scanned.text) as readonly Raw[]
  } catch {
    return { _tag: "Malformed", why: disagreement }
  }
  const reading: Reading = { scope: meaning.documentScope(), elements: 0, attributes: 0, fault: null }
  const root = rootOf(raw, reading)
  if (reading.fault !== null) return { _tag: "Malformed", why: reading.fault }
  // Scan and parser are independent readings of one text: when they differ, neither is to be trusted.
  if (root === null || reading.elements !== scanned.elements || reading.attributes !== scanned.attributes) {
    return { _tag: "Malformed", why: disagreement }
  }
  return { _tag: "Parsed", root }
}

const disagreement = "structure that is read in two ways"

const rootOf = (raw: readonly Raw[], reading: Reading): Element | null => {
  for (const node of raw) {
    const name = nameOf(node)
    if (name.startsWith(nameMark)) return elementOf(node, name, reading)
  }
  return null
}

const nameOf = (node: Raw): string => {
  for (const name in node) if (name !== attributesName) return name
  return ""
}

const none: readonly never[] = []

/** @param marked the element's name as the parser has it */
const elementOf = (node: Raw, marked: string, reading: Reading): Element => {
  reading.elements += 1
  const qualified = marked.slice(nameMark.length)
  const raw = node[attributesName] as Raw | undefined
  const declared = raw === undefined ? none : declare(raw, reading)
  const colon = qualified.indexOf(":")
  const prefix = colon === -1 ? "" : qualified.slice(0, colon)
  const element: Element = {
    _tag: "Element",
    namespace: meaning.namespaceOf(reading, prefix),
    name: colon === -1 ? qualified : qualified.slice(colon + 1),
    prefix,
    attributes: raw === undefined ? none : attributesOf(raw, reading),
    children: childrenOf(node[marked] as readonly Raw[], reading),
  }
  meaning.unbind(reading, declared)
  return element
}

const childrenOf = (raw: readonly Raw[], reading: Reading): readonly Node[] => {
  if (raw.length === 0) return none
  const children: Node[] = []
  // Text, CDATA and text again are one run of characters to everyone who reads the tree.
  let text = ""
  for (const node of raw) {
    const name = nameOf(node)
    if (name === textNodeName) {
      text += meaning.decoded(reading, node[name] as string)
    } else if (name === cdataName) {
      text += innerText(node[name])
    } else {
      const comment = name === commentName ? innerText(node[name]) : null
      if (comment === droppedMark) continue
      if (text !== "") children.push({ _tag: "Text", text })
      text = ""
      children.push(comment === null ? elementOf(node, name, reading) : { _tag: "Comment", text: comment })
    }
  }
  if (text !== "") children.push({ _tag: "Text", text })
  return children
}

const innerText = (raw: unknown): string =>
  (raw as readonly Readonly<Record<string, string>>[])[0]?.[textNodeName] ?? ""

/** Binds the prefixes that an element declares and returns them, to be unbound at its end. */
const declare = (raw: Raw, reading: Reading): readonly string[] => {
  const declared: string[] = []
  for (const member in raw) {
    const name = member.slice(nameMark.length)
    if (meaning.isDeclaration(name)) declared.push(meaning.bind(reading, name, valueOf(raw[member], reading)))
  }
  reading.attributes += declared.length
  return declared
}

const attributesOf = (raw: Raw, reading: Reading): readonly Attribute[] => {
  const attributes: Attribute[] = []
  for (const member in raw) {
    const name = member.slice(nameMark.length)
    if (!meaning.isDeclaration(name))
      attributes.push(meaning.attributeOf(reading, name, valueOf(raw[member], reading)))
  }
  reading.attributes += attributes.length
  meaning.checkRepeated(reading, attributes)
  return attributes.length === 0 ? none : attributes
}

const valueOf = (raw: unknown, reading: Reading): string => {
  if (typeof raw === "string") return meaning.attributeValue(reading, raw)
  reading.fault ??= "attribute without a value"
  return ""
}
