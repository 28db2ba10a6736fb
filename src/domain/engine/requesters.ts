/**
 * Who asked is written in full once, and then as the version of the decision that has it: most requests are refreshes, and say the same
 * of their sender as the one before.
 *
 * What is remembered belongs to a presentity in memory. It goes when the presentity is taken out of memory, and with it go all decisions
 * that may not be stored; so a decision never refers to one that is not in the log. It holds for one day (UTC): retention drops whole
 * months, and a decision must not lose what it refers to before it is dropped itself.
 */
import type { About, Requester } from "../presentity/about.ts"
import type { Decision } from "../presentity/events.ts"
import { partsOf } from "../presentity/requester.ts"
import type { Uri } from "../vocabulary.ts"

const dayMillis = 86_400_000

/** By what is known of a requester: the version of the decision that has it in full. */
export interface Requesters {
  day: number
  readonly versions: Map<string, number>
}

/** Remembered of one presentity, besides one for each of its subscriptions. */
const requestersMax = 16

const textOf = ({ account = "", identity = "", from = "", userAgent = "", source = "" }: Requester): string =>
  `${account}\n${identity}\n${from}\n${userAgent}\n${source}`

/**
 * What is written of a request, where it is known who asked.
 *
 * @param owner the person with whose key it is encrypted: what is under the key of another goes with that other
 * @param known of the presentity; null: nothing yet
 * @param subscriptions how many the presentity has
 */
export const withReference = (
  known: Requesters | null,
  about: About,
  owner: Uri,
  { version, at }: Pick<Decision, "version" | "at">,
  subscriptions: number,
): { readonly about: About; readonly requesters: Requesters | null } => {
  if (about.by === undefined || typeof about.by === "number") return { about, requesters: known }
  const by = partsOf(about.by, owner)
  const { by: _, ...others } = about
  if (by === undefined) return { about: others, requesters: known }
  const day = Math.floor(at / dayMillis)
  const requesters = known !== null && known.day === day ? known : { day, versions: new Map() }
  const text = `${owner}\n${textOf(by)}`
  const told = requesters.versions.get(text)
  if (told !== undefined) return { about: { ...others, by: told }, requesters }
  for (const oldest of requesters.versions.keys()) {
    if (requesters.versions.size < requestersMax + subscriptions) break
    requesters.versions.delete(oldest)
  }
  requesters.versions.set(text, version)
  return { about: { ...others, by }, requesters }
}
