/**
 * The final NOTIFY of an ended subscription, repeated after a restart because nothing else can reach its watcher.
 *
 * It is a new request with its own CSeq (RFC 3261 §12.2.1.1) and shows the present state. It carries the document only
 * if its watcher is treated now as it was then, by the same rules.
 */
import { get } from "../table.ts"
import type { DialogStart, SubscriptionNo } from "../vocabulary.ts"
import { authorizeWatcher } from "./authorize.ts"
import { clockOf } from "./clock.ts"
import type { RepeatFarewells } from "./commands.ts"
import type { Context } from "./context.ts"
import { nextDeadline } from "./deadlines.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import { isSameDialog, livingDialog } from "./dialog-numbers.ts"
import type { Decision, FarewellRepeated } from "./events.ts"
import { evolve } from "./evolve.ts"
import type { State, Subscription } from "./state.ts"
import { startNow } from "./targets.ts"

/** A final NOTIFY whose outcome is not on record. */
export interface Farewell extends Omit<FarewellRepeated, "_tag" | "unproven" | "bodiless"> {
  /** The operator had admitted the watcher. */
  readonly forced: boolean
  readonly isUnproven: boolean
  /** It was sent without a document, or must be. */
  readonly isBodiless: boolean
  /** The decision that put the rules of that time in force; null: there were none. */
  readonly rulesFrom: number | null
}

/** The decision that put the present rules of a package in force; null: there are none. */
export const rulesFrom = (state: State, packageName: string): number | null =>
  get(state.rules, packageName)?.replacedIn ?? null

/** The end of one subscription within a decision. */
export interface Ended {
  readonly no: SubscriptionNo
  readonly start: DialogStart
  /** The last CSeq of its dialog at that time, including that of the final NOTIFY, if there is one. */
  readonly cseq: number
  /** Null: no NOTIFY reported it. */
  readonly farewell: Farewell | null
}

/**
 * The subscriptions that a decision ended, each in its state at that point: it may have been created in the same
 * decision.
 */
export const endingsIn = (
  before: State,
  decision: Pick<Decision, "events" | "at">,
  after: State,
): readonly Ended[] => {
  const now = clockOf(decision)
  const endings: Ended[] = []
  let state = before
  for (const event of decision.events) {
    const subscription =
      event._tag === "SubscriptionTerminated" ? get(state.subscriptions, event.no) : undefined
    const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
    if (event._tag === "SubscriptionTerminated" && subscription !== undefined && dialog !== undefined) {
      const start = startNow(dialog)
      const cseq = dialog.localCseq + (event.silent ? 0 : 1)
      const isBodiless = subscription.dormant || event.withheld === true || event.reason === "rejected"
      const farewell: Farewell | null = event.silent
        ? null
        : {
            ...asItWas(subscription),
            cseq,
            reason: event.reason,
            start,
            forced: subscription.forced,
            isUnproven: dialog.proof !== undefined,
            isBodiless,
            rulesFrom: rulesFrom(after, subscription.packageName),
          }
      endings.push({ no: subscription.no, start, cseq, farewell })
    }
    state = evolve(state, event, now)
  }
  return endings
}

const asItWas = ({
  no: id,
  packageName,
  eventId,
  watcher,
  status,
  polite,
  matched,
  accept,
  notified,
}: Subscription): Pick<
  Farewell,
  "no" | "packageName" | "eventId" | "watcher" | "status" | "polite" | "matched" | "accept" | "notified"
> => ({
  no: id,
  packageName,
  eventId,
  watcher,
  status,
  polite,
  matched,
  ...(accept === undefined ? {} : { accept }),
  notified,
})

/** A repeated final NOTIFY may have to be sent again, then without a document, because that has been tried. */
export const farewellOf = (event: FarewellRepeated): Farewell => {
  const { _tag, unproven, bodiless: _bodiless, ...farewell } = event
  return { ...farewell, forced: false, isUnproven: unproven === true, isBodiless: true, rulesFrom: null }
}

/** Repeats final NOTIFYs; each takes the CSeq after the last one of its dialog. */
export const repeatFarewells = (state: State, { farewells }: RepeatFarewells, context: Context): Outcome => {
  const events: FarewellRepeated[] = []
  // whatever is overdue is decided afterwards, and is not shown to anybody until then
  const isOverdue = (nextDeadline(state) ?? Number.POSITIVE_INFINITY) <= context.now
  for (const farewell of farewells) {
    const { forced: _, isUnproven, isBodiless: __, rulesFrom: ___, ...event } = farewell
    const taken = [
      farewell.cseq,
      livingDialog(state, farewell.start)?.localCseq ?? 0,
      ...events.filter(({ start }) => isSameDialog(start, farewell.start)).map(({ cseq }) => cseq),
    ]
    const isBare = farewell.isBodiless || isUnproven || isOverdue
    const mayShow = !isBare && isTreatedSo(state, farewell, context)
    events.push({
      _tag: "FarewellRepeated",
      ...event,
      cseq: Math.max(...taken) + 1,
      ...(isUnproven ? { unproven: true as const } : {}),
      ...(mayShow ? {} : { bodiless: true as const }),
    })
  }
  return done(events)
}

/** Whether the watcher is treated now as it was then, by the same rules. */
const isTreatedSo = (state: State, farewell: Farewell, context: Context): boolean => {
  if (farewell.forced) return true
  const eventPackage = context.packages.find(farewell.packageName)
  if (eventPackage === null) return false
  const { handling, matched } = authorizeWatcher(state, eventPackage, farewell.watcher, context)
  const isShown = handling === "allow" || handling === "polite-block"
  const isSame = (handling === "polite-block") === farewell.polite && matched === farewell.matched
  return isShown && isSame && rulesFrom(state, farewell.packageName) === farewell.rulesFrom
}
