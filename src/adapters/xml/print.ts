/**
 * Element tree → text: the printer.
 *
 * The namespace of the root becomes the default, every other one gets a prefix declared at the root; the prefix is the
 * one the tree suggests, made unique when two namespaces suggest the same. Equal trees give equal text.
 *
 * What each child of the root prints as is remembered beside it: a composed document is made of elements that were
 * printed before, and only its frame is new.
 */
import type { Attribute, Element } from "../../domain/packages/element.ts"
import { xmlNamespace } from "./characters.ts"

const head = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Prints one document. O(length), or O(number of the root's children) when those were printed before. */
export const print = (root: Element): string => {
  const prefixes = prefixesFor(root)
  const opening = `<${tagName(root, root.namespace, prefixes)}${declarations(root, prefixes)}`
  const tag = opening + printAttributes(root.attributes, prefixes)
  if (root.children.length === 0) return `${head}${tag}/>\n`
  let inner = ""
  for (const child of root.children) {
    if (child._tag === "Element") inner += printChild(child, root.namespace, prefixes)
    else inner += child._tag === "Text" ? escapeText(child.text) : printComment(child.text)
  }
  return `${head}${tag}>${inner}</${tagName(root, root.namespace, prefixes)}>\n`
}

/** Prefix by namespace, for every namespace that cannot go without. */
type Prefixes = ReadonlyMap<string, string>

/** One namespace that a part of a tree mentions. */
interface Mention {
  readonly namespace: string
  readonly hint: string
  /** An attribute cannot use the default namespace, so it needs a prefix even for the root's. */
  readonly byAttribute: boolean
}

/** What is known about a child of some root; elements never change, so it holds as long as they live. */
interface Known {
  /** The namespaces of the element and all below it, in order of appearance. */
  readonly mentions: readonly Mention[]
  rootNamespace: string
  /** The prefixes that `text` was printed with, in the order of `mentions`. */
  prefixes: readonly (string | undefined)[]
  /** Null before the first time. */
  text: string | null
}

const knowledge = new WeakMap<Element, Known>()

/** O(size) once per element. */
const knownOf = (element: Element): Known => {
  const known = knowledge.get(element)
  if (known !== undefined) return known
  const found = collection()
  collect(element, found)
  const fresh: Known = { mentions: found.mentions, rootNamespace: "", prefixes: [], text: null }
  knowledge.set(element, fresh)
  return fresh
}

/** Mentions so far, and which namespaces they are of: by elements, by attributes. */
interface Collection {
  readonly mentions: Mention[]
  readonly byElements: Set<string>
  readonly byAttributes: Set<string>
}

const collection = (): Collection => ({ mentions: [], byElements: new Set(), byAttributes: new Set() })

const collect = (element: Element, found: Collection): void => {
  collectOwn(element, found)
  for (const child of element.children) if (child._tag === "Element") collect(child, found)
}

const collectOwn = (element: Element, found: Collection): void => {
  if (!found.byElements.has(element.namespace)) mention(found, element.namespace, element.prefix, false)
  for (const { namespace, prefix } of element.attributes) {
    if (namespace !== "" && !found.byAttributes.has(namespace)) mention(found, namespace, prefix, true)
  }
}

const mention = (found: Collection, namespace: string, hint: string, byAttribute: boolean): void => {
  if (byAttribute) found.byAttributes.add(namespace)
  else found.byElements.add(namespace)
  if (namespace !== "" && namespace !== xmlNamespace) found.mentions.push({ namespace, hint, byAttribute })
}

const prefixesFor = (root: Element): Prefixes => {
  const prefixes = new Map<string, string>()
  const giving: Giving = { prefixes, taken: new Set(), counts: new Map() }
  const own = collection()
  collectOwn(root, own)
  assign(own.mentions, root.namespace, giving)
  for (const child of root.children) {
    if (child._tag === "Element") assign(knownOf(child).mentions, root.namespace, giving)
  }
  return prefixes
}

/** Prefixes being given out. */
interface Giving {
  readonly prefixes: Map<string, string>
  readonly taken: Set<string>
  /** Where the numbers after each hint have got to. */
  readonly counts: Map<string, number>
}

const assign = (mentions: readonly Mention[], rootNamespace: string, giving: Giving): void => {
  for (const { namespace, hint, byAttribute } of mentions) {
    if (giving.prefixes.has(namespace) || (namespace === rootNamespace && !byAttribute)) continue
    const prefix = freePrefix(hint, giving)
    giving.taken.add(prefix)
    giving.prefixes.set(namespace, prefix)
  }
}

/** The hint, or the hint with the first free number; names beginning with `xml` are not ours to give. */
const freePrefix = (hint: string, { taken, counts }: Giving): string => {
  const wanted = hint === "" || /^xml/i.test(hint) ? "ns" : hint
  if (!taken.has(wanted)) return wanted
  let count = counts.get(wanted) ?? 2
  while (taken.has(`${wanted}${count}`)) count += 1
  counts.set(wanted, count + 1)
  return `${wanted}${count}`
}

const declarations = (root: Element, prefixes: Prefixes): string => {
  let declared =
    root.namespace === "" || root.namespace === xmlNamespace ? "" : declaration("", root.namespace)
  for (const [namespace, prefix] of prefixes) declared += declaration(`:${prefix}`, namespace)
  return declared
}

const declaration = (suffix: string, namespace: string): string =>
  ` xmlns${suffix}="${escapeValue(namespace)}"`

const printChild = (child: Element, rootNamespace: string, prefixes: Prefixes): string => {
  const known = knownOf(child)
  const { mentions } = known
  const fits =
    known.text !== null &&
    known.rootNamespace === rootNamespace &&
    mentions.every(({ namespace }, index) => prefixes.get(namespace) === known.prefixes[index])
  if (fits && known.text !== null) return known.text
  const text = printElement(child, rootNamespace, rootNamespace, prefixes)
  known.rootNamespace = rootNamespace
  known.prefixes = mentions.map(({ namespace }) => prefixes.get(namespace))
  known.text = text
  return text
}

/**
 * @param outer what an unprefixed name means where the element stands; it differs from `rootNamespace` only inside
 *   elements in no namespace, which no prefix can express
 */
const printElement = (element: Element, outer: string, rootNamespace: string, prefixes: Prefixes): string => {
  const { namespace, children } = element
  const unprefixed = namespace === "" || namespace === rootNamespace
  const anew = unprefixed && namespace !== outer
  const inner = anew ? namespace : outer
  const name = tagName(element, rootNamespace, prefixes)
  const tag = `<${name}${anew ? declaration("", namespace) : ""}${printAttributes(element.attributes, prefixes)}`
  if (children.length === 0) return `${tag}/>`
  let text = `${tag}>`
  for (const child of children) {
    if (child._tag === "Text") text += escapeText(child.text)
    else if (child._tag === "Element") text += printElement(child, inner, rootNamespace, prefixes)
    else text += printComment(child.text)
  }
  return `${text}</${name}>`
}

const tagName = ({ namespace, name }: Element, rootNamespace: string, prefixes: Prefixes): string => {
  if (namespace === xmlNamespace) return `xml:${name}`
  if (namespace === "" || namespace === rootNamespace) return name
  return `${prefixes.get(namespace)}:${name}`
}

const printAttributes = (attributes: readonly Attribute[], prefixes: Prefixes): string => {
  let text = ""
  for (const { namespace, name, value } of attributes) {
    const prefix = namespace === xmlNamespace ? "xml" : prefixes.get(namespace)
    text += ` ${namespace === "" ? name : `${prefix}:${name}`}="${escapeValue(value)}"`
  }
  return text
}

// Everything that cannot stand for itself, and what XML cannot hold at all (it becomes U+FFFD: printing is total).
// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const inText = /[&<>\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/
// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const inValue = /[&<>"\t\n\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/
const everyInText = new RegExp(inText.source, "g")
const everyInValue = new RegExp(inValue.source, "g")

const escapes = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["\t", "&#9;"],
  ["\n", "&#10;"],
  ["\r", "&#13;"],
])

const escape = (character: string): string => escapes.get(character) ?? "\ufffd"

const escapeText = (text: string): string =>
  (inText.test(text) ? text.replace(everyInText, escape) : text).toWellFormed()

const escapeValue = (value: string): string =>
  (inValue.test(value) ? value.replace(everyInValue, escape) : value).toWellFormed()

/** A comment has no escapes: what would end it early is pulled apart. */
const printComment = (text: string): string => {
  const safe = escapeComment(text)
  return `<!--${safe.endsWith("-") ? `${safe} ` : safe}-->`
}

const escapeComment = (text: string): string =>
  text
    .replace(/-(?=-)/g, "- ")
    .replace(everyForbidden, "\ufffd")
    .toWellFormed()

// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const everyForbidden = /[\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
