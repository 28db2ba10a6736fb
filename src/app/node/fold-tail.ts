/** The tail of the log: what follows the snapshots, and may be missing from the tables. */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import { stateBefore } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"
import type { Position, RecordedDecision } from "../../ports/event-store.ts"
import { foldBehind, folded } from "./fold-behind.ts"
import { makeLogPages } from "./log-pages.ts"

/** Snapshots per read: a database within the process blocks the event loop while it reads. */
const pageRows = 500

/** Decisions before the tail to read without folding, since the snapshots include them. */
export interface Earlier {
  /** Exclusive. */
  readonly from: Position
  /** Called with every decision after `from`, including the tail, before it is folded. */
  readonly read: (row: RecordedDecision) => void
}

/**
 * Folds the tail on top of the snapshots.
 *
 * @param each called with every decision that the snapshots do not include, in order @returns all states,
 * with the position and the time of the newest decision
 */
export const foldTail = Effect.fnUntraced(function* (
  each: (stored: CommittedDecision) => void,
  earlier?: Earlier,
) {
  const store = yield* EventStore
  // read first: snapshots may be newer than the checkpoint, but must not be older
  const shown = (yield* store.checkpoint("tables")) ?? { position: 0, at: 0 }
  let { at } = shown
  let position = Math.min(shown.position, earlier?.from ?? shown.position)
  const states = new Map<Uri, State>()
  for (let after = ""; ;) {
    const page = yield* store.snapshots(after, pageRows)
    for (const state of page) states.set(state.presentity, state)
    if (page.length < pageRows) break
    after = page.at(-1)!.presentity
  }
  // streams with an inconsistent log: they hold up no others; requests for them are refused
  // (`pump/loading.ts`)
  const broken = new Set<Uri>()
  at = Math.max(at, yield* foldBehind(store, shown.position, states, each, broken))
  const pages = makeLogPages(store, position)
  for (let page = yield* pages.next; page !== null; page = yield* pages.next) {
    for (const row of page) {
      const { decision } = row
      position = row.position
      at = Math.max(at, decision.at)
      earlier?.read(row)
      if (position <= shown.position) continue
      // a stream without a snapshot had nothing alive when the tail begins
      const before = states.get(decision.stream) ?? stateBefore(initial(decision.stream), decision.version)
      if (decision.version <= before.version || broken.has(decision.stream)) continue
      const after = folded(before, decision)
      if (after instanceof Error) {
        broken.add(decision.stream)
        states.delete(decision.stream)
        yield* Effect.logError(after.message)
        continue
      }
      states.set(decision.stream, after)
      each({ decision, before, after })
    }
  }
  // retention may have dropped everything
  return { states, position: Math.max(position, shown.position), at }
})
