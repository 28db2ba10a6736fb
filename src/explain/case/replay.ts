/**
 * Walks through a case: its steps, which of them are not as recorded, what today's code would decide differently, and
 * what would have happened otherwise. One stream is in memory at a time.
 */
import { decideAgain } from "../../domain/history/decide-again.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import { makeOtherWorld } from "../../domain/history/what-if.ts"
import type { Difference, OtherWorld, Supposition } from "../../domain/history/what-if.ts"
import { clockOf, lastClock } from "../../domain/presentity/clock.ts"
import type { Answer } from "../../domain/presentity/commands.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { walkFrom } from "./digests.ts"
import type { Walk } from "./digests.ts"
import type { CaseHeader, CaseItem } from "./format.ts"
import { isAfter } from "./log-position.ts"
import type { Place } from "./log-position.ts"
import type { Sha256 } from "./sha256.ts"
import { worldOf } from "./world.ts"
import type { DecisionWorld } from "./world.ts"

export interface ReplayOptions {
  /** Null: every stream. */
  readonly stream: Uri | null
  /** Later steps are omitted; null: to the end. */
  readonly until: Place | null
  /** Whether each step is decided again by today's code. */
  readonly drift: boolean
  readonly supposition: Supposition | null
  readonly sha256: Sha256
  /** The context to decide with instead of the one in the case. */
  readonly world?: DecisionWorld
}

export type Replayed =
  | { readonly _tag: "Case"; readonly header: CaseHeader }
  | { readonly _tag: "Stream"; readonly stream: Uri }
  | { readonly _tag: "Step"; readonly moment: DecisionStep }
  /** A step that is not as recorded, or null: only the end of the stream is. */
  | {
      readonly _tag: "Unequal"
      readonly stream: Uri
      readonly moment: DecisionStep | null
      readonly what: string
    }
  | {
      readonly _tag: "Drift"
      readonly moment: DecisionStep
      readonly decided: readonly Event[]
      readonly why: string | null
    }
  /** What it was based on is no longer in the log: documents, or persons that were erased. */
  | { readonly _tag: "Undecidable"; readonly moment: DecisionStep; readonly what: "dropped" | "erased" }
  | { readonly _tag: "Difference"; readonly stream: Uri; readonly difference: Difference }
  /** @param digest null if the stream was not read to its end */
  | { readonly _tag: "StreamEnd"; readonly state: State; readonly digest: string | null }

export function* replay(items: Iterable<CaseItem>, options: ReplayOptions): Generator<Replayed> {
  const { until, drift, supposition } = options
  let world: DecisionWorld | null = options.world ?? null
  let walk: Walk | null = null
  let imagined: OtherWorld | null = null
  let [isOver, isUnequal, lastAt] = [false, false, 0]
  for (const item of items) {
    if (item._tag === "case") {
      const { _tag: _, ...header } = item
      world ??= worldOf(header.world)
      yield { _tag: "Case", header }
    } else if (item._tag === "stream" && world !== null) {
      const { presentity: stream } = item.state
      if (options.stream !== null && options.stream !== stream) continue
      walk = walkFrom(item.state, world, options.sha256)
      imagined = supposition === null ? null : makeOtherWorld(item.state, world, supposition)
      ;[isOver, isUnequal, lastAt] = [false, false, lastClock(item.state)]
      yield { _tag: "Stream", stream }
    } else if (item._tag === "decision" && walk !== null && world !== null) {
      isOver ||= until !== null && isAfter(item.recorded, until)
      if (isOver) continue
      const { moment, digest } = walk.step(item.recorded)
      const { decision } = moment
      lastAt = clockOf(decision)
      yield { _tag: "Step", moment }
      if (digest !== item.digest && !isUnequal) {
        isUnequal = true
        yield { _tag: "Unequal", stream: decision.stream, moment, what: "what left or changed with it" }
      }
      if (drift) yield* driftIn(moment, world)
      for (const difference of imagined?.step(moment) ?? [])
        yield { _tag: "Difference", stream: decision.stream, difference }
    } else if (item._tag === "end-of-stream" && walk !== null) {
      for (const difference of imagined?.end(lastAt) ?? [])
        yield { _tag: "Difference", stream: item.stream, difference }
      const end = isOver ? null : walk.end()
      if (
        end !== null &&
        !isUnequal &&
        (end.state !== item.state || end.notifications !== item.notifications)
      ) {
        const mismatch = end.state === item.state ? "its NOTIFYs" : "its last state"
        yield { _tag: "Unequal", stream: item.stream, moment: null, what: mismatch }
      }
      const digest = end === null ? null : end.state
      yield { _tag: "StreamEnd", state: walk.state(), digest }
      walk = null
    }
  }
}

/** What today's code would decide differently. */
function* driftIn(moment: DecisionStep, world: DecisionWorld): Generator<Replayed> {
  const { before, decision } = moment
  const again = decideAgain(before, decision, world)
  if (again._tag === "Dropped") yield { _tag: "Undecidable", moment, what: "dropped" }
  if (again._tag === "Erased") yield { _tag: "Undecidable", moment, what: "erased" }
  if (again._tag !== "Other") return
  const { reconstructed } = again
  yield reconstructed === null
    ? {
        _tag: "Drift",
        moment,
        decided: [],
        why: `${decision.cause} is no command, or its events are not one's`,
      }
    : {
        _tag: "Drift",
        moment,
        decided: reconstructed.outcome.events,
        why: refusalIn(reconstructed.outcome.answer),
      }
}

const refusalIn = (answer: Answer): string | null =>
  answer._tag === "Rejected"
    ? `it would be refused: ${answer.rejection.status} ${answer.rejection._tag}`
    : null
