/**
 * Puts the documents that a poll has found in force. The source is authoritative: a document in force that it
 * does not contain when it is first read is removed.
 */
import { Deferred, Effect } from "effect"
import { keyOf } from "../../../ports/document-source.ts"
import type { DocumentChange, Look } from "../../../ports/document-source.ts"
import { present, unreadKeys } from "./polling.ts"
import type { Polling } from "./polling.ts"
import { concurrency, isPassing, review } from "./review.ts"
import { nameOf, refusal } from "./source.ts"
import { tell, unlistedInWords } from "./tell.ts"

/**
 * Puts in force what was found.
 *
 * @returns whether to poll again soon, because something has to be retried
 */
export const putInForce = Effect.fnUntraced(function* (polling: Polling, found: Look) {
  const isFirst = !polling.hasRead
  // removals that failed last time are still to be done
  const missing = isFirst
    ? missingFrom(polling, found)
    : [...polling.unlisted].filter(
        (change) => !found.listed.has(keyOf(change)) && !found.unread.has(change.packageName),
      )
  polling.unlisted = new Set(missing)
  const changes = [...found.changes, ...missing]
  const wasUnread = unreadKeys(polling)
  polling.unreadPackages = found.unread
  noteOpen(polling, found, changes)
  polling.documents = found.listed.size
  polling.hasRead = true
  yield* Deferred.succeed(polling.firstRead, undefined)
  const failed = yield* Effect.forEach(changes, (change) => apply(polling, change), { concurrency })
  polling.unlisted = new Set(
    changes.filter((change, index) => failed[index] === true && polling.unlisted.has(change)),
  )
  for (const key of polling.refused.keys()) if (!found.listed.has(key)) polling.refused.delete(key)
  yield* tell(polling, found)
  yield* review(polling, isFirst || polling.owesReview ? null : differing(wasUnread, unreadKeys(polling)))
  return polling.owesReview || failed.includes(true)
})

/** Marks documents as unread until they are decided on, so that nobody is treated meanwhile as if there were none. */
const noteOpen = ({ open, refused }: Polling, found: Look, changes: readonly DocumentChange[]): void => {
  open.clear()
  for (const { of: document, spare } of found.troubles) {
    if (document === null || spare === true) continue
    open.set(keyOf(document), null)
    refused.delete(keyOf(document))
  }
  for (const key of refused.keys()) if (found.listed.has(key)) open.set(key, null)
  for (const change of changes) if (change.text !== null) open.set(keyOf(change), change)
}

/** @returns whether to retry */
const apply = Effect.fnUntraced(function* (polling: Polling, change: DocumentChange) {
  const { kind, source, pump, refused } = polling
  const { packageName, presentity, text, file } = change
  const key = keyOf(change)
  const before = present(polling, presentity, packageName)
  if (text === before) refused.delete(key)
  else if (text === null || refused.get(key)?.text !== text) {
    const command = kind.commandOf(packageName, text)
    const answer = yield* pump.amend(presentity, command, `${kind.name} source ${file}`)
    const why = refusal(answer)
    if (why !== null && answer._tag === "Rejected" && isPassing(answer)) return true
    if (why === null || text === null) {
      refused.delete(key)
      if (polling.unlisted.has(change)) yield* Effect.logWarning(unlistedInWords(kind, source.name, change))
      else
        yield* Effect.logInfo(
          `${kind.name} of ${nameOf(change)} ${text === null ? "removed" : "in force"}: ${file}`,
        )
    } else refused.set(key, { text, trouble: { of: { packageName, presentity }, file, why } })
  }
  // a refused document stays unread if none was in force
  if (!refused.has(key)) polling.open.delete(key)
  source.settle(change)
  return false
})

const missingFrom = ({ kind, pump }: Polling, found: Look): readonly DocumentChange[] => {
  const missing: DocumentChange[] = []
  for (const presentity of pump.engine.presentities()) {
    const state = pump.engine.state(presentity)
    if (state === undefined) continue
    for (const [packageName] of kind.inForce(state)) {
      const isThere = found.listed.has(keyOf({ packageName, presentity }))
      if (isThere || !kind.governs(packageName) || found.unread.has(packageName)) continue
      missing.push({ packageName, presentity, text: null, file: "no longer there" })
    }
  }
  return missing
}

/** The symmetric difference. */
const differing = (before: ReadonlySet<string>, after: ReadonlySet<string>): ReadonlySet<string> =>
  new Set([...before, ...after].filter((key) => !before.has(key) || !after.has(key)))
