/**
 * Who may watch: the operator's word, the hook, the policy of the package and the presentity's rules; and what follows when
 * the answer changes without the watcher asking, by new rules, by another policy, by sphere, or by time.
 *
 * @source RFC 4745, RFC 5025 §3.2.1, RFC 3857 §4.6 and §4.7.1
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import { rulesFor, sphereSource } from "../packages/event-package.ts"
import { entries, get, size, values } from "../table.ts"
import type { Millis, SubHandling, SubscriptionNo, Uri, WatchWord } from "../vocabulary.ts"
import type { DecideWatcher, RefreshWatchers, ReplaceRules } from "./commands.ts"
import type { Context } from "./context.ts"
import { accept, reject } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event, Status } from "./events.ts"
import { bodiless, notifyOne, tellAgain, viewFor } from "./notify.ts"
import { evolve } from "./evolve.ts"
import { verdictKey } from "./state.ts"
import type { State, Subscription, Waiting } from "./state.ts"
import { parseRules, publishedDocuments } from "./view.ts"
import { isKeptOut, isLetIn, policyOf } from "./watching.ts"

export interface Authorization {
  readonly handling: SubHandling
  /** Ordinals of the rules that match; null when rules were not asked. */
  readonly matched: string | null
  /** The operator says so, and goes on saying so when rules change (`force_active`). */
  readonly forced: boolean
  /** The policy that decided, or the list of the line; absent: another word did, or policies are not asked here. */
  readonly policy?: WatchWord
  /** Nothing is in force, and the source of rules had not been read. */
  readonly unread?: true
}

/** How one watcher is to be treated now. */
export const authorizeWatcher = (
  state: State,
  eventPackage: EventPackage,
  watcher: Uri,
  context: Context,
): Authorization => {
  const { presentity } = state
  // RFC 3857 §4.6: who watches somebody is for that somebody to know
  const isTemplate = eventPackage.watcherInfoOf !== undefined
  if (!isTemplate) {
    const verdict = get(state.verdicts, verdictKey(eventPackage.name, watcher))
    if (verdict !== undefined) return judgement(verdict.handling)
    const hook = context.authorize({ presentity, packageName: eventPackage.name, watcher, now: context.now })
    if (hook !== null) return judgement(hook)
  }
  const { watching } = context.limits
  const policy = policyOf(eventPackage, presentity, watching)
  const asked = watching === undefined ? undefined : policy
  if (isKeptOut(eventPackage, presentity, watcher, watching)) return judgement("block", null, "members")
  if (policy !== "rules") {
    const mayWatch = isLetIn(policy, eventPackage, presentity, watcher, watching)
    return judgement(mayWatch ? "allow" : "block", null, asked)
  }
  // a list of watchers has no form that shows nobody in particular, so politeness is of no use there
  const ruled = (handling: SubHandling, matched: string | null): Authorization =>
    judgement(isTemplate && handling === "polite-block" ? "block" : handling, matched, asked)
  const by = rulesFor(eventPackage, context.packages)
  const rules = rulesOf(state, eventPackage, context.packages)
  if (by === undefined) return ruled(context.limits.noRules, null)
  if (rules === null) {
    // what may be there counts: nobody is shown anything on the ground that it was not looked at
    return context.isUnread?.(presentity, eventPackage.name) === true
      ? { ...ruled("confirm", null), unread: true }
      : ruled(context.limits.noRules, null)
  }
  const { handling, matched } = by.judge(rules, {
    uris: [watcher],
    sphere: sphereOf(state, eventPackage, rules, context),
    now: context.now,
  })
  return ruled(handling ?? context.limits.noMatch, matched.join(","))
}

const judgement = (handling: SubHandling, matched: string | null = null, policy?: WatchWord): Authorization =>
  policy === undefined ? { handling, matched, forced: false } : { handling, matched, forced: false, policy }

/** By what was judged, as an event says it. */
export const decidedBy = ({
  policy,
  unread,
}: Pick<Authorization, "policy" | "unread">): Pick<Authorization, "policy" | "unread"> => ({
  ...(policy === undefined ? {} : { policy }),
  ...(unread === undefined ? {} : { unread }),
})

