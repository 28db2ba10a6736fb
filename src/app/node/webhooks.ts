/**
 * Tells webhooks what happens: each from its own place in the log on, in order, until it is taken or given up.
 */
import { randomBytes } from "node:crypto"
import { Clock, Effect, FiberMap, Schedule, Stream } from "effect"
import type { Operations, FeedItem, WebhookView } from "../../ports/operations.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { AllowedHosts } from "../../adapters/webhooks/allowed.ts"
import { newSecret, secretFault } from "../../adapters/webhooks/send.ts"
import type { Message, Send, SendOutcome } from "../../adapters/webhooks/send.ts"
import type { DeadLetter, Webhook, WebhookStore } from "../../adapters/webhooks/webhook-store.ts"
import type { Position } from "../../ports/event-store.ts"
import type { Millis } from "../../domain/vocabulary.ts"
import type { Feed, FeedPage } from "./feed.ts"

export interface WebhooksOptions {
  /** A message that was not taken so long after it was first sent is given up, in seconds. */
  readonly giveUpSeconds: number
  readonly allowed: AllowedHosts
}

export interface Webhooks {
  readonly desk: Operations["webhooks"]
  /** Goes on with all that are kept, until the scope ends. */
  readonly run: Effect.Effect<void>
}

const webhooksMax = 32

/** Seconds between two attempts: 1, 2, 4 … */
const pauseMax = 300

/** How often a receiver may say that it does not want this message. */
const refusalsMax = 3

/** At most so often is it kept how far a webhook is; after a crash some messages are sent again. */
const progressEveryMillis = 1000

/** How it stands with one of them, while this process runs. */
interface Running {
  webhook: Webhook
  taken: number
  dead: number
  /** Of the message that is being sent; 0: none, or the first. */
  failures: number
  error: string | null
}

export const makeWebhooks = Effect.fnUntraced(function* (
  { giveUpSeconds, allowed }: WebhooksOptions,
  store: WebhookStore["Service"],
  feed: Feed,
  send: Send,
  committed: () => Position,
) {
  const clock = yield* Clock.Clock
  const now = (): Millis => clock.currentTimeMillisUnsafe()
  const running = new Map<string, Running>()
  const fibers = yield* FiberMap.make<string>()

  const kept = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
    effect.pipe(Effect.retry(Schedule.spaced("1 second")), Effect.orDie)

  const sendOnce = (one: Running, message: Message): Effect.Effect<SendOutcome> =>
    Effect.map(send(message, now()), (outcome) => {
      if (outcome._tag === "Taken") one.taken += 1
      return outcome
    })

  const bury = (one: Running, item: FeedItem, message: Message, attempts: number, error: string) =>
    Effect.gen(function* () {
      const letter: DeadLetter = {
        id: message.id,
        presentity: presentityOf(item),
        type: item.type,
        body: message.body,
        givenUpAt: now(),
        attempts,
        error,
      }
      yield* kept(store.bury(one.webhook.id, letter))
      one.dead += 1
      yield* Effect.logWarning(
        `webhook ${one.webhook.id}: ${message.id} is given up after ${attempts} attempts: ${error}`,
      )
    })

  /** False: nothing more is to be sent. */
  const deliver = (one: Running, item: FeedItem): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const message = messageOf(one.webhook, item, now())
      const first = now()
      let refusals = 0
      for (let attempts = 1; ; attempts += 1) {
        const outcome = yield* sendOnce(one, message)
        switch (outcome._tag) {
          case "Taken":
            one.failures = 0
            one.error = null
            return true
          case "Gone": {
            const stopped = "answered 410: it wants nothing any more"
            yield* kept(store.stop(one.webhook.id, stopped))
            one.webhook = { ...one.webhook, stopped }
            yield* Effect.logWarning(`webhook ${one.webhook.id} ${stopped}`)
            return false
          }
          case "Refused":
          case "Failed": {
            one.failures = attempts
            one.error = outcome.error
            refusals += outcome._tag === "Refused" ? 1 : 0
            if (refusals >= refusalsMax || now() - first >= giveUpSeconds * 1000) {
              yield* bury(one, item, message, attempts, outcome.error)
              one.failures = 0
              return true
            }
            yield* Effect.sleep(pauseAfter(attempts, Math.random()))
          }
        }
      }
    })

  const follow = (one: Running): Effect.Effect<void> => {
    let saved = { position: one.webhook.position, at: now() }
    const save = Effect.suspend(() => {
      if (one.webhook.position === saved.position) return Effect.void
      saved = { position: one.webhook.position, at: now() }
      return kept(store.progress(one.webhook.id, saved.position))
    })
    const reached = (position: Position) => {
      one.webhook = { ...one.webhook, position }
      return now() - saved.at >= progressEveryMillis ? save : Effect.void
    }
    const take = ({ position, items }: FeedPage) =>
      Effect.gen(function* () {
        for (const item of items) {
          if (!(yield* deliver(one, item))) return false
          if (item.position !== null) yield* reached(item.position)
        }
        yield* reached(position)
        return true
      })
    const { types, presentity } = one.webhook
    const filter = { types: types === null ? null : new Set(types), presentity }
    return Stream.runForEachWhile(feed.pages(one.webhook.position, filter), take).pipe(
      Effect.ensuring(Effect.ignore(Effect.timeoutOption(save, "1 second"))),
    )
  }

  const start = (webhook: Webhook, dead: number) =>
    Effect.suspend(() => {
      const one: Running = { webhook, taken: 0, dead, failures: 0, error: null }
      running.set(webhook.id, one)
      return webhook.stopped === null
        ? Effect.asVoid(FiberMap.run(fibers, webhook.id, follow(one)))
        : Effect.void
    })

  const known = (id: string): Effect.Effect<Running, Refused> => {
    const one = running.get(id)
    return one === undefined
      ? Effect.fail(new Refused({ status: 404, why: `${id}: there is no such webhook` }))
      : Effect.succeed(one)
  }

  const letterOf = (id: string, name: string) =>
    Effect.gen(function* () {
      yield* known(id)
      const letter = (yield* orRefused(store.deadLetters(id))).find((other) => other.id === name)
      return letter ?? (yield* new Refused({ status: 404, why: `${name}: there is no such dead letter` }))
    })

  const desk: Webhooks["desk"] = {
    list: () => [...running.values()].map((one) => viewOf(one, committed())),
    add: (by, { url, types, presentity, secret, from }) =>
      Effect.gen(function* () {
        const urlWhy = urlFault(url, allowed)
        if (urlWhy !== null) return yield* new Refused({ status: 400, why: `url: ${urlWhy}` })
        const secretWhy = secret === null ? null : secretFault(secret)
        if (secretWhy !== null) return yield* new Refused({ status: 400, why: `secret: ${secretWhy}` })
        if (from !== null && from > committed()) {
          return yield* new Refused({ status: 400, why: `from = ${from}: the log ends at ${committed()}` })
        }
        if (running.size >= webhooksMax) {
          return yield* new Refused({ status: 409, why: `there are ${webhooksMax} webhooks already` })
        }
        const webhook: Webhook = {
          id: `wh_${randomBytes(9).toString("base64url")}`,
          url,
          types,
          presentity,
          secret: secret ?? newSecret(),
          position: from ?? committed(),
          createdAt: now(),
          createdBy: by,
          stopped: null,
        }
        yield* orRefused(store.add(webhook))
        yield* start(webhook, 0)
        yield* Effect.logInfo(`webhook ${webhook.id} to ${new URL(url).host} was added by ${by}`)
        return { ...viewOf(running.get(webhook.id)!, committed()), secret: webhook.secret }
      }),
    remove: (id) =>
      Effect.gen(function* () {
        yield* known(id)
        yield* FiberMap.remove(fibers, id)
        yield* orRefused(store.remove(id))
        running.delete(id)
      }),
    deadLetters: (id) => Effect.andThen(known(id), orRefused(store.deadLetters(id))),
    redeliver: (id, name) =>
      Effect.gen(function* () {
        const letter = yield* letterOf(id, name)
        const one = yield* known(id)
        const { url, secret } = one.webhook
        const outcome = yield* sendOnce(one, { id: letter.id, url, secret, body: letter.body })
        if (outcome._tag !== "Taken") {
          const why = outcome._tag === "Gone" ? "answered 410" : outcome.error
          return yield* new Refused({ status: 409, why: `it was not taken: ${why}` })
        }
        yield* orRefused(store.unbury(id, name))
        one.dead -= 1
      }),
    discard: (id, name) =>
      Effect.gen(function* () {
        yield* letterOf(id, name)
        yield* orRefused(store.unbury(id, name))
        const one = yield* known(id)
        one.dead -= 1
      }),
  }

  const webhooks: Webhooks = {
    desk,
    run: Effect.gen(function* () {
      for (const webhook of yield* kept(store.list)) {
        yield* start(webhook, (yield* kept(store.deadLetters(webhook.id))).length)
      }
      yield* Effect.never
    }),
  }
  return webhooks
})

