/**
 * Writes the rows of `domain/projections/rows.ts` to `presentity`, `active_watchers` and `watchers`.
 *
 * Each table takes one statement per write, which deletes what is gone and upserts what is there. Values wider than the
 * module's columns are cut in the table only; the log keeps them whole.
 */
import { PgClient } from "@effect/sql-pg"
import { Data, Effect } from "effect"
import { rowName } from "../../../domain/projections/layout.ts"
import type { TableName, TableRow } from "../../../domain/projections/layout.ts"
import { activeWatcherRow, presentityRow, splitUri, watcherRow } from "../../../domain/projections/rows.ts"
import type { ActiveWatcherRow, PresentityRow, WatcherRow } from "../../../domain/projections/rows.ts"
import { narrow } from "../../../domain/projections/widths.ts"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { PresenceTables, TableChange, TableNames } from "../../../ports/presence-tables.ts"
import { fenceOf, fenced, fencedOff } from "../writer/claim.ts"

/** Rows a statement may carry: a database within the process blocks the event loop for each. */
const rowsMax = 500

/**
 * Writers hang, machines vanish: who waits longer than this for the lock tries again later, and who holds it without a
 * statement for so long has lost it.
 */
const lockPatience = "60s"

/** @param sessions `one`: a transaction would hold up everybody else, as in a database within the process */
export const makePresenceTables = (
  sql: PgClient.PgClient,
  names: TableNames = moduleTableNames,
  sessions: "one" | "many" = "many",
): PresenceTables["Service"] => ({
  together: (work) => (sessions === "one" ? work : exclusively(sql, work)),
  write: (changes) =>
    Effect.gen(function* () {
      const plan = planOf(changes)
      yield* writePresentity(sql, names.presentity, plan.presentity)
      yield* writeActiveWatchers(sql, names.activeWatchers, plan.active)
      yield* writeWatchers(sql, names.watchers, plan.watchers)
    }).pipe(Effect.mapError((cause) => new StoreUnavailable({ cause }))),
})

/** The table `presentity`. */
const writePresentity = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  table: string,
  { rows, gone }: ReturnType<typeof planOf>["presentity"],
) {
  for (const part of chunks(gone))
    yield* sql`
        DELETE FROM ${sql(table)} p USING (SELECT * FROM unnest(${part.map((one) => one.username)}::text[],
          ${part.map((one) => one.domain)}::text[], ${part.map((one) => one.event)}::text[],
          ${part.map((one) => one.etag)}::text[])) AS g(username, domain, event, etag)
        WHERE p.username = g.username AND p.domain = g.domain AND p.event = g.event AND p.etag = g.etag`
  for (const part of chunks(rows))
    yield* sql`
        INSERT INTO ${sql(table)} (username, domain, event, etag, expires, received_time, body, extra_hdrs, sender)
        SELECT r.username, r.domain, r.event, r.etag, r.expires, r.received_time, convert_to(r.body, 'UTF8'),
          decode(nullif(r.extra_hdrs, ''), 'hex'), r.sender
        FROM unnest(${part.map((one) => one.username)}::text[], ${part.map((one) => one.domain)}::text[],
          ${part.map((one) => one.event)}::text[], ${part.map((one) => one.etag)}::text[],
          ${part.map((one) => one.expires)}::int[], ${part.map((one) => one.received_time)}::int[],
          ${part.map((one) => one.body)}::text[], ${part.map((one) => octets(one.extra_hdrs))}::text[],
          ${part.map((one) => one.sender)}::text[])
          AS r(username, domain, event, etag, expires, received_time, body, extra_hdrs, sender)
        ON CONFLICT (username, domain, event, etag) DO UPDATE SET expires = excluded.expires,
          received_time = excluded.received_time, body = excluded.body, extra_hdrs = excluded.extra_hdrs,
          sender = excluded.sender`
})

