/**
 * The `conference` package: who takes part in a conference, and how (RFC 4575), as its focus publishes it.
 *
 * A document is kept as it was published. What this file knows of it is how a partial document changes a full one:
 * which elements have a `state` of their own, and by what several of one name are told apart.
 */
import type { Body, Uri } from "../vocabulary.ts"
import { attribute, child, textOf, withChildren } from "./element.ts"
import type { Attribute, Element, Node, XmlCodec } from "./element.ts"
import type { Composition, EventPackage, Parsed } from "./event-package.ts"
import { readFrame, renderFrame, withVersion } from "./numbered-document.ts"
import type { NumberedFormat } from "./numbered-document.ts"
import { rootAttributes } from "./pidf-compose.ts"

export const conferenceInfoNamespace = "urn:ietf:params:xml:ns:conference-info"

export interface ConferenceOptions {
  readonly xml: XmlCodec
  /** RFC 4575 §3.9: 5 s unless said otherwise. */
  readonly notifyIntervalMillis?: number
}

/** One conference information document. */
export interface ConferenceInfo {
  readonly entity: string
  /** `partial`: only what changed; `deleted`: the conference is over. */
  readonly state: "full" | "partial" | "deleted"
  /** Attributes of the root besides `version`, `state` and `entity`. */
  readonly attributes: readonly Attribute[]
  readonly children: readonly Element[]
}

const format: NumberedFormat<ConferenceInfo["state"]> = {
  contentType: "application/conference-info+xml",
  namespace: conferenceInfoNamespace,
  name: "conference-info",
  states: ["full", "partial", "deleted"],
  hasEntity: true,
}

/**
 * The package as the engine uses it: watchers get the full state, each NOTIFY numbered in its subscription. With
 * nothing published there still is a document, which says nothing of the conference.
 *
 * @source RFC 4575 §3
 */
export const conference = (options: ConferenceOptions): EventPackage<ConferenceInfo, "conference"> => {
  const { xml, notifyIntervalMillis = 5_000 } = options
  return {
    name: "conference",
    watchers: "domain",
    accepts: [format.contentType],
    produces: [format.contentType],
    defaultExpires: 3_600,
    entityTags: "new-each-time",
    notifyIntervalMillis,
    parse: (body) => parse(body, xml),
    compose,
    render: (document) => renderFrame(document, format, xml),
    offline: nothingKnown,
    amend,
    personalize: (body, { version }) => withVersion(body, version),
  }
}

const nothingKnown = (presentity: Uri): ConferenceInfo => ({
  entity: presentity,
  state: "full",
  attributes: [],
  children: [],
})

/** @source RFC 4575 §4; total. The published version is not kept, each subscription has its own. */
const parse = (body: Body, xml: XmlCodec): Parsed<ConferenceInfo> => {
  const frame = readFrame(body, format, xml)
  if (typeof frame === "string") return { _tag: "Unreadable", why: frame }
  const { version: _, ...document } = frame
  return { _tag: "Parsed", document }
}

/**
 * The newest document that says the whole, for a conference has one focus and two states of it do not add up.
 *
 * A publication that began with a partial document changes nothing that is known here: only an entity-tag tells what a
 * partial document is relative to, and then it was applied already (`amend`). It is shown as far as it goes when nobody
 * says the whole.
 */
const compose = ({ presentity, documents }: Composition<ConferenceInfo>): ConferenceInfo => {
  const all = documents.map(({ document }) => document)
  const newest = all.findLast(({ state }) => state !== "partial") ?? all.at(-1)
  if (newest === undefined) return nothingKnown(presentity)
  if (newest.state !== "partial") return { ...newest, entity: presentity }
  return { ...newest, entity: presentity, state: "full", children: elementsAfter([], newest.children) }
}

/**
 * What a publication says after a modification.
 *
 * @source RFC 4575 §4.6; RFC 3903 §4.3 (modification)
 * @returns a partial document only when nothing but partial ones were published
 */
const amend = (before: ConferenceInfo, modification: ConferenceInfo): ConferenceInfo => {
  if (modification.state !== "partial") return modification
  const documents = [before, modification].map((document) => ({ key: "", document }))
  return {
    ...modification,
    state: before.state === "partial" ? "partial" : "full",
    attributes: rootAttributes(documents),
    children: elementsAfter(known(before), modification.children),
  }
}

const known = ({ state, children }: ConferenceInfo): readonly Element[] => {
  if (state === "deleted") return []
  return state === "partial" ? elementsAfter([], children) : changesOf(null, children)
}

