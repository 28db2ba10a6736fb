/**
 * Why a watcher was notified of a change, or was not: the situation of its subscription when the change was decided,
 * and what became of it later.
 */
import type { Requester } from "../presentity/about.ts"
import type { Authorization } from "../presentity/authorize.ts"
import { clockOf } from "../presentity/clock.ts"
import { byNo } from "../presentity/state.ts"
import type { Subscription, Waiting } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, Position, SubscriptionNo, Uri } from "../vocabulary.ts"
import { changeIn } from "./changes.ts"
import type { Change } from "./changes.ts"
import { authorizationIn, findingsIn, isHeld, sequelIn } from "./findings.ts"
import type { DecisionContext, Finding, Sequel } from "./findings.ts"
import { endingOf, makeLedger, placeOf, unansweredMillis } from "./ledger.ts"
import type { Ending, Life, Place, Sent } from "./ledger.ts"
import type { DecisionStep } from "./moments.ts"

export interface Case {
  readonly life: Life
  readonly finding: Finding
  /** Null: nothing was held back. */
  readonly sequel: Sequel | null
  /** The NOTIFY that reported the change, in the same decision or later. */
  readonly sent: Sent | null
}

/** The situation of a watcher without a subscription when the change was decided. */
export interface Absence {
  readonly _tag: "Absent"
  /** Its last subscription before that, as far as the log was read. */
  readonly last: Life | null
  /** Its first subscription after that. */
  readonly next: Life | null
  readonly waiting: Waiting | null
  /** How a SUBSCRIBE would have been treated; null: there was no such package, or the server's settings are not known. */
  readonly judgement: Authorization | null
  /** How a SUBSCRIBE would be treated after the last decision that was read; null: as above. */
  readonly now: Authorization | null
}

/** A watcher is shown nothing, or nothing specific, from then on, whether or not anything changes. */
export type Treatment = Place & {
  readonly cause: string
  readonly origin: string
  readonly life: Pick<Life, "no" | "watcher" | "packageName">
  /** How the watcher was treated from then on, as a SUBSCRIBE would be. */
  readonly judgement: Authorization
} & (
    | { readonly _tag: "Ended"; readonly ending: Ending }
    /** Nobody has decided on it. */
    | { readonly _tag: "Pending" }
    /** The presentity appears absent to it (RFC 5025 §3.2.1). */
    | { readonly _tag: "PoliteBlock" }
  )

export interface Explanation {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  readonly asOf: Millis
  /** Null: no change that could have been notified was decided before that instant. */
  readonly change:
    | (Place & {
        readonly what: Change
        readonly cause: string
        readonly origin: string
        /** Who sent the request, beyond `origin`; null: not known. A number: as in the decision of that version. */
        readonly requester: Requester | number | null
      })
    | null
  /** One for each subscription; empty: `absence` gives the reason. */
  readonly cases: readonly Case[]
  readonly absence: Absence | null
  /** What has kept everything from the watcher since the change, or, without a change, at all; null: nothing does. */
  readonly treatment: Treatment | null
}

export interface Question {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  /** The last change before this instant is explained. */
  readonly at: Millis
  /** If present, only the change at this position is explained. */
  readonly position?: Position
}

export interface Inquiry {
  /** Takes all decisions on the presentity, oldest first, from some state on. */
  readonly take: (moment: DecisionStep) => void
  /** Whether no later decision can change the answer, but for the ends of the subscriptions that it names. */
  readonly isAnswered: () => boolean
  /** Whether these have all ended. */
  readonly isOver: () => boolean
  readonly answer: (asOf: Millis) => Explanation
}

