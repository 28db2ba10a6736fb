/**
 * The three tables as a whole: which rows a state has in them, how a row is named, and where two rows differ.
 */
import type { State } from "../presentity/state.ts"
import { activeWatcherRow, allRows, presentityRow, splitUri, watcherRow } from "./rows.ts"
import type { ActiveWatcherRow, PresentityRow, RowKey, WatcherRow } from "./rows.ts"
import { narrow } from "./widths.ts"

export type TableName = RowKey["table"]
export type Value = string | number | null
/** A row of any of the tables, by column. */
export type TableRow = Readonly<Record<string, Value>>

/**
 * Columns in the order of the module's layout, without `id`; the first ones, as many as `keys` says, identify the row.
 */
export const layouts: Readonly<
  Record<TableName, { readonly columns: readonly string[]; readonly keys: number }>
> = {
  presentity: {
    columns: [
      "username",
      "domain",
      "event",
      "etag",
      "expires",
      "received_time",
      "body",
      "extra_hdrs",
      "sender",
    ],
    keys: 4,
  },
  active_watchers: {
    columns: [
      "presentity_uri",
      "callid",
      "to_tag",
      "from_tag",
      "event",
      "event_id",
      "watcher_username",
      "watcher_domain",
      "to_user",
      "to_domain",
      "local_cseq",
      "remote_cseq",
      "contact",
      "record_route",
      "expires",
      "status",
      "reason",
      "version",
      "socket_info",
      "local_contact",
      "sharing_tag",
    ],
    keys: 6,
  },
  watchers: {
    columns: [
      "presentity_uri",
      "watcher_username",
      "watcher_domain",
      "event",
      "status",
      "reason",
      "inserted_time",
    ],
    keys: 4,
  },
}

export const tableNames = Object.keys(layouts) as readonly TableName[]

/** The row of a state under a key, as its table holds it; undefined: none. */
export const rowOf = (state: State, key: RowKey): TableRow | undefined => {
  const row = bareRow(state, key)
  return row === undefined ? undefined : stored(row)
}

/** The name of the row with this key, whether or not the state has it; the name consists of the columns in the key. */
export const nameOf = (state: State, key: RowKey): string | null => {
  if (key.table === "presentity") {
    const { user, host } = splitUri(state.presentity)
    const row = { username: user, domain: host, event: key.packageName, etag: key.etag }
    return rowName("presentity", narrow(row))
  }
  if (key.table === "watchers") {
    const { user, host } = splitUri(key.watcher)
    const { presentity } = state
    const row = { presentity_uri: presentity, watcher_username: user, watcher_domain: host }
    return rowName("watchers", narrow({ ...row, event: key.packageName }))
  }
  const row = activeWatcherRow(state, key.no) ?? key.ended
  return row === null ? null : rowName("active_watchers", stored(row))
}

/** The name of a row within its table. */
export const rowName = (table: TableName, row: TableRow): string => {
  const { columns, keys } = layouts[table]
  let name = ""
  for (let column = 0; column < keys; column++) name += `${row[columns[column]!] ?? "\0"}\n`
  return name
}

/** All rows of a state. */
export const rowsOf = (state: State): readonly RowKey[] => allRows(state)

/** The columns in which two rows with one name differ. */
export const differingColumns = (table: TableName, left: TableRow, right: TableRow): readonly string[] =>
  layouts[table].columns.filter((column) => left[column] !== right[column])

const bareRow = (state: State, key: RowKey): PresentityRow | ActiveWatcherRow | WatcherRow | undefined => {
  switch (key.table) {
    case "presentity":
      return presentityRow(state, key.packageName, key.etag)
    case "active_watchers":
      return activeWatcherRow(state, key.no)
    case "watchers":
      return watcherRow(state, key.packageName, key.watcher)
  }
}

/** In these columns null is used for an absent value, never the empty string. */
const stored = (row: PresentityRow | ActiveWatcherRow | WatcherRow): TableRow => {
  const fitting: Record<string, Value> = { ...narrow(row) }
  if (fitting["extra_hdrs"] === "") fitting["extra_hdrs"] = null
  if (fitting["sharing_tag"] === "") fitting["sharing_tag"] = null
  return fitting
}
