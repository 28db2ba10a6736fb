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
  /** Messages before it are left out; null: from the beginning. */
  readonly since: Place | null
}

/** The messages of a case as its decisions follow each other; `inOrder` puts them in the order of time. */
export function* ladderSteps(items: Iterable<CaseItem>, options: CaseLadderOptions): Generator<LadderStep> {
  const { since, ...wanted } = options
  let ladder: Ladder | null = null
  for (const replayed of replay(items, { ...wanted, drift: false, supposition: null })) {
    if (replayed._tag === "Case") ladder = makeLadder(worldOf(replayed.header.world))
    if (replayed._tag !== "Step" || ladder === null) continue
    // also of steps that are left out: whom their NOTIFYs went to is known later
    const steps = ladder.take(replayed.moment)
    if (since === null || !isBefore(replayed.moment, since)) yield* steps
  }
}

/** By time; at one instant as they stand in the log. */
export const inOrder = (steps: readonly LadderStep[]): readonly LadderStep[] =>
  steps.toSorted((a, b) => a.at - b.at || a.position - b.position)
