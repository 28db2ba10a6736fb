/**
 * How the authorization documents of a package are read, and where the sphere comes from that they ask for.
 */
import type { EventPackage, PackageRules, Packages } from "./event-package.ts"

/** Undefined: the package can have no authorization documents. */
export const rulesFor = (pack: EventPackage, packages: Packages): PackageRules | undefined =>
  // presence without rules of its own has nothing that could apply their transformations
  pack.rules ?? (pack.name === "presence" ? undefined : packages.commonRules)

/** The package whose publications say the sphere that rules of `pack` look at; null: nothing says it. */
export const sphereSource = (pack: EventPackage, packages: Packages): EventPackage | null =>
  pack.rules === undefined ? (packages.sphereFrom ?? null) : pack
