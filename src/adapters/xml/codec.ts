/**
 * Text ↔ element tree: the reader, on fast-xml-parser.
 *
 * Three steps: `scan.ts` refuses what is not well-formed or too big, the parser makes nested arrays of it, and this
 * file turns those into elements with namespaces and decoded references. The way back is `print.ts`.
 *
 * Not kept, because no event package gives it meaning: processing instructions, white space around the root, which
 * quotes were used, and namespace declarations that only a value refers to (a QName inside text).
 */
import { XMLParser } from "fast-xml-parser"
import type { Attribute, Element, Node, XmlCodec, XmlResult } from "../../domain/packages/element.ts"
import { isXmlCodePoint, xmlNamespace, xmlnsNamespace } from "./characters.ts"
import { print } from "./print.ts"
import { droppedMark, scan } from "./scan.ts"
import type { XmlLimits } from "./scan.ts"

export type { XmlLimits } from "./scan.ts"

const defaultLimits: XmlLimits = { bytesMax: 65_536, depthMax: 64, elementsMax: 2_000, attributesMax: 64 }

/** A codec with limits of its own; those not given are 64 kB, 64 levels, 2000 elements, 64 attributes. */
export const makeXmlCodec = (limits: Partial<XmlLimits> = {}): XmlCodec => {
  const all = { ...defaultLimits, ...limits }
  const parser = makeParser(all.depthMax)
  return { parse: (text) => parse(text, all, parser), print }
}

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
    onDangerousProperty: (name: string) => name,
  })

const textNodeName = "#text"
const cdataName = "#cdata"
const commentName = "#comment"
const attributesName = ":@"

/** One node as the parser gives it: a single member named after the element, and maybe its attributes. */
type Raw = Readonly<Record<string, unknown>>

/** What the walk over the parser's result carries along. */
interface Reading {
  /** Namespaces bound to each prefix, innermost last. */
  readonly bindings: Map<string, string[]>
  elements: number
  attributes: number
  /** The first thing found wrong; the walk goes on, its result is thrown away. */
  why: string | null
}

const parse = (document: string, limits: XmlLimits, parser: XMLParser): XmlResult => {
  const scanned = scan(document, limits)
  if (scanned._tag === "Malformed") return scanned
  let raw: unknown
  try {
    raw = parser.parse(scanned.text)
  } catch {
    // The parser refuses `__proto__`, `constructor` and `prototype` as names.
    return { _tag: "Malformed", why: "a name that is not supported" }
  }
  const reading: Reading = {
    bindings: new Map([["xml", [xmlNamespace]]]),
    elements: 0,
    attributes: 0,
    why: null,
  }
  const root = rootOf(raw as readonly Raw[], reading)
  if (reading.why !== null) return { _tag: "Malformed", why: reading.why }
  // Scan and parser are independent readings of one text: when they differ, neither is to be trusted.
  if (root === null || reading.elements !== scanned.elements || reading.attributes !== scanned.attributes) {
    return { _tag: "Malformed", why: "structure that is read in two ways" }
  }
  return { _tag: "Parsed", root }
}

const rootOf = (raw: readonly Raw[], reading: Reading): Element | null => {
  for (const node of raw) {
    const name = nameOf(node)
    if (!name.startsWith("#")) return elementOf(node, name, reading)
  }
  return null
}

const nameOf = (node: Raw): string => {
  for (const name in node) if (name !== attributesName) return name
  return ""
}

const none: readonly never[] = []

