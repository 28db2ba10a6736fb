/**
 * Documents of others that name a person.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { makeAudit } from "../../adapters/store/audit.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { Uri } from "../../domain/vocabulary.ts"

const mentionsMax = 1000

/** Documents of others that name the person. O(the log). */
export const mentionsOf = Effect.fnUntraced(function* (sql: PgClient.PgClient, person: Uri) {
  const audit = makeAudit(sql)
  const { last } = yield* audit.positions
  const found: { readonly stream: Uri; readonly version: number }[] = []
  let left = 0
  for (let after = 0; after < last;) {
    const page = yield* audit.decisions(after, last)
    if (page.length === 0) break
    for (const { stream, version, events } of page) {
      if (stream === person || typeof events === "string") continue
      if (!events.some((event) => documentIn(event).includes(person))) continue
      if (found.length < mentionsMax) found.push({ stream, version })
      else left++
    }
    after = page.at(-1)!.position
  }
  return { mentions: found, mentionsLeft: left }
})

const documentIn = (event: Event): string => {
  const headers = "headers" in event ? (event.headers ?? []).map(([, value]) => value).join("\n") : ""
  if ("body" in event) return `${event.body?.text ?? ""}\n${headers}`
  return event._tag === "RulesReplaced" ? (event.rules?.text ?? "") : ""
}
