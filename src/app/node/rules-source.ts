/** Sources of authorization documents: a folder, files or a table. `document-poller.ts` polls them. */
import { join } from "node:path"
import { fileNameOf, openRulesFiles, openRulesFolder } from "../../adapters/rules/files.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { entries } from "../../domain/table.ts"
import type { Body, PackageName, Uri } from "../../domain/vocabulary.ts"
import { omaPresRules, presRules } from "../../ports/document-source.ts"
import type { XcapDocument, XcapOptions, XcapTables } from "../../ports/document-source.ts"
import type { Config } from "../config/config.ts"
import { splitPair } from "../config/rules-settings.ts"
import { packageOfFolder, ruledPackages } from "../config/watch-policies.ts"
import type { WatchSettings } from "../config/watch-policies.ts"
import { presentityOf } from "../presentity-uri.ts"
import type { DocumentKind, DocumentSource } from "./documents/source.ts"

const contentType = "application/auth-policy+xml"
const bodyOf = (text: string): Body => ({ contentType, text })

/** The folder, files or table that the settings name; they name at most one. */
export const rulesSourceOf = (
  config: Config,
  packages: Packages,
  xcap: XcapTables["Service"] | null,
): DocumentSource | null => {
  const octetsMax = config.rules_document_max
  if (config.rules_dir !== null) {
    const place = openRulesFolder(config.rules_dir, {
      canonical: presentityOf,
      packageOfFolder: (name) => packageOfFolder(name, packages),
      octetsMax,
    })
    return { ...place, everySeconds: 2 }
  }
  if (config.static_rules.length > 0) {
    const files = config.static_rules.flatMap((pair) => {
      const [name, path] = splitPair(pair)
      const presentity = presentityOf(name)
      return presentity === null ? [] : [{ path, presentity }]
    })
    return { ...openRulesFiles(files, { octetsMax }), everySeconds: 2 }
  }
  if (config.integrated_xcap_server && xcap !== null) {
    const kind = config.pres_rules_auid === "pres-rules" ? presRules : omaPresRules
    return {
      ...xcap.open(xcapOptionsOf(config, kind)),
      everySeconds: config.xcap_poll_interval,
    }
  }
  return null
}

/** How the table is read. A read that takes several times as long as a start waits is given up. */
export const xcapOptionsOf = (config: Config, document: XcapDocument): XcapOptions => ({
  table: config.xcap_table ?? "xcap",
  document,
  canonical: presentityOf,
  octetsMax: config.rules_document_max,
  millisMax: config.rules_wait * 6_000,
})

/**
 * The kind of rules documents: a folder has those of every package that uses rules, files and the table those
 * of presence.
 */
export const rulesKindOf = (
  config: Pick<Config, "rules_dir"> & WatchSettings,
  packages: Packages,
): DocumentKind => {
  const ruled = config.rules_dir === null ? new Set(["presence"]) : ruledPackages(config, packages)
  return { ...rulesKind, governs: (packageName) => ruled.has(packageName) }
}

const rulesKind: Omit<DocumentKind, "governs"> = {
  name: "rules",
  commandOf: (packageName, text) => ({
    _tag: "ReplaceRules",
    packageName,
    rules: text === null ? null : bodyOf(text),
  }),
  inForce: (state) => [...entries(state.rules)].map(([name, { body }]) => [name, body.text] as const),
  decidesWhoWatches: true,
}

/**
 * Why rules may not be written over the management port, and what to do instead: the source is authoritative,
 * so what it does not contain would be gone after the next start. Null if they may.
 *
 * @param isRemoval the rules are to be removed
 */
export const rulesKeptElsewhere = (
  config: Config,
  packages: Packages,
): ((packageName: PackageName, presentity: Uri, isRemoval: boolean) => string | null) => {
  const { rules_dir: folder, static_rules: files, integrated_xcap_server: hasTable } = config
  if (folder === null && files.length === 0 && !hasTable) return () => null
  const { governs } = rulesKindOf(config, packages)
  return (packageName, presentity, isRemoval) => {
    if (!governs(packageName)) return null
    const from = `rules of ${packageName} come from`
    if (folder !== null) {
      const inner = packageName === "presence" ? [] : [packageName]
      const path = join(folder, ...inner, `${fileNameOf(presentity)}.xml`)
      return `${from} rules_dir ${folder}: ${isRemoval ? "remove" : "write"} ${path}`
    }
    if (files.length > 0) {
      const pair = files.findLast((pair) => presentityOf(splitPair(pair)[0]) === presentity)
      if (pair === undefined)
        return isRemoval
          ? `${from} static_rules, which names no file for ${presentity}`
          : `${from} static_rules: add ${presentity}=FILE to it`
      return isRemoval
        ? `${from} static_rules: take ${pair} out of it`
        : `${from} static_rules: write ${splitPair(pair)[1]}`
    }
    const table = xcapOptionsOf(config, presRules).table
    return `${from} the table ${table} (integrated_xcap_server): have the XCAP server ${isRemoval ? "remove" : "write"} those of ${presentity} there`
  }
}
