/**
 * Who may watch which package, and which existing subscriptions a start with these settings would end.
 */
import { Clock, Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { policyChanges } from "../../domain/presentity/apply-policies.ts"
import { askTheRules, standingAt } from "../../domain/presentity/context.ts"
import { EventStore } from "../../ports/event-store.ts"
import { openBecause } from "../config/advice.ts"
import type { Config } from "../config/config.ts"
import { limitsOf } from "../config/limits.ts"
import { packagesOf } from "../config/packages.ts"
import { openPolicies, policyRows } from "../config/watch-policies.ts"
import { policyReports, willBe } from "../node/begin-policies.ts"
import { foldTail } from "../node/fold-tail.ts"
import type { PoliciesFound } from "../node/policy-changes.ts"
import type { OpenStore } from "../open-store.ts"
import { ok, warn } from "./check.ts"
import type { Check } from "./check.ts"

export const watchingChecks = (config: Config, packages: Packages): readonly Check[] => {
  const { watching } = limitsOf(config)
  if (watching === undefined) return [ok("watching", `${openPolicies}: ${openBecause(config) ?? ""}`)]
  const rows = policyRows(watching, packages).map(({ packageName, policy, isSet, elsewhere }) => {
    const deviations = elsewhere.map((row) => `, ${row.policy} in ${row.domain}`).join("")
    return ok(`watching ${packageName}`, `${policy}${deviations} (${isSet ? "watch_policy" : "its own"})`)
  })
  const lists = [
    ["line_members", counted(Object.keys(watching.lineMembers).length, "line", "lines")],
    ["mailbox_owners", counted(Object.keys(watching.mailboxOwners).length, "mailbox", "mailboxes")],
  ] as const
  return [...rows, ...lists.flatMap(([name, count]) => (count === null ? [] : [ok(name, count)]))]
}

const counted = (count: number, single: string, many: string): string | null =>
  count === 0 ? null : `${count} ${count === 1 ? single : many}`

/** Reads every state and changes nothing. */
export const watcherChecks = Effect.fnUntraced(function* (
  { log }: OpenStore,
  config: Config,
  isRunning: boolean,
) {
  const limits = limitsOf(config)
  if (limits.watching === undefined) return []
  const context = standingAt(
    { packages: packagesOf(config), limits, authorize: askTheRules },
    yield* Clock.currentTimeMillis,
  )
  const { states } = yield* foldTail(() => {}).pipe(Effect.provideService(EventStore, log.store))
  const found: PoliciesFound = {
    changes: new Map(
      [...states].flatMap(([presentity, state]) => {
        const changes = policyChanges(state, context)
        return changes.length === 0 ? [] : [[presentity, changes] as const]
      }),
    ),
    state: (presentity) => states.get(presentity),
    context,
  }
  const start = isRunning
    ? "a start with these settings, since the running server has others"
    : "the next start"
  const reports = policyReports(found, willBe(start))
  return reports.length === 0
    ? [ok("watchers", "nobody who watches is treated differently by these policies")]
    : reports.map(({ what, keeping }) => warn("watchers", what, keeping))
})
