/**
 * Documents of one package that are too old: they are removed from decisions and landmarks, with their digests left in their
 * place.
 *
 * What is published now, or was recently, is in snapshots and newer landmarks and stays there.
 */
import { Effect } from "effect"
import { eventsIn, isEnvelope, withEvents } from "../../adapters/store/encryption/encrypted-decision.ts"
import { decryptDocuments } from "../../adapters/store/encryption/stored-texts.ts"
import { dropDocuments } from "../../adapters/store/integrity/hash-chain.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import type { Millis, PackageName } from "../../domain/vocabulary.ts"
import type { OldRow, RetentionStore } from "../../ports/log-retention.ts"
import { withoutDocumentsOf } from "../integrity/dropped-documents.ts"

/**
 * @param from older ones are gone already
 * @param record stores how many will go, before they are gone
 * @returns how many documents there were
 */
export const dropDocumentsOf = Effect.fnUntraced(function* <E>(
  retention: RetentionStore,
  packageName: PackageName,
  from: Millis,
  before: Millis,
  record: (documents: number) => Effect.Effect<void, E>,
) {
  const count = yield* eachPage(retention, packageName, from, before, () => Effect.void)
  yield* record(count)
  yield* eachPage(retention, packageName, from, before, retention.rewrite)
  let after: { readonly stream: bigint; readonly version: bigint } | null = null
  for (;;) {
    const page: readonly { stream: bigint; version: bigint; state: unknown }[] =
      yield* retention.oldLandmarks(before, after)
    if (page.length === 0) break
    const changed = page.flatMap(({ stream, version, state }) => {
      const without = withoutDocumentsOf(state as Snapshot, packageName)
      return JSON.stringify(without) === JSON.stringify(state) ? [] : [{ stream, version, state: without }]
    })
    if (changed.length > 0) yield* retention.rewriteLandmarks(changed)
    after = page.at(-1)!
  }
  return count
})

/** Calls `each` with rows as they are without documents of the package. */
const eachPage = Effect.fnUntraced(function* <E>(
  retention: RetentionStore,
  packageName: PackageName,
  from: Millis,
  before: Millis,
  each: (rows: readonly OldRow[]) => Effect.Effect<void, E>,
) {
  let count = 0
  for (let after = 0n; ;) {
    const page = yield* retention.oldRows(from, before, packageName, after)
    if (page.length === 0) return count
    const changed: OldRow[] = []
    const keyOf = yield* retention.opening(page)
    for (const row of page) {
      let isChanged = false
      const opened = decryptDocuments(row.events, keyOf)
      const key = isEnvelope(row.events) ? keyOf(row.events.of ?? "") : undefined
      const events = eventsIn(row.events).map((event, index) => {
        const isOf = "packageName" in event && event.packageName === packageName
        const without = isOf ? dropDocuments(event, opened[index]!, key) : event
        if (without === event) return event
        isChanged = true
        count++
        return without
      })
      if (isChanged) changed.push({ ...row, events: withEvents(row.events, events) })
    }
    if (changed.length > 0) yield* each(changed)
    after = page.at(-1)!.position
  }
})
