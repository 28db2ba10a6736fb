/**
 * Who may watch: the decision of the operator, the hook, the policy of the package and the presentity's rules. Also
 * what follows when the answer changes without a request of the watcher: by new rules, a different policy, the sphere,
 * or time.
 *
 * @source RFC 4745, RFC 5025 §3.2.1, RFC 3857 §4.6 and §4.7.1
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import { rulesFor, sphereSource } from "../packages/event-package.ts"
import { entries, get, size, values } from "../table.ts"
import type { Millis, SubHandling, SubscriptionNo, Uri, WatchWord } from "../vocabulary.ts"
import type { Answer, DecideWatcher, RefreshWatchers, ReplaceRules } from "./commands.ts"
import type { Context } from "./context.ts"
import { isDone, rejected } from "./decision.ts"
import type { Event, Status } from "./events.ts"
import { assess, bodiless, notifyOne, tellAgain, viewFor } from "./notify.ts"
import { atBound, badEvent, badRequest } from "./rejections.ts"
import { publishedDocuments } from "./sources.ts"
import { byNo, isServedHere, verdictKey } from "./state.ts"
import type { State, Subscription, Waiting } from "./state.ts"
import { add, addAll } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { parseRules } from "./view.ts"
import { giveUpAt } from "./waiting.ts"
import { isKeptOut, isLetIn, policyOf } from "./watching.ts"

export interface Authorization {
  readonly handling: SubHandling
  /** Ordinals of the matching rules; null: the rules were not consulted. */
  readonly matched: string | null
  /** The operator admits the watcher, and continues to when the rules change (`force_active`). */
  readonly forced: boolean
  /**
   * The policy that decided, or the list of members of the line. Absent: something else decided, or there are no
   * policies.
   */
  readonly policy?: WatchWord
  /** No rules are in force, and their source had not been read. */
  readonly unread?: true
  /**
   * What decided. `hook`: the server's own code, or the hook that consults nothing; `default`: there were no rules;
   * `unread`: the source of rules had not been read; `members`: the list of members of a line; `owner`, `domain`,
   * `everybody`: the policy of the package; `unknown`: settings of the server, which whoever reads its log was not given.
   */
  readonly by: "operator" | "hook" | "rules" | "default" | "unread" | "unknown" | Exclude<WatchWord, "rules">
}

/** How one watcher is to be treated now, and what decided that. */
export const authorizeWatcher = (
  state: State,
  eventPackage: EventPackage,
  watcher: Uri,
  context: Context,
): Authorization => {
  const { presentity } = state
  // RFC 3857 §4.6: watcher information is for the presentity itself
  const isTemplate = eventPackage.watcherInfoOf !== undefined
  if (!isTemplate) {
    const verdict = get(state.verdicts, verdictKey(eventPackage.name, watcher))
    if (verdict !== undefined) return authorization(verdict.handling, "operator")
    const hook = context.authorize({ presentity, packageName: eventPackage.name, watcher, now: context.now })
    if (hook !== null) return authorization(hook, "hook")
  }
  const { watching } = context.limits
  const policy = policyOf(eventPackage, presentity, watching)
  const asked = watching === undefined ? undefined : policy
  if (isKeptOut(eventPackage, presentity, watcher, watching))
    return authorization("block", "members", { policy: "members" })
  if (policy !== "rules") {
    const mayWatch = isLetIn(policy, eventPackage, presentity, watcher, watching)
    return authorization(mayWatch ? "allow" : "block", policy, { policy: asked })
  }
  const { handling, by, matched = null, unread } = ruling(state, eventPackage, watcher, context)
  // a list of watchers has no version that reveals nothing, so polite blocking is of no use here
  const fitting = isTemplate && handling === "polite-block" ? "block" : handling
  return authorization(fitting, by, { matched, policy: asked, unread })
}

type Reasons = { readonly [Key in "policy" | "unread"]?: Authorization[Key] | undefined } & {
  readonly matched?: string | null
}

const authorization = (
  handling: SubHandling,
  by: Authorization["by"],
  { matched = null, policy, unread }: Reasons = {},
): Authorization => ({
  handling,
  matched,
  forced: false,
  ...(policy === undefined ? {} : { policy }),
  ...(unread === undefined ? {} : { unread }),
  by,
})

/** What the presentity's rules say, or the default if there are none. */
const ruling = (
  state: State,
  eventPackage: EventPackage,
  watcher: Uri,
  context: Context,
): Pick<Authorization, "handling" | "by" | "unread"> & { readonly matched?: string } => {
  const language = rulesFor(eventPackage, context.packages)
  const rules = rulesOf(state, eventPackage, context.packages)
  if (language === undefined) return { handling: context.limits.noRules, by: "default" }
  if (rules === null) {
    // rules may exist that have not been read: nobody may see anything merely because they are unknown
    return context.isUnread?.(state.presentity, eventPackage.name) === true
      ? { handling: "confirm", by: "unread", unread: true }
      : { handling: context.limits.noRules, by: "default" }
  }
  const { handling, matched } = language.judge(rules, {
    uris: [watcher],
    sphere: sphereOf(state, eventPackage, rules, context),
    now: context.now,
  })
  return { handling: handling ?? context.limits.noMatch, by: "rules", matched: matched.join(",") }
}

