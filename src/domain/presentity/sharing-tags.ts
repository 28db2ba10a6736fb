/**
 * Sharing tags: which of several servers looks after a subscription. Where its tag is not active a subscription is parked:
 * SUBSCRIBE is answered as ever, but nothing changes, ends or is told of it by time, by PUBLISH or by rules.
 *
 * What the tags are here stands in one stream of its own; each presentity that has subscriptions with a tag is told when it
 * changes hands, so that what follows is a fact of that presentity.
 */
import { get, values } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import { review } from "./authorize.ts"
import type { Answer, SetSharingTag, SwitchSharingTag } from "./commands.ts"
import type { Context } from "./context.ts"
import { done, isDone } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import { fallDue } from "./fall-due.ts"
import { changeNotifications } from "./notify.ts"
import type { State } from "./state.ts"
import { add, addAll } from "./transition.ts"
import type { Draft } from "./transition.ts"

/** The stream that says what the tags are; no presentity has such a name. */
export const sharingTagsStream = "presently:sharing-tags" as Uri

/** A tag becomes active or backup here; its epoch rises, so that whoever had it before can be told apart. */
export const setSharingTag = (state: State, { tag, role }: SetSharingTag): Outcome => {
  const present = get(state.sharingTags, tag)
  if (present?.role === role) return done([])
  return done([{ _tag: "SharingTagSet", tag, role, epoch: (present?.epoch ?? 0) + 1 }])
}

/**
 * Parks the subscriptions of a tag, or takes them up again: what fell due meanwhile is decided, rules are asked again, and
 * watchers are told what has changed.
 */
export const switchSharingTag = (draft: Draft, command: SwitchSharingTag, context: Context): Answer => {
  const { tag, role, epoch } = command
  const isParked = role === "backup"
  const { before } = draft
  const concerned = [...values(before.subscriptions)].filter(
    ({ sharingTag, parked }) => sharingTag === tag && (parked === true) !== isParked,
  )
  if (concerned.length === 0) return isDone
  add(draft, { _tag: "SharingTagSwitched", tag, role, epoch })
  if (isParked) return isDone
  fallDue(draft, context)
  const names = [...new Set(concerned.map(({ packageName }) => packageName))].sort()
  for (const name of names) {
    const eventPackage = context.packages.find(name)
    if (eventPackage === null) continue
    review(draft, eventPackage, context)
    addAll(draft, changeNotifications(before, draft.after, eventPackage, context))
  }
  return isDone
}
