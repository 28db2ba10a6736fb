/**
 * Polls a source of documents that are maintained elsewhere, and puts them in force.
 *
 * A document that cannot be used is refused with a reason, and the one in force stays in force. If none was
 * in force, it is unknown what rules apply, so watchers wait until it is known (`isUnread`). The same goes
 * for everyone while the source itself has not been read.
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

/** Milliseconds until the next poll, if the first one failed or the store was away. */
const impatientMillis = 250

/**
 * Puts the documents of a source in force.
 *
 * @param source null if there is none @param waitSeconds how long a start waits for it, and how long it may
 * stay silent before it is reported unreachable
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

/** Limits how long the start waits for the first read, but not for putting the documents in force. */
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

/** Polls once. @returns whether to poll again soon */
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
        // while the start waits, the failure is reported only when it gives up
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
