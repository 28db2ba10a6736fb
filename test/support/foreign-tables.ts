/**
 * The tables of another presence server, created and filled by the test, in the SQL of each kind of database.
 */
import { DatabaseSync } from "node:sqlite"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { createConnection } from "mysql2/promise"

export type ForeignRow = Readonly<Record<string, string | number | null | Uint8Array>>

export interface ForeignRows {
  readonly presentity?: readonly ForeignRow[]
  readonly active_watchers?: readonly ForeignRow[]
  readonly watchers?: readonly ForeignRow[]
  readonly xcap?: readonly ForeignRow[]
}

type Dialect = "postgres" | "mysql" | "sqlite"

const columns: Readonly<Record<keyof ForeignRows, string>> = {
  presentity:
    "username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL, event VARCHAR(64) NOT NULL, etag VARCHAR(64) NOT NULL, " +
    "expires INTEGER NOT NULL, received_time INTEGER NOT NULL, body BLOB, extra_hdrs BLOB, sender VARCHAR(255), " +
    "UNIQUE (username, domain, event, etag)",
  active_watchers:
    "presentity_uri VARCHAR(255) NOT NULL, watcher_username VARCHAR(64) NOT NULL, watcher_domain VARCHAR(64) NOT NULL, " +
    "to_user VARCHAR(64) NOT NULL, to_domain VARCHAR(64) NOT NULL, event VARCHAR(64) NOT NULL, event_id VARCHAR(64), " +
    "to_tag VARCHAR(64) NOT NULL, from_tag VARCHAR(64) NOT NULL, callid VARCHAR(64) NOT NULL, local_cseq INTEGER NOT NULL, " +
    "remote_cseq INTEGER NOT NULL, contact VARCHAR(255) NOT NULL, record_route TEXT, expires INTEGER NOT NULL, " +
    "status INTEGER NOT NULL, reason VARCHAR(64), version INTEGER NOT NULL, socket_info VARCHAR(64) NOT NULL, " +
    "local_contact VARCHAR(255) NOT NULL, sharing_tag VARCHAR(32)",
  watchers:
    "presentity_uri VARCHAR(255) NOT NULL, watcher_username VARCHAR(64) NOT NULL, watcher_domain VARCHAR(64) NOT NULL, " +
    "event VARCHAR(64) NOT NULL, status INTEGER NOT NULL, reason VARCHAR(64), inserted_time INTEGER NOT NULL",
  xcap:
    "username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL, doc BLOB NOT NULL, doc_type INTEGER NOT NULL, " +
    "etag VARCHAR(64) NOT NULL, source INTEGER NOT NULL, doc_uri VARCHAR(255) NOT NULL, port INTEGER NOT NULL",
}

/** Table versions of OpenSIPS. */
export const opensipsVersions = { presentity: 5, active_watchers: 12, watchers: 4, xcap: 4 }

/** Statements that create and fill the tables; rows are numbered in order. */
export const statementsOf = (
  rows: ForeignRows,
  dialect: Dialect,
  versions: Readonly<Record<string, number>> = opensipsVersions,
): readonly string[] => {
  const blob = dialect === "postgres" ? "BYTEA" : "BLOB"
  const literal = (value: ForeignRow[string]): string => {
    if (value === null) return "NULL"
    if (typeof value === "number") return `${value}`
    if (typeof value === "string") return `'${value.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`
    const hex = Buffer.from(value).toString("hex")
    return dialect === "postgres" ? `decode('${hex}', 'hex')` : `X'${hex}'`
  }
  return [
    "CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER NOT NULL)",
    ...Object.entries(versions).map(
      ([name, version]) => `INSERT INTO version VALUES ('${name}', ${version})`,
    ),
    ...(Object.keys(columns) as (keyof ForeignRows)[]).flatMap((table) => [
      `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, ${columns[table].replaceAll("BLOB", blob)})`,
      ...(rows[table] ?? []).map((row, index) => {
        const names = Object.keys(row)
        const values = Object.values(row).map(literal)
        return `INSERT INTO ${table} (id, ${names.join(", ")}) VALUES (${index + 1}, ${values.join(", ")})`
      }),
    ]),
  ]
}

export const fillSqlite = (file: string, rows: ForeignRows, versions = opensipsVersions): void => {
  const database = new DatabaseSync(file)
  for (const statement of statementsOf(rows, "sqlite", versions)) database.exec(statement)
  database.close()
}

export const fillPostgres = (url: string, rows: ForeignRows): Promise<void> =>
  Effect.runPromise(
    PgClient.PgClient.pipe(
      Effect.flatMap((sql) =>
        Effect.forEach(statementsOf(rows, "postgres"), (statement) => sql.unsafe(statement), {
          discard: true,
        }),
      ),
      Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
    ),
  )

export const fillMysql = async (url: string, rows: ForeignRows): Promise<void> => {
  const connection = await createConnection({ uri: url })
  for (const statement of statementsOf(rows, "mysql")) await connection.query(statement)
  await connection.end()
}

// ── rows with one obvious default for each column ──

const now = (): number => Math.floor(Date.now() / 1000)

export const publicationRow = (row: ForeignRow = {}): ForeignRow => ({
  username: "alice",
  domain: "example.com",
  event: "presence",
  etag: "a.1",
  expires: now() + 600,
  received_time: now() - 60,
  body: Buffer.from(document("t1", "open")),
  extra_hdrs: null,
  sender: "",
  ...row,
})

export const subscriptionRow = (row: ForeignRow = {}): ForeignRow => ({
  presentity_uri: "sip:alice@example.com",
  watcher_username: "bob",
  watcher_domain: "example.com",
  to_user: "alice",
  to_domain: "example.com",
  event: "presence",
  event_id: "",
  to_tag: "our-tag",
  from_tag: "bob-tag",
  callid: "call-1",
  local_cseq: 7,
  remote_cseq: 3,
  contact: "sip:bob@127.0.0.1:5071",
  record_route: "",
  expires: now() + 600,
  status: 1,
  reason: "",
  version: 7,
  socket_info: "udp:127.0.0.1:5060",
  local_contact: "sip:presence@127.0.0.1:5060",
  sharing_tag: null,
  ...row,
})

export const watcherRow = (row: ForeignRow = {}): ForeignRow => ({
  presentity_uri: "sip:alice@example.com",
  watcher_username: "bob",
  watcher_domain: "example.com",
  event: "presence",
  status: 1,
  reason: "",
  inserted_time: now() - 3600,
  ...row,
})

export const documentRow = (row: ForeignRow = {}): ForeignRow => ({
  username: "alice",
  domain: "example.com",
  doc: Buffer.from(""),
  doc_type: 2,
  etag: "e",
  source: 0,
  doc_uri: "index",
  port: 0,
  ...row,
})

/** A presence document of alice with one tuple. */
export const document = (id: string, basic: string): string =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="${id}"><status><basic>${basic}</basic></status></tuple></presence>`
