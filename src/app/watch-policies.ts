/**
 * Whom the policies in force end or show something else, of those who watch already: said before it happens.
 *
 * At a start this is what new defaults do to an older log, and what a changed setting does to any.
 */
import { Effect } from "effect"
import type { PolicyChange } from "../domain/presentity/apply-policies.ts"
import type { Answer } from "../domain/presentity/commands.ts"
import { domainOf } from "../domain/uris.ts"
import type { PackageName, Uri } from "../domain/vocabulary.ts"
import { policiesOrigin } from "./pump.ts"
import type { Pump } from "./pump.ts"

/** Whose watchers change, by presentity. */
export type ChangesByPresentity = ReadonlyMap<Uri, readonly PolicyChange[]>

/** Presentities whose watchers are decided on together. */
const atOnce = 256

const retryMillis = 250

/** How many are named of each package. */
const namedMax = 10

/** What happens to the watchers of one package. */
export interface PolicyReport {
  readonly packageName: PackageName
  readonly ended: number
  readonly changed: number
  /** One line: how many, the first of them by name, and the setting that keeps them. */
  readonly line: string
}

export const policyReports = (found: ChangesByPresentity): readonly PolicyReport[] => {
  const all = [...found].flatMap(([presentity, changes]) => changes.map((one) => ({ presentity, ...one })))
  const byPackage = Map.groupBy(all, (one) => one.packageName)
  return [...byPackage]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([packageName, changes]) => {
      const ended = changes.filter(({ becomes }) => becomes === "ended")
      const changed = changes.filter(({ becomes }) => becomes !== "ended")
      const parts = [
        ...(ended.length === 0 ? [] : [`${counted(ended.length)} of ${packageName} ended: ${named(ended)}`]),
        ...(changed.length === 0
          ? []
          : [`${counted(changed.length)} of ${packageName} treated otherwise: ${named(changed)}`]),
      ]
      const policies = [...new Set(changes.flatMap(({ policy }) => policy ?? []))].join(", ")
      const line = `${parts.join("; ")} (policy ${policies}); ${keeping(packageName, changes)}`
      return { packageName, ended: ended.length, changed: changed.length, line }
    })
}

const counted = (count: number): string => (count === 1 ? "1 subscription" : `${count} subscriptions`)

type Named = PolicyChange & { readonly presentity: Uri }

const named = (changes: readonly Named[]): string => {
  const names = changes
    .slice(0, namedMax)
    .map(({ watcher, presentity, was, becomes }) =>
      becomes === "ended"
        ? `${watcher} to ${presentity}`
        : `${watcher} to ${presentity} (${was} to ${becomes})`,
    )
  const left = changes.length - names.length
  return left === 0 ? names.join(", ") : `${names.join(", ")} and ${left} more`
}

/** The line to write so that nothing changes: the narrowest that does. */
const keeping = (packageName: PackageName, changes: readonly Named[]): string => {
  // nobody is told to open what rules protect
  if (changes.some(({ policy }) => policy === "rules"))
    return `rules that let them in keep them; see docs/watching.md`
  const areColleagues = changes.every(
    ({ watcher, presentity }) => domainOf(watcher) !== null && domainOf(watcher) === domainOf(presentity),
  )
  const policy = areColleagues ? "domain" : "everybody"
  if (changes.some((one) => one.policy === policy))
    return `line_members that names them keeps them; see docs/watching.md`
  return `watch_policy = ${packageName}=${policy} keeps them, *=everybody all but presence and lists of watchers; see docs/watching.md`
}

/** However long the store is away: nobody is served before. */
const untilStored = (asked: Effect.Effect<Answer>): Effect.Effect<Answer> =>
  Effect.flatMap(asked, (answer) =>
    answer._tag === "Rejected" && answer.rejection._tag === "ServiceUnavailable"
      ? Effect.andThen(Effect.sleep(retryMillis), untilStored(asked))
      : Effect.succeed(answer),
  )

/**
 * Treats those who watch already as the policies in force say, before anything that fell due while the server was down and
 * before any request; the log is told of it first. Nothing when that is nothing.
 */
export const beginPolicies = (pump: Pump): Effect.Effect<void> =>
  Effect.suspend(() => {
    const found = pump.policyChanges()
    return Effect.forEach(policyReports(found), ({ line }) => Effect.logWarning(line), {
      discard: true,
    }).pipe(
      Effect.andThen(
        Effect.forEach(
          found.keys(),
          (presentity) => untilStored(pump.amend(presentity, { _tag: "ApplyPolicies" }, policiesOrigin)),
          { discard: true, concurrency: atOnce },
        ),
      ),
    )
  })