/** Doubles from a second on, a fifth more or less, so that what failed together does not come back together. */
export const pauseAfter = (attempts: number, chance: number): number =>
  Math.round(Math.min(pauseMax, 2 ** (attempts - 1)) * 1000 * (0.8 + 0.4 * chance))

/** Null: it can be used; otherwise why not. */
const urlFault = (text: string, allowed: AllowedHosts): string | null => {
  if (!URL.canParse(text) || text.length > 2000) return "expected https://HOST/PATH"
  const url = new URL(text)
  if (url.protocol !== "https:" && url.protocol !== "http:") return "expected https://HOST/PATH"
  if (url.username !== "" || url.password !== "") return "expected no password in it: what is sent is signed"
  return allowed.refusesUrl(url)
}

const presentityOf = ({ data }: FeedItem): string => `sip:${data.user}@${data.domain}`

/** @source the Standard Webhooks specification */
const messageOf = ({ url, secret }: Webhook, { id, type, data }: FeedItem, now: Millis): Message => ({
  id: `msg_${id ?? randomBytes(12).toString("base64url")}`,
  url,
  secret,
  body: JSON.stringify({ type, timestamp: new Date("at" in data ? data.at : now).toISOString(), data }),
})

const viewOf = ({ webhook, taken, dead, failures, error }: Running, committed: Position): WebhookView => ({
  id: webhook.id,
  url: webhook.url,
  types: webhook.types,
  presentity: webhook.presentity,
  state: webhook.stopped !== null ? "stopped" : failures > 0 ? "retrying" : "sending",
  reason: webhook.stopped ?? error,
  position: webhook.position,
  behind: Math.max(0, committed - webhook.position),
  taken,
  failures,
  dead_letters: dead,
  created: Math.floor(webhook.createdAt / 1000),
  created_by: webhook.createdBy,
})

const orRefused = <A>(effect: Effect.Effect<A, { readonly message: string }>) =>
  Effect.mapError(effect, ({ message }) => new Refused({ status: 503, why: message }))
