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