/**
 * The child elements of a parent after a partial change to it: what is named is changed, replaced or gone, the rest
 * stays. Those that RFC 4575 knows are put into the order of its schema, for a new one may belong before known ones.
 */
const elementsAfter = (before: readonly Element[], changes: readonly Element[]): readonly Element[] => {
  const pending = Map.groupBy(changes, keyOf)
  const changedKeys = new Set(pending.keys())
  const kept = before.flatMap((element) => {
    const key = keyOf(element)
    if (!changedKeys.has(key)) return [element]
    const changed = pending.get(key) ?? []
    pending.delete(key)
    return changesOf(element, changed)
  })
  const added = [...pending.values()].flatMap((changed) => changesOf(null, changed))
  return [...kept, ...added].sort((left, right) => placeOf(left) - placeOf(right))
}

/** @param before null: nothing was known of it */
const changesOf = (before: Element | null, changes: readonly Element[]): readonly Element[] =>
  changes
    .filter((element) => stateOf(element) !== "deleted")
    .map((element) => {
      if (stateOf(element) === "partial") return elementAfter(before, element)
      // what is full says all of it, even if it says that parts of it are not
      return isWhole(element) ? element : elementAfter(null, element)
    })

/** Whether neither the element nor anything in it is partial or deleted. */
const isWhole = (element: Element): boolean =>
  stateOf(element) === "full" &&
  element.children.every(
    (node) => !isElement(node) || node.namespace !== conferenceInfoNamespace || isWhole(node),
  )

const elementAfter = (before: Element | null, change: Element): Element => {
  const attributes = new Map<string, Attribute>()
  for (const attribute of [...(before?.attributes ?? []), ...change.attributes]) {
    // what a partial change leads to is full, which is what is meant where nothing is said
    if (attribute.name !== "state" || attribute.namespace !== "")
      attributes.set(`${attribute.name} ${attribute.namespace}`, attribute)
  }
  const children = elementsAfter(
    (before?.children ?? []).filter(isElement),
    change.children.filter(isElement),
  )
  return { ...withChildren(change, children), attributes: [...attributes.values()] }
}

const isElement = (node: Node): node is Element => node._tag === "Element"

/** @source RFC 4575 §4: what says nothing is full */
const stateOf = (element: Element): "full" | "partial" | "deleted" => {
  const isStateful = element.namespace === conferenceInfoNamespace && statefulNames.includes(element.name)
  const text = isStateful ? attribute(element, "state")?.trim() : undefined
  return text === "partial" || text === "deleted" ? text : "full"
}

/** @source RFC 4575 §5: the elements with an attribute `state` that are made of elements */
const statefulNames = [
  "conf-uris",
  "service-uris",
  "users",
  "user",
  "endpoint",
  "sidebars-by-ref",
  "sidebars-by-val",
  "entry",
]

/**
 * What tells an element from others beside it. Most are there once, so that the name is enough; several of one name that
 * have no key are replaced together.
 *
 * @source RFC 4575 §4: `entity` of users and endpoints, `id` of media, `uri` of entries
 */
const keyOf = (element: Element): string => {
  const { namespace, name } = element
  const isKnown = namespace === conferenceInfoNamespace
  if (isKnown && (name === "user" || name === "endpoint")) return keyed(name, attribute(element, "entity"))
  if (isKnown && name === "media") return keyed(name, attribute(element, "id"))
  if (isKnown && name === "entry") {
    const uri = child(element, conferenceInfoNamespace, "uri")
    return keyed(name, attribute(element, "entity") ?? (uri === null ? null : textOf(uri)))
  }
  return JSON.stringify([namespace, name])
}

const keyed = (name: string, key: string | null): string =>
  JSON.stringify([name, key?.trim() ?? null, "keyed"])

/** @source RFC 4575 §5, of the root, of users and of endpoints; foreign elements come last */
const schemaOrder = [
  "conference-description",
  "host-info",
  "conference-state",
  "users",
  "sidebars-by-ref",
  "sidebars-by-val",
  "display-text",
  "associated-aors",
  "roles",
  "languages",
  "cascaded-focus",
  "endpoint",
  "referred",
  "status",
  "joining-method",
  "joining-info",
  "disconnection-method",
  "disconnection-info",
  "media",
  "call-info",
]

const placeOf = ({ namespace, name }: Element): number => {
  const place = namespace === conferenceInfoNamespace ? schemaOrder.indexOf(name) : -1
  return place === -1 ? schemaOrder.length : place
}
