/**
 * The `presence` package: PIDF documents (RFC 3863) with the data model's persons and devices (RFC 4479).
 *
 * A document is a number of sorted lists of elements, each as it was published: unknown elements are carried along
 * (RFC 3863 §4.2.3). Values are not checked; only what composing needs is required: the root, its entity, and ids.
 * Composing itself is in `pidf-compose.ts`.
 */
import { hasNeed } from "../vocabulary.ts"
import type { Body } from "../vocabulary.ts"
import { attribute, isNamed } from "./element.ts"
import type { Attribute, Element, XmlCodec } from "./element.ts"
import type { Composition, DocumentForm, EventPackage, Mixing, Parsed, Source } from "./event-package.ts"
import { needsOneTuple, needsXpidf } from "./phone-needs.ts"
import { compose } from "./pidf-compose.ts"
import type { IdCollision } from "./pidf-compose.ts"
import {
  dataModelNamespace,
  freeName,
  idOf,
  offline,
  pidfNamespace,
  registrarDevice,
  withId,
} from "./pidf-document.ts"
import type { Lists, Pidf } from "./pidf-document.ts"
import { pidfRules } from "./pidf-rules.ts"
import type { RulesOptions } from "./presence-rules.ts"
import { isOpen, renderXpidf, xpidfType } from "./xpidf.ts"

export type { IdCollision } from "./pidf-compose.ts"
export { dataModelNamespace, pidfNamespace } from "./pidf-document.ts"
export type { Pidf } from "./pidf-document.ts"

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"
const contentType = "application/pidf+xml"

export interface PresenceOptions {
  readonly xml: XmlCodec
  /** Shows a closed tuple instead of nothing when nothing is published (OpenSIPS `notify_offline_body`). */
  readonly notifyOfflineBody?: boolean
  /** Shows the tuples of an ended publication closed, once (OpenSIPS `generate_offline_body`). */
  readonly generateOfflineBody?: boolean
  /** What becomes of two publications' elements with one id; see `IdCollision`. */
  readonly idCollision?: IdCollision
  readonly notifyIntervalMillis?: number
  /** State of another package that shows in presence (`dialog-presence.ts`); absent: none. */
  readonly mixes?: Mixing<Pidf>
  /** How authorization documents are read; absent: there are none, and everybody sees everything. */
  readonly rules?: RulesOptions
  /** Reads authorization documents; absent: `xml`. */
  readonly rulesXml?: XmlCodec
}

/** @source RFC 3856 §6 (package), RFC 3863 (format), RFC 4479 (data model) */
export const presence = (options: PresenceOptions): EventPackage<Pidf, "presence"> => {
  const { xml, notifyOfflineBody = false, generateOfflineBody = true } = options
  const { idCollision = "newest", notifyIntervalMillis = 5_000 } = options
  return {
    name: "presence",
    watchers: "rules",
    accepts: [contentType],
    produces: [contentType],
    defaultExpires: 3_600,
    entityTags: "new-each-time",
    notifyIntervalMillis,
    parse: (body) => parse(body, xml),
    ...(options.rules === undefined ? {} : { rules: pidfRules(options.rulesXml ?? xml, options.rules) }),
    ...(options.mixes === undefined ? {} : { mixes: options.mixes }),
    readsDevices: true,
    compose: (given) => {
      const input = withoutRegistrar(given)
      if (notifyOfflineBody && input.documents.length === 0) return offline(input.presentity)
      return compose(generateOfflineBody ? input : { ...input, ended: [] }, idCollision)
    },
    render: (document) => (document.isXpidf === true ? renderXpidf(document, xml) : render(document, xml)),
    tailor,
    otherForms,
    // where ended publications leave nothing behind, late watchers see nothing of them either
    offline: (presentity) => (generateOfflineBody || notifyOfflineBody ? offline(presentity) : null),
  }
}

/** That somebody is registered says less than what any device of theirs says. */
const withoutRegistrar = (input: Composition<Pidf>): Composition<Pidf> => {
  const isRegistrar = ({ order }: Source<Pidf>): boolean => order?.device === registrarDevice
  const isDevice = (source: Source<Pidf>): boolean => source.order !== undefined && !isRegistrar(source)
  return input.documents.some(isRegistrar) && input.documents.some(isDevice)
    ? { ...input, documents: input.documents.filter((source) => !isRegistrar(source)) }
    : input
}

/** Sent only to phones that know nothing newer. */
const otherForms: ReadonlyMap<string, string> = new Map([[xpidfType, needsXpidf]])

const tailor = (document: Pidf, { needs }: DocumentForm): Pidf => {
  const fewer = hasNeed(needs, needsOneTuple) ? withOneTuple(document) : document
  return hasNeed(needs, needsXpidf) ? { ...fewer, isXpidf: true } : fewer
}

