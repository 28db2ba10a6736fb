/**
 * The first look at a document: everything that makes a text well-formed XML of the kind we take, in one pass.
 *
 * The parser behind it is lenient (it checks no end tags and takes text anywhere), so nothing reaches it that this
 * scan has not approved: what the scan lets through, the parser reads one way only. What references and prefixes mean
 * is settled later, on the tree. Nothing is allocated in proportion to what a peer merely claims, and each character
 * is looked at a bounded number of times.
 */
import { begin } from "./begin.ts"
import { isSpace, qualifiedNameEnd, skipSpace } from "./characters.ts"
import type { XmlLimits } from "./limits.ts"

export type Scanned =
  | {
      readonly _tag: "WellFormed"
      /** The document without declaration; each processing instruction became a comment `droppedMark`. */
      readonly text: string
      readonly elements: number
      readonly attributes: number
    }
  | { readonly _tag: "Malformed"; readonly why: string }

/** Stands where a processing instruction stood; no document can hold this character itself. */
export const droppedMark = "\uffff"
const droppedComment = `<!--${droppedMark}-->`

interface Scan {
  readonly text: string
  readonly limits: XmlLimits
  at: number
  /** Names of the open elements, outermost first. */
  readonly open: string[]
  rootSeen: boolean
  elements: number
  attributes: number
  /** Where the next `]]>` is at or after `at`; the text's length when there is none. */
  cdataEnd: number
  /** What the parser gets instead, up to `kept`. */
  replaced: string
  kept: number
}

/** Checks one document; total. O(length). */
export const scan = (document: string, limits: XmlLimits): Scanned => {
  const begun = begin(document, limits)
  if (typeof begun === "string") return malformed(begun)
  const { text, from } = begun
  const state: Scan = {
    text,
    limits,
    at: from,
    open: [],
    rootSeen: false,
    elements: 0,
    attributes: 0,
    cdataEnd: -1,
    replaced: "",
    kept: from,
  }
  const why = content(state)
  if (why !== null) return malformed(why)
  return {
    _tag: "WellFormed",
    text: state.replaced + text.slice(state.kept),
    elements: state.elements,
    attributes: state.attributes,
  }
}

const malformed = (why: string): Scanned => ({ _tag: "Malformed", why })

const exclamation = 0x21
const slash = 0x2f
const less = 0x3c
const equals = 0x3d
const greater = 0x3e
const question = 0x3f
const quote = 0x22
const apostrophe = 0x27

const content = (state: Scan): string | null => {
  const { text } = state
  for (;;) {
    const tag = text.indexOf("<", state.at)
    const why = characters(state, tag === -1 ? text.length : tag)
    if (why !== null) return why
    if (tag === -1) break
    state.at = tag
    const wrong = markup(state)
    if (wrong !== null) return wrong
  }
  if (state.open.length > 0) return `<${state.open.at(-1)}> is never closed`
  return state.rootSeen ? null : "no root element"
}

const characters = (state: Scan, end: number): string | null => {
  const { text } = state
  if (state.open.length === 0) {
    for (let at = state.at; at < end; at += 1) {
      if (!isSpace(text.charCodeAt(at))) return "text outside the root element"
    }
  } else if (state.at < end) {
    if (state.cdataEnd < state.at) {
      const found = text.indexOf("]]>", state.at)
      state.cdataEnd = found === -1 ? text.length : found
    }
    if (state.cdataEnd < end) return "]]> in text"
  }
  return null
}

const markup = (state: Scan): string | null => {
  switch (state.text.charCodeAt(state.at + 1)) {
    case exclamation:
      return state.text.startsWith("<!--", state.at) ? comment(state) : cdata(state)
    case question:
      return instruction(state)
    case slash:
      return endTag(state)
    default:
      return startTag(state)
  }
}

const comment = (state: Scan): string | null => {
  const end = state.text.indexOf("--", state.at + 4)
  if (end === -1) return "comment is never closed"
  if (state.text.charCodeAt(end + 2) !== greater) return "-- inside a comment"
  state.at = end + 3
  return null
}

