/**
 * The `dialog;sla` package: what the phones that share one line tell each other through it (draft-anil-sipping-bla).
 *
 * Documents are those of `dialog`; only how several count together differs, and where the other side can be called.
 * Whose line a subscription is for, and which phone said what and so need not hear it, is not decided here.
 */
import { attribute, child, isNamed, textOf, withAttribute, withChildren } from "./element.ts"
import type { Element } from "./element.ts"
import { dialogInfo, dialogInfoNamespace } from "./dialog-info.ts"
import type { DialogInfo, DialogInfoOptions } from "./dialog-info.ts"
import type { EventPackage } from "./event-package.ts"
import { canonicalUri, domainOf, schemeOf } from "../uris.ts"

export interface SharedLineOptions extends Omit<DialogInfoOptions, "forceSingleDialog"> {
  /** `merge`: the dialogs of all phones, as in `dialog`; `newest`: what one phone said last is all there is. */
  readonly aggregation?: "merge" | "newest"
  /** See `withReachableTargets` (OpenSIPS `bla_fix_remote_target`). */
  readonly fixRemoteTarget?: boolean
}

export const sharedLine = (options: SharedLineOptions): EventPackage<DialogInfo, "dialog;sla"> => {
  const { aggregation = "merge", fixRemoteTarget = true, ...shared } = options
  const base = dialogInfo(shared)
  return {
    ...base,
    name: "dialog;sla",
    watchers: "domain",
    parse: (body) => {
      const parsed = base.parse(body)
      if (parsed._tag === "Unreadable" || !fixRemoteTarget) return parsed
      return { _tag: "Parsed", document: withReachableTargets(parsed.document) }
    },
    compose: (input) =>
      base.compose(aggregation === "merge" ? input : { ...input, documents: input.documents.slice(-1) }),
  }
}

/**
 * Gives the other side of each call its identity's URI as target where the target's host is an IP address: a phone
 * that takes the call over would send there past the proxy, or into another network. Nothing else changes; repeating
 * it changes nothing.
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

/** The same element when no child of that name changes. */
const withReplaced = (of: Element, name: string, replace: (one: Element) => Element): Element => {
  const children = of.children.map((node) =>
    isNamed(node, dialogInfoNamespace, name) ? replace(node) : node,
  )
  return children.every((node, index) => node === of.children[index]) ? of : withChildren(of, children)
}
