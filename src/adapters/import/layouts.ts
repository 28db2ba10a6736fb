/**
 * The tables of the OpenSIPS and Kamailio presence modules, and pages of their rows.
 *
 * Which layout it is, the table `version` says. Rows come as they are stored: text, octets and Unix seconds; what they
 * mean is for whoever takes them over. A page is bounded, a table is not.
 */
import { Data, Effect } from "effect"
import type { Source, SourceRow, SourceUnavailable } from "./source.ts"

export type LayoutName = "opensips" | "kamailio"

export interface SourceTables {
  readonly presentity: string
  readonly activeWatchers: string
  readonly watchers: string
  readonly xcap: string
}

export const usualTables: SourceTables = {
  presentity: "presentity",
  activeWatchers: "active_watchers",
  watchers: "watchers",
  xcap: "xcap",
}

export interface Layout {
  readonly name: LayoutName
  /** As found: `presentity 5, active_watchers 12, watchers 4`. */
  readonly found: string
  readonly tables: SourceTables
  readonly hasXcap: boolean
}

/** What is there cannot be taken over, and why. */
export class SourceUnsuitable extends Data.TaggedError("SourceUnsuitable")<{ readonly why: string }> {
  readonly exitCode = 78
  override get message(): string {
    return this.why
  }
}

export interface PresentityRow {
  readonly username: string
  readonly domain: string
  readonly event: string
  readonly etag: string
  readonly expires: number
  readonly receivedTime: number
  readonly body: Uint8Array
  readonly extraHeaders: Uint8Array
  readonly sender: string
}

export interface ActiveWatcherRow {
  readonly presentityUri: string
  readonly watcherUsername: string
  readonly watcherDomain: string
  readonly toUser: string
  readonly toDomain: string
  /** From of the SUBSCRIBE; where the layout does not keep it, the watcher. */
  readonly fromUser: string
  readonly fromDomain: string
  readonly event: string
  readonly eventId: string
  readonly toTag: string
  readonly fromTag: string
  readonly callId: string
  /** CSeq of the last NOTIFY sent. */
  readonly lastCseq: number
  readonly remoteCseq: number
  readonly contact: string
  readonly recordRoute: string
  readonly expires: number
  readonly status: number
  readonly reason: string
  /** Version of the next document. */
  readonly nextVersion: number
  readonly socketInfo: string
  readonly localContact: string
  /** When the table of watchers says that it subscribed first; null: it does not say. */
  readonly insertedTime: number | null
}

export interface WatcherRow {
  readonly presentityUri: string
  readonly watcherUsername: string
  readonly watcherDomain: string
  readonly event: string
  readonly status: number
  readonly insertedTime: number
}

export interface XcapRow {
  readonly username: string
  readonly domain: string
  readonly docType: number
  readonly doc: Uint8Array
}

/** The next rows each time; none at the end. */
export type Pages<Row> = Effect.Effect<readonly Row[], SourceUnavailable>

/** Which versions of its tables each module writes: OpenSIPS since 2.4; Kamailio 5.6, and one before it with fewer columns. */
const versions: Readonly<
  Record<LayoutName, Readonly<Record<"presentity" | "activeWatchers" | "watchers", readonly number[]>>>
> = {
  opensips: { presentity: [5], activeWatchers: [12], watchers: [4] },
  kamailio: { presentity: [5], activeWatchers: [11, 12], watchers: [3] },
}

/**
 * Says which layout the tables have.
 *
 * @throws SourceUnsuitable when it is another than the one asked for, or one not known
 */
