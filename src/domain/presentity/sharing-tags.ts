/**
 * Sharing tags: which of several servers is responsible for a subscription. While its tag is not active here, a
 * subscription is on standby: SUBSCRIBE is answered as usual, but nothing changes, ends or is notified because of time,
 * PUBLISH or rules.
 *
 * The state of the tags has a stream of its own. Each presentity with subscriptions of a tag is told when the tag is
 * switched, so that the consequences are facts of that presentity.
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

/** The stream of the sharing tags; no presentity can have this name. */
export const sharingTagsStream = "presently:sharing-tags" as Uri

/** Makes a tag active or backup on this server. Its epoch rises, so that the previous holder can be recognized. */
export const setSharingTag = (state: State, { tag, role }: SetSharingTag): Outcome => {
  const present = get(state.sharingTags, tag)
  if (present?.role === role) return done([])
  return done([{ _tag: "SharingTagSet", tag, role, epoch: (present?.epoch ?? 0) + 1 }])
}

/**
 * Puts the subscriptions of a tag on standby, or serves them again: whatever fell due meanwhile is decided, the rules
 * are evaluated again, and watchers are notified of what has changed.
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
