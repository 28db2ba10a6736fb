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
import type { ReconstructionContext } from "./recall-world.ts"
import { contextFor, recall, sameValue } from "./recall.ts"
import type { Recalled } from "./recall.ts"

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
  const { without, rules } = supposition
  const reaction = { packages: world.packages, limits: world.limits }
  let imagined = begin
  let isSame = true
  let areRulesSet = rules === null
  let extra = 0
  let [position, version] = [0, begin.version + 1]
  let left: SentNotify[] = []
  let refused: Difference[] = []
  const watchers = new Map<SubscriptionNo, Uri>()
  const unanswered = new Map<SubscriptionNo, Millis>()

  const apply = (decision: Pick<Decision, "at" | "version" | "events">): void => {
    if (decision.events.length === 0) return
    const before = imagined
    imagined = fold(before, decision)
    const at = clockOf(decision)
    for (const notify of react(before, decision.events, imagined, at, reaction)) left.push({ at, notify })
    note(decision.events)
  }
  const note = (events: readonly Event[]): void => {
    for (const event of events)
      if (event._tag === "SubscriptionCreated") watchers.set(event.no, event.watcher)
  }

  /** Decides a command that the log does not have. @returns whether it had consequences */
  const add = (command: Command, at: Millis): boolean => {
    extra++
    const now = nowFor(imagined, at)
    imagined = { ...imagined, version: version - 2 + extra * between }
    const authorize = world.authorize ?? askTheRules
    const decision = { at: now, version: imagined.version + 1, nonce: "", events: [] }
    const { events } = decide(
      imagined,
      command,
      contextFor(imagined, decision, worldNow(), ruled(authorize), nobody),
    )
    apply({ ...decision, ...placedAt(imagined, now, events) })
    return events.length > 0
  }
  const tried: ReconstructionContext =
    rules === null
      ? world
      : {
          ...world,
          limits: {
            ...world.limits,
            watching: askingRulesOf(rules.packageName, world.limits.watching, world.packages),
          },
        }
  const worldNow = (): ReconstructionContext => (areRulesSet ? tried : world)
  /** The supposed rules decide, even where rules were not consulted before. */
  const ruled = (authorize: Authorize): Authorize => (rules !== null && areRulesSet ? askTheRules : authorize)

  /**
   * Lets time pass: responses arrive, and whatever is due is decided at its deadline.
   *
   * @param known responses whose time the log records
   */
  const wait = (to: Millis, hears: SubscriptionNo | null, known: readonly Accepted[] = []): void => {
    for (const { no: id, at } of known) if (id !== hears && unanswered.has(id)) answered(id, at)
    for (const [id, since] of unanswered) {
      if (id === hears) continue
      const at = Math.min(to, since + answerMillis)
      if (at < to || since + answerMillis <= to) answered(id, at)
    }
    for (let passes = 0; ; passes++) {
      const deadline = nextDeadline(imagined)
      if (deadline === null || deadline > to) return
      invariant(passes < 100_000, "falling due comes to an end")
      const hasConsequences = add({ _tag: "FallDue" }, deadline)
      invariant(hasConsequences, "what is overdue has consequences")
    }
  }
  const answered = (id: SubscriptionNo, at: Millis): void => {
    unanswered.delete(id)
    const subscription = get(imagined.subscriptions, id)
    const eventPackage = subscription === undefined ? null : world.packages.find(subscription.packageName)
    if (
      subscription === undefined ||
      eventPackage === null ||
      viewFor(imagined, subscription, eventPackage).digest === subscription.shown
    )
      return
    const cseq = get(imagined.dialogs, subscription.dialog)?.localCseq ?? 0
    imagined = withAnswers(imagined, { _tag: "NotificationsAccepted", of: [id, cseq, 0] })
    add({ _tag: "ReportDelivery", no: id, cseq, outcome: { _tag: "Accepted", remoteTarget: null } }, at)
  }

  const again = (moment: DecisionStep, recalled: Recalled): void => {
    const { decision } = moment
    const command = translated(recalled.command, moment.before, imagined)
    if (command === null) return
    if (command._tag === "ReportDelivery") unanswered.delete(command.no)
    imagined = { ...imagined, version: decision.version - 1 }
    const at = nowFor(imagined, clockOf(decision))
    const authorize = ruled(recalled.context.authorize)
    const { isUnread } = recalled.context
    const context = contextFor(
      imagined,
      { ...decision, at },
      worldNow(),
      authorize,
      recalled.inFlight,
      isUnread,
    )
    const { events, answer } = decide(imagined, command, context)
    if (answer._tag === "Rejected" && recalled.outcome.answer._tag !== "Rejected")
      refused.push({
        _tag: "Refused",
        position: moment.position,
        at,
        cause: decision.cause,
        rejection: answer.rejection,
      })
    apply({ ...placedAt(imagined, at, events), version: decision.version })
    for (const id of recalled.inFlight)
      if (get(imagined.subscriptions, id) !== undefined) unanswered.set(id, at)
  }

  const differences = (
    recorded: readonly SentNotify[],
    supposed: readonly SentNotify[],
  ): readonly Difference[] => {
    const result: Difference[] = []
    const rest = [...supposed]
    const missing = recorded.filter((sent) => {
      const index = rest.findIndex((another) => isSameLeaving(sent, another, world))
      if (index >= 0) rest.splice(index, 1)
      return index < 0
    })
    const watcherOf = (id: SubscriptionNo): Uri => watchers.get(id) ?? ("" as Uri)
    for (const sent of missing) {
      const index = rest.findIndex(({ notify }) => notify.no === sent.notify.no)
      const instead = index < 0 ? null : rest.splice(index, 1)[0]!
      result.push({ _tag: "Told", position, watcher: watcherOf(sent.notify.no), was: sent, would: instead })
    }
    for (const sent of rest)
      result.push({ _tag: "Told", position, watcher: watcherOf(sent.notify.no), was: null, would: sent })
    return result
  }

  for (const subscription of freeze(begin).subscriptions) watchers.set(subscription.no, subscription.watcher)

  return {
    state: () => imagined,
    step: (moment) => {
      const { decision } = moment
      ;({ position } = moment)
      ;({ version } = decision)
      extra = 0
      left = []
      refused = []
      note(decision.events)
      const setsRules = rules !== null && !areRulesSet && position >= rules.from
      if (isSame && !setsRules && !without.has(position) && supposition.again !== true) {
        imagined = moment.after
        return []
      }
      isSame = false
      const { cause } = decision
      const at = clockOf(decision)
      const recalled = recall(moment.before, decision, world)
      const hears = recalled?.command._tag === "ReportDelivery" ? recalled.command.no : null
      if (setsRules) {
        // as if it had been in force before anything else at the instant of this decision
        wait(at - 1, null)
        areRulesSet = true
        add({ _tag: "ReplaceRules", packageName: rules.packageName, rules: rules.body }, at)
      }
      // what was decided before overdue deadlines is decided before them here as well
      const overdue = cause === "FallDue" ? null : nextDeadline(moment.before)
      wait(
        overdue !== null && overdue <= at ? overdue - 1 : at,
        hears,
        decision.events.flatMap((event) =>
          event._tag === "NotificationsAccepted" ? answersIn(event, at) : [],
        ),
      )
      const isReplaced =
        rules !== null &&
        recalled?.command._tag === "ReplaceRules" &&
        recalled.command.packageName === rules.packageName
      if (
        !without.has(position) &&
        cause !== "FallDue" &&
        cause !== "RecordDeliveries" &&
        !isReplaced &&
        recalled !== null
      )
        again(moment, recalled)
      imagined = { ...imagined, version: decision.version }
      const recorded = moment.notifications.map((notify): SentNotify => ({ at, notify }))
      const result = [...refused, ...differences(recorded, left)]
      if (rules === null) isSame = unanswered.size === 0 && sameValue(freeze(imagined), freeze(moment.after))
      return result
    },
    end: (until) => {
      if (isSame) return []
      extra = 0
      left = []
      version++
      wait(until, null)
      return differences([], left)
    },
  }
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

const isSameLeaving = (left: SentNotify, right: SentNotify, world: ReconstructionContext): boolean =>
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
