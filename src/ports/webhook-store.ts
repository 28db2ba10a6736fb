/**
 * Where webhooks are stored: their URLs, how far each has been delivered, and the messages that it never accepted.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { Millis, Position } from "../domain/vocabulary.ts"
import type { StoreUnavailable } from "./event-store.ts"

export interface Webhook {
  readonly id: string
  readonly url: string
  /** Null: every type of event. */
  readonly types: readonly ("E_PRESENCE_PUBLISH" | "E_PRESENCE_EXPOSED")[] | null
  /** A shell wildcard over whole URIs; null: all. */
  readonly presentity: string | null
  /** `whsec_` and the key in base64. */
  readonly secret: string
  /** All messages up to here were accepted, or are among the dead letters. */
  readonly position: Position
  readonly createdAt: Millis
  readonly createdBy: string
  /** Why delivery has stopped; null: it continues. */
  readonly stopped: string | null
}

/** A message whose delivery was given up. */
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
    /** False: there was none with that id. */
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

/** Dead letters kept for each webhook; the oldest are dropped first. Their content is also in the log. */
export const deadLettersMax = 1000
