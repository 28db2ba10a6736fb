/**
 * The names of presence rules, as their document gives them.
 */
import { rulesFor } from "../../domain/packages/event-package.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { parseRules } from "../../domain/presentity/view.ts"
import type { PackageName } from "../../domain/vocabulary.ts"

/**
 * @param text the rules document of a presentity for this package; undefined: it has none
 * @returns in document order; empty where there are no rules, or none that can be read
 */
export const ruleNamesIn = (
  text: string | undefined,
  packageName: PackageName,
  packages: Packages,
): readonly string[] => {
  const eventPackage = packages.find(packageName)
  const kind = eventPackage === null ? undefined : rulesFor(eventPackage, packages)
  if (text === undefined || kind === undefined) return []
  const parsed = parseRules(kind, { contentType: "application/auth-policy+xml", text })
  return parsed === null ? [] : kind.names(parsed)
}