/**
 * Puts an authorization document in force and applies it at once to everybody who watches or waits.
 *
 * @rejects BadRequest (400) when it cannot be read: the old one stays; BadEvent (489) for a package without rules
 */
export const replaceRules = (state: State, command: ReplaceRules, context: Context): Outcome => {
  const eventPackage = context.packages.find(command.packageName)
  const by = eventPackage === null ? undefined : rulesFor(eventPackage, context.packages)
  if (eventPackage === null || by === undefined) {
    return reject({ _tag: "BadEvent", status: 489, allowEvents: context.packages.allowEvents })
  }
  const present = get(state.rules, command.packageName)?.body ?? null
  if (present?.text === command.rules?.text && (present === null) === (command.rules === null)) {
    return accept([], { _tag: "Done" })
  }
  if (command.rules !== null) {
    const read = by.read(command.rules)
    if (read._tag === "Unreadable") return reject({ _tag: "BadRequest", status: 400, why: read.why })
  }
  const replaced: Event = {
    _tag: "RulesReplaced",
    packageName: command.packageName,
    rules: command.rules,
    boundaryAt:
      command.rules === null ? null : boundary(state, eventPackage, parseRules(by, command.rules), context),
  }
  const after = evolve(state, replaced, context.now)
  return accept([replaced, ...review(state, after, eventPackage, context)], { _tag: "Done" })
}

/**
 * Looks at everybody who watches a package again.
 *
 * @rejects BadEvent (489) for a package there is not
 */
export const refreshWatchers = (state: State, command: RefreshWatchers, context: Context): Outcome => {
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null) {
    return reject({ _tag: "BadEvent", status: 489, allowEvents: context.packages.allowEvents })
  }
  const events =
    command.kind === "rules" ? review(state, state, eventPackage, context) : tellAgain(state, eventPackage)
  return accept(events, { _tag: "Done" })
}

/**
 * The operator's word on one watcher, over hook and rules, until it takes it back.
 *
 * @rejects BadEvent (489) for a package there is not, or watcher information, which is for its owner alone;
 *   ServiceUnavailable (503) at the bound of subscriptions
 */
export const decideWatcher = (state: State, command: DecideWatcher, context: Context): Outcome => {
  const { packageName, watcher, handling } = command
  const eventPackage = context.packages.find(packageName)
  if (eventPackage === null || eventPackage.watcherInfoOf !== undefined) {
    return reject({ _tag: "BadEvent", status: 489, allowEvents: context.packages.allowEvents })
  }
  const present = get(state.verdicts, verdictKey(packageName, watcher))?.handling ?? null
  if (present === handling) return accept([], { _tag: "Done" })
  if (present === null && size(state.verdicts) >= context.limits.subscriptionsMax) {
    return reject({
      _tag: "ServiceUnavailable",
      status: 503,
      why: "too many decisions on single watchers",
      retryAfter: context.limits.retryAfter,
    })
  }
  const decided: Event = { _tag: "WatcherDecided", packageName, watcher, handling }
  const after = evolve(state, decided, context.now)
  return accept([decided, ...review(state, after, eventPackage, context, watcher)], { _tag: "Done" })
}

/** What time alone has changed: reviews every package whose boundary has passed. */
export const reviewDue = (state: State, context: Context): readonly Event[] => {
  const events: Event[] = []
  let after = state
  for (const [packageName, rules] of entries(state.rules)) {
    if (rules.boundaryAt === null || rules.boundaryAt > context.now) continue
    const eventPackage = context.packages.find(packageName)
    const boundaryAt =
      eventPackage === null
        ? null
        : boundary(after, eventPackage, rulesOf(after, eventPackage, context.packages), context)
    const own: Event[] = [{ _tag: "RulesReviewed", packageName, boundaryAt }]
    if (eventPackage !== null) own.push(...review(after, after, eventPackage, context))
    for (const event of own) after = evolve(after, event, context.now)
    events.push(...own)
  }
  return events
}