/** The table `active_watchers`. */
const writeActiveWatchers = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  table: string,
  { rows, gone }: ReturnType<typeof planOf>["active"],
) {
  for (const part of chunks(gone))
    yield* sql`
        DELETE FROM ${sql(table)} a USING (SELECT * FROM unnest(${part.map((one) => one.presentity_uri)}::text[],
          ${part.map((one) => one.callid)}::text[], ${part.map((one) => one.to_tag)}::text[],
          ${part.map((one) => one.from_tag)}::text[], ${part.map((one) => one.event)}::text[],
          ${part.map((one) => one.event_id)}::text[])) AS g(uri, callid, to_tag, from_tag, event, event_id)
        WHERE a.presentity_uri = g.uri AND a.callid = g.callid AND a.to_tag = g.to_tag
          AND a.from_tag = g.from_tag AND a.event = g.event AND a.event_id = g.event_id`
  for (const part of chunks(rows))
    yield* sql`
        INSERT INTO ${sql(table)} (presentity_uri, watcher_username, watcher_domain, to_user, to_domain, event,
          event_id, to_tag, from_tag, callid, local_cseq, remote_cseq, contact, record_route, expires, status, reason,
          version, socket_info, local_contact, sharing_tag)
        SELECT presentity_uri, watcher_username, watcher_domain, to_user, to_domain, event, event_id, to_tag, from_tag,
          callid, local_cseq, remote_cseq, contact, record_route, expires, status, reason, version, socket_info,
          local_contact, nullif(sharing_tag, '')
        FROM unnest(${part.map((one) => one.presentity_uri)}::text[],
          ${part.map((one) => one.watcher_username)}::text[], ${part.map((one) => one.watcher_domain)}::text[],
          ${part.map((one) => one.to_user)}::text[], ${part.map((one) => one.to_domain)}::text[],
          ${part.map((one) => one.event)}::text[], ${part.map((one) => one.event_id)}::text[],
          ${part.map((one) => one.to_tag)}::text[], ${part.map((one) => one.from_tag)}::text[],
          ${part.map((one) => one.callid)}::text[], ${part.map((one) => one.local_cseq)}::int[],
          ${part.map((one) => one.remote_cseq)}::int[], ${part.map((one) => one.contact)}::text[],
          ${part.map((one) => one.record_route)}::text[], ${part.map((one) => one.expires)}::int[],
          ${part.map((one) => one.status)}::int[], ${part.map((one) => one.reason)}::text[],
          ${part.map((one) => one.version)}::int[], ${part.map((one) => one.socket_info)}::text[],
          ${part.map((one) => one.local_contact)}::text[], ${part.map((one) => one.sharing_tag ?? "")}::text[])
          AS r(presentity_uri, watcher_username, watcher_domain, to_user, to_domain, event, event_id, to_tag, from_tag,
            callid, local_cseq, remote_cseq, contact, record_route, expires, status, reason, version, socket_info,
            local_contact, sharing_tag)
        ON CONFLICT (presentity_uri, callid, to_tag, from_tag, event, event_id) DO UPDATE SET
          watcher_username = excluded.watcher_username, watcher_domain = excluded.watcher_domain,
          to_user = excluded.to_user, to_domain = excluded.to_domain, record_route = excluded.record_route,
          socket_info = excluded.socket_info, local_contact = excluded.local_contact,
          sharing_tag = excluded.sharing_tag, local_cseq = excluded.local_cseq, remote_cseq = excluded.remote_cseq, contact = excluded.contact,
          expires = excluded.expires, status = excluded.status, reason = excluded.reason,
          version = excluded.version`
})

