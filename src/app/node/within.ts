/**
 * Time limits on calls to the store: without an answer in time they fail, and the caller goes on and retries.
 *
 * A query can be lost with its connection and never end, even when interrupted, like a transaction that waits
 * for its own end. So the fiber is interrupted but not waited for.
 */
import { Cause, Data, Effect, Exit } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { StoreUnavailable } from "../../ports/event-store.ts"
import type { EventStore } from "../../ports/event-store.ts"

/**
 * @param millis Infinity: no limit, until the caller interrupts it @param silence the cause of
 * StoreUnavailable after that time
 */
export const within = <A, E, R>(
  millis: Millis,
  effect: Effect.Effect<A, E, R>,
  silence?: () => Error,
): Effect.Effect<A, E | StoreUnavailable, R> => withinSteps(millis, () => effect, silence)

/**
 * The same for work in many steps: the limit applies to each step, not to the total.
 *
 * @param work must call `heard` after each step
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
        // a timer may fire a fraction of a millisecond early
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
 * A driver that dies with its connection has not answered, nor has an effect interrupted from elsewhere, for
 * example by the end of the program's runtime.
 */
const unanswered = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E | StoreUnavailable> => {
  if (cause.reasons.some(Cause.isDieReason))
    return Effect.fail(new StoreUnavailable({ cause: Cause.squash(cause) }))
  return Cause.hasInterruptsOnly(cause)
    ? Effect.fail(new StoreUnavailable({ cause }))
    : Effect.failCause(cause)
}

/** An append that was not answered in time and is given up; it may still be stored. */
export class AppendUnanswered extends Data.TaggedError("AppendUnanswered")<{ readonly millis: Millis }> {
  override get message(): string {
    return `no answer in ${this.millis / 1000} s, after which an append is given up`
  }
}

/** For small reads and writes. */
export const answerMillis = 30_000

/** For scans of all streams. */
const lookMillis = 20 * answerMillis

/** The store with a time limit on each read of a start. */
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