/** The fields of an event that record what decided. */
export const decidedBy = ({
  policy,
  unread,
}: Pick<Authorization, "policy" | "unread">): Pick<Authorization, "policy" | "unread"> => ({
  ...(policy === undefined ? {} : { policy }),
  ...(unread === undefined ? {} : { unread }),
})

/**
 * Puts an authorization document in force and applies it at once to all current and waiting watchers.
 *
 * @rejects BadRequest (400) when the document cannot be read, and the previous one stays in force; BadEvent (489) for a
 *   package without rules
 */
export const replaceRules = (draft: Draft, command: ReplaceRules, context: Context): Answer => {
  const { packageName, rules } = command
  const before = draft.after
  const eventPackage = context.packages.find(packageName)
  const language = eventPackage === null ? undefined : rulesFor(eventPackage, context.packages)
  if (eventPackage === null || language === undefined) return rejected(badEvent(context))
  const present = get(before.rules, packageName)?.body ?? null
  if (present?.text === rules?.text && (present === null) === (rules === null)) return isDone
  if (rules !== null) {
    const read = language.read(rules)
    if (read._tag === "Unreadable") return rejected(badRequest(read.why))
  }
  const boundaryAt =
    rules === null ? null : boundary(before, eventPackage, parseRules(language, rules), context)
  add(draft, { _tag: "RulesReplaced", packageName, rules, boundaryAt })
  review(draft, eventPackage, context, { before })
  return isDone
}

/**
 * Evaluates the treatment of every watcher of a package again.
 *
 * @rejects BadEvent (489) for an unknown package
 */
export const refreshWatchers = (draft: Draft, command: RefreshWatchers, context: Context): Answer => {
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null) return rejected(badEvent(context))
  if (command.kind === "rules") review(draft, eventPackage, context)
  else addAll(draft, tellAgain(draft.after, eventPackage))
  return isDone
}

/**
 * Records the operator's decision on one watcher, which overrides hook and rules until it is withdrawn.
 *
 * @rejects BadEvent (489) for an unknown package, and for watcher information, which only its owner may see;
 *   ServiceUnavailable (503) at the bound of subscriptions
 */
export const decideWatcher = (draft: Draft, command: DecideWatcher, context: Context): Answer => {
  const { packageName, watcher, handling } = command
  const before = draft.after
  const eventPackage = context.packages.find(packageName)
  if (eventPackage === null || eventPackage.watcherInfoOf !== undefined) return rejected(badEvent(context))
  const present = get(before.verdicts, verdictKey(packageName, watcher))?.handling ?? null
  if (present === handling) return isDone
  if (present === null && size(before.verdicts) >= context.limits.subscriptionsMax)
    return rejected(atBound("too many decisions on single watchers", context))
  add(draft, { _tag: "WatcherDecided", packageName, watcher, handling })
  review(draft, eventPackage, context, { before, watcher })
  return isDone
}

/** Reviews every package whose rules give a different answer because of time alone. */
export const reviewDue = (draft: Draft, context: Context): void => {
  for (const [packageName, { boundaryAt }] of entries(draft.after.rules)) {
    if (boundaryAt === null || boundaryAt > context.now) continue
    const { after } = draft
    const eventPackage = context.packages.find(packageName)
    const next =
      eventPackage === null
        ? null
        : boundary(after, eventPackage, rulesOf(after, eventPackage, context.packages), context)
    add(draft, { _tag: "RulesReviewed", packageName, boundaryAt: next })
    if (eventPackage !== null) review(draft, eventPackage, context)
  }
}

/**
 * After a change of publications: reviews the packages whose rules depend on the sphere if the sphere may have changed.
 * These are the package itself and the packages that take their sphere from it.
 *
 * @param before the state without the change
 */
export const reviewSphere = (
  before: State,
  draft: Draft,
  eventPackage: EventPackage,
  context: Context,
): void => {
  if (!context.limits.sphereCheck || size(draft.after.rules) === 0) return
  for (const [packageName] of entries(draft.after.rules)) {
    const ruled = context.packages.find(packageName)
    if (ruled !== null && sphereSource(ruled, context.packages) === eventPackage)
      reviewSphereOf(before, draft, ruled, context)
  }
}

const reviewSphereOf = (before: State, draft: Draft, eventPackage: EventPackage, context: Context): void => {
  const { after } = draft
  const rules = rulesOf(after, eventPackage, context.packages)
  if (rules === null || rulesFor(eventPackage, context.packages)?.asksForSphere(rules) !== true) return
  const boundaryAt = boundary(after, eventPackage, rules, context)
  const known = get(after.rules, eventPackage.name)?.boundaryAt ?? null
  // a boundary reached at this very instant is passed here, whatever the sphere is
  const isDue = known !== null && known <= context.now
  if (boundaryAt !== known) add(draft, { _tag: "RulesReviewed", packageName: eventPackage.name, boundaryAt })
  const sphereIn = (state: State): string | null => sphereOf(state, eventPackage, rules, context)
  if (isDue || sphereIn(before) !== sphereIn(after)) review(draft, eventPackage, context)
}

