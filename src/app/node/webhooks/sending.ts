/** Delivery to one webhook: each message is sent until it is taken or given up. */
import { randomBytes } from "node:crypto"
import { Effect, Schedule, Stream } from "effect"
import type { Message, Send, SendOutcome } from "../../../adapters/webhooks/send.ts"
import type { Millis } from "../../../domain/vocabulary.ts"
import type { Position } from "../../../ports/event-store.ts"
import type { FeedItem } from "../../../ports/operations.ts"
import type { DeadLetter } from "../../../ports/webhook-store.ts"
import type { Webhook, WebhookStore } from "../../../ports/webhook-store.ts"
import type { Feed, FeedPage } from "../feed.ts"

/** Maximum seconds between attempts: 1, 2, 4 … */
const pauseMax = 300

/** How often a receiver may refuse the same message. */
const refusalsMax = 3

/** Minimum interval between saves of the position; after a crash some messages are sent again. */
const progressEveryMillis = 1000

/** A webhook and its state in this process. */
export interface Running {
  webhook: Webhook
  taken: number
  dead: number
  /** Failed attempts of the current message. */
  failures: number
  error: string | null
}

/** What sending depends on. */
export interface Sending {
  readonly store: WebhookStore["Service"]
  readonly feed: Feed
  readonly send: Send
  readonly now: () => Millis
  /** A message is given up if it has not been taken this long after the first attempt, in seconds. */
  readonly giveUpSeconds: number
}

/** Retries until the store answers. */
export const kept = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
  effect.pipe(Effect.retry(Schedule.spaced("1 second")), Effect.orDie)

export const sendOnce = (
  { send, now }: Sending,
  running: Running,
  message: Message,
): Effect.Effect<SendOutcome> =>
  Effect.map(send(message, now()), (outcome) => {
    if (outcome._tag === "Taken") running.taken += 1
    return outcome
  })

/** Sends everything in the log from the webhook's position on, and saves its progress. */
export const follow = (sending: Sending, running: Running): Effect.Effect<void> => {
  const { store, feed, now } = sending
  let saved = { position: running.webhook.position, at: now() }
  const save = Effect.suspend(() => {
    if (running.webhook.position === saved.position) return Effect.void
    saved = { position: running.webhook.position, at: now() }
    return kept(store.progress(running.webhook.id, saved.position))
  })
  const reached = (position: Position) => {
    running.webhook = { ...running.webhook, position }
    return now() - saved.at >= progressEveryMillis ? save : Effect.void
  }
  const take = ({ position, items }: FeedPage) =>
    Effect.gen(function* () {
      for (const item of items) {
        if (!(yield* deliver(sending, running, item))) return false
        if (item.position !== null) yield* reached(item.position)
      }
      yield* reached(position)
      return true
    })
  const { types, presentity } = running.webhook
  const filter = { types: types === null ? null : new Set(types), presentity }
  return Stream.runForEachWhile(feed.pages(running.webhook.position, filter), take).pipe(
    Effect.ensuring(Effect.ignore(Effect.timeoutOption(save, "1 second"))),
  )
}

/** False if nothing more is to be sent. */
const deliver = (sending: Sending, running: Running, item: FeedItem): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const { store, now, giveUpSeconds } = sending
    const message = messageOf(running.webhook, item, now())
    const first = now()
    let refusals = 0
    for (let attempts = 1; ; attempts += 1) {
      const outcome = yield* sendOnce(sending, running, message)
      switch (outcome._tag) {
        case "Taken":
          running.failures = 0
          running.error = null
          return true
        case "Gone": {
          const stopped = "answered 410: it wants nothing any more"
          yield* kept(store.stop(running.webhook.id, stopped))
          running.webhook = { ...running.webhook, stopped }
          yield* Effect.logWarning(`webhook ${running.webhook.id} ${stopped}`)
          return false
        }
        case "Refused":
        case "Failed": {
          running.failures = attempts
          running.error = outcome.error
          refusals += outcome._tag === "Refused" ? 1 : 0
          if (refusals >= refusalsMax || now() - first >= giveUpSeconds * 1000) {
            yield* bury(sending, running, letterOf(item, message, now(), attempts, outcome.error))
            running.failures = 0
            return true
          }
          yield* Effect.sleep(pauseAfter(attempts, Math.random()))
        }
      }
    }
  })

const letterOf = (
  item: FeedItem,
  { id, body }: Message,
  givenUpAt: Millis,
  attempts: number,
  error: string,
): DeadLetter => ({ id, presentity: presentityOf(item), type: item.type, body, givenUpAt, attempts, error })

const bury = ({ store }: Sending, running: Running, letter: DeadLetter) =>
  Effect.gen(function* () {
    yield* kept(store.bury(running.webhook.id, letter))
    running.dead += 1
    yield* Effect.logWarning(
      `webhook ${running.webhook.id}: ${letter.id} is given up after ${letter.attempts} attempts: ${letter.error}`,
    )
  })

/** Doubles from one second, with 20 % jitter, so that webhooks that failed together are not retried together. */
const pauseAfter = (attempts: number, chance: number): number =>
  Math.round(Math.min(pauseMax, 2 ** (attempts - 1)) * 1000 * (0.8 + 0.4 * chance))

const presentityOf = ({ data }: FeedItem): string => `sip:${data.user}@${data.domain}`

/** @source the Standard Webhooks specification */
const messageOf = ({ url, secret }: Webhook, { id, type, data }: FeedItem, now: Millis): Message => ({
  id: `msg_${id ?? randomBytes(12).toString("base64url")}`,
  url,
  secret,
  body: JSON.stringify({ type, timestamp: new Date("at" in data ? data.at : now).toISOString(), data }),
})
