/** Operations on webhooks. */
import { randomBytes } from "node:crypto"
import { Effect, FiberMap } from "effect"
import type { AllowedHosts } from "../../../adapters/webhooks/allowed.ts"
import { newSecret, secretFault } from "../../../adapters/webhooks/send.ts"
import type { Position } from "../../../ports/event-store.ts"
import { Refused } from "../../../ports/operation-refused.ts"
import type { Operations, WebhookView } from "../../../ports/operations.ts"
import type { Webhook } from "../../../ports/webhook-store.ts"
import { sendOnce } from "./sending.ts"
import type { Running, Sending } from "./sending.ts"

const webhooksMax = 32

export interface DeskParts extends Sending {
  readonly allowed: AllowedHosts
  readonly committed: () => Position
  /** By id. */
  readonly running: Map<string, Running>
  /** The fibers of webhooks that are not stopped, by id. */
  readonly fibers: FiberMap.FiberMap<string>
  readonly start: (webhook: Webhook, dead: number) => Effect.Effect<void>
}

type Desk = Operations["webhooks"]

export const makeDesk = (parts: DeskParts): Desk => {
  const { store, running, fibers, committed } = parts
  return {
    list: () => [...running.values()].map((hook) => viewOf(hook, committed())),
    add: (operator, wish) => add(parts, operator, wish),
    remove: (id) =>
      Effect.gen(function* () {
        yield* known(parts, id)
        yield* FiberMap.remove(fibers, id)
        yield* orRefused(store.remove(id))
        running.delete(id)
      }),
    deadLetters: (id) => Effect.andThen(known(parts, id), orRefused(store.deadLetters(id))),
    redeliver: (id, name) => redeliver(parts, id, name),
    discard: (id, name) =>
      Effect.gen(function* () {
        yield* letterOf(parts, id, name)
        yield* orRefused(store.unbury(id, name))
        const hook = yield* known(parts, id)
        hook.dead -= 1
      }),
  }
}

const add = (
  parts: DeskParts,
  operator: string,
  { url, types, presentity, secret, from }: Parameters<Desk["add"]>[1],
): ReturnType<Desk["add"]> =>
  Effect.gen(function* () {
    const { store, allowed, committed, running, now, start } = parts
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
      createdBy: operator,
      stopped: null,
    }
    yield* orRefused(store.add(webhook))
    yield* start(webhook, 0)
    yield* Effect.logInfo(`webhook ${webhook.id} to ${new URL(url).host} was added by ${operator}`)
    return { ...viewOf(running.get(webhook.id)!, committed()), secret: webhook.secret }
  })

const redeliver = (parts: DeskParts, id: string, name: string): Effect.Effect<void, Refused> =>
  Effect.gen(function* () {
    const letter = yield* letterOf(parts, id, name)
    const hook = yield* known(parts, id)
    const { url, secret } = hook.webhook
    const outcome = yield* sendOnce(parts, hook, { id: letter.id, url, secret, body: letter.body })
    if (outcome._tag !== "Taken") {
      const why = outcome._tag === "Gone" ? "answered 410" : outcome.error
      return yield* new Refused({ status: 409, why: `it was not taken: ${why}` })
    }
    yield* orRefused(parts.store.unbury(id, name))
    hook.dead -= 1
  })

const known = ({ running }: DeskParts, id: string): Effect.Effect<Running, Refused> => {
  const hook = running.get(id)
  return hook === undefined
    ? Effect.fail(new Refused({ status: 404, why: `${id}: there is no such webhook` }))
    : Effect.succeed(hook)
}

const letterOf = (parts: DeskParts, id: string, name: string) =>
  Effect.gen(function* () {
    yield* known(parts, id)
    const letter = (yield* orRefused(parts.store.deadLetters(id))).find((entry) => entry.id === name)
    return letter ?? (yield* new Refused({ status: 404, why: `${name}: there is no such dead letter` }))
  })

/** Null if the URL can be used; otherwise why not. */
const urlFault = (text: string, allowed: AllowedHosts): string | null => {
  if (!URL.canParse(text) || text.length > 2000) return "expected https://HOST/PATH"
  const url = new URL(text)
  if (url.protocol !== "https:" && url.protocol !== "http:") return "expected https://HOST/PATH"
  if (url.username !== "" || url.password !== "") return "expected no password in it: what is sent is signed"
  return allowed.refusesUrl(url)
}

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
