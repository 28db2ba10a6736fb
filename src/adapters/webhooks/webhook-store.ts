/**
 * Where webhooks are kept: addresses, how far each has been told, and what it never took.
 */
import { Context, Effect, Layer } from "effect"
import type { Position, StoreUnavailable } from "../../ports/event-store.ts"
import type { Millis } from "../../domain/vocabulary.ts"

export interface Webhook {
  readonly id: string
  readonly url: string
  /** Null: every type of event. */
  readonly types: readonly ("E_PRESENCE_PUBLISH" | "E_PRESENCE_EXPOSED")[] | null
  /** A shell wildcard over whole URIs; null: all. */
  readonly presentity: string | null
  /** `whsec_` and the key in base64. */
  readonly secret: string
  /** Everything up to here was taken, or is among the dead letters. */
  readonly position: Position
  readonly createdAt: Millis
  readonly createdBy: string
  /** Why nothing is sent any more; null: it goes on. */
  readonly stopped: string | null
}

/** A message that was given up. */
export interface DeadLetter {
  readonly id: string
  readonly presentity: string
  readonly type: string
  readonly body: string
  readonly givenUpAt: Millis
  readonly attempts: number
  readonly error: string
}

export class WebhookStore extends Context.Service<
  WebhookStore,
  {
    /** Oldest first. */
    readonly list: Effect.Effect<readonly Webhook[], StoreUnavailable>
    readonly add: (webhook: Webhook) => Effect.Effect<void, StoreUnavailable>
    /** False: there was none of that id. */
    readonly remove: (id: string) => Effect.Effect<boolean, StoreUnavailable>
    readonly progress: (id: string, position: Position) => Effect.Effect<void, StoreUnavailable>
    readonly stop: (id: string, why: string) => Effect.Effect<void, StoreUnavailable>
    /** Safe to repeat. */
    readonly bury: (id: string, letter: DeadLetter) => Effect.Effect<void, StoreUnavailable>
    /** Newest first. */
    readonly deadLetters: (id: string) => Effect.Effect<readonly DeadLetter[], StoreUnavailable>
    readonly unbury: (id: string, letter: string) => Effect.Effect<void, StoreUnavailable>
  }
>()("presently/webhooks/WebhookStore") {}

/** Dead letters kept of one webhook; older ones make room. What they said is in the log. */
export const deadLettersMax = 1000

export const makeMemoryWebhookStore = (): WebhookStore["Service"] => {
  const webhooks = new Map<string, { webhook: Webhook; letters: DeadLetter[] }>()
  const change = (id: string, to: (present: { webhook: Webhook; letters: DeadLetter[] }) => void) =>
    Effect.sync(() => {
      const present = webhooks.get(id)
      if (present !== undefined) to(present)
    })
  return {
    list: Effect.sync(() => [...webhooks.values()].map(({ webhook }) => webhook)),
    add: (webhook) => Effect.sync(() => void webhooks.set(webhook.id, { webhook, letters: [] })),
    remove: (id) => Effect.sync(() => webhooks.delete(id)),
    progress: (id, position) =>
      change(id, (one) => {
        one.webhook = { ...one.webhook, position }
      }),
    stop: (id, stopped) =>
      change(id, (one) => {
        one.webhook = { ...one.webhook, stopped }
      }),
    bury: (id, letter) =>
      change(id, (one) => {
        const others = one.letters.filter((other) => other.id !== letter.id)
        one.letters = [letter, ...others].slice(0, deadLettersMax)
      }),
    deadLetters: (id) => Effect.sync(() => webhooks.get(id)?.letters ?? []),
    unbury: (id, letter) =>
      change(id, (one) => {
        one.letters = one.letters.filter((other) => other.id !== letter)
      }),
  }
}

export const layerMemoryWebhooks: Layer.Layer<WebhookStore> = Layer.sync(WebhookStore, makeMemoryWebhookStore)
