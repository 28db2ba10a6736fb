/**
 * The privacy filter: what permissions show of a composed presence document (RFC 5025 §3.3, §4).
 *
 * It is a whitelist. The filter only removes, keeps the order of what remains, and is idempotent:
 * - an element is visible if it is selected; its id stays with it;
 * - RFC 5025 §3.3.2 always shows contact, service-class, basic status and timestamp of a visible service, the timestamp
 *   of a visible person, and timestamp and deviceID of a visible device; every other attribute needs its permission;
 * - unless all attributes are granted, comments, white space between elements and foreign XML attributes are removed as
 *   well, because they would reveal how much was removed.
 *
 * One case is our own decision. An element may be selected by a class whose label the watcher may not see. Taken
 * literally, the resulting document would not pass its own filter, as RFC 5025 §4 demands. Therefore a label that a
 * selector names stays even without `provide-class`: the author of the rule wrote it down for this watcher.
 */
import { canonicalUri, sameUri, schemeOf } from "../uris.ts"
import { unreachable } from "../vocabulary.ts"
import { childrenNamed, isNamed, textOf, withChildren } from "./element.ts"
import type { Attribute, Element } from "./element.ts"
import { dataModelNamespace, idOf, pidfNamespace } from "./pidf-document.ts"
import type { Pidf } from "./pidf-document.ts"
import { permissionFor, rpidNamespace } from "./presence-rules-permissions.ts"
import type { Permissions, Selection, Selector } from "./presence-rules-permissions.ts"

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

/**
 * The part of a composed document that these permissions show; always a valid document. O(size × selectors).
 *
 * Whatever stands at the root besides services, persons and devices follows what it is about:
 * - a note concerns the person (RFC 4479 §5): it needs `provide-note` and a visible person to which it applies, or all
 *   persons;
 * - any other element or attribute may concern anything: it needs its permission, and everything must be visible.
 */
export const filterPidf = (document: Pidf, permissions: Permissions): Pidf => {
  const { services, persons, devices, allAttributes } = permissions
  const isEverythingVisible = services.all && persons.all && devices.all
  if (isEverythingVisible && allAttributes) return document
  const visiblePersons = visibleOf(document.persons, "person", persons, permissions)
  const takesNote = persons.all || visiblePersons.some((person) => !hasNote(person))
  return {
    entity: document.entity,
    attributes: [],
    tuples: visibleOf(document.tuples, "tuple", services, permissions),
    notes: takesNote ? document.notes.filter(() => isGranted("note", permissions)) : [],
    persons: visiblePersons,
    devices: visibleOf(document.devices, "device", devices, permissions),
    others: isEverythingVisible
      ? document.others.flatMap((element) => shown(element, "root", persons, permissions))
      : [],
  }
}

type Kind = "tuple" | "person" | "device"

const isGranted = (name: Permissions["attributes"][number], { attributes }: Permissions): boolean =>
  attributes.includes(name)

const hasNote = (person: Element): boolean => childrenNamed(person, dataModelNamespace, "note").length > 0

const visibleOf = (
  elements: readonly Element[],
  kind: Kind,
  selection: Selection,
  permissions: Permissions,
): readonly Element[] =>
  elements
    .filter(
      (element) =>
        selection.all || selection.selectors.some((selector) => isSelected(element, kind, selector)),
    )
    .map((element) => (permissions.allAttributes ? element : narrowed(element, kind, selection, permissions)))

/** @source RFC 5025 §3.3.1.1 to §3.3.1.3; only devices are selected by deviceID, only services by contact */
const isSelected = (element: Element, kind: Kind, { by, value }: Selector): boolean => {
  switch (by) {
    case "class":
      return labels(element, kind).includes(value)
    case "occurrence-id":
      return idOf(element) === value
    case "deviceID":
      return kind === "device" && texts(element, dataModelNamespace, "deviceID").some(isSameAs(value))
    case "service-uri":
      return kind === "tuple" && texts(element, pidfNamespace, "contact").some(isSameAs(value))
    case "service-uri-scheme":
      return (
        kind === "tuple" && texts(element, pidfNamespace, "contact").some((text) => schemeOf(text) === value)
      )
    default:
      return unreachable(by)
  }
}

