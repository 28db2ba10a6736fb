/**
 * Text → element tree in one pass: checks that a document is well-formed XML of the kind we take and builds its tree as it
 * goes.
 *
 * Linear in the length of the document, whatever it holds: `at` only grows, each piece of text between two values of `at` is
 * looked at a bounded number of times, and every search either ends where `at` goes next or refuses the document. The stack of open
 * elements, the attributes of one element and the number of elements are bounded by the limits; nothing is allocated in
 * proportion to what a peer merely claims. No object is keyed by names of the document, so that all names are alike.
 *
 * A document with several faults is refused for the first in the order of form (what makes it well-formed), and only then for
 * what its references and prefixes mean: the reason is the same as that of the reader on fast-xml-parser (`parser-codec.ts`).
 */
import type { Attribute, Element, Node, XmlResult } from "../../domain/packages/element.ts"
import { begin } from "./begin.ts"
import { isSpace, qualifiedNameEnd, skipSpace } from "./characters.ts"
import type { XmlLimits } from "./limits.ts"
import {
  attributeOf,
  attributeValue,
  bind,
  checkRepeated,
  decoded,
  documentScope,
  isDeclaration,
  namespaceOf,
  unbind,
} from "./namespaces.ts"
import type { Meaning } from "./namespaces.ts"

/** An element whose end tag has not come yet. */
interface Open {
  readonly outer: Open | null
  readonly qualified: string
  readonly namespace: string
  readonly name: string
  readonly prefix: string
  readonly attributes: readonly Attribute[]
  /** Prefixes that it declares. */
  readonly declared: readonly string[]
  children: Node[] | null
  /** Character data since the last child: text, CDATA and text again are one run. */
  run: string
}

interface Reading extends Meaning {
  readonly text: string
  readonly limits: XmlLimits
  at: number
  /** The innermost open element; null outside the root. */
  open: Open | null
  depth: number
  elements: number
  root: Element | null
  /** Names and values, as written, of the attributes of the tag that is being read. */
  readonly names: string[]
  readonly values: string[]
  /** Where the next `]]>` is at or after `at`; the text's length when there is none. */
  cdataEnd: number
}

/** Reads one document; total. O(length). */
export const read = (document: string, limits: XmlLimits): XmlResult => {
  const begun = begin(document, limits)
  if (typeof begun === "string") return malformed(begun)
  const { text, from } = begun
  const reading: Reading = {
    text,
    limits,
    scope: documentScope(),
    at: from,
    open: null,
    depth: 0,
    elements: 0,
    root: null,
    names: [],
    values: [],
    cdataEnd: -1,
    fault: null,
  }
  const why = content(reading) ?? reading.fault
  if (why !== null) return malformed(why)
  return reading.root === null ? malformed("no root element") : { _tag: "Parsed", root: reading.root }
}

const malformed = (why: string): XmlResult => ({ _tag: "Malformed", why })

const exclamation = 0x21
const quote = 0x22
const apostrophe = 0x27
const slash = 0x2f
const less = 0x3c
const equals = 0x3d
const greater = 0x3e
const question = 0x3f

const none: readonly never[] = Object.freeze([])

/** The whole document, from its root's surroundings to its end. */
const content = (reading: Reading): string | null => {
  const { text } = reading
  for (;;) {
    const tag = text.indexOf("<", reading.at)
    const why = characters(reading, tag === -1 ? text.length : tag)
    if (why !== null) return why
    if (tag === -1) break
    reading.at = tag
    const wrong = markup(reading)
    if (wrong !== null) return wrong
  }
  if (reading.open !== null) return `<${reading.open.qualified}> is never closed`
  return reading.elements > 0 ? null : "no root element"
}

const markup = (reading: Reading): string | null => {
  switch (reading.text.charCodeAt(reading.at + 1)) {
    case exclamation:
      return reading.text.startsWith("<!--", reading.at) ? comment(reading) : cdata(reading)
    case question:
      return instruction(reading)
    case slash:
      return endTag(reading)
    default:
      return startTag(reading)
  }
}