export const makeInquiry = (question: Question, circumstances: DecisionContext): Inquiry => {
  const { presentity, watcher, packageName, at } = question
  const matches = (subject: { readonly watcher: Uri; readonly packageName: PackageName }): boolean =>
    subject.watcher === watcher && subject.packageName === packageName
  const ledger = makeLedger(matches)
  let found: Found | null = null
  let treatment: Treatment | null = null
  let isPast = false
  let lastAt = 0
  let last: DecisionStep | null = null

  const judgementIn = (moment: DecisionStep): Authorization | null => {
    const eventPackage = circumstances.packages.find(packageName)
    if (eventPackage === null) return null
    const judgement = authorizationIn(moment, eventPackage, watcher, circumstances)
    return judgement.by === "unknown" ? null : judgement
  }

  const examine = (moment: DecisionStep): void => {
    if (moment.decision.at > at && question.position === undefined) {
      isPast = true
      return
    }
    if (question.position !== undefined && moment.position !== question.position) return
    const treated = treatmentIn(moment, packageName, watcher, circumstances)
    if (treated !== undefined) treatment = treated
    const published = changeIn(moment, packageName, watcher, circumstances.packages)
    if (published === null) return
    const findings = new Map<SubscriptionNo, OpenCase>()
    for (const [id, finding] of findingsIn(moment, published, packageName, circumstances, matches)) {
      ledger.notice(id, moment)
      findings.set(id, { finding, sequel: isHeld(finding) ? { _tag: "Open" } : null })
    }
    found = {
      moment,
      what: published,
      findings,
      judgement: judgementIn(moment),
    }
  }

  return {
    take: (moment) => {
      lastAt = clockOf(moment.decision)
      last = moment
      ledger.take(moment)
      if (found !== null && found.moment.position < moment.position) {
        for (const [id, open] of found.findings) {
          if (open.sequel?._tag === "Open") open.sequel = sequelIn(moment, id, circumstances)
        }
      }
      examine(moment)
    },
    isAnswered: () => {
      if (found === null) return question.position === undefined && isPast
      return (question.position !== undefined || isPast) && isComplete(found, ledger.lives(), lastAt)
    },
    isOver: () => found !== null && named(found, ledger.lives()).every(({ ended }) => ended !== null),
    answer: (asOf) => {
      const base = { presentity, watcher, packageName, asOf }
      return found === null
        ? { ...base, change: null, cases: [], absence: null, treatment }
        : {
            ...base,
            ...answerOf(found, ledger.lives(), matches, treatment, () => judgementIn(last ?? found!.moment)),
          }
    },
  }
}

/** Whether everything is known about a change that was found, up to a decision at `lastAt`. */
const isComplete = (found: Found, lives: readonly Life[], lastAt: Millis): boolean => {
  const { moment, findings } = found
  const from = moment.position
  // without a subscription the answer names the next one, and what it was told first
  if (findings.size === 0 && nextAfter(moment, lives) === null) return false
  const isSettled = (sent: Sent | undefined): boolean =>
    sent === undefined ||
    sent.answeredAt !== null ||
    sent.failed !== null ||
    lastAt - sent.place.at > unansweredMillis
  return named(found, lives).every(
    ({ no: id, sent }) =>
      findings.get(id)?.sequel?._tag !== "Open" &&
      isSettled(sent.findLast(({ place }) => place.position < from)) &&
      isSettled(sent.find(({ place }) => place.position >= from)),
  )
}

/** The subscriptions that an answer names: those that the change met, else the last one before it and the next one. */
const named = ({ moment, findings }: Found, lives: readonly Life[]): readonly Life[] => {
  if (findings.size > 0) return lives.filter(({ no: id }) => findings.has(id))
  const around = [lastBefore(moment, lives), nextAfter(moment, lives)]
  return around.filter((life) => life !== null)
}

/** The last subscription that began before a decision. */
const lastBefore = ({ position }: DecisionStep, lives: readonly Life[]): Life | null =>
  lives.findLast(({ began }) => (began?.position ?? 0) < position) ?? null

/** The first subscription that began after a decision. */
const nextAfter = ({ position }: DecisionStep, lives: readonly Life[]): Life | null =>
  lives.find(({ began }) => (began?.position ?? 0) > position) ?? null

