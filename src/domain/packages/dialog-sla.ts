/**
 * The `dialog;sla` package: how the phones that share a line inform each other (draft-anil-sipping-bla).
 *
 * Documents are those of `dialog`. The differences are the line to which a subscription belongs, how several documents
 * are composed, and the target at which the remote party can be reached. Which phone made a change, and so need not be
 * notified of it, is not decided here.
 */
import { canonicalUri, domainOf, schemeOf } from "../uris.ts"
import type { Uri } from "../vocabulary.ts"
import { dialogInfo, dialogInfoNamespace } from "./dialog-info.ts"
import type { DialogInfo, DialogInfoOptions } from "./dialog-info.ts"
import { attribute, child, isNamed, textOf, withAttribute, withChildren } from "./element.ts"
import type { Element } from "./element.ts"
import type { EventPackage, PresentityFound, SubscribeAddresses } from "./event-package.ts"

export interface SharedLineOptions extends Omit<DialogInfoOptions, "forceSingleDialog"> {
  /** `merge`: the dialogs of all phones, as in `dialog`; `newest`: only the newest document of any phone. */
  readonly aggregation?: "merge" | "newest"
  /** See `withReachableTargets` (OpenSIPS `bla_fix_remote_target`); default: true. */
  readonly fixRemoteTarget?: boolean
  /** Which URI of a SUBSCRIBE identifies the line (OpenSIPS `bla_presentity_spec`); default: `contact`. */
  readonly presentityFrom?: SharedLineSource
}

/** `contact`: the user of the Contact at the domain of From; otherwise the named URI. */
export type SharedLineSource = "contact" | "request-uri" | "to" | "from"

/** The name in the Event header. */
export const sharedLineName = "dialog;sla"

export const sharedLine = (options: SharedLineOptions): EventPackage<DialogInfo, typeof sharedLineName> => {
  const { aggregation = "merge", fixRemoteTarget = true, presentityFrom = "contact", ...shared } = options
  const base = dialogInfo(shared)
  return {
    ...base,
    name: sharedLineName,
    watchers: "domain",
    presentityOf: (request) => lineOf(presentityFrom, request),
    parse: (body) => {
      const parsed = base.parse(body)
      if (parsed._tag === "Unreadable" || !fixRemoteTarget) return parsed
      return { _tag: "Parsed", document: withReachableTargets(parsed.document) }
    },
    compose: (input) =>
      base.compose(aggregation === "merge" ? input : { ...input, documents: input.documents.slice(-1) }),
  }
}

/** A phone of a line subscribes under its own address, and its Contact identifies the line. */
const lineOf = (
  source: SharedLineSource,
  { requestUri, to, from, contact }: SubscribeAddresses,
): PresentityFound => {
  const line =
    source === "request-uri"
      ? requestUri
      : source === "to"
        ? to
        : source === "from"
          ? from
          : userAtDomainOf(contact, from)
  return line === null
    ? { _tag: "BadRequest", why: "No Shared Line In Contact" }
    : { _tag: "Found", presentity: line }
}

/** Null: the Contact has no user, or From no domain. */
const userAtDomainOf = (contact: Uri, from: Uri): Uri | null => {
  const userEnd = contact.lastIndexOf("@")
  if (userEnd < 0 || !from.startsWith("sip:")) return null
  const host = from.slice(Math.max("sip:".length, from.lastIndexOf("@") + 1))
  return `${contact.slice(0, userEnd)}@${host}` as Uri
}

/**
 * Replaces the target of the remote party of each call by the URI of its identity if the host of the target is an IP
 * address. A phone that takes over the call would otherwise send its request past the proxy, or into another network.
 * Nothing else changes; idempotent.
 */
export const withReachableTargets = (document: DialogInfo): DialogInfo => ({
  ...document,
  dialogs: document.dialogs.map((dialog) => {
    const element = withReplaced(dialog.element, "remote", withReachableTarget)
    return element === dialog.element ? dialog : { ...dialog, element }
  }),
})

const withReachableTarget = (remote: Element): Element => {
  const identity = child(remote, dialogInfoNamespace, "identity")
  const uri = identity === null ? "" : textOf(identity).trim()
  if (schemeOf(uri) === null || /\s/.test(uri)) return remote
  return withReplaced(remote, "target", (target) =>
    isAtAddress(attribute(target, "uri") ?? "") ? withAttribute(target, "uri", uri) : target,
  )
}

const isAtAddress = (uri: string): boolean => {
  const host = domainOf(canonicalUri(uri)) ?? ""
  return host.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)
}

/** The same element if no child with that name changes. */
const withReplaced = (element: Element, name: string, replace: (element: Element) => Element): Element => {
  const children = element.children.map((node) =>
    isNamed(node, dialogInfoNamespace, name) ? replace(node) : node,
  )
  return children.every((node, index) => node === element.children[index])
    ? element
    : withChildren(element, children)
}