/** The table `watchers`. */
const writeWatchers = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  table: string,
  { rows, gone }: ReturnType<typeof planOf>["watchers"],
) {
  for (const part of chunks(gone))
    yield* sql`
        DELETE FROM ${sql(table)} w USING (SELECT * FROM unnest(${part.map((one) => one.presentity_uri)}::text[],
          ${part.map((one) => one.watcher_username)}::text[], ${part.map((one) => one.watcher_domain)}::text[],
          ${part.map((one) => one.event)}::text[])) AS g(uri, username, domain, event)
        WHERE w.presentity_uri = g.uri AND w.watcher_username = g.username AND w.watcher_domain = g.domain
          AND w.event = g.event`
  for (const part of chunks(rows))
    yield* sql`
        INSERT INTO ${sql(table)} (presentity_uri, watcher_username, watcher_domain, event, status, reason, inserted_time)
        SELECT * FROM unnest(${part.map((one) => one.presentity_uri)}::text[],
          ${part.map((one) => one.watcher_username)}::text[], ${part.map((one) => one.watcher_domain)}::text[],
          ${part.map((one) => one.event)}::text[], ${part.map((one) => one.status)}::int[],
          ${part.map((one) => one.reason)}::text[], ${part.map((one) => one.inserted_time)}::int[])
        ON CONFLICT (presentity_uri, watcher_username, watcher_domain, event) DO UPDATE SET
          status = excluded.status, reason = excluded.reason, inserted_time = excluded.inserted_time`
})

/**
 * Runs work in one transaction that no other writer of the tables gets between.
 *
 * Of the default isolation, on purpose: the work must see what the last holder of the lock has written.
 */
