/** Which headers of a message are kept because of settings, packages and policies. */
import { readsAgents } from "./device.ts"
import type { Names } from "./message-reader.ts"
import type { SipOptions } from "./options.ts"

const everyName: Names = { has: () => true }

/** Headers kept besides those that the message reader keeps anyway. */
export const carriedNames = (options: SipOptions): Names => {
  const { packages, policy, keptOfRequests, deviceRecognition, idleDialog, phoneProfiles, accountOf } =
    options
  if (policy?.headers === null) return everyName
  const names = [
    ...[...(packages?.carriedHeaders?.values() ?? [])].flat(),
    ...(packages?.argumentHeaders?.values() ?? []),
    ...(packages?.names?.() ?? []).flatMap((name) => packages?.find?.(name)?.presentityHeaders ?? []),
  ]
  const hasProfiles = phoneProfiles !== undefined && !phoneProfiles.includes("none")
  if (
    keptOfRequests === "full" ||
    deviceRecognition === "contact" ||
    hasProfiles ||
    readsAgents(idleDialog ?? [])
  )
    names.push("user-agent")
  if (accountOf !== undefined) names.push("www-authenticate", "proxy-authenticate")
  return new Set([...names.map((name) => name.toLowerCase()), ...(policy?.headers ?? [])])
}