/** Character data up to the next markup. */
const characters = (reading: Reading, end: number): string | null => {
  const { text, at, open } = reading
  if (open === null) {
    for (let index = at; index < end; index += 1) {
      if (!isSpace(text.charCodeAt(index))) return "text outside the root element"
    }
    return null
  }
  if (at === end) return null
  if (reading.cdataEnd < at) {
    const found = text.indexOf("]]>", at)
    reading.cdataEnd = found === -1 ? text.length : found
  }
  if (reading.cdataEnd < end) return "]]> in text"
  open.run += decoded(reading, text.slice(at, end))
  return null
}

const comment = (reading: Reading): string | null => {
  const { text, at, open } = reading
  const end = text.indexOf("--", at + 4)
  if (end === -1) return "comment is never closed"
  if (text.charCodeAt(end + 2) !== greater) return "-- inside a comment"
  if (open !== null) {
    endRun(open)
    addChild(open, { _tag: "Comment", text: text.slice(at + 4, end) })
  }
  reading.at = end + 3
  return null
}

/** Anything that begins with `<!` and is neither comment nor CDATA section ends here, a document type first of all. */
const cdata = (reading: Reading): string | null => {
  const { text, at, open } = reading
  if (!text.startsWith("<![CDATA[", at)) return "document type and other declarations are not supported"
  if (open === null) return "CDATA section outside the root element"
  const end = text.indexOf("]]>", at + 9)
  if (end === -1) return "CDATA section is never closed"
  open.run += text.slice(at + 9, end)
  reading.at = end + 3
  return null
}

/** Processing instructions are dropped; the text around them stays one run. */
const instruction = (reading: Reading): string | null => {
  const { text, at } = reading
  const nameEnd = qualifiedNameEnd(text, at + 2)
  const target = nameEnd === -1 ? "" : text.slice(at + 2, nameEnd)
  if (target === "" || target.includes(":")) return "processing instruction without a proper target"
  if (target.toLowerCase() === "xml") return "XML declaration after the beginning of the document"
  const end = text.indexOf("?>", nameEnd)
  if (end === -1) return "processing instruction is never closed"
  if (end !== nameEnd && !isSpace(text.charCodeAt(nameEnd)))
    return "processing instruction without a proper target"
  reading.at = end + 2
  return null
}

const endTag = (reading: Reading): string | null => {
  const { text, at, open } = reading
  if (open === null) return "end tag without start tag"
  const { qualified } = open
  const end = skipSpace(text, at + 2 + qualified.length)
  if (!text.startsWith(qualified, at + 2) || text.charCodeAt(end) !== greater) {
    return `<${qualified}> is not closed by its own end tag`
  }
  reading.at = end + 1
  close(reading, open)
  return null
}

const startTag = (reading: Reading): string | null => {
  const { text, at, limits } = reading
  if (reading.open === null && reading.elements > 0) return "second root element"
  const nameEnd = qualifiedNameEnd(text, at + 1)
  if (nameEnd === -1) return "< without a proper name after it"
  const qualified = text.slice(at + 1, nameEnd)
  reading.elements += 1
  if (reading.elements > limits.elementsMax) return `more than ${limits.elementsMax} elements`
  if (reading.depth >= limits.depthMax) return `more than ${limits.depthMax} elements inside one another`
  reading.at = nameEnd
  const why = attributes(reading, qualified)
  if (why !== null) return why
  const isEmpty = text.charCodeAt(reading.at) === slash
  if (isEmpty && text.charCodeAt(reading.at + 1) !== greater) return `<${qualified}> has a stray slash`
  reading.at += isEmpty ? 2 : 1
  if (reading.open !== null) endRun(reading.open)
  const open = opened(reading, qualified)
  reading.open = open
  reading.depth += 1
  if (isEmpty) close(reading, open)
  return null
}