export const exclusively = <A, E, R>(
  sql: PgClient.PgClient,
  work: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | StoreUnavailable, R> =>
  sql
    .withTransaction(
      Effect.gen(function* () {
        yield* sql`SELECT set_config('lock_timeout', ${lockPatience}, true),
        set_config('idle_in_transaction_session_timeout', ${lockPatience}, true)`
        // a lock that nobody can take without rights on that table; neither rows of it nor readers are held up
        yield* sql.unsafe("LOCK TABLE writers IN SHARE UPDATE EXCLUSIVE MODE")
        return yield* (yield* fenceOf(sql)).length > 0 ? work : fencedOff(sql)
      }),
    )
    .pipe(
      Effect.catchTag("SqlError", (cause) => Effect.fail(new StoreUnavailable({ cause }))),
      Effect.catchTag("LogIsTaken", (cause) => Effect.fail(new StoreUnavailable({ cause }))),
    ) as Effect.Effect<A, E | StoreUnavailable, R>

/** A table has the name of one of ours and rows of somebody else. */
export class TableNotOurs extends Data.TaggedError("TableNotOurs")<{ readonly table: string }> {
  override get message(): string {
    return `the table ${this.table} is there and holds rows of somebody else: give another name, or another database`
  }
}

/**
 * Makes tables of other names like the module's, where they are missing, and says their version as the module does.
 *
 * @param xcap the table that an XCAP server writes; it is made for a new log only: later a table that is not there is one that
 *   cannot be read, and not one that says that nobody has rules
 * @returns whether they are the tables that were kept up to now; if not, they must be brought in line and claimed
 */
export const prepareTables = Effect.fnUntraced(function* (names: TableNames, xcap: string) {
  const sql = yield* PgClient.PgClient
  for (const key of Object.keys(names) as (keyof TableNames)[]) {
    const name = names[key]
    if (name === moduleTableNames[key]) continue
    if (yield* isStranger(name)) return yield* new TableNotOurs({ table: name })
    yield* fenced(sql, prepareTable(name, moduleTableNames[key]))
  }
  if (xcap !== "xcap" && (yield* sql`SELECT FROM events LIMIT 1`).length === 0)
    yield* fenced(sql, prepareTable(xcap, "xcap"))
  const [known] = yield* sql`SELECT FROM checkpoints WHERE name = ${markOf(names)}`
  return known !== undefined
})

/** From now on these are the tables that are kept; any others fall behind. */
export const claimTables = Effect.fnUntraced(function* (names: TableNames) {
  const sql = yield* PgClient.PgClient
  const mark = markOf(names)
  yield* fenced(
    sql,
    sql`
    WITH others AS (DELETE FROM checkpoints WHERE starts_with(name, ${markPrefix}) AND name <> ${mark})
    INSERT INTO checkpoints (name, pos, at) VALUES (${mark}, 0, now()) ON CONFLICT DO NOTHING`,
  )
})

const markPrefix = "kept in "
const markOf = (names: TableNames): string =>
  markPrefix + [names.presentity, names.activeWatchers, names.watchers].join()

/** Ours stand in our table of versions. */
const isStranger = Effect.fnUntraced(function* (name: string) {
  const sql = yield* PgClient.PgClient
  const [known] = yield* sql<{ here: boolean; ours: boolean }>`
    SELECT to_regclass(${`"${name}"`}) IS NOT NULL AS here,
      EXISTS (SELECT FROM version WHERE table_name = ${name}) AS ours`
  if (known === undefined || !known.here || known.ours) return false
  return (yield* sql`SELECT FROM ${sql(name)} LIMIT 1`).length > 0
})

const prepareTable = Effect.fnUntraced(function* (name: string, model: string) {
  const sql = yield* PgClient.PgClient
  yield* sql`CREATE TABLE IF NOT EXISTS ${sql(name)} (LIKE ${sql(model)} INCLUDING ALL)`
  yield* sql`INSERT INTO version (table_name, table_version)
    SELECT ${name}, table_version FROM version WHERE table_name = ${model}
    ON CONFLICT (table_name) DO NOTHING`
})

/** Headers are kept as octets, one character each. */
const octets = (text: string | null): string => Buffer.from(text ?? "", "latin1").toString("hex")

interface Part<Row, Gone> {
  readonly rows: Row[]
  readonly gone: Gone[]
}

const planOf = (changes: readonly TableChange[]) => {
  const presentity: Part<PresentityRow, Pick<PresentityRow, "username" | "domain" | "event" | "etag">> = {
    rows: [],
    gone: [],
  }
  const active: Part<ActiveWatcherRow, ActiveWatcherRow> = { rows: [], gone: [] }
  const watchers: Part<
    WatcherRow,
    Pick<WatcherRow, "presentity_uri" | "watcher_username" | "watcher_domain" | "event">
  > = { rows: [], gone: [] }
  for (const { state, keys } of changes) {
    for (const key of keys) {
      if (key.table === "presentity") {
        const row = presentityRow(state, key.packageName, key.etag)
        const { user, host } = splitUri(state.presentity)
        if (row === undefined) {
          presentity.gone.push(
            narrow({ username: user, domain: host, event: key.packageName, etag: key.etag }),
          )
        } else presentity.rows.push(narrow(row))
      } else if (key.table === "active_watchers") {
        const row = activeWatcherRow(state, key.no)
        if (row !== undefined) active.rows.push(narrow(row))
        else if (key.ended !== null) active.gone.push(narrow(key.ended))
      } else {
        const row = watcherRow(state, key.packageName, key.watcher)
        const { user, host } = splitUri(key.watcher)
        const name = {
          presentity_uri: state.presentity,
          watcher_username: user,
          watcher_domain: host,
          event: key.packageName,
        }
        if (row === undefined) watchers.gone.push(narrow(name))
        else watchers.rows.push(narrow(row))
      }
    }
  }
  return {
    presentity: onceEach("presentity", presentity),
    active: onceEach("active_watchers", active),
    watchers: onceEach("watchers", watchers),
  }
}

/** Names that differ only in what was cut are one row, and a statement takes each row once. */
const onceEach = <Row extends object, Gone extends object>(
  table: TableName,
  { rows, gone }: Part<Row, Gone>,
): Part<Row, Gone> => {
  const byName = <One extends object>(all: readonly One[]): One[] => [
    ...new Map(all.map((one) => [rowName(table, one as unknown as TableRow), one])).values(),
  ]
  return { rows: byName(rows), gone: byName(gone) }
}

function* chunks<Row>(rows: readonly Row[]): IterableIterator<readonly Row[]> {
  for (let start = 0; start < rows.length; start += rowsMax) yield rows.slice(start, start + rowsMax)
}
