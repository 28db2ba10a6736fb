/**
 * Periods of time in rules and presence documents: parsing instants, finding what holds, and when that changes.
 *
 * Every period is half-open. This file does not know what the periods are used for.
 */
import type { Millis } from "../vocabulary.ts"

/** From its first instant, inclusive, to the second, exclusive. */
export interface Period {
  readonly from: Millis
  readonly until: Millis
}

export const holdsAt = (periods: readonly Period[], now: Millis): boolean =>
  periods.some(({ from, until }) => from <= now && now < until)

/**
 * The first boundary of a period after `now`; null: there is none. With united periods something changes at every
 * boundary.
 */
export const nextEdge = (periods: readonly Period[], now: Millis): Millis | null => {
  let next = Infinity
  for (const { from, until } of periods) {
    if (from > now) next = Math.min(next, from)
    if (until > now) next = Math.min(next, until)
  }
  return next === Infinity ? null : next
}

/** The same instants in ordered periods that neither overlap nor touch; empty ones are removed. O(n log n). */
export const unitedPeriods = (periods: readonly Period[]): readonly Period[] => {
  const apart: Period[] = []
  const filled = periods.filter(({ from, until }) => from < until)
  for (const period of filled.sort((left, right) => left.from - right.from)) {
    const last = apart.at(-1)
    if (last === undefined || period.from > last.until) apart.push(period)
    else apart[apart.length - 1] = { from: last.from, until: Math.max(last.until, period.until) }
  }
  return apart
}

const pattern = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,40}))?(?:(Z)|([+-])(\d\d):(\d\d))?$/
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * An XML Schema dateTime as an instant; one without a time zone is taken as UTC, because the writer's zone is unknown.
 *
 * A fraction finer than a millisecond is rounded up; for whole milliseconds this leaves `from ≤ now` and `now < until`
 * unchanged.
 *
 * @returns null if the text is none, or names a day or time that does not exist
 */
export const readDateTime = (text: string): Millis | null => {
  const parts = pattern.exec(text.trim())
  if (parts === null) return null
  const [, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  const [, , , , , , , fraction = "", , sign, zoneHour = "0", zoneMinute = "0"] = parts
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = month === 2 && isLeap ? 29 : (monthDays[month - 1] ?? 0)
  const rest = Math.ceil(Number(`0.${fraction || "0"}`) * 1_000)
  const isMidnight = hour === 24 && minute === 0 && second === 0 && rest === 0
  if (day < 1 || day > days || (hour > 23 && !isMidnight) || minute > 59 || second > 59) return null
  const zone = Number(zoneHour) * 60 + Number(zoneMinute)
  // XML Schema part 2 §3.2.7.3: no time zone differs from UTC by more than 14 hours.
  if (zone > 840 || Number(zoneMinute) > 59) return null
  const minutes = (daysBefore(year, month, day) * 24 + hour) * 60 + minute - (sign === "-" ? -zone : zone)
  return minutes * 60_000 + second * 1_000 + rest
}

/**
 * Days from 1970-01-01 to that day of the Gregorian calendar; years are counted from March, so that leap days come
 * last.
 */
const daysBefore = (year: number, month: number, day: number): number => {
  const shifted = month > 2 ? year : year - 1
  const monthFromMarch = (month + 9) % 12
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400)
  return shifted * 365 + leapDays + Math.floor((153 * monthFromMarch + 2) / 5) + day - 719_469
}
