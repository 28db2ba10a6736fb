/**
 * Sharing tags: which of several servers looks after a subscription. Where its tag is not active a subscription is parked:
 * SUBSCRIBE is answered as ever, but nothing changes, ends or is told of it by time, by PUBLISH or by rules.
 *
 * What the tags are here stands in one stream of its own; each presentity that has subscriptions with a tag is told when it
 * changes hands, so that what follows is a fact of that presentity.
 */
import { get, values } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import { reviewAll } from "./authorize.ts"
import type { SetSharingTag, SwitchSharingTag } from "./commands.ts"
import type { Context } from "./context.ts"
import { accept } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { evolve } from "./evolve.ts"
import { fallDue } from "./fall-due.ts"
import { changeNotifications } from "./notify.ts"
import type { State } from "./state.ts"

/** The stream that says what the tags are; no presentity has such a name. */
export const sharingTagsStream = "presently:sharing-tags" as Uri

/** A tag becomes active or backup here; its epoch rises, so that whoever had it before can be told apart. */
export const setSharingTag = (state: State, { tag, role }: SetSharingTag): Outcome => {
  const present = get(state.sharingTags, tag)
  if (present?.role === role) return accept([], { _tag: "Done" })
  const epoch = (present?.epoch ?? 0) + 1
  return accept([{ _tag: "SharingTagSet", tag, role, epoch }], { _tag: "Done" })
}

/**
 * Parks the subscriptions of a tag, or takes them up again: what fell due meanwhile is decided, rules are asked again, and
 * watchers are told what has changed.
 */
export const switchSharingTag = (state: State, command: SwitchSharingTag, context: Context): Outcome => {
  const { tag, role, epoch } = command
  const isParked = role === "backup"
  const concerned = [...values(state.subscriptions)].filter(
    (one) => one.sharingTag === tag && (one.parked === true) !== isParked,
  )
  if (concerned.length === 0) return accept([], { _tag: "Done" })
  const events: Event[] = [{ _tag: "SharingTagSwitched", tag, role, epoch }]
  let after = evolve(state, events[0]!, context.now)
  if (isParked) return accept(events, { _tag: "Done" })
  const add = (more: readonly Event[]): void => {
    for (const event of more) after = evolve(after, event, context.now)
    events.push(...more)
  }
  add(fallDue(after, context).events)
  const names = [...new Set(concerned.map((one) => one.packageName))].sort()
  for (const name of names) {
    const eventPackage = context.packages.find(name)
    if (eventPackage === null) continue
    add(reviewAll(after, eventPackage, context))
    add(changeNotifications(state, after, eventPackage, context, null))
  }
  return accept(events, { _tag: "Done" })
}
