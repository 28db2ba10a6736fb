/**
 * A case walked through: its steps, what of them is not as it was recorded, what today's code would decide otherwise, and
 * what would have been otherwise had something been different. One stream in memory at a time.
 */
import type { DecisionStep } from "../../domain/history/moments.ts"
import { isDecidable, reconstructCommand } from "../../domain/history/reconstruct-command.ts"
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
  /** Steps after it are left out; null: to the end. */
  readonly until: Place | null
  /** Whether today's code is asked to decide each step again. */
  readonly drift: boolean
  readonly supposition: Supposition | null
  readonly sha256: Sha256
  /** To decide with, instead of what the case says. */
  readonly world?: DecisionWorld
}

export type Replayed =
  | { readonly _tag: "Case"; readonly header: CaseHeader }
  | { readonly _tag: "Stream"; readonly stream: Uri }
  | { readonly _tag: "Step"; readonly moment: DecisionStep }
  /** A step that is not as it was recorded, or null: only what a stream ends with. */
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
  /** What it was made of was dropped from the log since. */
  | { readonly _tag: "Undecidable"; readonly moment: DecisionStep }
  | { readonly _tag: "Difference"; readonly stream: Uri; readonly difference: Difference }
  /** @param digest null when the stream was not walked to its end */
  | { readonly _tag: "StreamEnd"; readonly state: State; readonly digest: string | null }

export function* replay(items: Iterable<CaseItem>, options: ReplayOptions): Generator<Replayed> {
  const { until, drift, supposition } = options
  let world: DecisionWorld | null = options.world ?? null
  let walk: Walk | null = null
  let other: OtherWorld | null = null
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
      other = supposition === null ? null : makeOtherWorld(item.state, world, supposition)
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
      if (drift && !isDecidable(moment.before, decision)) yield { _tag: "Undecidable", moment }
      else if (drift) {
        const reconstructed = reconstructCommand(moment.before, decision, world)
        if (reconstructed === null)
          yield {
            _tag: "Drift",
            moment,
            decided: [],
            why: `${decision.cause} is no command, or its events are not one's`,
          }
        else if (!reconstructed.isExact)
          yield {
            _tag: "Drift",
            moment,
            decided: reconstructed.outcome.events,
            why: refusalIn(reconstructed.outcome.answer),
          }
      }
      for (const difference of other?.step(moment) ?? [])
        yield { _tag: "Difference", stream: decision.stream, difference }
    } else if (item._tag === "end-of-stream" && walk !== null) {
      for (const difference of other?.end(lastAt) ?? [])
        yield { _tag: "Difference", stream: item.stream, difference }
      const end = isOver ? null : walk.end()
      if (
        end !== null &&
        !isUnequal &&
        (end.state !== item.state || end.notifications !== item.notifications)
      ) {
        const what = end.state === item.state ? "its NOTIFYs" : "its last state"
        yield { _tag: "Unequal", stream: item.stream, moment: null, what }
      }
      const digest = end === null ? null : end.state
      yield { _tag: "StreamEnd", state: walk.state(), digest }
      walk = null
    }
  }
}

const refusalIn = (answer: Answer): string | null =>
  answer._tag === "Rejected"
    ? `it would be refused: ${answer.rejection.status} ${answer.rejection._tag}`
    : null
