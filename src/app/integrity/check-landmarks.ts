/**
 * Compares landmarks with the states that the log gives at their versions.
 *
 * A missing landmark is no difference: it only saves folding. `presently projections rebuild` makes it again.
 */
import { Effect } from "effect"
import { freeze } from "../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { LogAudit } from "../../ports/log-audit.ts"
import { canonical } from "./canonical.ts"
import { withDigests } from "./dropped-documents.ts"
import type { Folded } from "./folded.ts"

/** Complete states per statement. */
const statesPerStatement = 10

/**
 * @param passed states at versions of landmarks, as folded
 * @param repair writes those that are missing or differ
 */
export const checkLandmarks = Effect.fnUntraced(function* (
  audit: LogAudit,
  folded: Folded,
  passed: readonly State[],
  repair: boolean,
) {
  for (let start = 0; start < passed.length; start += statesPerStatement) {
    const states = passed.slice(start, start + statesPerStatement)
    const found = yield* audit.landmarks(states)
    const toWrite: State[] = []
    for (const [index, state] of states.entries()) {
      const stored = found[index] ?? null
      if (stored === null) toWrite.push(state)
      else if (documentless(stored as Snapshot) !== documentless(freeze(state))) {
        toWrite.push(state)
        const key = `${state.presentity} version ${state.version}`
        folded.findings.push({
          table: "landmarks",
          key,
          column: "state",
          log: "another",
          found: "not that state",
        })
      }
    }
    if (!repair || toWrite.length === 0) continue
    yield* audit.putLandmarks(toWrite)
    folded.landmarksWritten += toWrite.length
  }
})

/** What retention has dropped from one and not from the other is no difference. */
const documentless = (state: Snapshot): string => {
  try {
    return canonical(withDigests(state))
  } catch {
    // not a state at all
    return canonical(state)
  }
}
