/**
 * What is asked of a store and not answered in time counts as refused: whoever asks asks again, and goes on meanwhile.
 *
 * A query can be lost with its connection and never end, not even when it is interrupted, as a transaction that waits for its own
 * end. So it is not waited for: it is told to stop and left alone.
 */
import { Cause, Data, Effect, Exit } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { StoreUnavailable } from "../../ports/event-store.ts"
import type { EventStore } from "../../ports/event-store.ts"

/**
 * @param millis Infinity: no limit, until the caller interrupts it
 * @param silence what it fails with after that time, as the cause of StoreUnavailable
 */
export const within = <A, E, R>(
  millis: Millis,
  effect: Effect.Effect<A, E, R>,
  silence?: () => Error,
): Effect.Effect<A, E | StoreUnavailable, R> => withinSteps(millis, () => effect, silence)

/**
 * The same for work of many steps: the limit holds for each of them, however many there are.
 *
 * @param work is to call `heard` whenever a step has ended
 */
export const withinSteps = <A, E, R>(
  millis: Millis,
  work: (heard: () => void) => Effect.Effect<A, E, R>,
  silence: () => Error = () => new Error(`no answer in ${millis / 1000} s`),
): Effect.Effect<A, E | StoreUnavailable, R> =>
  Effect.flatMap(Effect.context<R>(), (context) =>
    Effect.callback<A, E | StoreUnavailable>((resume) => {
      let heardAt = performance.now()
      let timer: NodeJS.Timeout | undefined
      const heard = (): void => {
        heardAt = performance.now()
      }
      const fiber = Effect.runForkWith(context)(work(heard))
      const look = (): void => {
        const left = heardAt + millis - performance.now()
        // a timer may fire early by a part of a millisecond
        if (left > 1) {
          timer = setTimeout(look, left)
          return
        }
        resume(Effect.fail(new StoreUnavailable({ cause: silence() })))
        fiber.interruptUnsafe()
      }
      if (millis !== Number.POSITIVE_INFINITY) timer = setTimeout(look, millis)
      fiber.addObserver((exit) => {
        clearTimeout(timer)
        resume(Exit.isFailure(exit) ? Effect.catchCause(exit, unanswered) : exit)
      })
      return Effect.sync(() => {
        clearTimeout(timer)
        fiber.interruptUnsafe()
      })
    }),
  )

/**
 * A driver that dies with its connection has not answered either, and neither has what was interrupted by somebody else, as by the
 * end of a runtime of the program's own.
 */
const unanswered = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E | StoreUnavailable> => {
  if (cause.reasons.some(Cause.isDieReason))
    return Effect.fail(new StoreUnavailable({ cause: Cause.squash(cause) }))
  return Cause.hasInterruptsOnly(cause)
    ? Effect.fail(new StoreUnavailable({ cause }))
    : Effect.failCause(cause)
}

/** Decisions that the store did not say anything of in time: they are given up, and may be stored all the same. */
export class AppendUnanswered extends Data.TaggedError("AppendUnanswered")<{ readonly millis: Millis }> {
  override get message(): string {
    return `no answer in ${this.millis / 1000} s, after which an append is given up`
  }
}

/** For what reads or writes a little. */
export const answerMillis = 30_000

/** For what looks through all streams at once. */
const lookMillis = 20 * answerMillis

/** The store with a limit of time to each of the reads that a start makes, however many those are. */
export const withinEach = (store: EventStore["Service"]): EventStore["Service"] => {
  const { behind } = store
  return {
    ...store,
    load: (...args) => within(answerMillis, store.load(...args)),
    read: (...args) => within(answerMillis, store.read(...args)),
    history: (...args) => within(answerMillis, store.history(...args)),
    landmarkBefore: (...args) => within(answerMillis, store.landmarkBefore(...args)),
    snapshots: (...args) => within(answerMillis, store.snapshots(...args)),
    checkpoint: (name) => within(answerMillis, store.checkpoint(name)),
    ...(behind === undefined
      ? {}
      : { behind: (...args: Parameters<typeof behind>) => within(lookMillis, behind(...args)) }),
  }
}
