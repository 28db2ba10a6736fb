/**
 * Documents that somebody else keeps, on their way into the log: a place that is looked at again and again.
 *
 * A document that cannot be used is refused with the reason, and what was in force stays in force. Where nothing was in force
 * that is not to say that there are none: whoever watches waits until it is known (`isUnread`). The same is true of everybody while
 * the place itself has not been read.
 */
import { Deferred, Effect, Fiber } from "effect"
import type { Scope } from "effect"
import { isUnreadIn, newPolling } from "./documents/polling.ts"
import type { Polling } from "./documents/polling.ts"
import { putInForce } from "./documents/put-in-force.ts"
import { review } from "./documents/review.ts"
import type { DocumentKind, DocumentSource, Follower, SourceHealth } from "./documents/source.ts"
import { isLost } from "./documents/tell.ts"
import type { Pump } from "./pump.ts"

/** Until the next look at a source that could not be read while a start waits for it, or when the store was away. */
const impatientMillis = 250

/**
 * Puts what a source says in force.
 *
 * @param source null: there is none
 * @param waitSeconds how long a start waits for it, and how long it may be silent without being called unreachable
 */
export const makeDocumentPoller = (
  source: DocumentSource | null,
  kind: DocumentKind,
  pump: Pump,
  waitSeconds: number,
): Follower => {
  if (source === null) {
    return { begin: Effect.void, poll: Effect.void, isUnread: () => false, health: () => null }
  }
  const polling = newPolling({ source, kind, pump, waitSeconds })
  return {
    begin: begin(polling),
    poll: Effect.suspend(() => Effect.asVoid(Effect.timeoutOption(once(polling), waitSeconds * 1000))),
    isUnread: isUnreadIn(polling),
    health: () => healthOf(polling),
  }
}

/** In the order in which things happen: reading may take so long, putting in force as long as it takes. */
const begin = (polling: Polling): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { source, waitSeconds, firstRead, firstApplied } = polling
    const follow = Effect.gen(function* () {
      for (;;) {
        const isSoon = yield* once(polling)
        if (polling.hasRead && !isSoon) yield* Deferred.succeed(firstApplied, undefined)
        yield* Effect.sleep(isSoon ? impatientMillis : source.everySeconds * 1000)
      }
    })
    yield* Effect.forkScoped(follow)
    yield* Effect.timeoutOption(Deferred.await(firstRead), waitSeconds * 1000)
    if (polling.hasRead) return yield* Deferred.await(firstApplied)
    polling.hasGivenUp = true
    yield* isLost(polling, polling.lastWhy ?? silence(polling))
    yield* review(polling, null)
  })

/** One look, and what follows from it. @returns whether the next should come soon */
const once = (polling: Polling): Effect.Effect<boolean> =>
  polling.lock.withPermits(1)(
    Effect.gen(function* () {
      const { source, kind, counts, waitSeconds } = polling
      const watchdog = yield* Effect.forkChild(
        Effect.sleep(waitSeconds * 1000).pipe(Effect.andThen(isLost(polling, silence(polling)))),
      )
      const looked = yield* Effect.result(source.look).pipe(Effect.ensuring(Fiber.interrupt(watchdog)))
      if (looked._tag === "Failure") {
        counts.failures++
        // a start that waits is told when it is over
        if (polling.hasRead || polling.hasGivenUp) yield* isLost(polling, looked.failure.message)
        else polling.lastWhy = looked.failure.message
        return !polling.hasRead && !polling.hasGivenUp
      }
      counts.looks++
      if (polling.unreachable !== null)
        yield* Effect.logInfo(`${kind.name}: ${source.name} can be read again`)
      polling.unreachable = null
      return yield* putInForce(polling, looked.success)
    }),
  )

const silence = ({ source, waitSeconds }: Polling): string =>
  `${source.name} has not answered for ${waitSeconds} s`

const healthOf = ({
  kind,
  source,
  unreachable,
  hasRead,
  documents,
  troubles,
  counts,
}: Polling): SourceHealth => ({
  kind: kind.name,
  name: source.name,
  state: unreachable !== null ? "unreachable" : hasRead ? "read" : "reading",
  why: unreachable?.why ?? null,
  since: unreachable?.since ?? null,
  documents,
  troubles: [...troubles.values()],
  ...counts,
})