export const findLayout = Effect.fnUntraced(function* (
  source: Source,
  name: LayoutName,
  tables: SourceTables,
) {
  for (const table of [tables.presentity, tables.activeWatchers, tables.watchers, "version"]) {
    if (!(yield* source.hasTable(table))) {
      return yield* new SourceUnsuitable({ why: `${source.name} has no table ${table}` })
    }
  }
  const versionOf = Effect.fnUntraced(function* (table: keyof SourceTables) {
    for (const known of [tables[table], usualTables[table]]) {
      const [row] = yield* source.rows("SELECT table_version FROM version WHERE table_name = ?", [known])
      if (row !== undefined) return Number(row["table_version"])
    }
    return null
  })
  const found = {
    presentity: yield* versionOf("presentity"),
    activeWatchers: yield* versionOf("activeWatchers"),
    watchers: yield* versionOf("watchers"),
  }
  const isKnown = (of: LayoutName): boolean =>
    (["presentity", "activeWatchers", "watchers"] as const).every(
      (table) => found[table] !== null && versions[of][table].includes(found[table]),
    )
  const words = `${tables.presentity} ${found.presentity ?? "without version"}, ${tables.activeWatchers} ${found.activeWatchers ?? "without version"}, ${tables.watchers} ${found.watchers ?? "without version"}`
  if (!isKnown(name)) {
    const other: LayoutName = name === "opensips" ? "kamailio" : "opensips"
    const why = isKnown(other)
      ? `${source.name} has the layout of ${other} (${words}): presently import ${other}`
      : `${source.name}: this version reads the ${name} layout ${expected(name)} and found ${words}`
    return yield* new SourceUnsuitable({ why })
  }
  const layout: Layout = { name, found: words, tables, hasXcap: yield* source.hasTable(tables.xcap) }
  return layout
})

const expected = (name: LayoutName): string => {
  const of = versions[name]
  return `presentity ${of.presentity.join(" or ")}, active_watchers ${of.activeWatchers.join(" or ")}, watchers ${of.watchers.join(" or ")}`
}

/** Publications, those of one presentity and package together and in the order in which they were received. */
export const presentityPages = (source: Source, layout: Layout, rowsMax: number): Pages<PresentityRow> => {
  const headers = layout.name === "opensips" ? "extra_hdrs" : "NULL"
  let after: readonly string[] | null = null
  /** The last presentity and package of the page before: the next page may have more of it. */
  let held: readonly SourceRow[] = []
  const next: Pages<PresentityRow> = Effect.suspend(() =>
    source
      .rows(
        `SELECT id, username, domain, event, etag, expires, received_time, body, ${headers} AS extra_hdrs, sender
        FROM ${layout.tables.presentity}
        ${after === null ? "" : "WHERE (username, domain, event, etag) > (?, ?, ?, ?)"}
        ORDER BY username, domain, event, etag LIMIT ${rowsMax}`,
        after ?? [],
      )
      .pipe(
        Effect.flatMap((rows) => {
          const last = rows.at(-1)
          if (last !== undefined)
            after = ["username", "domain", "event", "etag"].map((name) => text(last[name]))
          const known = [...held, ...rows]
          const isEnd = rows.length < rowsMax
          held = isEnd ? [] : known.filter((row) => groupOf(row) === groupOf(last ?? row))
          const ready = known.slice(0, known.length - held.length)
          // one group that fills more than a page
          if (ready.length === 0 && !isEnd) return next
          return Effect.succeed(ready.sort(byGroupAndTime).map(presentityRow))
        }),
      ),
  )
  return next
}

export const activeWatcherPages = (
  source: Source,
  layout: Layout,
  rowsMax: number,
): Pages<ActiveWatcherRow> => {
  const isKamailio = layout.name === "kamailio"
  const [fromUser, fromDomain] = isKamailio
    ? ["from_user", "from_domain"]
    : ["watcher_username", "watcher_domain"]
  const { activeWatchers, watchers } = layout.tables
  return byId(
    source,
    (after) => `SELECT a.id AS id, a.presentity_uri AS presentity_uri, a.watcher_username AS watcher_username,
        a.watcher_domain AS watcher_domain, a.to_user AS to_user, a.to_domain AS to_domain, a.${fromUser} AS from_user,
        a.${fromDomain} AS from_domain, a.event AS event, a.event_id AS event_id, a.to_tag AS to_tag,
        a.from_tag AS from_tag, a.callid AS callid, a.local_cseq AS local_cseq, a.remote_cseq AS remote_cseq,
        a.contact AS contact, a.record_route AS record_route, a.expires AS expires, a.status AS status,
        a.reason AS reason, a.version AS version, a.socket_info AS socket_info, a.local_contact AS local_contact,
        w.inserted_time AS inserted_time
      FROM ${activeWatchers} a LEFT JOIN ${watchers} w ON w.presentity_uri = a.presentity_uri
        AND w.watcher_username = a.watcher_username AND w.watcher_domain = a.watcher_domain AND w.event = a.event
      WHERE a.id > ${after} ORDER BY a.id LIMIT ${rowsMax}`,
    (row): ActiveWatcherRow => ({
      presentityUri: text(row["presentity_uri"]),
      watcherUsername: text(row["watcher_username"]),
      watcherDomain: text(row["watcher_domain"]),
      toUser: text(row["to_user"]),
      toDomain: text(row["to_domain"]),
      fromUser: text(row["from_user"]),
      fromDomain: text(row["from_domain"]),
      event: text(row["event"]),
      eventId: text(row["event_id"]),
      toTag: text(row["to_tag"]),
      fromTag: text(row["from_tag"]),
      callId: text(row["callid"]),
      // OpenSIPS keeps the number of the last NOTIFY; Kamailio one less, for its transactions count once more
      lastCseq: whole(row["local_cseq"]) + (isKamailio ? 1 : 0),
      remoteCseq: whole(row["remote_cseq"]),
      contact: text(row["contact"]),
      recordRoute: text(row["record_route"]),
      expires: whole(row["expires"]),
      status: whole(row["status"]),
      reason: text(row["reason"]),
      // OpenSIPS keeps the version of the next document; Kamailio that of the last
      nextVersion: whole(row["version"]) + (isKamailio ? 1 : 0),
      socketInfo: text(row["socket_info"]),
      localContact: text(row["local_contact"]),
      insertedTime: row["inserted_time"] == null ? null : whole(row["inserted_time"]),
    }),
  )
}