const isSameAs =
  (canonical: string) =>
  (text: string): boolean =>
    sameUri(canonicalUri(text), canonical)

const texts = (element: Element, namespace: string, name: string): readonly string[] =>
  childrenNamed(element, namespace, name).map((element) => textOf(element).trim())

/** The class labels of an element; some clients write those of a service inside its status. */
const labels = (element: Element, kind: Kind): readonly string[] => {
  const statuses = kind === "tuple" ? childrenNamed(element, pidfNamespace, "status") : []
  return [element, ...statuses].flatMap((holder) => texts(holder, rpidNamespace, "class"))
}

/** A visible element with the granted ones among its children. */
const narrowed = (element: Element, kind: Kind, selection: Selection, permissions: Permissions): Element => {
  const isOwn = ({ namespace, name }: Attribute): boolean =>
    namespace === xmlNamespace || (namespace === "" && name === "id")
  return {
    ...element,
    attributes: element.attributes.filter(isOwn),
    children: element.children.flatMap((node) =>
      node._tag === "Element" ? shown(node, kind, selection, permissions) : [],
    ),
  }
}

/** One presence attribute as the watcher may see it: unchanged, reduced, or not at all. */
const shown = (
  element: Element,
  place: Kind | "status" | "root",
  selection: Selection,
  permissions: Permissions,
): readonly Element[] => {
  if (isAlwaysShown(element, place)) return [element]
  if (place === "tuple" && isNamed(element, pidfNamespace, "status")) {
    const children = element.children.flatMap((node) =>
      node._tag === "Element" ? shown(node, "status", selection, permissions) : [],
    )
    return [{ ...withChildren(element, children), attributes: [] }]
  }
  const permission = permissionFor(element.namespace, element.name)
  if (permission === null) return isNamedIn(element, permissions) ? [element] : []
  if (permission === "user-input") return userInput(element, permissions)
  if (isGranted(permission, permissions)) return [element]
  const isLabel = permission === "class" && place !== "root"
  return isLabel &&
    selection.selectors.some(
      (selector) => selector.by === "class" && selector.value === textOf(element).trim(),
    )
    ? [element]
    : []
}

/** @source RFC 5025 §3.3.2 (its first paragraphs); a timestamp is recognized in either namespace */
const isAlwaysShown = ({ namespace, name }: Element, place: Kind | "status" | "root"): boolean => {
  const isModel = namespace === dataModelNamespace || namespace === pidfNamespace
  switch (place) {
    case "tuple":
      if (namespace === rpidNamespace) return name === "service-class"
      return (isModel && name === "timestamp") || (namespace === pidfNamespace && name === "contact")
    case "status":
      return namespace === pidfNamespace && name === "basic"
    case "person":
      return isModel && name === "timestamp"
    case "device":
      return isModel && (name === "timestamp" || name === "deviceID")
    case "root":
      return false
    default:
      return unreachable(place)
  }
}

/** @source RFC 5025 §3.3.2.14 */
const isNamedIn = (element: Element, { unknownAttributes }: Permissions): boolean =>
  unknownAttributes.some(({ namespace, name }) => isNamed(element, namespace, name))

/** @source RFC 5025 §3.3.2.12: `thresholds` omits the time of the last input, `bare` the threshold as well */
const userInput = (element: Element, permissions: Permissions): readonly Element[] => {
  if (permissions.userInput === "false") return []
  if (permissions.userInput === "full") return [element]
  const kept = permissions.userInput === "bare" ? ["id"] : ["id", "idle-threshold"]
  const attributes = element.attributes.filter(
    ({ namespace, name }) => namespace === "" && kept.includes(name),
  )
  const text = textOf(element)
  return [{ ...withChildren(element, text === "" ? [] : [{ _tag: "Text", text }]), attributes }]
}
