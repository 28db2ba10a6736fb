/**
 * The lossless XML tree that event packages work on, and the interface of the codec that parses and prints it.
 *
 * A tree is a value: packages may keep it, share it and build new trees from its parts. The conversion between text and
 * tree is an adapter (`adapters/xml/codec.ts`), which packages receive when they are created.
 */

export interface Element {
  readonly _tag: "Element"
  /** Namespace URI; empty when the element is in none. */
  readonly namespace: string
  readonly name: string
  /** The prefix as written, empty for the default namespace: a hint for printing, never part of the meaning. */
  readonly prefix: string
  readonly attributes: readonly Attribute[]
  readonly children: readonly Node[]
}

export interface Attribute {
  /** Namespace URI; empty for an attribute without a prefix. */
  readonly namespace: string
  readonly name: string
  readonly prefix: string
  readonly value: string
}

export type Node = Element | Text | Comment
/** Character data with references resolved; a CDATA section is text as well. */
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
  /** Parses one document. Total: every text gives a tree or a reason. */
  readonly parse: (text: string) => XmlResult
  /** Prints a document with an XML declaration; equal trees give equal text. */
  readonly print: (root: Element) => string
}

/** Creates an element; the attributes are given by name and are in no namespace. */
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

/** The first child element with that name. */
export const child = (parent: Element, namespace: string, name: string): Element | null =>
  parent.children.find((node): node is Element => isNamed(node, namespace, name)) ?? null

export const childrenNamed = (parent: Element, namespace: string, name: string): readonly Element[] =>
  parent.children.filter((node): node is Element => isNamed(node, namespace, name))

export const attribute = (parent: Element, name: string, namespace = ""): string | null => {
  for (const candidate of parent.attributes)
    if (candidate.name === name && candidate.namespace === namespace) return candidate.value
  return null
}

/** All character data of an element and its descendants; comments are not included. */
export const textOf = (parent: Element): string => {
  let text = ""
  for (const node of parent.children) {
    if (node._tag === "Text") text += node.text
    else if (node._tag === "Element") text += textOf(node)
  }
  return text
}

export const withChildren = (parent: Element, children: readonly Node[]): Element => ({ ...parent, children })

/** Sets an attribute that is in no namespace: in its place if it exists, otherwise at the end. */
export const withAttribute = (parent: Element, name: string, value: string): Element => {
  const isSame = (candidate: Attribute): boolean => candidate.name === name && candidate.namespace === ""
  const set: Attribute = { namespace: "", name, prefix: "", value }
  const attributes = parent.attributes.some(isSame)
    ? parent.attributes.map((candidate) => (isSame(candidate) ? set : candidate))
    : [...parent.attributes, set]
  return { ...parent, attributes }
}

/**
 * A text that is equal for two elements exactly if they mean the same: prefixes and the order of attributes do not
 * matter, comments and white space do. O(size).
 */
export const canonical = (node: Element): string => JSON.stringify(canonicalNode(node))

const canonicalNode = (node: Node): unknown => {
  if (node._tag !== "Element") return [node._tag, node.text]
  const attributes = node.attributes.map(({ namespace, name, value }) =>
    JSON.stringify([namespace, name, value]),
  )
  return [node.namespace, node.name, attributes.sort(), node.children.map(canonicalNode)]
}
