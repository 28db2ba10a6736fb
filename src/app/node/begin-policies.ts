/**
 * Existing watchers whose subscription the policies in force end or change; reported before it happens. At a
 * start, a new default or a changed setting can have that effect on an existing log.
 */
import { Effect } from "effect"
import type { Answer } from "../../domain/presentity/commands.ts"
import type { PackageName, WatchWord } from "../../domain/vocabulary.ts"
import { adviceFor } from "./policy-changes.ts"
import type { NamedChange, PoliciesFound } from "./policy-changes.ts"
import type { Pump } from "./pump.ts"
import { policiesOrigin } from "./pump/policies.ts"

/** Presentities decided on concurrently. */
const atOnce = 256

const retryMillis = 250

/** How many watchers are named for each package. */
const namedMax = 10

/** What happens to the watchers of one package. */
export interface PolicyReport {
  readonly packageName: PackageName
  readonly ended: number
  readonly changed: number
  /** How many, the first of them by name, and by which policy. */
  readonly what: string
  /** The setting that would leave them unchanged. */
  readonly keeping: string
}

/** Phrases for a number of subscriptions that are ended or changed. */
interface Verbs {
  readonly ended: (count: number) => string
  readonly changed: (count: number) => string
}

const areNow: Verbs = {
  ended: (count) => `${isOrAre(count)} ended`,
  changed: (count) => `${isOrAre(count)} treated differently`,
}

const isOrAre = (count: number): string => (count === 1 ? "is" : "are")

/** @param start the start at which it will happen */
export const willBe = (start: string): Verbs => ({
  ended: () => `will be ended by ${start}`,
  changed: () => `will be treated differently by ${start}`,
})

/** One report per package; changes that no watcher can see are left out. */
export const policyReports = (found: PoliciesFound, verbs: Verbs = areNow): readonly PolicyReport[] => {
  const all = [...found.changes].flatMap(([presentity, changes]) =>
    changes.filter(({ isSeen }) => isSeen).map((change) => ({ presentity, ...change })),
  )
  return [...Map.groupBy(all, (change) => change.packageName)]
    .sort(([first], [second]) => (first < second ? -1 : 1))
    .map(([packageName, changes]) => {
      const ended = changes.filter(({ becomes }) => becomes === "ended")
      const changed = changes.filter(({ becomes }) => becomes !== "ended")
      const part = (affected: readonly NamedChange[], verb: Verbs["ended"]): readonly string[] =>
        affected.length === 0
          ? []
          : [`${counted(affected.length)} of ${packageName} ${verb(affected.length)}: ${named(affected)}`]
      const parts = [...part(ended, verbs.ended), ...part(changed, verbs.changed)]
      const words = [...new Set(changes.map(({ policy }) => wordOf(policy)))].sort().join(", ")
      return {
        packageName,
        ended: ended.length,
        changed: changed.length,
        what: `${parts.join("; ")} (${words})`,
        keeping: adviceFor(packageName, changes, found),
      }
    })
}

const wordOf = (word: WatchWord | null): string =>
  word === null ? "by decision on them" : word === "members" ? "line_members" : `policy ${word}`

const counted = (count: number): string => (count === 1 ? "1 subscription" : `${count} subscriptions`)

const named = (changes: readonly NamedChange[]): string => {
  const names = changes
    .slice(0, namedMax)
    .map(({ watcher, presentity, was, becomes }) =>
      becomes === "ended"
        ? `${watcher} to ${presentity}`
        : `${watcher} to ${presentity} (${was === becomes ? "shown otherwise" : `${was} to ${becomes}`})`,
    )
  const left = changes.length - names.length
  return left === 0 ? names.join(", ") : `${names.join(", ")} and ${left} more`
}

/** Retries for as long as the store is away: no requests are served before this is done. */
const untilStored = (asked: Effect.Effect<Answer>): Effect.Effect<Answer> =>
  Effect.flatMap(asked, (answer) =>
    answer._tag === "Rejected" && answer.rejection._tag === "ServiceUnavailable"
      ? Effect.andThen(Effect.sleep(retryMillis), untilStored(asked))
      : Effect.succeed(answer),
  )

/**
 * Applies the policies in force to existing watchers, before anything that fell due while the server was down
 * and before any request. The changes are logged first; if there are none, nothing is done.
 */
export const beginPolicies = (pump: Pump): Effect.Effect<void> =>
  Effect.suspend(() => {
    const found = pump.policyChanges()
    return Effect.forEach(
      policyReports(found),
      ({ what, keeping }) => Effect.logWarning(`${what}; ${keeping}`),
      { discard: true },
    ).pipe(
      Effect.andThen(
        Effect.forEach(
          found.changes.keys(),
          (presentity) => untilStored(pump.amend(presentity, { _tag: "ApplyPolicies" }, policiesOrigin)),
          { discard: true, concurrency: atOnce },
        ),
      ),
    )
  })
