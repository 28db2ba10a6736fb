/**
 * How long data are kept: the setting `retention`, parsed.
 */
import type { Millis, PackageName } from "../../domain/vocabulary.ts"

export interface Terms {
  /** Days for which decisions are kept; 0: forever. */
  readonly days: number
  /** Days for which documents of single packages are kept. */
  readonly documents: ReadonlyMap<PackageName, number>
}

const day = 86_400_000
const daysMax = 36_500

/** @returns errors in single entries, one line each */
export const termsOf = (
  entries: readonly string[],
): { readonly terms: Terms; readonly faults: readonly string[] } => {
  const documents = new Map<PackageName, number>()
  const faults: string[] = []
  let days: number | null = null
  for (const entry of entries) {
    const [name, number] = entry.includes("=") ? entry.split("=", 2) : [null, entry]
    const count = /^\d{1,5}$/.test(number ?? "") ? Number(number) : Number.NaN
    if (!(count <= daysMax) || (name !== null && !/^[^\s=]+$/.test(name))) {
      faults.push(`${entry}: expected DAYS or PACKAGE=DAYS, with up to ${daysMax} days, 0 for ever`)
    } else if (name === null) {
      if (days !== null)
        faults.push(`${entry}: there is one time for the whole log, and ${days} days are given already`)
      days ??= count
    } else if (documents.has(name as PackageName)) faults.push(`${entry}: ${name} is given twice`)
    else if (count > 0) documents.set(name as PackageName, count)
  }
  for (const [name, count] of documents) {
    if (days !== null && days > 0 && count >= days) {
      faults.push(
        `${name}=${count}: decisions are kept for ${days} days, and documents of a package can be kept for fewer`,
      )
    }
  }
  return { terms: { days: days ?? 0, documents }, faults }
}

/** Decisions older than this may be dropped: whole months, so up to 31 days more are kept. Null: none may. */
export const logBefore = ({ days }: Terms, now: Millis): Millis | null => {
  if (days === 0) return null
  return startOfMonth(now - days * day)
}

const startOfMonth = (at: Millis): Millis => {
  const instant = new Date(at)
  return Date.UTC(instant.getUTCFullYear(), instant.getUTCMonth(), 1)
}

const startOfDay = (at: Millis): Millis => Math.floor(at / day) * day

/** Documents published before this may be dropped: whole days. */
export const documentsBefore = (days: number, now: Millis): Millis => startOfDay(now - days * day)

/** The end of a month named `2026-01`. */
export const endOfMonth = (month: string): Millis => {
  const [year, number] = month.split("-").map(Number)
  return Date.UTC(year!, number!, 1)
}