/** Reads names and values as written. Leaves `at` on the `>` or `/` that ends the list. */
const attributes = (reading: Reading, element: string): string | null => {
  const { text, names, limits } = reading
  names.length = 0
  reading.values.length = 0
  for (;;) {
    const from = skipSpace(text, reading.at)
    const first = text.charCodeAt(from)
    if (first === greater || first === slash) {
      reading.at = from
      return null
    }
    if (from >= text.length) return `<${element}> is not finished`
    if (from === reading.at) return `<${element}> has attributes without a space before them`
    const nameEnd = qualifiedNameEnd(text, from)
    if (nameEnd === -1) return `<${element}> has an attribute without a proper name`
    const name = text.slice(from, nameEnd)
    // at most attributesMax names, so the search is bounded
    if (names.includes(name)) return `<${element}> has two attributes ${name}`
    names.push(name)
    if (names.length > limits.attributesMax)
      return `<${element}> has more than ${limits.attributesMax} attributes`
    const sign = skipSpace(text, nameEnd)
    if (text.charCodeAt(sign) !== equals) return `attribute ${name} has no value`
    reading.at = skipSpace(text, sign + 1)
    if (!quotedValue(reading)) return `value of attribute ${name} is not quoted properly`
  }
}

/** Reads the quoted value at `at`; false when it is not quoted, not closed or holds a `<`. */
const quotedValue = (reading: Reading): boolean => {
  const { text, values } = reading
  const from = reading.at + 1
  const mark = text.charCodeAt(reading.at)
  if (mark !== quote && mark !== apostrophe) return false
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === mark) {
      values.push(text.slice(from, at))
      reading.at = at + 1
      return true
    }
    if (code === less) return false
  }
  return false
}

/** The element of the tag that was read: what its name and its attributes mean. */
const opened = (reading: Reading, qualified: string): Open => {
  const { open: outer, names } = reading
  const declared = names.length === 0 ? none : declare(reading)
  const colon = qualified.indexOf(":")
  const prefix = colon === -1 ? "" : qualified.slice(0, colon)
  return {
    outer,
    qualified,
    namespace: namespaceOf(reading, prefix),
    name: colon === -1 ? qualified : qualified.slice(colon + 1),
    prefix,
    attributes: names.length === declared.length ? none : resolvedAttributes(reading),
    declared,
    children: null,
    run: "",
  }
}

/** Binds the prefixes that the tag declares and returns them, to be unbound at the element's end. */
const declare = (reading: Reading): readonly string[] => {
  const { names } = reading
  let declared: string[] | null = null
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!
    if (!isDeclaration(name)) continue
    const prefix = bind(reading, name, valueAt(reading, index))
    if (declared === null) declared = [prefix]
    else declared.push(prefix)
  }
  return declared ?? none
}

const resolvedAttributes = (reading: Reading): readonly Attribute[] => {
  const { names } = reading
  const attributes: Attribute[] = []
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!
    if (!isDeclaration(name)) attributes.push(attributeOf(reading, name, valueAt(reading, index)))
  }
  checkRepeated(reading, attributes)
  return attributes
}

const valueAt = (reading: Reading, index: number): string => attributeValue(reading, reading.values[index]!)

const close = (reading: Reading, open: Open): void => {
  endRun(open)
  const { outer, namespace, name, prefix, children, declared } = open
  const element: Element = {
    _tag: "Element",
    namespace,
    name,
    prefix,
    attributes: open.attributes,
    children: children ?? none,
  }
  if (declared.length > 0) unbind(reading, declared)
  if (outer === null) reading.root = element
  else addChild(outer, element)
  reading.open = outer
  reading.depth -= 1
}

const endRun = (open: Open): void => {
  if (open.run === "") return
  addChild(open, { _tag: "Text", text: open.run })
  open.run = ""
}

/** Most elements have one child: an array that begins with it is as large as it has to be. */
const addChild = (open: Open, child: Node): void => {
  if (open.children === null) open.children = [child]
  else open.children.push(child)
}
