/** Delivers events to webhooks: to each from its own position in the log, in order, until taken or given up. */
import { Clock, Effect, FiberMap } from "effect"
import type { AllowedHosts } from "../../adapters/webhooks/allowed.ts"
import type { Send } from "../../adapters/webhooks/send.ts"
import type { Position } from "../../ports/event-store.ts"
import type { Operations } from "../../ports/operations.ts"
import type { Webhook, WebhookStore } from "../../ports/webhook-store.ts"
import type { Feed } from "./feed.ts"
import { makeDesk } from "./webhooks/desk.ts"
import { follow, kept } from "./webhooks/sending.ts"
import type { Running, Sending } from "./webhooks/sending.ts"

export interface WebhooksOptions {
  /** A message is given up if it has not been taken this long after the first attempt, in seconds. */
  readonly giveUpSeconds: number
  readonly allowed: AllowedHosts
}

export interface Webhooks {
  readonly desk: Operations["webhooks"]
  /** Runs all stored webhooks until the scope closes. */
  readonly run: Effect.Effect<void>
}

export const makeWebhooks = Effect.fnUntraced(function* (
  { giveUpSeconds, allowed }: WebhooksOptions,
  store: WebhookStore["Service"],
  feed: Feed,
  send: Send,
  committed: () => Position,
) {
  const clock = yield* Clock.Clock
  const running = new Map<string, Running>()
  const fibers = yield* FiberMap.make<string>()
  const now = (): number => clock.currentTimeMillisUnsafe()
  const sending: Sending = { store, feed, send, now, giveUpSeconds }
  const start = (webhook: Webhook, dead: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const hook: Running = { webhook, taken: 0, dead, failures: 0, error: null }
      running.set(webhook.id, hook)
      return webhook.stopped === null
        ? Effect.asVoid(FiberMap.run(fibers, webhook.id, follow(sending, hook)))
        : Effect.void
    })
  const webhooks: Webhooks = {
    desk: makeDesk({ ...sending, allowed, committed, running, fibers, start }),
    run: Effect.gen(function* () {
      for (const webhook of yield* kept(store.list)) {
        yield* start(webhook, (yield* kept(store.deadLetters(webhook.id))).length)
      }
      yield* Effect.never
    }),
  }
  return webhooks
})
