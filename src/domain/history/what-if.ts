/**
 * What would have happened otherwise: a stream in an alternative history in which a decision never happened, or other
 * rules were in force.
 *
 * While nothing differs, the alternative is what was recorded. From the first difference on, each recorded command is
 * decided again on the alternative state, and time passes there: deadlines are those of that state. Numbers of
 * subscriptions and entity-tags remain those of the log, so that later requests keep their meaning.
 *
 * Some things cannot be known: requests that were refused are not in the log; a device that is refused gives up; a
 * NOTIFY that was under way is answered after T1 if the log does not record when.
 */
import { clockOf, nowFor, placedAt } from "../presentity/clock.ts"
import type { Accepted, Command, Rejection } from "../presentity/commands.ts"
import { askTheRules } from "../presentity/context.ts"
import type { Authorize } from "../presentity/context.ts"
import { nextDeadline } from "../presentity/deadlines.ts"
import { decide } from "../presentity/decide.ts"
import { answersIn } from "../presentity/delivery-acks.ts"
import type { Decision, Event } from "../presentity/events.ts"
import { fold } from "../presentity/evolve.ts"
import type { Notify } from "../presentity/intents.ts"
import { isPersonal } from "../presentity/notification-tags.ts"
import { viewFor } from "../presentity/notify.ts"
import { react } from "../presentity/react.ts"
import { freeze } from "../presentity/snapshot.ts"
import type { State } from "../presentity/state.ts"
import { withAnswers } from "../presentity/targets.ts"
import { askingRulesOf } from "../presentity/watching.ts"
import { get } from "../table.ts"
import { invariant } from "../vocabulary.ts"
import type { Body, Millis, PackageName, SubscriptionNo, Uri } from "../vocabulary.ts"
import type { DecisionStep } from "./moments.ts"
import { contextFor, reconstructCommand, sameValue } from "./reconstruct-command.ts"
import type { Reconstructed } from "./reconstruct-command.ts"
import type { ReconstructionContext } from "./reconstruction-context.ts"

export interface Supposition {
  /** Positions of decisions that never happened. */
  readonly without: ReadonlySet<number>
  /** A document in force from a position on, whatever replaced it later; null: the recorded rules. */
  readonly rules: { readonly packageName: PackageName; readonly body: Body; readonly from: number } | null
  /** Decides everything again from the beginning, even without a difference. Absent: from the first difference on. */
  readonly again?: true
}

/** A NOTIFY and when it was sent. */
export interface SentNotify {
  readonly at: Millis
  readonly notify: Notify
}

export type Difference =
  /** `was` null: the watcher was not notified; `would` null: it would not have been notified. */
  | {
      readonly _tag: "Told"
      readonly position: number
      readonly watcher: Uri
      readonly was: SentNotify | null
      readonly would: SentNotify | null
    }
  | {
      readonly _tag: "Refused"
      readonly position: number
      readonly at: Millis
      readonly cause: string
      readonly rejection: Rejection
    }

export interface OtherWorld {
  /** The differences between the previous decision and this one, inclusive. */
  readonly step: (moment: DecisionStep) => readonly Difference[]
  /** The differences after the last decision, up to an instant. */
  readonly end: (until: Millis) => readonly Difference[]
  readonly state: () => State
}

/** T1 (RFC 3261 §17.1.1.1): the assumed delay of a response if the log does not record when it came. */
const answerMillis = 500

/** Decisions that exist only in the alternative have versions between those of the log. */
const between = 2 ** -20

export const makeOtherWorld = (
  begin: State,
  world: ReconstructionContext,
  supposition: Supposition,
): OtherWorld => {
  const { rules } = supposition
  const limits =
    rules === null
      ? world.limits
      : {
          ...world.limits,
          watching: askingRulesOf(rules.packageName, world.limits.watching, world.packages),
        }
  const alternative: Alternative = {
    world,
    tried: { ...world, limits },
    supposition,
    watchers: new Map(freeze(begin).subscriptions.map(({ no: id, watcher }) => [id, watcher])),
    unanswered: new Map(),
    state: begin,
    isSame: true,
    areRulesSet: rules === null,
    version: begin.version + 1,
    extra: 0,
    left: [],
    refused: [],
  }
  let position = 0
  return {
    state: () => alternative.state,
    step: (moment) => {
      ;({ position } = moment)
      return step(alternative, moment)
    },
    end: (until) => {
      if (alternative.isSame) return []
      startDecision(alternative, alternative.version + 1)
      wait(alternative, until, null)
      return differences(alternative, [], position)
    },
  }
}

/** The alternative history so far. */
interface Alternative {
  readonly world: ReconstructionContext
  /** The world once the supposed rules are in force. */
  readonly tried: ReconstructionContext
  readonly supposition: Supposition
  /** The watcher of every subscription that ever was, here or in the log. */
  readonly watchers: Map<SubscriptionNo, Uri>
  /** NOTIFYs without a response so far, with the time when they were sent. */
  readonly unanswered: Map<SubscriptionNo, Millis>
  state: State
  /** Whether nothing differs from the log yet. */
  isSame: boolean
  areRulesSet: boolean
  /** The version of the recorded decision. */
  version: number
  /** Decisions since the previous recorded one that the log does not have. */
  extra: number
  /** NOTIFYs sent since the previous recorded decision. */
  left: SentNotify[]
  refused: Difference[]
}

