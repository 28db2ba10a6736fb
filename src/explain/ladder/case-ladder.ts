/**
 * The ladder of a case file.
 */
import type { CaseItem } from "../case/format.ts"
import { isBefore } from "../case/log-position.ts"
import type { Place } from "../case/log-position.ts"
import { replay } from "../case/replay.ts"
import type { ReplayOptions } from "../case/replay.ts"
import { worldOf } from "../case/world.ts"
import { makeLadder } from "./messages.ts"
import type { Ladder, LadderStep } from "./messages.ts"

export interface CaseLadderOptions extends Pick<ReplayOptions, "stream" | "until" | "sha256"> {
  /** Earlier messages are omitted; null: from the beginning. */
  readonly since: Place | null
}

/** The messages of a case in the order of its decisions; `inOrder` sorts them by time. */
export function* ladderSteps(items: Iterable<CaseItem>, options: CaseLadderOptions): Generator<LadderStep> {
  const { since, ...wanted } = options
  let ladder: Ladder | null = null
  for (const replayed of replay(items, { ...wanted, drift: false, supposition: null })) {
    if (replayed._tag === "Case") ladder = makeLadder(worldOf(replayed.header.world))
    if (replayed._tag !== "Step" || ladder === null) continue
    // also for omitted steps, because the recipients of their NOTIFYs are needed later
    const steps = ladder.take(replayed.moment)
    if (since === null || !isBefore(replayed.moment, since)) yield* steps
  }
}

/** By time, and at one instant in the order of the log. */
export const inOrder = (steps: readonly LadderStep[]): readonly LadderStep[] =>
  steps.toSorted((a, b) => a.at - b.at || a.position - b.position)
