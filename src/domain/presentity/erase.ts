/**
 * Erases a person: everything live in the person's own stream ends, and in the streams of others everything that the
 * person watches.
 *
 * Making the log unreadable about that person is the task of the store.
 */
import { entries, size, values } from "../table.ts"
import type { Table } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import type { Erase } from "./commands.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { byNo } from "./state.ts"
import type { State } from "./state.ts"

/**
 * Documents are removed first, so that the last NOTIFYs show the state without them.
 *
 * Rules stay in force for those last NOTIFYs; where a watcher is notified, the rules are left to a second erasure.
 */
export const erase = (state: State, { person, silent }: Erase): Outcome => {
  const isOwn = state.presentity === person
  const matches = (subject: { readonly watcher: Uri }): boolean => isOwn || subject.watcher === person
  const events: Event[] = []
  if (isOwn) {
    for (const [packageName, publications] of byName(state.publications)) {
      for (const { entityTag } of [...values(publications)].sort((left, right) => left.slot - right.slot))
        events.push({ _tag: "PublicationRemoved", packageName, entityTag, cause: "requested" })
    }
    for (const [packageName] of byName(state.hardState))
      events.push({ _tag: "HardStateReplaced", packageName, body: null })
    if (silent || size(state.subscriptions) === 0) {
      for (const [packageName] of byName(state.rules))
        events.push({ _tag: "RulesReplaced", packageName, rules: null, boundaryAt: null })
    }
  }
  for (const { no: id, parked } of [...values(state.subscriptions)].filter(matches).sort(byNo)) {
    // the server responsible for the subscription notifies the watcher
    const isUntold = silent || parked === true
    events.push({
      _tag: "SubscriptionTerminated",
      no: id,
      reason: "noresource",
      silent: isUntold,
      waitsUntil: null,
    })
  }
  for (const { no: id } of [...values(state.waiting)].filter(matches).sort(byNo))
    events.push({ _tag: "WaitingEnded", no: id, event: "noresource" })
  for (const [, { packageName, watcher }] of byName(state.verdicts).filter(([, verdict]) => matches(verdict)))
    events.push({ _tag: "WatcherDecided", packageName, watcher, handling: null })
  return done(events)
}

/** An order that does not depend on how the state was reached. */
const byName = <V>(table: Table<string, V>): readonly (readonly [string, V])[] =>
  [...entries(table)].sort(([left], [right]) => (left < right ? -1 : 1))

/** Whether a state still mentions the person, in a live record or in a watcher whose end has not been reported yet. */
export const mentionsPerson = (state: State, person: Uri): boolean =>
  mentions(state, (mentioned) => mentioned === person)

/** The same of anybody who has been erased since. */
export const mentionsErased = (state: State): boolean => mentions(state, isErased)

const mentions = (state: State, isMeant: (person: Uri) => boolean): boolean =>
  isMeant(state.presentity) ||
  [
    ...values(state.subscriptions),
    ...values(state.waiting),
    ...values(state.departed),
    ...values(state.verdicts),
  ].some(({ watcher }) => isMeant(watcher))

/** The host of pseudonyms that replace erased persons (RFC 2606 §2). */
export const erasedHost = "erased.invalid"

/** Whether a URI is a pseudonym of somebody who was erased. */
export const isErased = (person: Uri): boolean => person.endsWith(`@${erasedHost}`)
