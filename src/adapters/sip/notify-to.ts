/** The setting `notify_to`: whether NOTIFYs go to the Contact, or to where the SUBSCRIBE came from. */
import { hostList, hostListFaults } from "./hosts.ts"

/** `auto`: to the Contact unless it cannot be reached, or asks for the other. */
export const notifyToModes = ["auto", "contact", "source"] as const
export type NotifyTo = (typeof notifyToModes)[number]

/** By the source address of a SUBSCRIBE. */
export type NotifyToOf = (address: string) => NotifyTo

const isMode = (text: string): text is NotifyTo => notifyToModes.some((mode) => mode === text)

const partsOf = (entry: string): { readonly network: string | null; readonly mode: string } => {
  const equals = entry.lastIndexOf("=")
  return equals < 0
    ? { network: null, mode: entry.trim() }
    : { network: entry.slice(0, equals).trim(), mode: entry.slice(equals + 1).trim() }
}

/** Entries that are neither a mode nor `NETWORK=mode`. */
export const notifyToFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => {
    const { network, mode } = partsOf(entry)
    // a source has an address and no name
    const isNetwork = network === null || (/[.:]/.test(network) && !/[g-z*]/i.test(network))
    return !isMode(mode) || !isNetwork || (network !== null && hostListFaults([network]).length > 0)
  })

/**
 * Reads entries `MODE` and `NETWORK=MODE`: the first network that has the address decides, or else the entry without
 * one, or else `auto`.
 *
 * @returns null if that is `auto` for every address
 */
export const readNotifyTo = (entries: readonly string[]): NotifyToOf | null => {
  const rules: { readonly has: (host: string) => boolean; readonly mode: NotifyTo }[] = []
  let rest: NotifyTo = "auto"
  for (const entry of entries) {
    const { network, mode } = partsOf(entry)
    if (!isMode(mode)) continue
    if (network === null) rest = mode
    else rules.push({ has: hostList([network]), mode })
  }
  if (rest === "auto" && rules.every(({ mode }) => mode === "auto")) return null
  return (address) => rules.find(({ has }) => has(address))?.mode ?? rest
}
