/**
 * The frame of XML documents that are numbered within each subscription: dialogs (RFC 4235 §4.1), registrations (RFC
 * 3680 §5), conferences (RFC 4575 §4). The root has `version` and `state`; the package interprets its content.
 */
import type { Body } from "../vocabulary.ts"
import { attribute, isNamed } from "./element.ts"
import type { Attribute, Element, XmlCodec } from "./element.ts"

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

export interface NumberedFormat<State extends string = string> {
  readonly contentType: string
  readonly namespace: string
  /** The name of the root element. */
  readonly name: string
  /** The values of `state`; the first one is the default. */
  readonly states: readonly [State, ...State[]]
  /** Whether the root has the attribute `entity`. */
  readonly hasEntity: boolean
}

export interface Frame<State extends string = string> {
  /** Empty for formats without it. */
  readonly entity: string
  readonly state: State
  /** As published; null: not stated. A document that we send gets its version when it is sent. */
  readonly version: number | null
  /** Attributes of the root besides `version`, `state` and `entity`. */
  readonly attributes: readonly Attribute[]
  /** The child elements of the root, with the attributes that they inherit from it. */
  readonly children: readonly Element[]
}

/**
 * Parses the frame of a published document; total. Publishers omit `version` and `state`, so both are optional.
 *
 * @returns a text that names the fault
 */
export const readFrame = <State extends string>(
  body: Body,
  format: NumberedFormat<State>,
  xml: XmlCodec,
): Frame<State> | string => {
  const { namespace, name, states, hasEntity } = format
  const read = xml.parse(body.text)
  if (read._tag === "Malformed") return read.why
  const { root } = read
  if (!isNamed(root, namespace, name)) return `root is not <${name}>`
  const entity = hasEntity ? attribute(root, "entity") : ""
  if (entity === null || (hasEntity && entity.trim() === "")) return `<${name}> without entity`
  if (/\p{Cc}/u.test(entity)) return "entity with a control character"
  const version = versionOf(root)
  if (version === undefined) return "version is not a 32-bit number"
  const value = attribute(root, "state")?.trim() ?? states[0]
  const state = states.find((candidate) => candidate === value)
  if (state === undefined) return `state is neither ${states.slice(0, -1).join(", ")} nor ${states.at(-1)}`
  const own = hasEntity ? ["version", "state", "entity"] : ["version", "state"]
  const attributes = root.attributes.filter((attribute) =>
    attribute.namespace === "" ? !own.includes(attribute.name) : attribute.namespace !== xmlNamespace,
  )
  return { entity, state, version, attributes, children: inheriting(root) }
}

/**
 * The placeholder for the version in a rendered document: as long as the longest version, and parsed as if none was
 * stated.
 */
const placeholder = "0000000000"
const versionMax = 0xffff_ffff

/** @returns undefined if the attribute is present but no version */
const versionOf = (root: Element): number | null | undefined => {
  const text = attribute(root, "version")?.trim()
  if (text === undefined || text === placeholder) return null
  return /^[0-9]+$/.test(text) && Number(text) <= versionMax ? Number(text) : undefined
}

/**
 * The child elements, each with `xml:lang` and similar attributes that it inherited, because the parent is rewritten.
 */
export const inheriting = (parent: Element): readonly Element[] => {
  const inherited = parent.attributes.filter(({ namespace }) => namespace === xmlNamespace)
  return parent.children
    .filter((node) => node._tag === "Element")
    .map((element) => {
      const missing = inherited.filter(({ name }) => attribute(element, name, xmlNamespace) === null)
      return missing.length === 0 ? element : { ...element, attributes: [...element.attributes, ...missing] }
    })
}

/**
 * Writes a document without its version: equal documents give equal bodies, and `withVersion` makes one for a watcher.
 */
export const renderFrame = (
  frame: Omit<Frame, "version">,
  { contentType, namespace, name, hasEntity }: NumberedFormat,
  xml: XmlCodec,
): Body => {
  const { state, entity, attributes, children } = frame
  const own = { version: placeholder, state, ...(hasEntity ? { entity } : {}) }
  const root: Element = {
    _tag: "Element",
    namespace,
    name,
    prefix: "",
    attributes: [
      ...Object.entries(own).map(([key, value]) => ({ namespace: "", name: key, prefix: "", value })),
      ...attributes,
    ],
    children,
  }
  return { contentType, text: xml.print(root) }
}

/**
 * What stands in the root tag of a rendered document and cannot occur before it, because values contain no bare quotes.
 */
const versionPlace = ` version="${placeholder}"`

/**
 * A rendered document with its version; any other body unchanged. O(length), without parsing XML.
 *
 * @param version at most 2^32 - 1
 */
export const withVersion = (body: Body, version: number): Body => {
  const at = body.text.indexOf(versionPlace)
  if (at === -1) return body
  const rest = body.text.slice(at + versionPlace.length)
  return { ...body, text: `${body.text.slice(0, at)} version="${version}"${rest}` }
}