/** The newest tuple that is open, or else the newest: a phone that looks at one tuple must not miss that somebody is there. */
const withOneTuple = (document: Pidf): Pidf => {
  const { tuples } = document
  const shown = tuples.findLast(isOpen) ?? tuples.at(-1)
  return shown === undefined || tuples.length === 1 ? document : { ...document, tuples: [shown] }
}

/** @source RFC 3863 §4.1; that so little is required follows RFC 4479 §5. */
const parse = (body: Body, xml: XmlCodec): Parsed<Pidf> => {
  const read = xml.parse(body.text)
  if (read._tag === "Malformed") return unreadable(read.why)
  // RFC 3863 §4.1.1 writes the namespace with a colon at its end, §4.2.2 without: both are taken, the latter is sent.
  const misspelt = read.root.namespace === `${pidfNamespace}:`
  const root = misspelt ? withNamespace(read.root, read.root.namespace, pidfNamespace) : read.root
  if (!isNamed(root, pidfNamespace, "presence")) return unreadable("root is not <presence> of PIDF")
  const entity = attribute(root, "entity")
  if (entity === null || entity.trim() === "") return unreadable("<presence> without entity")
  if (!isOneLine(entity)) return unreadable("entity with a control character")
  const children = inheriting(root)
  const identified = uniquelyIdentified(children)
  if (typeof identified === "string") return unreadable(identified)
  const isKept = ({ namespace, name }: Attribute): boolean =>
    namespace !== xmlNamespace && !(namespace === "" && name === "entity")
  return {
    _tag: "Parsed",
    document: { entity, attributes: root.attributes.filter(isKept), ...sorted(identified) },
  }
}

const unreadable = (why: string): Parsed<Pidf> => ({ _tag: "Unreadable", why })

const isOneLine = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return false
  }
  return true
}

const withNamespace = (element: Element, from: string, to: string): Element => ({
  ...element,
  namespace: element.namespace === from ? to : element.namespace,
  attributes: element.attributes.map((item) => (item.namespace === from ? { ...item, namespace: to } : item)),
  children: element.children.map((node) => (node._tag === "Element" ? withNamespace(node, from, to) : node)),
})

/**
 * The root's child elements, each with the `xml:lang` (or `xml:space`, `xml:base`) it had by inheritance: in a composed
 * document the root belongs to no publication, so what it says about its children moves to them.
 */
const inheriting = (root: Element): readonly Element[] => {
  const elements = root.children.filter((node) => node._tag === "Element")
  const inherited = root.attributes.filter(({ namespace }) => namespace === xmlNamespace)
  if (inherited.length === 0) return elements
  return elements.map((element) => {
    const missing = inherited.filter(({ name }) => attribute(element, name, xmlNamespace) === null)
    return missing.length === 0 ? element : { ...element, attributes: [...element.attributes, ...missing] }
  })
}

type Kind = keyof Lists

const kindOf = ({ namespace, name }: Element): Kind => {
  if (namespace === pidfNamespace) {
    if (name === "tuple") return "tuples"
    if (name === "note") return "notes"
  } else if (namespace === dataModelNamespace) {
    if (name === "person") return "persons"
    if (name === "device") return "devices"
  }
  return "others"
}

const needsId = (element: Element): boolean => {
  const kind = kindOf(element)
  return kind !== "notes" && kind !== "others"
}

const sorted = (elements: readonly Element[]): Lists => {
  const lists: Record<Kind, Element[]> = { tuples: [], notes: [], persons: [], devices: [], others: [] }
  for (const element of elements) lists[kindOf(element)].push(element)
  return lists
}

/**
 * Gives a later element whose id was used before in the document the first free of `id.2`, `id.3` …: the schema forbids
 * the repetition, yet refusing would lose the whole publication and dropping would lose one of its elements.
 *
 * @returns what is wrong when an element that needs an id has none
 */
const uniquelyIdentified = (elements: readonly Element[]): readonly Element[] | string => {
  const written = new Set<string>()
  let repeated = false
  for (const element of elements) {
    if (!needsId(element)) continue
    const id = idOf(element)
    if (id === "") return `<${element.name}> without id`
    repeated ||= written.has(id)
    written.add(id)
  }
  if (!repeated) return elements
  const given = new Set<string>()
  const counts = new Map<string, number>()
  return elements.map((element) => {
    if (!needsId(element)) return element
    const id = idOf(element)
    const name = given.has(id) ? freeName(id, (name) => written.has(name), counts) : id
    given.add(name)
    written.add(name)
    return withId(element, name)
  })
}

/** @source RFC 3863 §4.1.1: tuples, then notes, then everything else. */
const render = (document: Pidf, xml: XmlCodec): Body => {
  const { entity, attributes, tuples, notes, persons, devices, others } = document
  const root: Element = {
    _tag: "Element",
    namespace: pidfNamespace,
    name: "presence",
    prefix: "",
    attributes: [{ namespace: "", name: "entity", prefix: "", value: entity }, ...attributes],
    children: [...tuples, ...notes, ...persons, ...devices, ...others],
  }
  return { contentType, text: xml.print(root) }
}
