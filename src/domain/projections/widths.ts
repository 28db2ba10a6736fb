/**
 * What the columns of the three tables can hold: the widths of the OpenSIPS module in characters, and its 32-bit
 * numbers.
 */

/** Columns not named here are as wide as need be. */
const widths: Readonly<Record<string, number>> = {
  username: 64,
  domain: 64,
  event: 64,
  etag: 64,
  sender: 255,
  presentity_uri: 255,
  watcher_username: 64,
  watcher_domain: 64,
  to_user: 64,
  to_domain: 64,
  event_id: 64,
  to_tag: 64,
  from_tag: 64,
  callid: 64,
  contact: 255,
  reason: 64,
  socket_info: 64,
  local_contact: 255,
  sharing_tag: 32,
}

const intMax = 2_147_483_647

/** The row with each value as its column can hold it: truncated if it is too wide. */
export const narrow = <Row extends object>(row: Row): Row => {
  const fitting: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === "string") fitting[column] = cut(column, value)
    else if (typeof value === "number") fitting[column] = Math.min(value, intMax)
    else fitting[column] = value
  }
  return fitting as Row
}

/** A column counts whole characters; readers of the module have never seen what follows a NUL. */
export const cut = (column: string, value: string): string => {
  const width = widths[column] ?? Number.POSITIVE_INFINITY
  const text = value.includes("\0") ? value.slice(0, value.indexOf("\0")) : value
  return text.length <= width ? text : Array.from(text).slice(0, width).join("")
}
