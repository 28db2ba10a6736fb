/**
 * What ends when somebody is erased: all that lives of that person, in the stream of the person and in those of others.
 */
import { entries, values } from "../../domain/table.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"

/** Facts after which nothing of the person is alive in this stream. No NOTIFY tells of them: nobody is there to send it. */
export const endingOf = (state: State, person: Uri): readonly Event[] => {
  const isOwn = state.presentity === person
  const isMeant = (one: { readonly watcher: Uri }): boolean => isOwn || one.watcher === person
  const byNo = (one: { readonly no: number }, other: { readonly no: number }): number => one.no - other.no
  const events: Event[] = []
  for (const { no } of [...values(state.subscriptions)].filter(isMeant).sort(byNo)) {
    events.push({ _tag: "SubscriptionTerminated", no, reason: "noresource", silent: true, waitsUntil: null })
  }
  for (const { no } of [...values(state.waiting)].filter(isMeant).sort(byNo)) {
    events.push({ _tag: "WaitingEnded", no, event: "noresource" })
  }
  for (const { packageName, watcher } of [...values(state.verdicts)].filter(isMeant)) {
    events.push({ _tag: "WatcherDecided", packageName, watcher, handling: null })
  }
  if (!isOwn) return events
  for (const [packageName, publications] of entries(state.publications)) {
    for (const { entityTag } of values(publications)) {
      events.push({ _tag: "PublicationRemoved", packageName, entityTag, cause: "requested" })
    }
  }
  for (const [packageName] of entries(state.hardState)) {
    events.push({ _tag: "HardStateReplaced", packageName, body: null })
  }
  for (const [packageName] of entries(state.rules)) {
    events.push({ _tag: "RulesReplaced", packageName, rules: null, boundaryAt: null })
  }
  return events
}