const startDecision = (alternative: Alternative, version: number): void => {
  alternative.version = version
  alternative.extra = 0
  alternative.left = []
  alternative.refused = []
}

const step = (alternative: Alternative, moment: DecisionStep): readonly Difference[] => {
  const { world, supposition, unanswered } = alternative
  const { rules, without } = supposition
  const { decision, position } = moment
  startDecision(alternative, decision.version)
  note(alternative, decision.events)
  const setsRules = rules !== null && !alternative.areRulesSet && position >= rules.from
  if (alternative.isSame && !setsRules && !without.has(position) && supposition.again !== true) {
    alternative.state = moment.after
    return []
  }
  alternative.isSame = false
  const { cause } = decision
  const at = clockOf(decision)
  const rebuilt = reconstructCommand(moment.before, decision, world)
  const hears = rebuilt?.command._tag === "ReportDelivery" ? rebuilt.command.no : null
  if (setsRules) {
    // as if it had been in force before anything else at the instant of this decision
    wait(alternative, at - 1, null)
    alternative.areRulesSet = true
    add(alternative, { _tag: "ReplaceRules", packageName: rules.packageName, rules: rules.body }, at)
  }
  // what was decided before overdue deadlines is decided before them here as well
  const overdue = cause === "FallDue" ? null : nextDeadline(moment.before)
  const known = decision.events.flatMap((event) =>
    event._tag === "NotificationsAccepted" ? answersIn(event, at) : [],
  )
  wait(alternative, overdue !== null && overdue <= at ? overdue - 1 : at, hears, known)
  const isReplaced =
    rules !== null &&
    rebuilt?.command._tag === "ReplaceRules" &&
    rebuilt.command.packageName === rules.packageName
  const isRepeated =
    !without.has(position) && cause !== "FallDue" && cause !== "RecordDeliveries" && !isReplaced
  if (isRepeated && rebuilt !== null) again(alternative, moment, rebuilt)
  alternative.state = { ...alternative.state, version: decision.version }
  const recorded = moment.notifications.map((notify): SentNotify => ({ at, notify }))
  const result = [...alternative.refused, ...differences(alternative, recorded, position)]
  if (rules === null)
    alternative.isSame = unanswered.size === 0 && sameValue(freeze(alternative.state), freeze(moment.after))
  return result
}

const apply = (alternative: Alternative, decision: Pick<Decision, "at" | "version" | "events">): void => {
  if (decision.events.length === 0) return
  const { packages, limits } = alternative.world
  const before = alternative.state
  const after = fold(before, decision)
  alternative.state = after
  const at = clockOf(decision)
  for (const notify of react(before, decision.events, after, at, { packages, limits }))
    alternative.left.push({ at, notify })
  note(alternative, decision.events)
}

const note = ({ watchers }: Alternative, events: readonly Event[]): void => {
  for (const event of events) if (event._tag === "SubscriptionCreated") watchers.set(event.no, event.watcher)
}

/** Decides a command that the log does not have. @returns whether it had consequences */
const add = (alternative: Alternative, command: Command, at: Millis): boolean => {
  alternative.extra++
  const now = nowFor(alternative.state, at)
  const version = alternative.version - 2 + alternative.extra * between
  const state = { ...alternative.state, version }
  alternative.state = state
  const decision = { at: now, version: version + 1, nonce: "", events: [] }
  const authorize = ruled(alternative, alternative.world.authorize ?? askTheRules)
  const context = contextFor(state, decision, worldNow(alternative), { authorize, inFlight: nobody })
  const { events } = decide(state, command, context)
  apply(alternative, { ...decision, ...placedAt(state, now, events) })
  return events.length > 0
}

const worldNow = ({ areRulesSet, tried, world }: Alternative): ReconstructionContext =>
  areRulesSet ? tried : world

/** The supposed rules decide, even where rules were not consulted before. */
const ruled = ({ areRulesSet, supposition }: Alternative, authorize: Authorize): Authorize =>
  supposition.rules !== null && areRulesSet ? askTheRules : authorize

/**
 * Lets time pass: responses arrive, and whatever is due is decided at its deadline.
 *
 * @param known responses whose time the log records
 */
const wait = (
  alternative: Alternative,
  to: Millis,
  hears: SubscriptionNo | null,
  known: readonly Accepted[] = [],
): void => {
  const { unanswered } = alternative
  for (const { no: id, at } of known) if (id !== hears && unanswered.has(id)) answered(alternative, id, at)
  for (const [id, since] of unanswered) {
    if (id === hears) continue
    const at = Math.min(to, since + answerMillis)
    if (at < to || since + answerMillis <= to) answered(alternative, id, at)
  }
  for (let passes = 0; ; passes++) {
    const deadline = nextDeadline(alternative.state)
    if (deadline === null || deadline > to) return
    invariant(passes < 100_000, "falling due comes to an end")
    const hasConsequences = add(alternative, { _tag: "FallDue" }, deadline)
    invariant(hasConsequences, "what is overdue has consequences")
  }
}