export const statusOf = (handling: SubHandling): Status => (handling === "confirm" ? "pending" : "active")

/** The watchers that a review concerns. */
export interface ReviewScope {
  /** The state with the previous rules; publications are the same in both. Absent: nothing else has changed. */
  readonly before?: State
  /**
   * The only watcher to review, even if the operator admitted it before. Absent: all except those that the operator
   * admitted.
   */
  readonly watcher?: Uri
  /** Absent: all of them. */
  readonly matches?: (subject: Subscription | Waiting) => boolean
}

/** Determines again how each current or waiting watcher is to be treated, and adds what changes for it. O(watchers). */
export const review = (
  draft: Draft,
  eventPackage: EventPackage,
  context: Context,
  { before = draft.after, watcher, matches }: ReviewScope = {},
): void => {
  const state = draft.after
  const known = new Map<Uri, Authorization>()
  const authorizationOf = (subject: Uri): Authorization => {
    let authorization = known.get(subject)
    if (authorization === undefined) {
      authorization = authorizeWatcher(state, eventPackage, subject, context)
      known.set(subject, authorization)
    }
    return authorization
  }
  const concerned = <V extends Subscription | Waiting>(all: Iterable<V>): V[] =>
    [...all]
      .filter((subject) => subject.packageName === eventPackage.name)
      .filter((subject) => watcher === undefined || subject.watcher === watcher)
      .filter((subject) => matches === undefined || matches(subject))
      .sort(byNo)
  for (const subscription of concerned(values(state.subscriptions))) {
    if (isServedHere(subscription) && (!subscription.forced || watcher !== undefined))
      apply({ draft, before, eventPackage, context }, subscription, authorizationOf(subscription.watcher))
  }
  for (const waiting of concerned(values(state.waiting))) {
    const { handling } = authorizationOf(waiting.watcher)
    if (handling === "confirm") continue
    const event = handling === "block" ? "rejected" : "approved"
    add(draft, { _tag: "WaitingEnded", no: waiting.no, event })
  }
}

interface Review {
  readonly draft: Draft
  readonly before: State
  readonly eventPackage: EventPackage
  readonly context: Context
}

/**
 * What an authorization means for one subscription: its end, a different status with an immediate NOTIFY, or a
 * different view.
 */
const apply = (
  { draft, before, eventPackage, context }: Review,
  subscription: Subscription,
  authorization: Authorization,
): void => {
  const { no: id, dormant } = subscription
  const { handling, matched, unread } = authorization
  if (handling === "block") {
    add(draft, blocked(id, authorization))
    return
  }
  const status = statusOf(handling)
  const polite = handling === "polite-block"
  const isTreatedAlike =
    status === subscription.status &&
    polite === subscription.polite &&
    matched === subscription.matched &&
    unread === subscription.unread
  if (!isTreatedAlike) {
    add(draft, {
      _tag: "SubscriptionStatusChanged",
      no: id,
      status,
      polite,
      matched,
      giveUpAt: status === "active" ? null : (subscription.giveUpAt ?? giveUpAt(context)),
      ...decidedBy(authorization),
    })
  }
  const changed = get(draft.after.subscriptions, id) ?? subscription
  const { after } = draft
  const view = viewFor(after, changed, eventPackage)
  // this is no change of what is published, so its pace does not apply (RFC 5025 §3.2.1: a new policy applies at once);
  // a watcher whose treatment stays the same waits for published changes as before
  const treatment = { before, after, eventPackage, sender: null, isTreatment: true }
  const isNews = assess(treatment, changed, view.digest, context) === "told"
  if (status !== subscription.status || isNews) {
    const notify = notifyOne(subscription, view, "rules")
    add(draft, dormant ? bodiless(notify) : notify)
  }
}

/** The end of a subscription whose watcher is no longer allowed to watch. */
export const blocked = (id: SubscriptionNo, authorization: Pick<Authorization, "policy">): Event => ({
  _tag: "SubscriptionTerminated",
  no: id,
  reason: "rejected",
  silent: false,
  waitsUntil: null,
  ...decidedBy(authorization),
})

const rulesOf = (state: State, eventPackage: EventPackage, packages: Packages): unknown => {
  const body = get(state.rules, eventPackage.name)?.body
  const language = rulesFor(eventPackage, packages)
  return body === undefined || language === undefined ? null : parseRules(language, body)
}

const sphereOf = (
  state: State,
  eventPackage: EventPackage,
  rules: unknown,
  context: Context,
): string | null => {
  const language = rulesFor(eventPackage, context.packages)
  if (!context.limits.sphereCheck || language === undefined || !language.asksForSphere(rules)) return null
  return language.sphere(spheres(state, eventPackage, context.packages), context.now)
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

/** The documents that state the sphere. */
const spheres = (state: State, eventPackage: EventPackage, packages: Packages): readonly unknown[] => {
  const source = sphereSource(eventPackage, packages)
  return source === null ? [] : publishedDocuments(state, source)
}
