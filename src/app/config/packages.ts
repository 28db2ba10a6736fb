/**
 * The event packages that a server runs with: the bundled ones, as the settings configure them, and those of an extension.
 */
import { xmlCodec } from "../../adapters/xml/codec.ts"
import { bundledPackages } from "../../domain/packages/bundled.ts"
import type { PackageSettings } from "../../domain/packages/bundled.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { checkedPackage } from "../extensions/checked-package.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import type { Config } from "./config.ts"

/** @throws Error that says which package cannot be made, and why */
export const packagesOf = (settings: PackageSettings & Partial<Pick<Config, "extensions">>): Packages =>
  bundledPackages(settings, xmlCodec, (loadedExtensions(settings)?.packages ?? []).map(checkedPackage))