const elementOf = (node: Raw, qualified: string, reading: Reading): Element => {
  reading.elements += 1
  const raw = node[attributesName] as Raw | undefined
  const declared = raw === undefined ? none : declare(raw, reading)
  const colon = qualified.indexOf(":")
  const prefix = colon === -1 ? "" : qualified.slice(0, colon)
  const element: Element = {
    _tag: "Element",
    namespace: resolve(prefix, reading),
    name: colon === -1 ? qualified : qualified.slice(colon + 1),
    prefix,
    attributes: raw === undefined ? none : attributesOf(raw, reading),
    children: childrenOf(node[qualified] as readonly Raw[], reading),
  }
  for (const name of declared) reading.bindings.get(name)?.pop()
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
      text += decode(node[name] as string, reading)
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

const isDeclaration = (qualified: string): boolean => qualified === "xmlns" || qualified.startsWith("xmlns:")

/** Binds the prefixes that an element declares and returns them, to be unbound at its end. */
const declare = (raw: Raw, reading: Reading): readonly string[] => {
  let declared: string[] | null = null
  for (const qualified in raw) {
    if (!isDeclaration(qualified)) continue
    reading.attributes += 1
    const prefix = qualified.slice(6)
    const namespace = attributeValue(raw[qualified], reading)
    const why = misdeclared(prefix, namespace)
    if (why !== null) reading.why ??= why
    const bound = reading.bindings.get(prefix)
    if (bound === undefined) reading.bindings.set(prefix, [namespace])
    else bound.push(namespace)
    declared ??= []
    declared.push(prefix)
  }
  return declared ?? none
}

/** @source Namespaces in XML 1.0 §3 */
const misdeclared = (prefix: string, namespace: string): string | null => {
  if (prefix === "xmlns") return "prefix xmlns is declared"
  if (prefix === "xml" ? namespace !== xmlNamespace : namespace === xmlNamespace)
    return "prefix xml is declared anew"
  if (namespace === xmlnsNamespace) return "the namespace of declarations is declared"
  if (prefix !== "" && namespace === "") return `prefix ${prefix} is declared without a namespace`
  return null
}

const resolve = (prefix: string, reading: Reading): string => {
  const namespace = reading.bindings.get(prefix)?.at(-1)
  if (namespace !== undefined) return namespace
  if (prefix !== "") reading.why ??= `prefix ${prefix} is not declared`
  return ""
}

const attributesOf = (raw: Raw, reading: Reading): readonly Attribute[] => {
  const attributes: Attribute[] = []
  let prefixed = 0
  for (const qualified in raw) {
    if (isDeclaration(qualified)) continue
    reading.attributes += 1
    const value = attributeValue(raw[qualified], reading)
    const colon = qualified.indexOf(":")
    if (colon === -1) {
      // Namespaces in XML 1.0 §6.2: the default namespace is not for attributes.
      attributes.push({ namespace: "", name: qualified, prefix: "", value })
    } else {
      prefixed += 1
      const prefix = qualified.slice(0, colon)
      attributes.push({
        namespace: resolve(prefix, reading),
        name: qualified.slice(colon + 1),
        prefix,
        value,
      })
    }
  }
  if (prefixed > 1) refuseTwins(attributes, reading)
  return attributes.length === 0 ? none : attributes
}

/** Two prefixes may stand for one namespace, so that different spellings name one attribute twice. */
const refuseTwins = (attributes: readonly Attribute[], reading: Reading): void => {
  const seen = new Set<string>()
  for (const { namespace, name } of attributes) {
    const expanded = `${name} ${namespace}`
    if (seen.has(expanded)) reading.why ??= `attribute ${name} is there twice`
    seen.add(expanded)
  }
}

/** @source XML 1.0 §3.3.3: white space as written is blanks, as a reference it stays what it is. */
const attributeValue = (raw: unknown, reading: Reading): string => {
  if (typeof raw !== "string") {
    reading.why ??= "attribute without a value"
    return ""
  }
  return decode(/[\t\n]/.test(raw) ? raw.replace(/[\t\n]/g, " ") : raw, reading)
}

const named = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
])

/** Replaces references by what they stand for; each character is read once, results are never read again. */
const decode = (text: string, reading: Reading): string => {
  let from = text.indexOf("&")
  if (from === -1) return text
  let decoded = text.slice(0, from)
  while (from !== -1) {
    const end = text.indexOf(";", from)
    const character = end === -1 ? null : referenced(text.slice(from + 1, end))
    if (character === null) {
      reading.why ??= "& without a reference that XML knows"
      return decoded
    }
    const next = text.indexOf("&", end)
    decoded += character + text.slice(end + 1, next === -1 ? text.length : next)
    from = next
  }
  return decoded
}

const referenced = (name: string): string | null => {
  if (!name.startsWith("#")) return named.get(name) ?? null
  const digits = /^#(?:([0-9]+)|x([0-9a-fA-F]+))$/.exec(name)
  if (digits === null) return null
  const [, decimal, hexadecimal] = digits
  const code = decimal === undefined ? Number.parseInt(hexadecimal ?? "", 16) : Number.parseInt(decimal, 10)
  return isXmlCodePoint(code) ? String.fromCodePoint(code) : null
}

/** The codec with default limits. Last, because the names above are values that must exist first. */
export const xmlCodec: XmlCodec = makeXmlCodec()