/**
 * After a publication changed: rules are asked again that look at the sphere, when that may be another one; those of the
 * package itself, and those of packages whose sphere it says.
 */
export const reviewSphere = (
  before: State,
  after: State,
  eventPackage: EventPackage,
  context: Context,
): readonly Event[] => {
  if (!context.limits.sphereCheck || size(after.rules) === 0) return []
  const events: Event[] = []
  let state = after
  for (const [packageName] of entries(after.rules)) {
    const ruled = context.packages.find(packageName)
    if (ruled === null || sphereSource(ruled, context.packages) !== eventPackage) continue
    for (const event of reviewSphereOf(before, state, ruled, context)) {
      state = evolve(state, event, context.now)
      events.push(event)
    }
  }
  return events
}

const reviewSphereOf = (
  before: State,
  after: State,
  eventPackage: EventPackage,
  context: Context,
): readonly Event[] => {
  const rules = rulesOf(after, eventPackage, context.packages)
  if (rules === null || rulesFor(eventPackage, context.packages)?.asksForSphere(rules) !== true) return []
  const boundaryAt = boundary(after, eventPackage, rules, context)
  const known = get(after.rules, eventPackage.name)?.boundaryAt ?? null
  const events: Event[] =
    boundaryAt === known ? [] : [{ _tag: "RulesReviewed", packageName: eventPackage.name, boundaryAt }]
  // a boundary reached at this very instant is passed here, whatever the sphere is
  const isDue = known !== null && known <= context.now
  if (
    !isDue &&
    sphereOf(before, eventPackage, rules, context) === sphereOf(after, eventPackage, rules, context)
  )
    return events
  return [...events, ...review(after, after, eventPackage, context)]
}

/** Everybody is judged again, nothing else having changed. */
export const reviewAll = (state: State, eventPackage: EventPackage, context: Context): readonly Event[] =>
  review(state, state, eventPackage, context)

/** Those for whom `isMeant` holds are judged again, nothing else having changed. */
export const reviewWhere = (
  state: State,
  eventPackage: EventPackage,
  context: Context,
  matches: (one: Subscription | Waiting) => boolean,
): readonly Event[] => review(state, state, eventPackage, context, undefined, matches)

/** When nobody will have decided on a watcher that is pending from now on. */
export const giveUpAt = (context: Context): Millis => context.now + context.limits.waitingDays * dayMillis

/** Whether a watcher may still be remembered as waiting; the bound is that of subscriptions. */
export const mayWait = (state: State, context: Context): boolean =>
  size(state.waiting) < context.limits.subscriptionsMax

/** The waiting records that a new one, or a new subscription, of the same watcher puts an end to (RFC 3857 §4.7.1). */
export const supersededWaiting = (
  state: State,
  one: Pick<Waiting, "packageName" | "eventId" | "watcher">,
): readonly Event[] =>
  [...values(state.waiting)]
    .filter(
      (other) =>
        other.watcher === one.watcher &&
        other.packageName === one.packageName &&
        other.eventId === one.eventId,
    )
    .map((other): Event => ({ _tag: "WaitingEnded", no: other.no, event: "giveup" }))

export const statusOf = (handling: SubHandling): Status => (handling === "confirm" ? "pending" : "active")

/**
 * Asks again for everyone who watches or waits, and says what changes for them. O(watchers).
 *
 * @param before with the rules as they were; what is published is the same in both
 * @param only the one watcher it is about, also when the operator admitted it before; absent: all but those admitted so
 */
