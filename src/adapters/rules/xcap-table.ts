/**
 * Documents in the table `xcap`, rules or hard state, as the OpenSIPS xcap module lays it out and an XCAP server writes it.
 *
 * The table tells nobody when it changes, so it is looked at; only documents whose hash changed are fetched.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { StoreUnavailable } from "../../domain/ports.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { RulesChange } from "./files.ts"

/** Which documents: the number in column `doc_type`. */
export type XcapDocument = typeof presRules | typeof omaPresRules | typeof pidfManipulation

/** @source RFC 5025 §9 */
export const presRules = 2
/** Those of OMA, by the module's number. */
export const omaPresRules = 32
/** @source RFC 4827 */
export const pidfManipulation = 16

export interface XcapTable {
  /** Everything that changed since the last look; the first look finds every document. */
  readonly look: Effect.Effect<readonly RulesChange[], StoreUnavailable>
}

/**
 * @param table its name (`xcap_table`)
 * @param canonical makes a canonical URI of text, null when it is none
 */
export const openXcapTable = (
  sql: PgClient.PgClient,
  table: string,
  canonical: (text: string) => Uri | null,
  document: XcapDocument,
): XcapTable => {
  let seen = new Map<Uri, string>()
  return {
    look: Effect.gen(function* () {
      // of several files of one user the first counts, as in the module
      const rows = yield* sql<{ username: string; domain: string; hash: string }>`
        SELECT DISTINCT ON (username, domain) username, domain, md5(doc) AS hash
        FROM ${sql(table)} WHERE doc_type = ${document}::int ORDER BY username, domain, id`
      const present = new Map<Uri, string>()
      const changed: [Uri, string, string][] = []
      for (const { username, domain, hash } of rows) {
        const presentity = canonical(`sip:${username}@${domain}`)
        if (presentity === null) continue
        present.set(presentity, hash)
        if (seen.get(presentity) !== hash) changed.push([presentity, username, domain])
      }
      const changes: RulesChange[] = []
      for (const [presentity, username, domain] of changed) {
        const [row] = yield* sql<{ doc: string }>`
          SELECT convert_from(doc, 'UTF8') AS doc FROM ${sql(table)}
          WHERE doc_type = ${document}::int AND username = ${username} AND domain = ${domain} ORDER BY id LIMIT 1`
        if (row !== undefined) changes.push({ presentity, text: row.doc, file: `table ${table}` })
      }
      for (const presentity of seen.keys()) {
        if (!present.has(presentity)) changes.push({ presentity, text: null, file: `table ${table}` })
      }
      seen = present
      return changes
    }).pipe(Effect.mapError((cause) => new StoreUnavailable({ cause }))),
  }
}
