/**
 * Tells the story of a lamp (`demo-office.ts`), or watches and publishes at the same time and draws the messages.
 */
import { Console, Effect, Logger, Option, Queue } from "effect"
import { shows, summaryOf } from "../../../explain/document-summary.ts"
import { documentOf } from "../../client/document.ts"
import { LocalFailure, WaitedInVain } from "../../client/failures.ts"
import { makePublication } from "../../client/publication.ts"
import type { Target } from "../../client/socket.ts"
import { subscribe } from "../../client/subscription.ts"
import { openUserAgent } from "../../client/user-agent.ts"
import type { Traced } from "../../client/user-agent.ts"
import { readConfig } from "../../config/config.ts"
import { isPlace, placeText } from "../server-place.ts"
import type { ServerPlace } from "../server-place.ts"
import { answerMillis, findTarget, readPresentity } from "./client-input.ts"
import type { Presentity } from "./client-input.ts"
import { drawHead, drawStep } from "./demo-ladder.ts"
import { paintFor } from "./paint.ts"

export const demo = Effect.fn(function* ({
  uri,
  ...where
}: ServerPlace & {
  readonly to: Option.Option<string>
  readonly uri: Option.Option<string>
}) {
  const isNamed = Option.isSome(where.to) || isPlace(where)
  if (!isNamed && Option.isNone(uri)) return yield* office
  const presentity = yield* readPresentity(Option.getOrElse(uri, () => alice))
  yield* Effect.scoped(
    Effect.gen(function* () {
      const target = isNamed ? yield* findTarget(where, "udp") : yield* ownServer
      yield* perform(target, presentity)
    }),
  )
  const flags = Option.match(where.to, {
    onNone: () => (isNamed ? ` ${placeText(where)}` : ""),
    onSome: (to) => ` --to ${to}`,
  })
  const next = `presently watch${flags} ${presentity.presentity}`
  yield* Console.log(isNamed ? `Next: ${next}` : `Next: presently dev, and in a second terminal: ${next}`)
})

const alice = "sip:alice@example.com"

const office = Effect.gen(function* () {
  const { performOffice } = yield* Effect.promise(() => import("./demo-office.ts"))
  const console = yield* Console.Console
  yield* Effect.promise(() =>
    performOffice((text) => console.log(text), paintFor(process.stdout, process.env)),
  )
  yield* Console.log(`
Next: presently demo ${alice} draws the messages of such a change.
      presently dev, and in a second terminal: presently watch ${alice}`)
})

/** A server in this process, in memory, on a port that the system chooses. */
const ownServer = Effect.gen(function* () {
  const config = readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: { listen: ["udp:127.0.0.1:0"], admin: "off", memory: true, notify_min_interval: 0 },
  })
  const { startServer } = yield* Effect.promise(() => import("../../server/start-server.ts"))
  const server = yield* startServer(config).pipe(
    Effect.mapError((cause) => new LocalFailure({ what: "no server could be started here", cause })),
  )
  yield* server.ready
  const address = server.addresses()[0] ?? ""
  const target: Target = {
    host: "127.0.0.1",
    port: Number(address.slice(address.lastIndexOf(":") + 1)),
    transport: "udp",
  }
  return target
}).pipe(Effect.provide(Logger.layer([])))

/** How long to wait for a NOTIFY that the server's pacing may hold back, usually for five seconds. */
const notifyMillis = 8_000

const perform = Effect.fnUntraced(function* (target: Target, { uri, presentity, host }: Presentity) {
  const paint = paintFor(process.stdout, process.env)
  let startedAt: number | null = null
  let isDrawing = true
  // One socket for both parties, so that messages are drawn in the order in which the server sent them.
  const trace = (traced: Traced): void => {
    startedAt ??= traced.at
    const party = traced.message.raw.method === "PUBLISH" ? "publisher" : "watcher"
    if (isDrawing) console.log(drawStep(party, traced, traced.at - startedAt, paint))
  }

  yield* Console.log(drawHead(`${target.host}:${target.port}`, paint))
  const timers = { transactionMs: answerMillis }
  const agent = yield* openUserAgent({ target, credentials: null, timers, trace })
  const subscription = yield* subscribe(agent, {
    uri,
    presentity,
    watcher: `sip:watcher@${host}`,
    event: "presence",
    expires: 60,
  })
  const seen = (basic: "open" | "any") =>
    Effect.gen(function* () {
      for (;;) {
        const { body } = yield* Queue.take(subscription.notifications)
        if (basic === "any" || shows(summaryOf(body), basic)) return
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: notifyMillis,
        orElse: () => Effect.fail(new WaitedInVain({ what: `no NOTIFY within ${notifyMillis / 1000} s` })),
      }),
    )
  yield* seen("any")
  const publication = makePublication(agent, { uri, presentity, event: "presence", entityTag: null })
  yield* publication.publish({ body: documentOf(presentity, "open", "hello"), expires: 60 })
  yield* seen("open")
  // The rest only cleans up.
  isDrawing = false
  yield* publication.publish({ body: null, expires: 0 })
})
