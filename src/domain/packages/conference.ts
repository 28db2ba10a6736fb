/**
 * The `conference` package: who takes part in a conference, and how (RFC 4575), as published by its focus.
 *
 * A document is kept as published. This file only interprets how a partial document changes a full one: which elements
 * have a `state` of their own, and by what several elements of one name are distinguished.
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
  /** In milliseconds; default 5000 (RFC 4575 §3.9). */
  readonly notifyIntervalMillis?: number
}

/** One conference information document. */
export interface ConferenceInfo {
  readonly entity: string
  /** `partial`: only what changed; `deleted`: the conference has ended. */
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
 * The package as the engine uses it: watchers get full state, and each NOTIFY is numbered within its subscription. If
 * nothing is published there is still a document, which says nothing about the conference.
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

/** @source RFC 4575 §4; total. The published version is not kept, because each subscription has its own. */
const parse = (body: Body, xml: XmlCodec): Parsed<ConferenceInfo> => {
  const frame = readFrame(body, format, xml)
  if (typeof frame === "string") return { _tag: "Unreadable", why: frame }
  const { version: _, ...document } = frame
  return { _tag: "Parsed", document }
}

/**
 * The newest document with full state, because a conference has one focus and two states of it cannot be combined.
 *
 * A publication that began with a partial document changes nothing here: only an entity-tag says to what a partial
 * document is relative, and then it has been applied already (`amend`). It is shown as it is if nobody publishes full
 * state.
 */
const compose = ({ presentity, documents }: Composition<ConferenceInfo>): ConferenceInfo => {
  const all = documents.map(({ document }) => document)
  const newest = all.findLast(({ state }) => state !== "partial") ?? all.at(-1)
  if (newest === undefined) return nothingKnown(presentity)
  if (newest.state !== "partial") return { ...newest, entity: presentity }
  return { ...newest, entity: presentity, state: "full", children: elementsAfter([], newest.children) }
}

/**
 * The content of a publication after a modification.
 *
 * @source RFC 4575 §4.6; RFC 3903 §4.3 (modification)
 * @returns a partial document only if nothing but partial ones were published
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
 * The child elements of a parent after a partial change: those that the change names are changed, replaced or removed,
 * the rest stays. The elements defined by RFC 4575 are put into the order of its schema, because a new one may belong
 * before existing ones.
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

/** @param before null: the element was unknown */
const changesOf = (before: Element | null, changes: readonly Element[]): readonly Element[] =>
  changes
    .filter((element) => stateOf(element) !== "deleted")
    .map((element) => {
      if (stateOf(element) === "partial") return elementAfter(before, element)
      // a full element is complete, even if it marks parts of itself as partial
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
    // the result of a partial change is full, which is the default if `state` is absent
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

/** @source RFC 4575 §4: the default is full */
const stateOf = (element: Element): "full" | "partial" | "deleted" => {
  const isStateful = element.namespace === conferenceInfoNamespace && statefulNames.includes(element.name)
  const text = isStateful ? attribute(element, "state")?.trim() : undefined
  return text === "partial" || text === "deleted" ? text : "full"
}

/** @source RFC 4575 §5: the elements with an attribute `state` that consist of elements */
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
 * What distinguishes an element from its siblings. Most occur once, so that the name suffices; several of one name
 * without a key are replaced together.
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

/** @source RFC 4575 §5, for the root, users and endpoints; foreign elements come last */
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
