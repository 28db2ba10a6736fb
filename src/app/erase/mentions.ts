/**
 * Documents of others that name a person.
 */
import { Effect } from "effect"
import type { Uri } from "../../domain/vocabulary.ts"
import type { ErasureStore } from "../../ports/log-retention.ts"

const mentionsMax = 1000

/** O(documents in the log). */
export const mentionsOf = Effect.fnUntraced(function* (erasure: ErasureStore, person: Uri) {
  const found: { readonly stream: Uri; readonly version: number }[] = []
  let left = 0
  for (let after = 0n; ;) {
    const page = yield* erasure.documents(person, after)
    if (page.length === 0) break
    for (const { stream, version, texts } of page) {
      if (!texts.some((text) => text.includes(person))) continue
      if (found.length < mentionsMax) found.push({ stream, version })
      else left++
    }
    after = page.at(-1)!.position
  }
  return { mentions: found, mentionsLeft: left }
})