const answerOf = (
  { moment, what, findings, judgement }: Found,
  lives: readonly Life[],
  matches: (waiting: Waiting) => boolean,
  treatment: Treatment | null,
  judgementNow: () => Authorization | null,
): Pick<Explanation, "change" | "cases" | "absence" | "treatment"> => {
  const place = placeOf(moment)
  const { cause, origin, about } = moment.decision
  const requester = about?.by ?? null
  const cases = lives.flatMap((life): Case[] => {
    const open = findings.get(life.no)
    return open === undefined ? [] : [{ life, ...open, sent: sentFor(life, open, place) }]
  })
  const absence: Absence | null =
    cases.length > 0
      ? null
      : {
          _tag: "Absent",
          last: lastBefore(moment, lives),
          next: nextAfter(moment, lives),
          waiting: [...values(moment.after.waiting)].find(matches) ?? null,
          judgement,
          now: judgementNow(),
        }
  const later = treatment !== null && treatment.position > place.position ? treatment : null
  return { change: { ...place, what, cause, origin, requester }, cases, absence, treatment: later }
}

/** The NOTIFY that reported the change to a subscription, in the decision at `place` or later; null: none did. */
const sentFor = (life: Life, { finding, sequel }: OpenCase, place: Place): Sent | null => {
  const isAtOnce = finding._tag === "Told" || finding._tag === "Ended"
  if (!isAtOnce && sequel?._tag !== "Told") return null
  const from = isAtOnce ? place.position : place.position + 1
  return life.sent.find((candidate) => candidate.place.position >= from) ?? null
}

/**
 * How a decision affects whether a watcher is shown anything of a package at all. Undefined: not at all; null: it is
 * shown something.
 */
export const treatmentIn = (
  moment: DecisionStep,
  packageName: PackageName,
  watcher: Uri,
  circumstances: DecisionContext,
): Treatment | null | undefined => {
  const { before, after, decision } = moment
  const matches = (subject: Pick<Subscription, "watcher" | "packageName">): boolean =>
    subject.watcher === watcher && subject.packageName === packageName
  // a fetch also shows how the watcher is treated, and ends at once
  const fetches = decision.events.flatMap((event) =>
    event._tag === "SubscriptionCreated" && matches(event) && get(after.subscriptions, event.no) === undefined
      ? event
      : [],
  )
  const ended = decision.events.flatMap((event) => {
    const subscription =
      event._tag === "SubscriptionTerminated" ? get(before.subscriptions, event.no) : undefined
    return event._tag === "SubscriptionTerminated" && subscription !== undefined && matches(subscription)
      ? event
      : []
  })
  const isDecided = decision.events.some((event) => {
    if (event._tag === "SubscriptionCreated") return matches(event)
    const subscription =
      event._tag === "SubscriptionStatusChanged" ? get(after.subscriptions, event.no) : undefined
    return subscription !== undefined && matches(subscription)
  })
  const eventPackage = circumstances.packages.find(packageName)
  if (eventPackage === null || (!isDecided && ended.length === 0)) return undefined
  const left = [...[...values(after.subscriptions)].filter(matches), ...fetches].sort(byNo)
  if (left.some(isShown)) return null
  const base = (id: SubscriptionNo) => ({
    ...placeOf(moment),
    cause: decision.cause,
    origin: decision.origin,
    life: { no: id, watcher, packageName },
    judgement: authorizationIn(moment, eventPackage, watcher, circumstances),
  })
  const subscription = left.at(-1)
  if (subscription !== undefined) {
    // the end of another subscription says nothing new about the remaining ones
    const wasShown = [...values(before.subscriptions)].some(
      (candidate) => matches(candidate) && isShown(candidate),
    )
    if (!isDecided && !wasShown) return undefined
    return { ...base(subscription.no), _tag: subscription.status === "pending" ? "Pending" : "PoliteBlock" }
  }
  const last = ended.at(-1)
  // an end by expiry, by the watcher or by a failure is nobody's decision about the watcher
  if (last === undefined || last.reason === "timeout") return null
  return { ...base(last.no), _tag: "Ended", ending: endingOf(last, moment) }
}

const isShown = ({ status, polite }: Pick<Subscription, "status" | "polite">): boolean =>
  status === "active" && !polite

interface OpenCase {
  readonly finding: Finding
  sequel: Sequel | null
}

interface Found {
  readonly moment: DecisionStep
  readonly what: Change
  readonly findings: ReadonlyMap<SubscriptionNo, OpenCase>
  readonly judgement: Authorization | null
}
