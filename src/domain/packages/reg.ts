/**
 * The `reg` package: where a user is registered (RFC 3680), as published by registrars.
 *
 * A registration is kept as published, including everything that this file does not interpret; beside it stands what
 * decisions need: id, address-of-record and state.
 */
import { canonicalUri } from "../uris.ts"
import type { Body } from "../vocabulary.ts"
import { attribute, isNamed, withAttribute, withChildren } from "./element.ts"
import type { Attribute, Element, XmlCodec } from "./element.ts"
import type { Composition, EventPackage, Parsed } from "./event-package.ts"
import { inheriting, readFrame, renderFrame, withVersion } from "./numbered-document.ts"
import type { NumberedFormat } from "./numbered-document.ts"
import { once, rootAttributes } from "./pidf-compose.ts"
import { freeName } from "./pidf-document.ts"

export const regInfoNamespace = "urn:ietf:params:xml:ns:reginfo"

export interface RegOptions {
  readonly xml: XmlCodec
  /**
   * In seconds; default 3761 (RFC 3680 §4.4), slightly more than the usual lifetime of registrations, so that both are
   * seldom refreshed at the same time.
   */
  readonly defaultExpires?: number
  /** In milliseconds; default 5000 (RFC 3680 §4.10). */
  readonly notifyIntervalMillis?: number
}

const registrationStates = ["init", "active", "terminated"] as const
/** @source RFC 3680 §4.7 */
export type RegistrationState = (typeof registrationStates)[number]

/** One `<registration>`. */
export interface RegistrationEntry {
  /** Unique in its document. */
  readonly id: string
  /** The address-of-record, as written. */
  readonly aor: string
  readonly state: RegistrationState
  readonly element: Element
}

/** One registration information document, parsed and sorted. */
export interface RegInfo {
  /** `full`: there are no other registrations; `partial`: the document says nothing about others. */
  readonly state: "full" | "partial"
  /** Attributes of the root besides `version` and `state`. */
  readonly attributes: readonly Attribute[]
  readonly registrations: readonly RegistrationEntry[]
  /** Child elements of the root other than registrations, unchanged. */
  readonly others: readonly Element[]
}

const format: NumberedFormat<RegInfo["state"]> = {
  contentType: "application/reginfo+xml",
  namespace: regInfoNamespace,
  name: "reginfo",
  states: ["full", "partial"],
  hasEntity: false,
}

/**
 * The package as the engine uses it: watchers get full state, and each NOTIFY is numbered within its subscription. If
 * nothing is published there is still a document, without registrations.
 *
 * @source RFC 3680 §4
 */
export const reg = (options: RegOptions): EventPackage<RegInfo, "reg"> => {
  const { xml, defaultExpires = 3_761, notifyIntervalMillis = 5_000 } = options
  return {
    name: "reg",
    watchers: "owner",
    accepts: [format.contentType],
    produces: [format.contentType],
    defaultExpires,
    entityTags: "new-each-time",
    notifyIntervalMillis,
    parse: (body) => parse(body, xml),
    compose,
    render: ({ state, attributes, registrations, others }) => {
      const children = [...registrations.map(({ element }) => element), ...others]
      return renderFrame({ entity: "", state, attributes, children }, format, xml)
    },
    offline: () => nowhere,
    amend,
    personalize: (body, { version }) => withVersion(body, version),
  }
}

const nowhere: RegInfo = { state: "full", attributes: [], registrations: [], others: [] }

/** @source RFC 3680 §5; total. The published version is not kept, because each subscription has its own. */
const parse = (body: Body, xml: XmlCodec): Parsed<RegInfo> => {
  const frame = readFrame(body, format, xml)
  if (typeof frame === "string") return { _tag: "Unreadable", why: frame }
  const { state, attributes, children } = frame
  const registrations = registrationsOf(children.filter((element) => isRegistration(element)))
  if (typeof registrations === "string") return { _tag: "Unreadable", why: registrations }
  const others = children.filter((element) => !isRegistration(element))
  return { _tag: "Parsed", document: { state, attributes, registrations, others } }
}

const isRegistration = (element: Element): boolean => isNamed(element, regInfoNamespace, "registration")
const isContact = (element: Element): boolean => isNamed(element, regInfoNamespace, "contact")
const elementsOf = (element: Element): readonly Element[] =>
  element.children.filter((node) => node._tag === "Element")
const idOf = (element: Element): string => attribute(element, "id") ?? ""
const stateOf = (element: Element): string | undefined => attribute(element, "state")?.trim()

