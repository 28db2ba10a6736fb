/**
 * What is known of the requests of a simulation, beyond their commands, and whether the log keeps it: each decision says who asked, in
 * full or by reference to an earlier decision of its stream on the same day.
 */
import { deepStrictEqual } from "node:assert/strict"
import type { About, Requester } from "../../domain/presentity/about.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Uri } from "../../domain/vocabulary.ts"

/** A few that ask again and again; every fifth request says nothing of its sender. */
export const simulatedAbout = (origin: string): About => {
  let sum = 0
  for (const character of origin) sum += character.codePointAt(0)!
  const by = sum % 5
  return by === 4
    ? { request: origin }
    : { by: { account: `account-${by}`, from: `sip:from-${by}@example.com` }, request: origin }
}

const ofWatchers: ReadonlySet<string> = new Set(["Subscribe", "Resubscribe"])

/** What of it is kept: of a watcher's requests everything is under the watcher's key, and From is the address of somebody else. */
const keptOf = ({ by, ...others }: About, cause: string): About =>
  typeof by !== "object" ? others : { ...others, by: ofWatchers.has(cause) ? { account: by.account! } : by }

const dayMillis = 86_400_000

/** Looks at every decision, oldest first. @returns a function that throws when a decision does not say what was known of its request */
export const makeAboutCheck = (): ((decision: Decision) => void) => {
  /** By stream and version: who asked, and on what day. */
  const told = new Map<string, { readonly by: Requester; readonly day: number }>()
  const placeOf = (stream: Uri, version: number): string => `${stream} ${version}`
  return ({ stream, version, at, cause, origin, about }) => {
    if (origin === "") return deepStrictEqual(about, undefined)
    const expected = keptOf(simulatedAbout(origin), cause)
    const day = Math.floor(at / dayMillis)
    const by = about?.by
    if (typeof by === "object") told.set(placeOf(stream, version), { by, day })
    const referred = typeof by === "number" ? told.get(placeOf(stream, by)) : undefined
    if (typeof by === "number")
      deepStrictEqual(referred?.day, day, `${stream} ${version} refers to ${by}, which is not of its day`)
    const requester = referred?.by ?? by
    deepStrictEqual({ ...about, ...(requester === undefined ? {} : { by: requester }) }, expected)
  }
}
