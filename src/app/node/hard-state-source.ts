/** Hard state from the table of an XCAP server. */
import { entries } from "../../domain/table.ts"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import type { XcapTables } from "../../ports/document-source.ts"
import { pidfManipulation } from "../../ports/document-source.ts"
import type { Config } from "../config/config.ts"
import type { DocumentKind, DocumentSource } from "./documents/source.ts"
import { xcapOptionsOf } from "./rules-source.ts"

/** The documents of RFC 4827 are PIDF. */
export const presenceHardState: DocumentKind = {
  name: "hard state",
  governs: (packageName) => packageName === "presence",
  commandOf: (packageName, text) => ({
    _tag: "SetHardState",
    packageName,
    body: text === null ? null : { contentType: "application/pidf+xml", text },
  }),
  inForce: (state) => [...entries(state.hardState)].map(([name, { text }]) => [name, text] as const),
  decidesWhoWatches: false,
}

/** The table, if the settings name one. */
export const hardStateSourceOf = (
  config: Config,
  xcap: XcapTables["Service"] | null,
): DocumentSource | null =>
  config.pidf_manipulation && config.integrated_xcap_server && xcap !== null
    ? {
        ...xcap.open(xcapOptionsOf(config, pidfManipulation)),
        everySeconds: config.xcap_poll_interval,
      }
    : null

/** Like `rulesKeptElsewhere`: if there is a table, it is authoritative. */
export const hardStateKeptElsewhere =
  (config: Config) =>
  (packageName: PackageName, presentity: Uri, isRemoval: boolean): string | null =>
    config.pidf_manipulation && config.integrated_xcap_server && presenceHardState.governs(packageName)
      ? `hard state of ${packageName} comes from the table ${config.xcap_table ?? "xcap"} (pidf_manipulation): ` +
        `have the XCAP server ${isRemoval ? "remove" : "write"} that of ${presentity} there`
      : null
