/**
 * How the document of a subscription to dialogs differs from that of others: only one dialog, with session
 * descriptions, or with an idle dialog.
 */
import { hasNeed } from "../vocabulary.ts"
import { dialogInfoNamespace } from "./dialog-info-document.ts"
import type { DialogEntry, DialogInfo } from "./dialog-info-document.ts"
import { attribute, element, isNamed, withChildren } from "./element.ts"
import type { Element, Node } from "./element.ts"
import type { DocumentForm, ParametersRead } from "./event-package.ts"
import { needsIdleDialog, needsPlainNames } from "./phone-needs.ts"

const identityNames = ["call-id", "to-tag", "from-tag"] as const
const descriptions = "include-session-description"

/** A dialog that a subscription asks for; null: any. */
interface Asked {
  readonly callId: string | null
  readonly localTag: string | null
  readonly remoteTag: string | null
  readonly isDescribed: boolean
}

/**
 * The parameters of the Event header in one order and spelling. One dialog is named by `call-id`, `to-tag` and
 * `from-tag`; all dialogs of one INVITE that a user agent sent, by the first two. COMPAT: the Call-ID alone names all
 * dialogs of a call, which the RFC does not foresee. Tags alone name none.
 *
 * @source RFC 4235 §3.2
 */
export const readDialogParameters = (parameters: ReadonlyMap<string, string | null>): ParametersRead => {
  const values = new Map<string, string>()
  for (const name of identityNames) {
    if (!parameters.has(name)) continue
    const value = unquoted(parameters.get(name) ?? "")
    if (value === "") return { _tag: "BadRequest", why: `Event parameter ${name} without a value` }
    values.set(name, value)
  }
  if (values.size > 0 && !values.has("call-id"))
    return { _tag: "BadRequest", why: "Event names a dialog by call-id, to-tag and from-tag" }
  const isDescribed = parameters.has(descriptions)
  if (values.size === 0 && !isDescribed) return { _tag: "Read", argument: null }
  const written = [...values].map(([name, value]) => `${name}="${value.replace(/["\\]/g, "\\$&")}"`)
  return { _tag: "Read", argument: [...written, ...(isDescribed ? [descriptions] : [])].join(";") }
}

const unquoted = (text: string): string =>
  text.length > 1 && text.startsWith('"') && text.endsWith('"')
    ? text.slice(1, -1).replace(/\\(.)/g, "$1")
    : text

/** Reads what `readDialogParameters` wrote. */
const askedIn = (argument: string): Asked => {
  const values = new Map<string, string>()
  for (const [, name = "", value = ""] of argument.matchAll(/([a-z-]+)="((?:[^"\\]|\\.)*)"/g))
    values.set(name, value.replace(/\\(.)/g, "$1"))
  return {
    callId: values.get("call-id") ?? null,
    // seen from the watcher: what it would write in To is the local tag of the dialog (RFC 4235 §3.2)
    localTag: values.get("to-tag") ?? null,
    remoteTag: values.get("from-tag") ?? null,
    isDescribed: argument.split(";").at(-1) === descriptions,
  }
}

export const tailor = (document: DialogInfo, { argument, needs }: DocumentForm): DialogInfo => {
  const asked = argument === null ? document : narrowed(document, askedIn(argument))
  if (needs === null) return asked
  if (asked.dialogs.length === 0)
    return hasNeed(needs, needsIdleDialog) ? { ...asked, dialogs: [idle] } : asked
  return hasNeed(needs, needsPlainNames) ? { ...asked, dialogs: asked.dialogs.map(plainlyNamed) } : asked
}

/** For phones that show names beyond ASCII as something else, or not at all. */
const plainlyNamed = (dialog: DialogEntry): DialogEntry => {
  const plain = withPlainNames(dialog.element)
  return plain === dialog.element ? dialog : { ...dialog, element: plain }
}

const withPlainNames = (node: Element): Element => {
  const children = node.children.map((inner) => (inner._tag === "Element" ? withPlainNames(inner) : inner))
  const isSame = children.every((inner, index) => inner === node.children[index])
  const display = isNamed(node, dialogInfoNamespace, "identity") ? attribute(node, "display") : null
  const plain = display === null ? null : inAscii(display)
  if (plain === display) return isSame ? node : withChildren(node, children)
  const attributes = node.attributes.flatMap((held) =>
    held.name !== "display" || held.namespace !== ""
      ? [held]
      : plain === ""
        ? []
        : [{ ...held, value: plain! }],
  )
  return { ...node, attributes, children }
}

/** Letters without their accents; what has no such letter is left out. */
const inAscii = (text: string): string =>
  text
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/[^\x20-\x7e]/g, "")
    .replace(/ {2,}/g, " ")
    .trim()

const narrowed = (document: DialogInfo, asked: Asked): DialogInfo => ({
  ...document,
  dialogs: document.dialogs
    .filter((dialog) => isAsked(dialog, asked))
    .map((dialog) =>
      asked.isDescribed && dialog.described !== undefined ? { ...dialog, element: dialog.described } : dialog,
    ),
})

/** A publisher that states the Call-ID and leaves out tags does not say that it means another dialog. */
const isAsked = (dialog: DialogEntry, { callId, localTag, remoteTag }: Asked): boolean =>
  callId === null ||
  (dialog.callId === callId && mayBe(dialog.localTag, localTag) && mayBe(dialog.remoteTag, remoteTag))

const mayBe = (stated: string | null, asked: string | null): boolean =>
  stated === null || asked === null || stated === asked

/** Its id is that of no call, so that no phone takes a later call for one that is over. */
const idle: DialogEntry = {
  id: "idle",
  callId: null,
  localTag: null,
  remoteTag: null,
  state: "terminated",
  element: element(dialogInfoNamespace, "dialog", { id: "idle" }, [
    element(dialogInfoNamespace, "state", {}, ["terminated"]),
  ]),
}

/**
 * The dialog without session descriptions, which are for those who ask for them; the same object if it has none.
 *
 * @source RFC 4235 §3.2, §4.1.6
 */
export const withoutDescription = (dialog: DialogEntry): DialogEntry => {
  const { children } = dialog.element
  if (!children.some(isDescribedSide)) return dialog
  const left = children.map((node) => (isDescribedSide(node) ? withoutDescriptions(node) : node))
  return { ...dialog, element: withChildren(dialog.element, left), described: dialog.element }
}

const isDescription = (node: Node): boolean => isNamed(node, dialogInfoNamespace, "session-description")

/** `local` or `remote`. */
const isDescribedSide = (node: Node): node is Element =>
  node._tag === "Element" && node.children.some(isDescription)

const withoutDescriptions = (side: Element): Element =>
  withChildren(
    side,
    side.children.filter((node) => !isDescription(node)),
  )
