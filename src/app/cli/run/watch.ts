/**
 * Watches a presentity, and prints its NOTIFYs.
 */
import { Clock, Console, Effect, Option, Queue } from "effect"
import { gistOf, shows, summaryOf } from "../../../explain/document-summary.ts"
import type { Summary } from "../../../explain/document-summary.ts"
import { SubscriptionEnded, UsageInvalid, WaitedInVain } from "../../client/failures.ts"
import { subscribe } from "../../client/subscription.ts"
import type { Notification, Subscribe } from "../../client/subscription.ts"
import { openUserAgent } from "../../client/user-agent.ts"
import type { UserAgent } from "../../client/user-agent.ts"
import type { AgentInput } from "../client-flags.ts"
import { agentOptions, readPresentity, readSeconds, readToken } from "./client-input.ts"

interface WatchInput extends AgentInput {
  readonly uri: string
  readonly event: string
  readonly until: Option.Option<"open" | "closed">
  /** Seconds. */
  readonly timeout: Option.Option<number>
  readonly expires: Option.Option<number>
  readonly as: Option.Option<string>
  readonly json: boolean
  readonly body: boolean
}

interface Show {
  readonly until: "open" | "closed" | null
  readonly asJson: boolean
  readonly withBody: boolean
}

export const watch = Effect.fn(function* (input: WatchInput) {
  const presentity = yield* readPresentity(input.uri)
  const expires = yield* readSeconds("expires", input.expires)
  const event = yield* readToken("event", input.event)
  const timeout = Option.getOrNull(input.timeout)
  if (timeout !== null && !(timeout > 0 && timeout < 2_000_000)) {
    return yield* new UsageInvalid({ why: `--timeout ${timeout}: expected seconds, more than 0` })
  }
  const name = Option.getOrElse(input.user, () => "watcher")
  const self = yield* readPresentity(
    Option.getOrElse(input.as, () => (name.includes("@") ? `sip:${name}` : `sip:${name}@${presentity.host}`)),
  )
  const options = yield* agentOptions(input, presentity.transport)
  const until = Option.getOrNull(input.until)
  const show: Show = { until, asJson: input.json, withBody: input.body }
  const wanted: Subscribe = { ...presentity, watcher: self.presentity, event, expires }
  const watching = Effect.scoped(
    Effect.gen(function* () {
      const agent = yield* openUserAgent(options)
      yield* follow(agent, wanted, show)
    }),
  )
  if (timeout === null) return yield* watching
  yield* Effect.timeoutOrElse(watching, {
    duration: timeout * 1000,
    orElse: () =>
      until === null
        ? Effect.void
        : Effect.fail(
            new WaitedInVain({ what: `${wanted.presentity} was not seen ${until} within ${timeout} s` }),
          ),
  })
})

/** Watches until it has seen what was asked for; subscribes again when the server ended the subscription for a passing reason. */
const follow = Effect.fnUntraced(function* (agent: UserAgent, wanted: Subscribe, show: Show) {
  for (;;) {
    const last = yield* Effect.scoped(
      Effect.gen(function* () {
        const { notifications } = yield* subscribe(agent, wanted)
        for (;;) {
          const notification = yield* Queue.take(notifications)
          const summary = summaryOf(notification.body)
          yield* print(notification, summary, wanted, show)
          if (show.until !== null && shows(summary, show.until)) return null
          if (notification.state === "terminated") return notification
        }
      }),
    )
    if (last === null) return
    if (wanted.expires === 0) {
      if (show.until === null) return
      return yield* new WaitedInVain({ what: `${wanted.presentity} is not ${show.until}` })
    }
    const pause = pauseAfter(last)
    if (pause === null) return yield* new SubscriptionEnded({ reason: last.reason ?? "no reason given" })
    yield* Console.error(`the subscription ended (${last.reason ?? "no reason given"}), subscribing again`)
    yield* Effect.sleep(pause * 1000)
  }
})

/**
 * Seconds to wait before subscribing again; null: the subscription has ended for good.
 *
 * @source RFC 3265 §3.2.4
 */
const pauseAfter = ({ reason, retryAfter }: Notification): number | null => {
  if (reason === "rejected" || reason === "noresource") return null
  return Math.max(1, retryAfter ?? (reason === "probation" || reason === "giveup" ? 30 : 1))
}

const print = Effect.fnUntraced(function* (
  notification: Notification,
  summary: Summary | null,
  { presentity, event }: Subscribe,
  { asJson, withBody }: Show,
) {
  const { state, reason, expires, body } = notification
  const time = new Date(yield* Clock.currentTimeMillis)
  if (asJson) {
    const line = {
      v: 1,
      time: time.toISOString(),
      presentity,
      event,
      state,
      reason,
      expires,
      tuples: summary?.tuples ?? [],
      notes: summary?.notes ?? [],
      contentType: body?.contentType ?? null,
      ...(withBody ? { body: body?.text ?? null } : {}),
    }
    return yield* Console.log(JSON.stringify(line))
  }
  const shown = reason === null ? state : `${state} (${reason})`
  yield* Console.log(`${clockText(time)}  ${shown}  ${contentText(body)}`)
  if (withBody && body !== null) yield* Console.log(body.text.trimEnd())
})

const contentText = (body: Notification["body"]): string =>
  body === null
    ? "nothing published"
    : (gistOf(body) ?? `${body.contentType}, ${Buffer.byteLength(body.text)} bytes`)

/** Local time with milliseconds. */
const clockText = (time: Date): string =>
  [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":")
    .concat(".", String(time.getMilliseconds()).padStart(3, "0"))
