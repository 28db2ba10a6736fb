/** Reviews watchers after more or less is known of the rules: some wait without need, or do not wait but should. */
import { Effect } from "effect"
import type { Answer } from "../../../domain/presentity/commands.ts"
import type { State } from "../../../domain/presentity/state.ts"
import { values } from "../../../domain/table.ts"
import type { PackageName, Uri } from "../../../domain/vocabulary.ts"
import { keyOf } from "../../../ports/document-source.ts"
import { isUnreadIn } from "./polling.ts"
import type { Polling } from "./polling.ts"

/** Documents or presentities decided on concurrently. */
export const concurrency = 256

/** Whether a rejection is temporary: the store was away, or there was too much to do. */
export const isPassing = (answer: Extract<Answer, { readonly _tag: "Rejected" }>): boolean =>
  answer.rejection._tag === "ServiceUnavailable"

/** @param only keys of documents, or packages; null: all */
export const review = (polling: Polling, only: ReadonlySet<string> | null): Effect.Effect<void> => {
  const { kind, source, pump } = polling
  polling.owesReview = false
  if (!kind.decidesWhoWatches || only?.size === 0) return Effect.void
  const asked: { readonly presentity: Uri; readonly packageName: PackageName }[] = []
  for (const presentity of presentitiesIn(polling, only)) {
    const state = pump.engine.state(presentity)
    if (state === undefined) continue
    for (const packageName of treatedOtherwise(polling, state))
      if (only === null || only.has(keyOf({ packageName, presentity })) || only.has(packageName))
        asked.push({ presentity, packageName })
  }
  const refresh = (packageName: PackageName) =>
    ({ _tag: "RefreshWatchers", packageName, kind: "rules" }) as const
  return Effect.forEach(
    asked,
    ({ presentity, packageName }) =>
      Effect.map(
        pump.amend(presentity, refresh(packageName), `${kind.name} source ${source.name}`),
        (answer) => {
          if (answer._tag === "Rejected" && isPassing(answer)) polling.owesReview = true
        },
      ),
    { concurrency, discard: true },
  )
}

const presentitiesIn = ({ pump }: Polling, only: ReadonlySet<string> | null): Iterable<Uri> => {
  if (only === null || [...only].some((key) => !key.includes(" "))) return [...pump.engine.presentities()]
  return new Set([...only].map((key) => key.slice(key.indexOf(" ") + 1) as Uri))
}

/** Packages without a document in force in which a subscription does not match what is now known (`isUnread`). */
const treatedOtherwise = (polling: Polling, state: State): ReadonlySet<PackageName> => {
  const { kind } = polling
  const isUnread = isUnreadIn(polling)
  const found = new Set<PackageName>()
  const ruled = new Set([...kind.inForce(state)].map(([name]) => name))
  for (const subscription of values(state.subscriptions)) {
    const { packageName, forced, unread } = subscription
    if (forced || ruled.has(packageName) || !kind.governs(packageName)) continue
    if ((unread === true) !== isUnread(state.presentity, packageName)) found.add(packageName)
  }
  for (const { packageName } of values(state.waiting)) {
    if (!ruled.has(packageName) && kind.governs(packageName) && !isUnread(state.presentity, packageName))
      found.add(packageName)
  }
  return found
}
