/**
 * Documents in the table `xcap`, rules or hard state, as the OpenSIPS xcap module lays it out and an XCAP server writes it.
 *
 * The table tells nobody when it changes, so it is looked at; only documents whose hash changed are fetched, as octets: what one
 * row holds is judged here, and stands in nobody else's way.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Effect, Layer } from "effect"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { SourceUnusable, XcapTables, keyOf } from "../../ports/document-source.ts"
import type { DocumentChange, DocumentPlace, Trouble, XcapOptions } from "../../ports/document-source.ts"
import { textOf, tooLarge } from "./documents.ts"

/** All documents in it are of this package. */
const packageName: PackageName = "presence"

/** Documents fetched at a time. */
const rowsMax = 200

interface Row {
  readonly id: number
  readonly username: string | null
  readonly domain: string | null
  readonly hash: string | null
  readonly octets: number | null
}

interface Counting {
  readonly id: number
  readonly presentity: Uri
  readonly hash: string | null
  readonly octets: number
  readonly file: string
}

export const openXcapTable = (sql: PgClient.PgClient, options: XcapOptions): DocumentPlace => {
  const { table, document, canonical, octetsMax } = options
  const name = `table ${table}`
  const rowOf = (id: number): string => `${name}, id ${id}`
  /** Hashes of what was settled, by presentity. */
  const settled = new Map<Uri, string>()
  /** Of what was told. */
  const told = new WeakMap<DocumentChange, string>()
  /** Documents that are there, or were and nobody has settled that they are gone. */
  const there = new Map<Uri, string>()

  const look = Effect.gen(function* () {
    const rows = yield* sql<Row>`
      SELECT id::int AS id, username, domain, md5(doc) AS hash, octet_length(doc)::int AS octets
      FROM ${sql(table)} WHERE doc_type = ${document}::int ORDER BY id`
    const troubles: Trouble[] = []
    const counting = new Map<Uri, Counting>()
    for (const { id, username, domain, hash, octets } of rows) {
      const presentity = addressOf(username, domain, canonical)
      const file = rowOf(id)
      if (presentity === null) {
        const why = `username ${quoted(username)} and domain ${quoted(domain)} are no address of anybody`
        troubles.push({ of: null, file, why })
      } else if (counting.has(presentity)) {
        // of several files of one user the first counts, as in the module
        const why = `${counting.get(presentity)?.file} is of the same presentity, and counts`
        troubles.push({ of: { packageName, presentity }, file, why, spare: true })
      } else counting.set(presentity, { id, presentity, hash, octets: octets ?? 0, file })
    }
    const changed: Counting[] = []
    for (const one of counting.values()) {
      const of = { packageName, presentity: one.presentity }
      const why =
        one.hash === null
          ? "it has no document"
          : one.octets > octetsMax
            ? tooLarge(one.octets, octetsMax)
            : null
      if (why !== null) {
        settled.delete(one.presentity)
        troubles.push({ of, file: one.file, why })
      } else if (settled.get(one.presentity) !== one.hash) changed.push(one)
    }
    const changes: DocumentChange[] = []
    for (let from = 0; from < changed.length; from += rowsMax) {
      const some = changed.slice(from, from + rowsMax)
      const documents = yield* sql<{ id: number; doc: Uint8Array; hash: string }>`
        SELECT id::int AS id, doc, md5(doc) AS hash FROM ${sql(table)}
        WHERE id = ANY(${some.map(({ id }) => id)}::int[]) AND octet_length(doc) <= ${octetsMax}::int`
      const byId = new Map(documents.map((one) => [one.id, one]))
      for (const { id, presentity, file } of some) {
        const of = { packageName, presentity }
        const found = byId.get(id)
        const read = found === undefined ? { why: "it changed while it was looked at" } : textOf(found.doc)
        if (found === undefined || "why" in read) {
          settled.delete(presentity)
          if ("why" in read) troubles.push({ of, file, why: read.why })
          continue
        }
        const change: DocumentChange = { ...of, text: read.text, file }
        told.set(change, found.hash)
        changes.push(change)
      }
    }
    for (const [presentity, file] of there) {
      if (!counting.has(presentity)) changes.push({ packageName, presentity, text: null, file })
    }
    for (const { presentity, file } of counting.values()) there.set(presentity, file)
    return {
      changes,
      troubles,
      listed: new Set([...counting.keys()].map((presentity) => keyOf({ packageName, presentity }))),
      unread: new Set<PackageName>(),
    }
  })

  return {
    name,
    look: look.pipe(
      Effect.timeout(options.millisMax),
      Effect.mapError((cause) => new SourceUnusable({ source: name, why: reasonOf(cause) })),
    ),
    settle: (change) => {
      const { presentity, text } = change
      const hash = told.get(change)
      if (hash !== undefined) settled.set(presentity, hash)
      if (text !== null) return
      settled.delete(presentity)
      there.delete(presentity)
    },
  }
}

/** The tables of a database. */
export const layerXcapTables: Layer.Layer<XcapTables, never, PgClient.PgClient> = Layer.effect(
  XcapTables,
  Effect.map(PgClient.PgClient, (sql) => ({ open: (options) => openXcapTable(sql, options) })),
)

/** Of columns: what would be a password, a parameter or another host in a URI belongs to no address. */
const addressOf = (
  username: string | null,
  domain: string | null,
  canonical: (text: string) => Uri | null,
): Uri | null =>
  username === null ||
  domain === null ||
  /[:@]/.test(username) ||
  !/^(?:[\w.-]+|\[[\da-fA-F:.]+\])$/.test(domain)
    ? null
    : canonical(`sip:${username}@${domain}`)

const quoted = (text: string | null): string => (text === null ? "NULL" : JSON.stringify(text.slice(0, 80)))

/** The innermost message. */
const reasonOf = (cause: unknown): string => {
  if (Cause.isTimeoutError(cause)) return "it did not answer in time"
  if (!(cause instanceof Error)) return String(cause)
  const inner = (cause as { readonly reason?: unknown }).reason ?? cause.cause
  return inner instanceof Error && inner !== cause ? reasonOf(inner) : (cause.message.split("\n")[0] ?? "")
}
