/**
 * Instants as operators write and read them.
 */

/** Milliseconds since 1970 in a time zone, to the millisecond: `2026-11-23 14:05:12.331`. */
export const clockOf = (zone: string): ((at: number) => string) => {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  })
  return (at) => format.format(at).replace(",", ".")
}

export const isZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone })
    return true
  } catch {
    return false
  }
}

const units = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
])

/**
 * Accepts `now`; `90s`, `15m`, `2h`, `3d` ago, with or without a minus; `14:05` or `14:05:12.331` today; a date with or
 * without a time; milliseconds since 1970. A text without a time zone is read in `zone`. Null: none of these.
 */
export const parseInstant = (text: string, now: number, zone: string): number | null => {
  if (text === "now") return now
  const ago = /^-?(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (ago !== null) return now - Number(ago[1]) * (units.get(ago[2] ?? "") ?? 0)
  if (/^\d{12,14}$/.test(text)) return Number(text)
  const today = clockOf(zone)(now).slice(0, 10)
  const clock = /^\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?$/.test(text) ? `${today}T${text}` : text
  const zoned =
    /^\d{4}-\d{2}-\d{2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?(Z|[+-]\d{2}:?\d{2})?$/.exec(clock)
  if (zoned === null) return null
  const written = clock.replace(" ", "T").replace(/T(\d):/, "T0$1:")
  const at = Date.parse(
    zoned[1] === undefined ? `${written.length === 10 ? `${written}T00:00` : written}Z` : written,
  )
  if (Number.isNaN(at)) return null
  return zoned[1] === undefined ? at - offsetAt(at, zone) : at
}

export const instantForms = "now, 15m (ago), 14:05:12, 2026-11-23T14:05:12Z"

/** How far a clock in the zone is ahead of UTC at about that instant. */
const offsetAt = (at: number, zone: string): number => {
  const ahead = (instant: number): number =>
    Date.parse(`${clockOf(zone)(instant).replace(" ", "T")}Z`) - instant
  return ahead(at - ahead(at))
}