/** @returns a text that names the registration that cannot be identified, or whose state is unknown */
const registrationsOf = (elements: readonly Element[]): readonly RegistrationEntry[] | string => {
  const entries = new Map<string, RegistrationEntry>()
  for (const element of elements) {
    const id = idOf(element)
    if (id.trim() === "") return "<registration> without id"
    if (entries.has(id)) return "two <registration> with one id"
    const aor = attribute(element, "aor") ?? ""
    if (aor.trim() === "") return "<registration> without aor"
    const state = registrationStates.find((candidate) => candidate === stateOf(element))
    if (state === undefined) return "<registration> in a state that RFC 3680 does not know"
    const fault = contactFault(elementsOf(element).filter(isContact))
    if (fault !== null) return fault
    entries.set(id, { id, aor, state, element })
  }
  return [...entries.values()]
}

const contactFault = (contacts: readonly Element[]): string | null => {
  const ids = contacts.map(idOf)
  if (ids.some((id) => id.trim() === "")) return "<contact> without id"
  if (new Set(ids).size < ids.length) return "two <contact> with one id"
  const isKnown = (state: string | undefined): boolean => state === "active" || state === "terminated"
  return contacts.every((element) => isKnown(stateOf(element)))
    ? null
    : "<contact> neither active nor terminated"
}

/**
 * One full document. A registration is one id of one address-of-record; the newest publication that names it counts,
 * from whatever registrar. A registrar whose publication has expired says nothing about how its contacts ended.
 * O(registrations).
 */
const compose = ({ documents }: Composition<RegInfo>): RegInfo => ({
  state: "full",
  attributes: rootAttributes(documents),
  registrations: joined(documents.map(({ document }) => document)),
  others: once(documents.map(({ document }) => document.others)),
})

/**
 * The registrations of several documents, oldest first, each in the place of the document from which it is taken.
 *
 * Registrars that know nothing of each other may use one id for two addresses-of-record. Watchers identify
 * registrations by id only (RFC 3680 §5), so the older of the two gets the first free of `id.2`, `id.3` …
 */
const joined = (documents: readonly RegInfo[]): readonly RegistrationEntry[] => {
  const written = new Set(documents.flatMap(({ registrations }) => registrations.map(({ id }) => id)))
  const known = new Set<string>()
  const given = new Set<string>()
  const counts = new Map<string, number>()
  const isTaken = (id: string): boolean => written.has(id) || given.has(id)
  const newestFirst = documents.toReversed().flatMap(({ registrations }) => registrations.toReversed())
  const kept: RegistrationEntry[] = []
  for (const registration of newestFirst) {
    const which = JSON.stringify([registration.id, canonicalUri(registration.aor)])
    if (known.has(which)) continue
    known.add(which)
    const id = given.has(registration.id) ? freeName(registration.id, isTaken, counts) : registration.id
    given.add(id)
    kept.push(
      id === registration.id
        ? registration
        : { ...registration, id, element: withAttribute(registration.element, "id", id) },
    )
  }
  return kept.reverse()
}

/**
 * The full content of a publication after a modification, whether the modification was full or partial.
 *
 * A terminated registration or contact is shown once: it stays until the next modification.
 *
 * @source RFC 3680 §5 (partial); RFC 3903 §4.3 (modification)
 */
const amend = (before: RegInfo, modification: RegInfo): RegInfo => {
  if (modification.state === "full") return modification
  const left = new Map(
    before.registrations
      .filter(({ state }) => state !== "terminated")
      .map((registration) => [registration.id, registration]),
  )
  const changed = modification.registrations.map((now) => {
    const previous = left.get(now.id)
    left.delete(now.id)
    return previous === undefined ? now : registrationAfter(previous, now)
  })
  return {
    state: "full",
    attributes: rootAttributes([before, modification].map((document) => ({ key: "", document }))),
    registrations: [...[...left.values()].map(withoutTerminated), ...changed],
    others: modification.others.length === 0 ? before.others : modification.others,
  }
}

/** A registration that is not active has no contacts except those reported as terminated. */
const registrationAfter = (before: RegistrationEntry, change: RegistrationEntry): RegistrationEntry => {
  if (change.state !== "active" || canonicalUri(before.aor) !== canonicalUri(change.aor)) return change
  const children = elementsOf(change.element)
  const ids = new Set(children.filter(isContact).map(idOf))
  const known = inheriting(withoutTerminated(before).element)
  const contacts = known.filter((element) => isContact(element) && !ids.has(idOf(element)))
  const others = children.every(isContact) ? known.filter((element) => !isContact(element)) : []
  return {
    ...change,
    element: withChildren(change.element, [...contacts, ...change.element.children, ...others]),
  }
}

const withoutTerminated = (registration: RegistrationEntry): RegistrationEntry => {
  const { element } = registration
  const children = element.children.filter(
    (node) => node._tag !== "Element" || !isContact(node) || stateOf(node) !== "terminated",
  )
  const isSame = children.length === element.children.length
  return isSame ? registration : { ...registration, element: withChildren(element, children) }
}
