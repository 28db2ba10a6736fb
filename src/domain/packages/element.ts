/**
 * The lossless XML tree that event packages work on, and the shape of the codec that reads and prints it.
 *
 * A tree is a value: packages may keep it, share it and build new ones from its parts. Text ↔ tree is an adapter
 * (`adapters/xml/codec.ts`), handed to packages when they are made.
 */

export interface Element {
  readonly _tag: "Element"
  /** Namespace URI; empty when the element is in none. */
  readonly namespace: string
  readonly name: string
  /** The prefix as written, empty for the default namespace: a hint for printing, never a part of the meaning. */
  readonly prefix: string
  readonly attributes: readonly Attribute[]
  readonly children: readonly Node[]
}

export interface Attribute {
  /** Namespace URI; empty for an attribute without prefix. */
  readonly namespace: string
  readonly name: string
  readonly prefix: string
  readonly value: string
}

export type Node = Element | Text | Comment
/** Character data with references already decoded; a CDATA section is text as well. */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
}
export interface Comment {
  readonly _tag: "Comment"
  readonly text: string
}

export type XmlResult =
  | { readonly _tag: "Parsed"; readonly root: Element }
  | { readonly _tag: "Malformed"; readonly why: string }

export interface XmlCodec {
  /** Reads one document; total: any text gives a tree or a reason. */
  readonly parse: (text: string) => XmlResult
  /** Prints a document with XML declaration; equal trees give equal text. */
  readonly print: (root: Element) => string
}

/** Makes an element; attributes are given by name and are in no namespace. */
export const element = (
  namespace: string,
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  children: readonly (Node | string)[] = [],
  prefix = "",
): Element => ({
  _tag: "Element",
  namespace,
  name,
  prefix,
  attributes: Object.entries(attributes).map(([key, value]) => ({
    namespace: "",
    name: key,
    prefix: "",
    value,
  })),
  children: children.map((child) => (typeof child === "string" ? { _tag: "Text", text: child } : child)),
})

export const isNamed = (node: Node, namespace: string, name: string): node is Element =>
  node._tag === "Element" && node.name === name && node.namespace === namespace

/** The first child element of that name. */
export const child = (parent: Element, namespace: string, name: string): Element | null =>
  parent.children.find((node): node is Element => isNamed(node, namespace, name)) ?? null

export const childrenNamed = (parent: Element, namespace: string, name: string): readonly Element[] =>
  parent.children.filter((node): node is Element => isNamed(node, namespace, name))

export const attribute = (parent: Element, name: string, namespace = ""): string | null => {
  for (const candidate of parent.attributes)
    if (candidate.name === name && candidate.namespace === namespace) return candidate.value
  return null
}

/** All character data of an element and the elements in it; comments are not data. */
export const textOf = (parent: Element): string => {
  let text = ""
  for (const node of parent.children) {
    if (node._tag === "Text") text += node.text
    else if (node._tag === "Element") text += textOf(node)
  }
  return text
}

export const withChildren = (parent: Element, children: readonly Node[]): Element => ({ ...parent, children })

/** Sets an attribute in no namespace, at its place when it was there and at the end when not. */
export const withAttribute = (parent: Element, name: string, value: string): Element => {
  const isSame = (candidate: Attribute): boolean => candidate.name === name && candidate.namespace === ""
  const set: Attribute = { namespace: "", name, prefix: "", value }
  const attributes = parent.attributes.some(isSame)
    ? parent.attributes.map((candidate) => (isSame(candidate) ? set : candidate))
    : [...parent.attributes, set]
  return { ...parent, attributes }
}

/**
 * A text that two elements share exactly when they mean the same: prefixes and the order of attributes do not count,
 * comments and white space do. O(size).
 */
export const canonical = (node: Element): string => JSON.stringify(canonicalNode(node))

const canonicalNode = (node: Node): unknown => {
  if (node._tag !== "Element") return [node._tag, node.text]
  const attributes = node.attributes.map(({ namespace, name, value }) =>
    JSON.stringify([namespace, name, value]),
  )
  return [node.namespace, node.name, attributes.sort(), node.children.map(canonicalNode)]
}
