/**
 * What an earlier import took over and has changed since: a publication refreshed under another entity-tag, a subscription that
 * has ended. It must not be taken over a second time.
 */
import { Effect } from "effect"
import type { Command } from "../../domain/presentity/commands.ts"
import type { State } from "../../domain/presentity/state.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogNo, DialogStart, Uri } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"

/** Decisions per read: a database within the process blocks the event loop while it reads. */
const pageRows = 500

export interface Earlier {
  readonly has: (command: Command, presentity: Uri) => boolean
}

/** For an empty log. */
export const nothingEarlier: Earlier = { has: () => false }

/** Reads the history of those presentities that have one. */
export const earlierOf = Effect.fnUntraced(function* (states: readonly State[]) {
  const store = yield* EventStore
  const names = new Set<string>()
  for (const { presentity, version } of states) {
    const dialogs = new Map<DialogNo, DialogStart>()
    for (let after = 0; after < version;) {
      const rows = yield* store.history(presentity, after, pageRows)
      if (rows.length === 0) break
      after = rows.at(-1)!.decision.version
      for (const { decision } of rows) {
        if (decision.origin !== "import") continue
        for (const event of decision.events) {
          if (event._tag === "PublicationCreated") {
            names.add(publicationName(presentity, event.packageName, event.entityTag))
          } else if (event._tag === "SubscriptionCreated") {
            if (event.start !== null) dialogs.set(event.dialog, event.start)
            const start = dialogs.get(event.dialog)
            if (start !== undefined) names.add(subscriptionName(presentity, start, event))
          }
        }
      }
    }
  }
  const earlier: Earlier = {
    has: (command, presentity) =>
      command._tag === "AdoptPublication"
        ? names.has(publicationName(presentity, command.packageName, command.entityTag))
        : command._tag === "AdoptSubscription" &&
          names.has(subscriptionName(presentity, command.dialog, command)),
  }
  return earlier
})

const publicationName = (presentity: Uri, packageName: string, entityTag: string): string =>
  `p ${presentity}\n${packageName}\n${entityTag}`

const subscriptionName = (
  presentity: Uri,
  { callId, localTag, remoteTag }: DialogStart,
  subject: { readonly packageName: string; readonly eventId: string | null },
): string =>
  `s ${presentity}\n${dialogKey(callId, localTag, remoteTag)}\n${subject.packageName}\n${subject.eventId ?? ""}`