/** Anything that begins with `<!` and is neither comment nor CDATA section ends here, a document type first of all. */
const cdata = (state: Scan): string | null => {
  if (!state.text.startsWith("<![CDATA[", state.at))
    return "document type and other declarations are not supported"
  if (state.open.length === 0) return "CDATA section outside the root element"
  const end = state.text.indexOf("]]>", state.at + 9)
  if (end === -1) return "CDATA section is never closed"
  state.at = end + 3
  return null
}

const instruction = (state: Scan): string | null => {
  const { text } = state
  const nameEnd = qualifiedNameEnd(text, state.at + 2)
  const target = nameEnd === -1 ? "" : text.slice(state.at + 2, nameEnd)
  if (target === "" || target.includes(":")) return "processing instruction without a proper target"
  if (target.toLowerCase() === "xml") return "XML declaration after the beginning of the document"
  const end = text.indexOf("?>", nameEnd)
  if (end === -1) return "processing instruction is never closed"
  if (end !== nameEnd && !isSpace(text.charCodeAt(nameEnd)))
    return "processing instruction without a proper target"
  state.replaced += text.slice(state.kept, state.at) + droppedComment
  state.at = end + 2
  state.kept = state.at
  return null
}

const endTag = (state: Scan): string | null => {
  const { text } = state
  const name = state.open.pop()
  if (name === undefined) return "end tag without start tag"
  const nameEnd = state.at + 2 + name.length
  const end = skipSpace(text, nameEnd)
  if (!text.startsWith(name, state.at + 2) || text.charCodeAt(end) !== greater) {
    return `<${name}> is not closed by its own end tag`
  }
  state.at = end + 1
  return null
}

const startTag = (state: Scan): string | null => {
  const { text, limits, open } = state
  if (open.length === 0 && state.rootSeen) return "second root element"
  state.rootSeen = true
  const nameEnd = qualifiedNameEnd(text, state.at + 1)
  if (nameEnd === -1) return "< without a proper name after it"
  const name = text.slice(state.at + 1, nameEnd)
  state.elements += 1
  if (state.elements > limits.elementsMax) return `more than ${limits.elementsMax} elements`
  if (open.length >= limits.depthMax) return `more than ${limits.depthMax} elements inside one another`
  state.at = nameEnd
  const why = attributes(state, name)
  if (why !== null) return why
  if (text.charCodeAt(state.at) === slash) {
    if (text.charCodeAt(state.at + 1) !== greater) return `<${name}> has a stray slash`
    state.at += 2
  } else {
    open.push(name)
    state.at += 1
  }
  return null
}

/** Leaves `state.at` on the `>` or `/` that ends the list. */
const attributes = (state: Scan, element: string): string | null => {
  const { text, limits } = state
  const seen: string[] = []
  for (;;) {
    const from = skipSpace(text, state.at)
    const first = text.charCodeAt(from)
    if (first === greater || first === slash) {
      state.at = from
      state.attributes += seen.length
      return null
    }
    if (from >= text.length) return `<${element}> is not finished`
    if (from === state.at) return `<${element}> has attributes without a space before them`
    const nameEnd = qualifiedNameEnd(text, from)
    if (nameEnd === -1) return `<${element}> has an attribute without a proper name`
    const name = text.slice(from, nameEnd)
    // At most attributesMax names, so the search is bounded.
    if (seen.includes(name)) return `<${element}> has two attributes ${name}`
    seen.push(name)
    if (seen.length > limits.attributesMax)
      return `<${element}> has more than ${limits.attributesMax} attributes`
    const sign = skipSpace(text, nameEnd)
    if (text.charCodeAt(sign) !== equals) return `attribute ${name} has no value`
    const end = attributeValueEnd(text, skipSpace(text, sign + 1))
    if (end === -1) return `value of attribute ${name} is not quoted properly`
    state.at = end
  }
}

/** Where the quoted value that begins at `from` ends; -1 when it is not quoted, not closed or holds a `<`. */
const attributeValueEnd = (text: string, from: number): number => {
  const mark = text.charCodeAt(from)
  if (mark !== quote && mark !== apostrophe) return -1
  for (let at = from + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === mark) return at + 1
    if (code === less) return -1
  }
  return -1
}
