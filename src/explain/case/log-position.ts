/**
 * A place in a log as people write it: a position, or an instant.
 */
import type { RecordedDecision } from "../../domain/history/moments.ts"

export type Place =
  | { readonly _tag: "Position"; readonly position: number }
  | { readonly _tag: "Instant"; readonly at: number }

/**
 * `88120`, `2026-11-23T14:05:12.331Z`, the same without a time zone for local time, or `14:05:12` today.
 *
 * @param now milliseconds since 1970
 * @returns null for anything else
 */
export const placeOf = (text: string, now: number): Place | null => {
  if (/^\d{1,15}$/.test(text)) return { _tag: "Position", position: Number(text) }
  const clock = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?$/.exec(text)
  if (clock !== null) {
    const [hours, minutes, seconds, millis] = [
      clock[1],
      clock[2],
      clock[3] ?? "0",
      (clock[4] ?? "0").padEnd(3, "0"),
    ]
    const at = new Date(now).setHours(Number(hours), Number(minutes), Number(seconds), Number(millis))
    return { _tag: "Instant", at }
  }
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[-+]\d\d:\d\d)?)?$/.test(text))
    return null
  // a date alone is UTC in the language, but a local day to people
  const at = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(" ", "T"))
  return Number.isNaN(at) ? null : { _tag: "Instant", at }
}

export const placeForms = "a position such as 88120, or a time such as 14:05:12 or 2026-11-23T14:05:12Z"

/** Whether a decision lies before a place. */
export const isBefore = ({ position, decision }: RecordedDecision, place: Place): boolean =>
  place._tag === "Position" ? position < place.position : decision.at < place.at

/** Whether it lies after a place; a decision exactly there does not. */
export const isAfter = ({ position, decision }: RecordedDecision, place: Place): boolean =>
  place._tag === "Position" ? position > place.position : decision.at > place.at
