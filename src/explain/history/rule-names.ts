/**
 * The names of presence rules, as in their document.
 */
import { rulesFor } from "../../domain/packages/event-package.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { parseRules } from "../../domain/presentity/view.ts"
import type { PackageName } from "../../domain/vocabulary.ts"

/**
 * @param text the presentity's rules document for this package; undefined: it has none
 * @returns in document order; empty if there are no rules, or none that can be parsed
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
