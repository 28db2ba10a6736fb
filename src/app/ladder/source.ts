/**
 * The source of a ladder's messages: a case, or the store of a server.
 */
import { Effect } from "effect"
import { momentOf } from "../../domain/history/moments.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Place } from "../../explain/case/log-position.ts"
import { worldOf } from "../../explain/case/world.ts"
import { inOrder, ladderSteps } from "../../explain/ladder/case-ladder.ts"
import { makeLadder } from "../../explain/ladder/messages.ts"
import type { LadderStep } from "../../explain/ladder/messages.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { itemsOf } from "../case/case-file.ts"
import { NothingRecorded, exportStream } from "../case/export-case.ts"
import { nodeSha256 } from "../case/node-sha256.ts"
import { caseWorldOf } from "../case/world.ts"
import { LocalFailure, UsageInvalid } from "../client/failures.ts"
import type { Config } from "../config/config.ts"
import { errorMessage } from "../error-message.ts"
import { StoreUnusable, openStore, requireLog } from "../open-store.ts"

/** The most steps drawn at once, because all of them are in memory. */
const stepsMax = 100_000

export interface Span {
  readonly since: Place | null
  readonly until: Place | null
}

const tooMany = new UsageInvalid({
  why: `there are more than ${stepsMax} messages: name one URI, or a span with --since and --until`,
})

/** From a case that has been checked. */
export const stepsInCase = (file: string, stream: Uri | null, { since, until }: Span) =>
  Effect.try({
    try: (): readonly LadderStep[] => {
      const steps: LadderStep[] = []
      for (const step of ladderSteps(itemsOf(file), { stream, since, until, sha256: nodeSha256 })) {
        steps.push(step)
        if (steps.length > stepsMax) throw tooMany
      }
      return inOrder(steps)
    },
    catch: (cause) =>
      cause instanceof UsageInvalid ? cause : new LocalFailure({ what: `${file} cannot be read`, cause }),
  })

/** From one stream, in the store of a server that may be running. */
export const stepsInStore = Effect.fnUntraced(function* (config: Config, stream: Uri, span: Span) {
  const { found, steps, store } = yield* readStore(config, stream, span)
  if (!found) return yield* new NothingRecorded({ store, of: stream })
  return inOrder(steps)
}, Effect.scoped)

/**
 * The same, followed by what is decided from now on, until interrupted.
 *
 * @param each receives the steps so far, and then each time those that are new
 */
export const followStore = Effect.fnUntraced(function* (
  config: Config,
  stream: Uri,
  span: Span,
  each: (steps: readonly LadderStep[]) => Effect.Effect<void>,
) {
  const { steps, more, unusable } = yield* readStore(config, stream, span)
  yield* each(inOrder(steps))
  for (;;) {
    yield* Effect.sleep("500 millis")
    const news = yield* more.pipe(unusable)
    if (news.length > 0) yield* each(inOrder(news))
  }
}, Effect.scoped)

const readStore = Effect.fnUntraced(function* (config: Config, stream: Uri, span: Span) {
  const opened = yield* openStore(config, "ladder")
  yield* requireLog(opened)
  const store = opened.log.store
  const world = worldOf(caseWorldOf(config))
  const ladder = makeLadder(world)
  let steps: LadderStep[] = []
  let state = initial(stream)
  const decision = (recorded: RecordedDecision): void => {
    if (steps.length > stepsMax) return
    const moment = momentOf(state, recorded, world)
    state = moment.after
    steps.push(...ladder.take(moment))
  }
  const writer = {
    stream: (begin: State): void => void (state = begin),
    decision,
    endStream: () => {},
    end: () => ({ streams: 1, decisions: 0 }),
  }
  const unusable = Effect.mapError((cause: unknown) =>
    cause instanceof LocalFailure
      ? cause
      : new StoreUnusable({ store: opened.name, why: errorMessage(cause) }),
  )
  const found = yield* exportStream(store, stream, writer, span).pipe(unusable)
  if (steps.length > stepsMax) return yield* tooMany
  // the state of a span without decisions is not known yet
  if (!found) [state = initial(stream)] = yield* store.load([stream]).pipe(unusable)
  const more = Effect.suspend(() => store.history(stream, state.version, pageRows)).pipe(
    Effect.map((rows): readonly LadderStep[] => {
      steps = []
      for (const recorded of rows) decision(recorded)
      return steps
    }),
  )
  return { found, steps, store: opened.name, unusable, more }
})

const pageRows = 500