export const watcherPages = (source: Source, layout: Layout, rowsMax: number): Pages<WatcherRow> =>
  byId(
    source,
    (after) => `SELECT id, presentity_uri, watcher_username, watcher_domain, event, status, inserted_time
      FROM ${layout.tables.watchers} WHERE id > ${after} ORDER BY id LIMIT ${rowsMax}`,
    (row): WatcherRow => ({
      presentityUri: text(row["presentity_uri"]),
      watcherUsername: text(row["watcher_username"]),
      watcherDomain: text(row["watcher_domain"]),
      event: text(row["event"]),
      status: whole(row["status"]),
      insertedTime: whole(row["inserted_time"]),
    }),
  )

export const xcapPages = (source: Source, layout: Layout, rowsMax: number): Pages<XcapRow> =>
  layout.hasXcap
    ? byId(
        source,
        (after) => `SELECT id, username, domain, doc_type, doc
          FROM ${layout.tables.xcap} WHERE id > ${after} ORDER BY id LIMIT ${rowsMax}`,
        (row): XcapRow => ({
          username: text(row["username"]),
          domain: text(row["domain"]),
          docType: whole(row["doc_type"]),
          doc: octets(row["doc"]),
        }),
      )
    : Effect.succeed([])

const byId = <Row>(
  source: Source,
  statement: (after: number) => string,
  read: (row: SourceRow) => Row,
): Pages<Row> => {
  let after = 0
  return Effect.suspend(() => source.rows(statement(after))).pipe(
    Effect.map((rows) => {
      after = whole(rows.at(-1)?.["id"] ?? after)
      return rows.map(read)
    }),
  )
}

const presentityRow = (row: SourceRow): PresentityRow => ({
  username: text(row["username"]),
  domain: text(row["domain"]),
  event: text(row["event"]),
  etag: text(row["etag"]),
  expires: whole(row["expires"]),
  receivedTime: whole(row["received_time"]),
  body: octets(row["body"]),
  extraHeaders: octets(row["extra_hdrs"]),
  sender: text(row["sender"]),
})

/** A collation may not tell upper from lower case, so a group does not either. */
const groupOf = (row: SourceRow): string =>
  `${text(row["username"])}\n${text(row["domain"])}\n${text(row["event"])}`.toLowerCase()

const byGroupAndTime = (one: SourceRow, other: SourceRow): number => {
  const [left, right] = [groupOf(one), groupOf(other)]
  if (left !== right) return left < right ? -1 : 1
  return whole(one["received_time"]) - whole(other["received_time"]) || whole(one["id"]) - whole(other["id"])
}

const text = (value: unknown): string => {
  if (typeof value === "string") return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8")
  return typeof value === "number" || typeof value === "bigint" ? `${value}` : ""
}

const octets = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? value : Buffer.from(text(value), "utf8")

/** Not a number: 0, as the module reads it. */
const whole = (value: unknown): number => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : 0
}
