/**
 * Suggestions for unknown names of arguments and options.
 *
 * They are computed only when needed: a known name costs one look-up.
 */
import { didYouMean } from "../config/did-you-mean.ts"

/** Longest part of an unknown name that is shown. */
const shownMax = 60
/** Most names suggested. */
const nearMax = 4
/** A shorter word is part of too many names to be significant. */
const partMin = 3

/** An unknown name, as messages show it. */
export const shownName = (name: string): string => {
  const start = name.length > shownMax ? `${name.slice(0, shownMax - 1)}…` : name
  // oxlint-disable-next-line no-control-regex -- these are what must not be shown
  return start.replaceAll(/[\u0000-\u001F\u007F]/g, "?").toWellFormed()
}

/** `; did you mean a or b?`, or when nothing is close `; there are a, b, c`. */
export const nearNames = (word: string, known: readonly string[]): string => {
  const suggestion = didYouMean(word.slice(0, 100), known)
  if (suggestion !== "") return suggestion
  const near = related(word.slice(0, 100), known).slice(0, nearMax)
  return near.length > 0 ? `; did you mean ${near.join(" or ")}?` : `; there are ${known.join(", ")}`
}

/** Names that contain the word or are contained in it; otherwise those it abbreviates; otherwise those with most words in common. */
const related = (word: string, known: readonly string[]): readonly string[] => {
  const asked = word.toLowerCase()
  if (asked.length < partMin) return []
  const holding = known.filter((name) => {
    const lower = name.toLowerCase()
    return lower.includes(asked) || (lower.length >= partMin && asked.includes(lower))
  })
  if (holding.length > 0) return holding
  const abbreviated = known.filter((name) => isAbbreviation(asked, name.toLowerCase()))
  if (abbreviated.length > 0) return abbreviated
  const words = new Set(wordsIn(word))
  const shared = known.map((name) => wordsIn(name).filter((each) => words.has(each)).length)
  const most = Math.max(0, ...shared)
  return most === 0 ? [] : known.filter((_, index) => shared[index] === most)
}

/** Whether all letters of the word occur in the name, in order, with the same first and last letter: `etag` of `entityTag`. */
const isAbbreviation = (word: string, name: string): boolean => {
  if (word[0] !== name[0] || word.at(-1) !== name.at(-1)) return false
  let at = 0
  for (const letter of name) if (letter === word[at]) at++
  return at === word.length
}

/** `maxExpiresPublish`, `max_expires_publish`: max, expires, publish. */
const wordsIn = (name: string): readonly string[] =>
  (name.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []).map((part) => part.toLowerCase())

/**
 * The first own name of an object that is not known; null: there is none, or they cannot be listed, which reading the object will
 * report.
 *
 * Allocates nothing.
 */
export const unknownName = (given: object, known: ReadonlySet<string>): string | null => {
  try {
    for (const name in given) if (!known.has(name) && Object.hasOwn(given, name)) return name
  } catch {
    // a proxy that refuses
  }
  return null
}
