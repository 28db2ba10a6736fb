/**
 * The event packages that a server runs with: the bundled ones, as the settings configure them, and those of an extension.
 */
import { makeXmlCodec, parserCodec } from "../../adapters/xml/codec.ts"
import { remembering } from "../../adapters/xml/remember.ts"
import { bundledPackages } from "../../domain/packages/bundled.ts"
import type { PackageSettings } from "../../domain/packages/bundled.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { checkedPackage } from "../extensions/checked-package.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import type { Config } from "./config.ts"

/** Settings that event packages depend on. What is left out is as by default. */
type Settings = PackageSettings & Partial<Pick<Config, "extensions" | "xml_cache" | "xml_reader">>

/** @throws Error that says which package cannot be made, and why */
export const packagesOf = (settings: Settings): Packages =>
  bundledPackages(
    settings,
    remembering(
      makeXmlCodec({}, settings.xml_reader === "fast-xml-parser" ? "fast-xml-parser" : "single-pass"),
      settings.xml_cache,
    ),
    (loadedExtensions(settings)?.packages ?? []).map(checkedPackage),
    parserCodec,
  )
