/**
 * Subscriptions of watchers within the program: each is a dialog whose other end is a function.
 */
import { randomBytes } from "node:crypto"
import { Effect } from "effect"
import { programFlow } from "../../domain/presentity/abandon.ts"
import type { Command, Reply } from "../../domain/presentity/commands.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogStart, Seconds, Uri } from "../../domain/vocabulary.ts"
import { foreverSeconds, readWatch, secondsIn } from "./arguments.ts"
import { checked } from "./checks.ts"
import type { Delivery, Sink } from "./delivery.ts"
import type { PresenceRefused } from "./refused.ts"
import type { WatchRequest } from "./requests.ts"

export interface Subscription {
  /** Seconds granted. */
  readonly expires: Seconds
  /** Refreshes the subscription; the present state is notified. Gives the seconds granted. */
  readonly refresh: (expires?: Seconds) => Effect.Effect<Seconds, PresenceRefused>
  /** The final state is notified, then nothing more. */
  readonly end: Effect.Effect<void>
}

interface Parts {
  /** Has a command decided; `concerned`: the presentity that it is about, where the command does not name it. */
  readonly ask: (
    presentity: Uri | null,
    command: Command,
    concerned?: Uri,
  ) => Effect.Effect<Reply, PresenceRefused>
  /** Asks the source of rules, when there is one. */
  readonly askRules: (presentity: Uri, event: string) => Effect.Effect<unknown, PresenceRefused>
  readonly delivery: Delivery
}

/** A validated request. */
type Checked = ReturnType<typeof readWatch>

export const makeWatch =
  (parts: Parts) =>
  (request: WatchRequest, sink: Sink): Effect.Effect<Subscription, PresenceRefused> =>
    Effect.gen(function* () {
      const wish = yield* checked(() => readWatch(request))
      const { event = "presence", expires = foreverSeconds } = wish
      const presentity = wish.presentity as Uri
      // where the source fails, the watcher waits
      const watched = event.replace(/(\.winfo)+$/, "")
      yield* parts.askRules(presentity, watched)
      if (watched !== event) yield* parts.askRules(presentity, event)
      const asked = subscribeFields(wish, event)
      const dialog = dialogOf(wish)
      const { callId } = dialog
      parts.delivery.connect(callId, sink)
      const reply = yield* Effect.onError(
        parts.ask(presentity, { _tag: "Subscribe", ...asked, expires, dialog }),
        () => Effect.sync(() => parts.delivery.disconnect(callId)),
      )
      const key = dialogKey(callId, dialog.localTag, dialog.remoteTag)
      let cseq = dialog.remoteCseq
      const again = (seconds: Seconds): Effect.Effect<Seconds, PresenceRefused> =>
        Effect.suspend(() => {
          const command = { ...asked, dialog: key, expires: seconds, cseq: ++cseq, remoteTarget: null }
          return Effect.map(parts.ask(null, { _tag: "Resubscribe", ...command }, presentity), grantedIn)
        })
      return {
        expires: grantedIn(reply),
        refresh: (seconds) =>
          Effect.flatMap(
            checked(() => secondsIn("refresh: expires", seconds)),
            (wanted = expires) => again(wanted),
          ),
        // 481: it has ended already
        end: Effect.asVoid(again(0)).pipe(Effect.catch(() => Effect.void)),
      }
    })

const subscribeFields = ({ watcher, accept, argument }: Checked, packageName: string) => ({
  packageName,
  eventId: null,
  watcher: watcher as Uri,
  accept: accept ?? null,
  ...(argument === undefined ? {} : { argument }),
  forceActive: false,
  bodyFault: null,
})

const dialogOf = ({ presentity, watcher, device }: Checked): DialogStart => {
  const callId = randomBytes(12).toString("base64url")
  return {
    callId,
    localTag: "l",
    remoteTag: "r",
    localUri: `<${presentity}>`,
    remoteUri: `<${watcher}>`,
    remoteTarget: device ?? `${watcher};gr=${callId}`,
    routeSet: [],
    remoteCseq: 1,
    localContact: "",
    flow: programFlow,
    source: programFlow,
  }
}

const grantedIn = (reply: Reply): Seconds => (reply._tag === "Subscribed" ? reply.expires : 0)
