/**
 * What would have happened otherwise: a stream in a world in which a decision never was, or other rules were in force.
 *
 * As long as nothing differs, what is recorded is what happens. From then on each recorded command is decided again on
 * the other state, and time is let run there: what falls due falls due by the deadlines of that state. Numbers of
 * subscriptions and entity-tags stay those of the log, so that later requests mean what they meant.
 *
 * What nobody can know: requests that were refused are not in the log; a device that is refused gives up; a NOTIFY that
 * was on its way is answered after T1 where the log does not say when.
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
  /** Positions of decisions that never were. */
  readonly without: ReadonlySet<number>
  /** A document in force from a position on, whatever was put in force since; null: the recorded ones. */
  readonly rules: { readonly packageName: PackageName; readonly body: Body; readonly from: number } | null
  /** Everything is decided again from the beginning, though nothing differs; absent: from where something does. */
  readonly again?: true
}

/** What left, and when. */
export interface SentNotify {
  readonly at: Millis
  readonly notify: Notify
}

export type Difference =
  /** `was` null: the watcher was told nothing; `would` null: it would have been told nothing. */
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
  /** What differs up to and with this decision, since the one before. */
  readonly step: (moment: DecisionStep) => readonly Difference[]
  /** What differs after the last one, until an instant. */
  readonly end: (until: Millis) => readonly Difference[]
  readonly state: () => State
}

/** T1: how long an answer takes of which the log does not say when it came (RFC 3261 §17.1.1.1). */
const answerMillis = 500

/** Decisions that only this world has stand between those of the log. */
const between = 2 ** -20

