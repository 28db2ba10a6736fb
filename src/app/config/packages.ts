/**
 * The event packages a server runs with, as the settings have them.
 */
import { xmlCodec } from "../../adapters/xml/codec.ts"
import { bundledPackages } from "../../domain/packages/bundled.ts"
import type { PackageSettings } from "../../domain/packages/bundled.ts"
import type { Packages } from "../../domain/packages/event-package.ts"

/** @throws Error that says which package cannot be made, and why */
export const packagesOf = (settings: PackageSettings): Packages => bundledPackages(settings, xmlCodec)