const answered = (alternative: Alternative, id: SubscriptionNo, at: Millis): void => {
  const { state, unanswered, world } = alternative
  unanswered.delete(id)
  const subscription = get(state.subscriptions, id)
  const eventPackage = subscription === undefined ? null : world.packages.find(subscription.packageName)
  if (
    subscription === undefined ||
    eventPackage === null ||
    viewFor(state, subscription, eventPackage).digest === subscription.shown
  )
    return
  const cseq = get(state.dialogs, subscription.dialog)?.localCseq ?? 0
  alternative.state = withAnswers(state, { _tag: "NotificationsAccepted", of: [id, cseq, 0] })
  const outcome = { _tag: "Accepted", remoteTarget: null } as const
  add(alternative, { _tag: "ReportDelivery", no: id, cseq, outcome }, at)
}

/** Decides the command of a recorded decision on the alternative state. */
const again = (alternative: Alternative, moment: DecisionStep, rebuilt: Reconstructed): void => {
  const { unanswered } = alternative
  const { decision, position } = moment
  const command = translated(rebuilt.command, moment.before, alternative.state)
  if (command === null) return
  if (command._tag === "ReportDelivery") unanswered.delete(command.no)
  const state = { ...alternative.state, version: decision.version - 1 }
  alternative.state = state
  const at = nowFor(state, clockOf(decision))
  const context = contextFor(state, { ...decision, at }, worldNow(alternative), {
    authorize: ruled(alternative, rebuilt.context.authorize),
    inFlight: rebuilt.inFlight,
    isUnread: rebuilt.context.isUnread,
  })
  const { events, answer } = decide(state, command, context)
  if (answer._tag === "Rejected" && rebuilt.outcome.answer._tag !== "Rejected") {
    const { rejection } = answer
    alternative.refused.push({ _tag: "Refused", position, at, cause: decision.cause, rejection })
  }
  apply(alternative, { ...placedAt(state, at, events), version: decision.version })
  for (const id of rebuilt.inFlight)
    if (get(alternative.state.subscriptions, id) !== undefined) unanswered.set(id, at)
}

/** What was sent otherwise than recorded, since the previous decision. */
const differences = (
  { world, watchers, left }: Alternative,
  recorded: readonly SentNotify[],
  position: number,
): readonly Difference[] => {
  const result: Difference[] = []
  const rest = [...left]
  const missing = recorded.filter((sent) => {
    const index = rest.findIndex((candidate) => isSameNotify(sent, candidate, world))
    if (index >= 0) rest.splice(index, 1)
    return index < 0
  })
  const watcherOf = ({ notify }: SentNotify): Uri => watchers.get(notify.no) ?? ("" as Uri)
  for (const sent of missing) {
    const index = rest.findIndex(({ notify }) => notify.no === sent.notify.no)
    const instead = index < 0 ? null : rest.splice(index, 1)[0]!
    result.push({ _tag: "Told", position, watcher: watcherOf(sent), was: sent, would: instead })
  }
  for (const sent of rest)
    result.push({ _tag: "Told", position, watcher: watcherOf(sent), was: null, would: sent })
  return result
}

/** The command as it applies to the alternative state; null: what it concerns does not exist there. */
const translated = (command: Command, before: State, imagined: State): Command | null => {
  if (command._tag !== "ReportDelivery") return command
  const [subscriptionBefore, subscription] = [
    get(before.subscriptions, command.no),
    get(imagined.subscriptions, command.no),
  ]
  if (subscription === undefined) return null
  const [old, present] = [
    subscriptionBefore === undefined ? undefined : get(before.dialogs, subscriptionBefore.dialog),
    get(imagined.dialogs, subscription.dialog),
  ]
  if (old === undefined || present === undefined) return null
  // as many NOTIFYs ago as in the log
  const cseq = present.localCseq - (old.localCseq - command.cseq)
  return cseq < 1 ? null : { ...command, cseq }
}

const isSameNotify = (left: SentNotify, right: SentNotify, world: ReconstructionContext): boolean =>
  left.at === right.at &&
  left.notify.no === right.notify.no &&
  left.notify.state === right.notify.state &&
  left.notify.reason === right.notify.reason &&
  left.notify.body?.contentType === right.notify.body?.contentType &&
  textOf(left.notify, world) === textOf(right.notify, world) &&
  sameValue(left.notify.headers, right.notify.headers)

/** Ignores the version in documents made for one subscription, which only counts them. */
const textOf = ({ packageName, body }: Notify, { packages }: ReconstructionContext): string | null => {
  const eventPackage = packages.find(packageName)
  if (body === null || eventPackage === null || !isPersonal(eventPackage)) return body?.text ?? null
  return body.text.replace(/\bversion="\d+"/, "")
}

const nobody: ReadonlySet<SubscriptionNo> = new Set()
