/**
 * Webhooks in memory: nothing outlives the process.
 */
import { Effect } from "effect"
import { deadLettersMax } from "../../ports/webhook-store.ts"
import type { DeadLetter, Webhook, WebhookStore } from "../../ports/webhook-store.ts"

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