const review = (
  before: State,
  state: State,
  eventPackage: EventPackage,
  context: Context,
  only?: Uri,
  matches: (one: Subscription | Waiting) => boolean = everyone,
): readonly Event[] => {
  const events: Event[] = []
  const judged = new Map<Uri, Authorization>()
  const judgementOf = (watcher: Uri): Authorization => {
    let known = judged.get(watcher)
    if (known === undefined) {
      known = authorizeWatcher(state, eventPackage, watcher, context)
      judged.set(watcher, known)
    }
    return known
  }
  const byNo = <V extends Subscription | Waiting>(all: Iterable<V>): V[] =>
    [...all]
      .filter((one) => one.packageName === eventPackage.name && (only === undefined || one.watcher === only))
      .filter(matches)
      .sort((one, other) => one.no - other.no)
  for (const one of byNo(values(state.subscriptions))) {
    if (one.parked === true) continue
    if (!one.forced || only !== undefined)
      events.push(...consequences(before, state, one, eventPackage, judgementOf(one.watcher), context))
  }
  for (const one of byNo(values(state.waiting))) {
    const { handling } = judgementOf(one.watcher)
    if (handling === "confirm") continue
    events.push({ _tag: "WaitingEnded", no: one.no, event: handling === "block" ? "rejected" : "approved" })
  }
  return events
}

const everyone = (): boolean => true

/** What a judgement means for one subscription: its end, another status with a NOTIFY at once, or another view. */
const consequences = (
  before: State,
  state: State,
  one: Subscription,
  eventPackage: EventPackage,
  judged: Authorization,
  context: Context,
): readonly Event[] => {
  const { handling, matched, unread } = judged
  if (handling === "block") return [rejected(one.no, judged)]
  const status = statusOf(handling)
  const polite = handling === "polite-block"
  const events: Event[] = []
  let now = state
  if (status !== one.status || polite !== one.polite || matched !== one.matched || unread !== one.unread) {
    events.push({
      _tag: "SubscriptionStatusChanged",
      no: one.no,
      status,
      polite,
      matched,
      giveUpAt: status === "active" ? null : (one.giveUpAt ?? giveUpAt(context)),
      ...decidedBy(judged),
    })
    now = evolve(state, events[0]!, context.now)
  }
  const changed = get(now.subscriptions, one.no) ?? one
  const view = viewFor(now, changed, eventPackage)
  // not a change of what is published, so not subject to its pace (RFC 5025 §3.2.1: the new policy applies at once);
  // who is treated as before waits for what is published as before
  const isTreatedOtherwise = view.digest !== viewFor(before, one, eventPackage).digest
  const isNews = isTreatedOtherwise && view.digest !== one.shown && !one.dormant
  if (status !== one.status || isNews) {
    const notify = notifyOne(one, view, "rules")
    events.push(one.dormant ? bodiless(notify) : notify)
  }
  return events
}

/** The end of a subscription that may not be any more. */
export const rejected = (no: SubscriptionNo, judged: Pick<Authorization, "policy">): Event => ({
  _tag: "SubscriptionTerminated",
  no,
  reason: "rejected",
  silent: false,
  waitsUntil: null,
  ...decidedBy(judged),
})

const rulesOf = (state: State, eventPackage: EventPackage, packages: Packages): unknown => {
  const body = get(state.rules, eventPackage.name)?.body
  const by = rulesFor(eventPackage, packages)
  return body === undefined || by === undefined ? null : parseRules(by, body)
}

const sphereOf = (
  state: State,
  eventPackage: EventPackage,
  rules: unknown,
  context: Context,
): string | null => {
  const by = rulesFor(eventPackage, context.packages)
  if (!context.limits.sphereCheck || by === undefined || !by.asksForSphere(rules)) return null
  return by.sphere(spheres(state, eventPackage, context.packages), context.now)
}

const boundary = (
  state: State,
  eventPackage: EventPackage,
  rules: unknown,
  context: Context,
): Millis | null =>
  rules === null
    ? null
    : (rulesFor(eventPackage, context.packages)?.nextBoundary(
        rules,
        spheres(state, eventPackage, context.packages),
        context.now,
      ) ?? null)

/** The documents that say the sphere. */
const spheres = (state: State, eventPackage: EventPackage, packages: Packages): readonly unknown[] => {
  const source = sphereSource(eventPackage, packages)
  return source === null ? [] : publishedDocuments(state, source)
}

const dayMillis = 86_400_000
