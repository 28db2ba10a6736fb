/**
 * One subscription from the watcher's side: refreshed, its NOTIFYs answered and handed over, and ended with the scope.
 *
 * @source RFC 3265 §3.1.4, §3.2.4; RFC 3261 §12
 */
import { Deferred, Effect, Queue } from "effect"
import type { Scope } from "effect"
import { parseAddress, parseAddresses } from "../../adapters/sip/address-headers.ts"
import { routeOf } from "../../adapters/sip/format-notify.ts"
import {
  parameterizedNames,
  parseEvent,
  parseExpires,
  parseRetryAfter,
  splitParameters,
} from "../../adapters/sip/headers.ts"
import { limitsDefault } from "../../adapters/sip/options.ts"
import { looksTagged } from "../../adapters/sip/responses.ts"
import { sharedLineName } from "../../domain/packages/dialog-sla.ts"
import type { NoAnswer, Refused } from "./failures.ts"
import { refreshAfterSeconds } from "./publication.ts"
import { startConversation } from "./user-agent.ts"
import type { UserAgent } from "./user-agent.ts"
import type { Body, HeaderLine, Message } from "./wire.ts"

export interface Subscribe {
  /** The Request-URI as given, and the presentity's canonical URI. */
  readonly uri: string
  readonly presentity: string
  readonly watcher: string
  readonly event: string
  /** Seconds; 0 fetches once, null leaves the lifetime to the server. */
  readonly expires: number | null
}

export interface Notification {
  readonly state: string
  /** Remaining lifetime in seconds; null when the server did not say. */
  readonly expires: number | null
  /** The reason of a terminated subscription. */
  readonly reason: string | null
  readonly retryAfter: number | null
  readonly body: Body | null
}

export interface Subscription {
  /** Fails when the subscription can no longer be refreshed. */
  readonly notifications: Queue.Dequeue<Notification, NoAnswer | Refused>
}

/** What is known about the dialog; the first NOTIFY may arrive before the 200 and establish it as well. */
interface Dialog {
  remote: string | null
  target: string | null
  /** Null until the first 2xx. */
  routes: readonly string[] | null
  notifyCseq: number
  isTerminated: boolean
}

/** How long to wait for the final NOTIFY after unsubscribing. */
const farewellMillis = 500

/** Subscribes; the subscription lives until the scope closes or the server ends it. */
export const subscribe = Effect.fnUntraced(function* (
  agent: UserAgent,
  wish: Subscribe,
): Effect.fn.Return<Subscription, NoAnswer | Refused, Scope.Scope> {
  const conversation = startConversation()
  const notifications = yield* Queue.unbounded<Notification, NoAnswer | Refused>()
  const farewell = yield* Deferred.make<void>()
  const dialog: Dialog = { remote: null, target: null, routes: null, notifyCseq: 0, isTerminated: false }

  const notified = (request: Message): number => {
    const status = judge(request, wish, conversation.localTag, dialog)
    if (status !== 200) return status
    dialog.notifyCseq = request.raw.cseq
    dialog.remote ??= request.raw.from
    dialog.target = targetOf(request) ?? dialog.target
    const notification = readNotification(request)
    Queue.offerUnsafe(notifications, notification)
    if (notification.state === "terminated") {
      dialog.isTerminated = true
      Deferred.doneUnsafe(farewell, Effect.void)
    }
    return 200
  }

  const send = Effect.fnUntraced(function* (expires: number | null) {
    const target = dialog.target ?? wish.uri
    const { requestUri, routes } = routeOf(target, dialog.routes ?? [])
    const headers: HeaderLine[] = [
      ...routes.map((route) => ["Route", route] as const),
      ["Contact", agent.contact(userOf(wish.watcher))],
      ["Event", wish.event],
    ]
    if (wish.event === "presence") headers.push(["Accept", "application/pidf+xml"])
    if (expires !== null) headers.push(["Expires", `${expires}`])
    const response = yield* agent.request(conversation, {
      method: "SUBSCRIBE",
      uri: requestUri,
      from: `<${wish.watcher}>`,
      to: dialog.remote ?? `<${wish.presentity}>`,
      headers,
      body: null,
    })
    // RFC 3261 §12.1.2: the route set is that of the first 2xx, in reverse order, and never changes.
    dialog.routes ??= recordRoutes(response).toReversed()
    if (looksTagged(response.raw.to)) dialog.remote = response.raw.to
    dialog.target = targetOf(response) ?? dialog.target
    return Number(response.header("expires") ?? expires ?? 3_600)
  })

  yield* agent.receive(conversation.callId, notified)
  let granted = yield* send(wish.expires)
  const first = granted
  const keepAlive = Effect.gen(function* () {
    while (!dialog.isTerminated) {
      yield* Effect.sleep(refreshAfterSeconds(granted) * 1000)
      if (!dialog.isTerminated) granted = yield* send(wish.expires)
    }
  }).pipe(Effect.catch((error) => Queue.fail(notifications, error)))
  if (first > 0) yield* Effect.forkScoped(keepAlive)
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (dialog.isTerminated) return
      if (first > 0) yield* send(0)
      yield* Effect.timeoutOption(Deferred.await(farewell), farewellMillis)
      // The waiting fiber resumes before the response to this NOTIFY is sent.
      yield* Effect.yieldNow
    }).pipe(Effect.timeoutOption(2 * farewellMillis), Effect.ignore),
  )
  return { notifications }
})

/** Event packages whose name may carry parameters. */
const parameterized = parameterizedNames([sharedLineName])

/** The status with which a NOTIFY is answered. */
const judge = (request: Message, wish: Subscribe, localTag: string, dialog: Dialog): number => {
  const { raw } = request
  if (raw.method !== "NOTIFY") return 405
  const event = parseEvent(raw.headers.first("event") ?? "", limitsDefault.eventIdBytesMax, parameterized)
  const remote = dialog.remote === null ? null : parseAddress(dialog.remote)
  const isOurs =
    !dialog.isTerminated &&
    parseAddress(raw.to)?.tag === localTag &&
    event?.packageName ===
      parseEvent(wish.event, limitsDefault.eventIdBytesMax, parameterized)?.packageName &&
    (remote === null || parseAddress(raw.from)?.tag === remote.tag)
  if (!isOurs) return 481
  // RFC 3261 §12.2.2
  return raw.cseq <= dialog.notifyCseq ? 500 : 200
}

const targetOf = (message: Message): string | null => {
  const line = message.raw.headers.first("contact")
  return line === undefined ? null : (parseAddress(line)?.uri ?? null)
}

const recordRoutes = ({ raw }: Message): readonly string[] =>
  (raw.headers.get("record-route") ?? []).flatMap((line) =>
    (parseAddresses(line) ?? []).map(({ untagged }) => untagged),
  )

const readNotification = ({ raw }: Message): Notification => {
  const parts = splitParameters(raw.headers.first("subscription-state") ?? "active")
  const parameter = (name: string): string | undefined => parts?.parameters.get(name) ?? undefined
  return {
    state: (parts?.value ?? "active").toLowerCase(),
    expires: parseExpires(parameter("expires")),
    reason: parameter("reason") ?? null,
    retryAfter: parseRetryAfter(parameter("retry-after")),
    body:
      raw.body.length === 0
        ? null
        : { contentType: raw.headers.first("content-type") ?? "", text: raw.body.toString("utf8") },
  }
}

const userOf = (uri: string): string => uri.slice(uri.indexOf(":") + 1, uri.lastIndexOf("@"))
