/** Log messages about a source and its documents, once each. */
import { Clock, Effect } from "effect"
import { keyOf } from "../../../ports/document-source.ts"
import type { DocumentChange, Look, Trouble } from "../../../ports/document-source.ts"
import { present } from "./polling.ts"
import type { Polling } from "./polling.ts"
import { nameOf } from "./source.ts"
import type { DocumentKind } from "./source.ts"

/** Logs each new fault once, and each that has been cured. */
export const tell = Effect.fnUntraced(function* (polling: Polling, found: Look) {
  const { kind, refused } = polling
  const now = yield* Clock.currentTimeMillis
  const before = polling.troubles
  const all = [...found.troubles, ...[...refused.values()].map(({ trouble }) => trouble)]
  polling.troubles = new Map(
    all.map((trouble) => {
      const id = `${trouble.file} ${trouble.of === null ? "" : keyOf(trouble.of)} ${trouble.why}`
      return [id, { ...trouble, since: before.get(id)?.since ?? now }]
    }),
  )
  for (const [id, trouble] of polling.troubles)
    if (!before.has(id)) yield* Effect.logWarning(troubleInWords(polling, trouble))
  const files = new Set([...polling.troubles.values()].map(({ file }) => file))
  for (const { file, of: document } of before.values()) {
    if (files.has(file)) continue
    files.add(file)
    const whose = document === null ? "" : ` of ${nameOf(document)}`
    yield* Effect.logInfo(`${kind.name}${whose} in ${file} can be used again`)
  }
})

/** Logs that the source cannot be read, once for each reason. */
export const isLost = Effect.fnUntraced(function* (polling: Polling, why: string) {
  const { kind } = polling
  if (polling.unreachable?.why === why) return
  const since = polling.unreachable?.since ?? (yield* Clock.currentTimeMillis)
  polling.unreachable = { why, since }
  const meanwhile = !kind.decidesWhoWatches
    ? "what is in force stays"
    : polling.hasRead
      ? "rules that are in force stay"
      : "rules recorded in the log apply; watchers of everyone else wait"
  yield* Effect.logError(`${kind.name}: ${why}: ${meanwhile}`)
})

const troubleInWords = (polling: Polling, { of: document, file, why, spare }: Trouble): string => {
  const { kind } = polling
  if (document === null) return `${kind.name} in ${file} not used: ${why}`
  if (spare === true) return `${kind.name} of ${nameOf(document)} in ${file} not used: ${why}`
  const isKnown = present(polling, document.presentity, document.packageName) !== null
  const meanwhile = isKnown
    ? "the previous one stays in force"
    : kind.decidesWhoWatches
      ? "none were in force, and watchers wait"
      : "none was in force"
  return `${kind.name} of ${nameOf(document)} in ${file} refused, ${meanwhile}: ${why}`
}

/** It is unknown whether it was removed from the source, or had never been there. */
export const unlistedInWords = (kind: DocumentKind, source: string, change: DocumentChange): string =>
  `${kind.name} of ${nameOf(change)} removed: ${source} has none; what was in force came from elsewhere, ` +
  "or was removed there while the server was not looking"
