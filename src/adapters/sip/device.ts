/**
 * What a request says of the device that sent it: which one it is, and what form of documents it needs.
 */
import { instancePrefix } from "../../domain/packages/dialog-info-merge.ts"
import { needsIdleDialog } from "../../domain/packages/phone-needs.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import { parseAddress } from "./address-headers.ts"
import type { ReceivedOn } from "./decode-result.ts"
import type { RawMessage } from "./message-reader.ts"
import { copyText } from "./message-reader.ts"

/**
 * By what a device is recognized that publishes again without its entity-tag. `instance`: the `+sip.instance` of its
 * Contact. `contact`: that, or otherwise Contact, User-Agent and source address together. `none`: it is not.
 */
export type DeviceRecognition = "none" | "instance" | "contact"

/** Longer values identify no device: somebody wants to fill the log. */
const wordMax = 256
const textMax = 600

/**
 * A text that is the same for all requests of one device; undefined: it cannot be told. The words begin with how it was
 * told, so that an instance is never taken for anything else.
 *
 * @source RFC 5626 §4.1 (`+sip.instance`)
 */
export const deviceIn = (
  { headers }: RawMessage,
  { sourceAddress }: Pick<ReceivedOn, "sourceAddress">,
  recognition: DeviceRecognition,
): string | undefined => {
  if (recognition === "none") return undefined
  const contacts = headers.get("contact")
  const contact = contacts?.length === 1 ? parseAddress(contacts[0]!) : null
  if (contact === null) return undefined
  const instance = contact.parameters.get("+sip.instance")
  if (instance !== undefined) {
    const urn = /^"?<([^<>"\s]+)>"?$/.exec(instance ?? "")?.[1]
    // RFC 8141 §3.1: the case of a UUID does not count
    if (urn !== undefined && urn.length <= wordMax) return `${instancePrefix}${urn.toLowerCase()}`
  }
  if (recognition === "instance") return undefined
  const agent = headers.first("user-agent")
  if (agent === undefined || agent === "" || agent.length > wordMax) return undefined
  const text = `contact ${contact.uri} ${sourceAddress} ${agent}`
  return text.length > textMax ? undefined : copyText(text)
}

/** What a SUBSCRIBE to a package needs, or undefined. */
export type NeedsOf = (packageName: string, message: Pick<RawMessage, "headers">) => string | undefined

/** The entry that stands for an empty list. */
const nobody = "none"

/**
 * @param entries `PACKAGE=PATTERN`: a package whose documents always have a dialog, and a wildcard for User-Agents; `*`
 *   fits a request without one, too
 */
export const needsBy = (entries: readonly string[]): NeedsOf => {
  const patterns = new Map<string, readonly string[]>()
  for (const entry of entries) {
    const equals = entry.indexOf("=")
    if (equals < 0) continue
    const name = entry.slice(0, equals)
    patterns.set(name, [...(patterns.get(name) ?? []), entry.slice(equals + 1).toLowerCase()])
  }
  return (packageName, { headers }) => {
    const wanted = patterns.get(packageName)
    if (wanted === undefined) return undefined
    if (wanted.includes("*")) return needsIdleDialog
    const agent = headers.first("user-agent")?.toLowerCase() ?? ""
    return wanted.some((pattern) => matchesWildcard(pattern, agent)) ? needsIdleDialog : undefined
  }
}

/** Whether the User-Agent of requests must be read for this. */
export const readsAgents = (entries: readonly string[]): boolean =>
  entries.some((entry) => entry !== nobody && !entry.endsWith("=*"))

/** Packages whose documents can have an idle dialog. */
const withDialogs: ReadonlySet<string> = new Set(["dialog", "dialog;sla"])

/** The entries that are none. */
export const idleDialogFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => {
    const equals = entry.indexOf("=")
    return equals < 0
      ? entry !== nobody || entries.length > 1
      : !withDialogs.has(entry.slice(0, equals)) || entry.length === equals + 1
  })
