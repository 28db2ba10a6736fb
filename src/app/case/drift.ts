/**
 * Decides a whole store again, and finds the recorded decisions that today's code and settings would make differently.
 */
import { Effect } from "effect"
import { decideAgain } from "../../domain/history/decide-again.ts"
import { momentOf } from "../../domain/history/moments.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import type { Event } from "../../domain/presentity/events.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { worldOf } from "../../explain/case/world.ts"
import type { Config } from "../config/config.ts"
import { withExtensions } from "../config/extensions.ts"
import { packagesOf } from "../config/packages.ts"
import { errorMessage } from "../error-message.ts"
import { StoreUnusable, openStore, requireLog } from "../open-store.ts"
import { beginningOf } from "./export-case.ts"
import { caseWorldOf } from "./world.ts"

export interface Drifted {
  readonly moment: DecisionStep
  /** What would be decided today; null: the decision was not made by a command. */
  readonly decided: readonly Event[] | null
}

export interface DriftReport {
  readonly store: string
  readonly decisions: number
  /** The first ones. */
  readonly drifted: readonly Drifted[]
  readonly count: number
  /** Decisions skipped because their documents were dropped, or because they record such a drop. */
  readonly dropped: number
  /** Decisions skipped because they would be others, and may depend on somebody who was erased. */
  readonly erased: number
  /** Streams whose log does not start at their first decision: the state that they continue from is not known here. */
  readonly skipped: readonly string[]
}

const pageRows = 500
const shownMax = 100

export const checkDrift = Effect.fn("Case.drift")(function* (config: Config) {
  const opened = yield* openStore(config, "verify")
  yield* requireLog(opened)
  const { store, audit } = opened.log
  // with the packages of an extension module, which a case file does not know
  const complete = yield* withExtensions(config)
  const world = { ...worldOf(caseWorldOf(complete)), packages: packagesOf(complete) }
  const drifted: Drifted[] = []
  const skipped: string[] = []
  let [decisions, count, dropped, erased] = [0, 0, 0, 0]
  const read = Effect.gen(function* () {
    for (let after = ""; ;) {
      const heads = yield* audit.heads(after)
      for (const { stream } of heads) {
        let state: State = initial(stream)
        for (;;) {
          const page = yield* store.history(stream, state.version, pageRows)
          state = yield* beginningOf(store, state, page)
          if (page[0] !== undefined && page[0].decision.version !== state.version + 1) {
            skipped.push(stream)
            break
          }
          for (const recorded of page) {
            const moment = momentOf(state, recorded, world)
            const again = decideAgain(state, recorded.decision, world)
            if (again._tag === "Dropped") dropped++
            else if (again._tag === "Erased") erased++
            else decisions++
            if (again._tag === "Other") {
              count++
              if (drifted.length < shownMax)
                drifted.push({ moment, decided: again.reconstructed?.outcome.events ?? null })
            }
            state = moment.after
          }
          if (page.length < pageRows) break
        }
      }
      const last = heads.at(-1)
      if (last === undefined) break
      after = last.stream
    }
  })
  yield* read.pipe(
    Effect.mapError((cause) => new StoreUnusable({ store: opened.name, why: errorMessage(cause) })),
  )
  const report: DriftReport = { store: opened.name, decisions, drifted, count, dropped, erased, skipped }
  return report
}, Effect.scoped)