export const makeOtherWorld = (
  begin: State,
  world: ReconstructionContext,
  supposition: Supposition,
): OtherWorld => {
  const { without, rules } = supposition
  const reaction = { packages: world.packages, limits: world.limits }
  let other = begin
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
    const before = other
    other = fold(before, decision)
    const at = clockOf(decision)
    for (const notify of react(before, decision.events, other, at, reaction)) left.push({ at, notify })
    note(decision.events)
  }
  const note = (events: readonly Event[]): void => {
    for (const event of events)
      if (event._tag === "SubscriptionCreated") watchers.set(event.no, event.watcher)
  }

  /** A command that the log does not have. @returns whether anything came of it */
  const add = (command: Command, at: Millis): boolean => {
    extra++
    const now = nowFor(other, at)
    other = { ...other, version: version - 2 + extra * between }
    const authorize = world.authorize ?? askTheRules
    const decision = { at: now, version: other.version + 1, nonce: "", events: [] }
    const { events } = decide(
      other,
      command,
      contextFor(other, decision, worldNow(), ruled(authorize), nobody),
    )
    apply({ ...decision, ...placedAt(other, now, events) })
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
  /** The rules to be tried decide, also where nobody was asked before. */
  const ruled = (authorize: Authorize): Authorize => (rules !== null && areRulesSet ? askTheRules : authorize)

  /**
   * Time goes on: answers come, and what is due by then falls due at its deadline.
   *
   * @param known answers of which the log says by then when they came
   */
  const wait = (to: Millis, hears: SubscriptionNo | null, known: readonly Accepted[] = []): void => {
    for (const { no, at } of known) if (no !== hears && unanswered.has(no)) answered(no, at)
    for (const [no, since] of unanswered) {
      if (no === hears) continue
      const at = Math.min(to, since + answerMillis)
      if (at < to || since + answerMillis <= to) answered(no, at)
    }
    for (let passes = 0; ; passes++) {
      const deadline = nextDeadline(other)
      if (deadline === null || deadline > to) return
      invariant(passes < 100_000, "falling due comes to an end")
      const hasConsequences = add({ _tag: "FallDue" }, deadline)
      invariant(hasConsequences, "what is overdue has consequences")
    }
  }
  const answered = (no: SubscriptionNo, at: Millis): void => {
    unanswered.delete(no)
    const one = get(other.subscriptions, no)
    const eventPackage = one === undefined ? null : world.packages.find(one.packageName)
    if (one === undefined || eventPackage === null || viewFor(other, one, eventPackage).digest === one.shown)
      return
    const cseq = get(other.dialogs, one.dialog)?.localCseq ?? 0
    other = withAnswers(other, { _tag: "NotificationsAccepted", of: [no, cseq, 0] })
    add({ _tag: "ReportDelivery", no, cseq, outcome: { _tag: "Accepted", remoteTarget: null } }, at)
  }

  const again = (moment: DecisionStep, rebuilt: Reconstructed): void => {
    const { decision } = moment
    const command = translated(rebuilt.command, moment.before, other)
    if (command === null) return
    if (command._tag === "ReportDelivery") unanswered.delete(command.no)
    other = { ...other, version: decision.version - 1 }
    const at = nowFor(other, clockOf(decision))
    const authorize = ruled(rebuilt.context.authorize)
    const { isUnread } = rebuilt.context
    const context = contextFor(other, { ...decision, at }, worldNow(), authorize, rebuilt.inFlight, isUnread)
    const { events, answer } = decide(other, command, context)
    if (answer._tag === "Rejected" && rebuilt.outcome.answer._tag !== "Rejected")
      refused.push({
        _tag: "Refused",
        position: moment.position,
        at,
        cause: decision.cause,
        rejection: answer.rejection,
      })
    apply({ ...placedAt(other, at, events), version: decision.version })
    for (const no of rebuilt.inFlight) if (get(other.subscriptions, no) !== undefined) unanswered.set(no, at)
  }

  const differences = (was: readonly SentNotify[], would: readonly SentNotify[]): readonly Difference[] => {
    const found: Difference[] = []
    const rest = [...would]
    const missing = was.filter((one) => {
      const index = rest.findIndex((another) => isSameLeaving(one, another, world))
      if (index >= 0) rest.splice(index, 1)
      return index < 0
    })
    const watcherOf = (no: SubscriptionNo): Uri => watchers.get(no) ?? ("" as Uri)
    for (const one of missing) {
      const index = rest.findIndex(({ notify }) => notify.no === one.notify.no)
      const instead = index < 0 ? null : rest.splice(index, 1)[0]!
      found.push({ _tag: "Told", position, watcher: watcherOf(one.notify.no), was: one, would: instead })
    }
    for (const one of rest)
      found.push({ _tag: "Told", position, watcher: watcherOf(one.notify.no), was: null, would: one })
    return found
  }

  for (const one of freeze(begin).subscriptions) watchers.set(one.no, one.watcher)

  return {
    state: () => other,
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
        other = moment.after
        return []
      }
      isSame = false
      const { cause } = decision
      const at = clockOf(decision)
      const rebuilt = reconstructCommand(moment.before, decision, world)
      const hears = rebuilt?.command._tag === "ReportDelivery" ? rebuilt.command.no : null
      if (setsRules) {
        // as if it had been there before anything else of this decision's instant
        wait(at - 1, null)
        areRulesSet = true
        add({ _tag: "ReplaceRules", packageName: rules.packageName, rules: rules.body }, at)
      }
      // what was decided before what was overdue is decided so here as well
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
        rebuilt?.command._tag === "ReplaceRules" &&
        rebuilt.command.packageName === rules.packageName
      if (
        !without.has(position) &&
        cause !== "FallDue" &&
        cause !== "RecordDeliveries" &&
        !isReplaced &&
        rebuilt !== null
      )
        again(moment, rebuilt)
      other = { ...other, version: decision.version }
      const was = moment.notifications.map((notify): SentNotify => ({ at, notify }))
      const found = [...refused, ...differences(was, left)]
      if (rules === null) isSame = unanswered.size === 0 && sameValue(freeze(other), freeze(moment.after))
      return found
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

/** The command as the other world has to hear it; null: it concerns what is not there. */
const translated = (command: Command, before: State, other: State): Command | null => {
  if (command._tag !== "ReportDelivery") return command
  const [was, is] = [get(before.subscriptions, command.no), get(other.subscriptions, command.no)]
  if (is === undefined) return null
  const [old, present] = [
    was === undefined ? undefined : get(before.dialogs, was.dialog),
    get(other.dialogs, is.dialog),
  ]
  if (old === undefined || present === undefined) return null
  // so many NOTIFYs ago as it was
  const cseq = present.localCseq - (old.localCseq - command.cseq)
  return cseq < 1 ? null : { ...command, cseq }
}

const isSameLeaving = (one: SentNotify, other: SentNotify, world: ReconstructionContext): boolean =>
  one.at === other.at &&
  one.notify.no === other.notify.no &&
  one.notify.state === other.notify.state &&
  one.notify.reason === other.notify.reason &&
  one.notify.body?.contentType === other.notify.body?.contentType &&
  textOf(one.notify, world) === textOf(other.notify, world) &&
  sameValue(one.notify.headers, other.notify.headers)

/** Without the number that documents made for one subscription have: it only counts them. */
const textOf = ({ packageName, body }: Notify, { packages }: ReconstructionContext): string | null => {
  const eventPackage = packages.find(packageName)
  if (body === null || eventPackage === null || !isPersonal(eventPackage)) return body?.text ?? null
  return body.text.replace(/\bversion="\d+"/, "")
}

const nobody: ReadonlySet<SubscriptionNo> = new Set()
