/**
 * A server that runs and of which only the place is known: what it says of itself stands for its settings.
 */
import { bad, ok, warn } from "./check.ts"
import type { Check } from "./check.ts"

/** From `GET /status`. Absent: it is of an earlier version. */
export interface RunningServer {
  /** Addresses as in `listen`. */
  readonly sip: readonly string[]
  readonly log?: { readonly data: string | null; readonly database: string | null }
  /** Who has to authenticate. */
  readonly auth?: string
  /** Who may watch what. */
  readonly watching?: string
  readonly tables?: {
    /** Seconds, as `db_update_period`. */
    readonly period?: number
  }
}

/** What is known of it; `why`: why it was not, or could not be, asked. */
export type Known =
  | { readonly _tag: "Says"; readonly server: RunningServer }
  | { readonly _tag: "Silent"; readonly why: string }

const fix = "give --config FILE, the server's own settings, or --token where it asks for one"

const unknown = (what: string, why: string): Check => warn(what, `not known: ${why}`, fix)

/** Who has to authenticate, and who may watch. */
export const policyChecks = (known: Known): readonly Check[] => {
  if (known._tag === "Silent") return [unknown("auth", known.why), unknown("watching", known.why)]
  const { auth, watching } = known.server
  const older = "the server is of an earlier version, and does not say"
  return [
    auth === undefined ? unknown("auth", older) : ok("auth", auth),
    watching === undefined ? unknown("watching", older) : ok("watching", watching),
  ]
}

/** The store of a server whose log this command does not read. */
export const placeCheck = (known: Known): Check => {
  if (known._tag === "Silent") return unknown("store", known.why)
  const { log } = known.server
  if (log === undefined) return unknown("store", "the server is of an earlier version, and does not say")
  if (log.database !== null)
    return ok("store", `PostgreSQL at ${log.database}; with --database-url it is looked at, too`)
  if (log.data !== null)
    return bad(
      "store",
      `the server keeps it in ${log.data}, which is not here, or not this account's`,
      "run doctor there",
    )
  return warn(
    "store",
    "memory, or a store of the server's own: no other program can look at it",
    "give it --database-url or --data, unless that is meant",
  )
}
