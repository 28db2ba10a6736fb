/**
 * What the log has beyond the position up to which the tables claim to be.
 */
import { Effect } from "effect"
import { fold } from "../../domain/presentity/evolve.ts"
import type { State } from "../../domain/presentity/state.ts"
import { nameOf, rowOf } from "../../domain/projections/layout.ts"
import type { TableRow } from "../../domain/projections/layout.ts"
import { touched } from "../../domain/projections/rows.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { LogAudit, LoggedDecision } from "../../ports/log-audit.ts"
import { stateIn } from "./fold.ts"
import type { Folded } from "./folded.ts"

/** The decisions that the tables do not show. */
export const readTail = Effect.fnUntraced(function* (audit: LogAudit, after: number, upTo: number) {
  const tail: LoggedDecision[] = []
  for (let position = after; position < upTo;) {
    const page = yield* audit.decisions(position, upTo)
    tail.push(...page)
    position = page.at(-1)?.position ?? upTo
  }
  return tail
})

/** By name of the row, its values after each later decision that changed it; null: it did not exist. */
export type Later = ReadonlyMap<string, readonly (TableRow | null)[]>

export const nothingLater: Later = new Map()

export const laterRows = (folded: Folded, tail: readonly LoggedDecision[]): Later => {
  const later = new Map<string, (TableRow | null)[]>()
  const states = new Map<Uri, State>()
  for (const { stream, version, at, events } of tail) {
    if (typeof events === "string") continue
    const before = states.get(stream) ?? stateIn(folded, stream)
    // impossible decisions are found when they are folded
    const after = fold({ ...before, isIncomplete: true }, { events, at, version })
    states.set(stream, after)
    for (const event of events) {
      for (const key of touched(event, before, after)) {
        const name = nameOf(after, key)
        if (name === null) continue
        const full = `${key.table}\n${name}`
        const row = rowOf(after, key) ?? null
        const rows = later.get(full)
        if (rows === undefined) later.set(full, [row])
        else rows.push(row)
      }
    }
  }
  return later
}
