/** What the log records of NOTIFYs: which have an outcome, and which may never have arrived. */
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import { isWithinProgram } from "../../domain/presentity/abandon.ts"
import { answersIn } from "../../domain/presentity/delivery-acks.ts"
import { isErased } from "../../domain/presentity/erase.ts"
import type { Decision, NotificationFailed } from "../../domain/presentity/events.ts"
import { endingsIn, farewellOf } from "../../domain/presentity/farewell.ts"
import type { Farewell } from "../../domain/presentity/farewell.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogStart, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import { placeOf } from "./log-front.ts"

/** Collects the outcomes of NOTIFYs by reading the log forward from a position before which nothing is in doubt. */
export interface Deliveries {
  /** Takes every decision after that position, in order. */
  readonly read: (decision: Decision) => void
  /** Takes each of them once more with the states around it, if it was folded. */
  readonly folded: (stored: CommittedDecision) => void
  /** Decisions that ended subscriptions and have not been folded; pass them to `folded` last. */
  readonly unfolded: () => readonly Decision[]
  /**
   * The subscriptions, among those that `mayBe` admits, whose last NOTIFY is in doubt. O(subscriptions of the
   * presentity).
   */
  readonly unsureIn: (
    state: State,
    mayBe: (subscription: Subscription) => boolean,
  ) => readonly SubscriptionNo[]
  /** Whether the decision with that version, and all later ones of the stream, have been read. */
  readonly isReadFrom: (stream: Uri, version: number) => boolean
  /** Final NOTIFYs in doubt, each with the last known CSeq of its dialog. */
  readonly farewells: () => ReadonlyMap<Uri, readonly Farewell[]>
}

/** What has been read so far. */
interface Known {
  /** By presentity: the version of the first decision read. */
  readonly firsts: Map<Uri, number>
  /** By presentity and subscription: the last CSeq with an outcome on record. */
  readonly recorded: Map<string, number>
  /** Terminated subscriptions, by presentity: the CSeq of their final NOTIFY is not used again. */
  readonly over: Set<string>
  readonly farewells: Map<string, { readonly stream: Uri; readonly farewell: Farewell }>
  /** The last CSeq of dialogs whose subscriptions were terminated. */
  readonly numbers: Map<string, number>
  /** By position in the log. */
  readonly ends: Map<string, Decision>
}

export const makeDeliveries = (): Deliveries => {
  const known: Known = {
    firsts: new Map(),
    recorded: new Map(),
    over: new Set(),
    farewells: new Map(),
    numbers: new Map(),
    ends: new Map(),
  }
  return {
    read: (decision) => read(known, decision),
    folded: ({ decision, before, after }) => {
      const { ends, farewells } = known
      ends.delete(placeOf(decision))
      const { stream } = decision
      for (const { no: id, start, cseq, farewell } of endingsIn(before, decision, after)) {
        take(known, start, cseq)
        const last = farewells.get(nameOf(stream, id))?.farewell.cseq ?? 0
        if (farewell !== null && cseq > last) farewells.set(nameOf(stream, id), { stream, farewell })
      }
    },
    unfolded: () =>
      [...known.ends.values()].filter((decision) =>
        decision.events.some(
          (event) =>
            event._tag === "SubscriptionTerminated" &&
            !event.silent &&
            !isAnsweredFetch(known, decision, event.no),
        ),
      ),
    isReadFrom: (stream, version) => (known.firsts.get(stream) ?? Number.POSITIVE_INFINITY) <= version,
    unsureIn: (state, mayBe) =>
      [...values(state.subscriptions)]
        .filter((subscription) => {
          const dialog = get(state.dialogs, subscription.dialog)
          if (subscription.toldIn === 0 || dialog === undefined || !mayBe(subscription)) return false
          // in a shared dialog the last CSeq may belong to another subscription
          return dialog.usages > 1 || !isOnRecord(known, state.presentity, subscription.no, dialog.localCseq)
        })
        .map(({ no: id }) => id)
        .sort((first, second) => first - second),
    farewells: () => farewellsIn(known),
  }
}

const read = (known: Known, decision: Decision): void => {
  const { stream, version, at, events } = decision
  if (!known.firsts.has(stream)) known.firsts.set(stream, version)
  for (const event of events) {
    if (event._tag === "NotificationFailed") {
      if (isEnd(known, stream, event)) note(known, stream, event.no, event.cseq)
    } else if (event._tag === "NotificationsAccepted")
      for (const { no: id, cseq } of answersIn(event, at)) note(known, stream, id, cseq)
    else if (event._tag === "SubscriptionTerminated" && !event.silent) {
      known.over.add(nameOf(stream, event.no))
      known.ends.set(placeOf(decision), decision)
    } else if (event._tag === "FarewellRepeated") {
      known.over.add(nameOf(stream, event.no))
      take(known, event.start, event.cseq)
      known.farewells.set(nameOf(stream, event.no), { stream, farewell: farewellOf(event) })
    }
  }
}

/**
 * Whether a failure is the outcome of the NOTIFY with that CSeq. A NOTIFY that was never sent passes its CSeq
 * on to the next one (`withUnsent`), which may still be outstanding; after the final NOTIFY there is no next
 * one.
 */
const isEnd = ({ over }: Known, stream: Uri, { no: id, outcome }: NotificationFailed): boolean =>
  outcome !== "unproven" || over.has(nameOf(stream, id))

const nameOf = (stream: Uri, id: SubscriptionNo): string => `${id} ${stream}`

const note = ({ recorded }: Known, stream: Uri, id: SubscriptionNo, cseq: number): void => {
  const name = nameOf(stream, id)
  recorded.set(name, Math.max(recorded.get(name) ?? 0, cseq))
}

const take = ({ numbers }: Known, start: DialogStart, cseq: number): void => {
  const name = dialogOf(start)
  numbers.set(name, Math.max(numbers.get(name) ?? 0, cseq))
}

const isOnRecord = ({ recorded }: Known, stream: Uri, id: SubscriptionNo, cseq: number): boolean =>
  (recorded.get(nameOf(stream, id)) ?? 0) >= cseq

/** The only NOTIFY of a fetch has CSeq 1. */
const isAnsweredFetch = (known: Known, { stream, events }: Decision, id: SubscriptionNo): boolean =>
  isOnRecord(known, stream, id, 1) &&
  events.some(
    (event) =>
      event._tag === "SubscriptionCreated" &&
      event.no === id &&
      event.start !== null &&
      event.takenOver === undefined,
  )

const farewellsIn = (known: Known): ReadonlyMap<Uri, readonly Farewell[]> => {
  const found = new Map<Uri, Farewell[]>()
  for (const { stream, farewell } of known.farewells.values()) {
    const { no: id, cseq, start, watcher } = farewell
    if (isOnRecord(known, stream, id, cseq) || isWithinProgram(start)) continue
    // after an erasure there is no address left to send to
    if (isErased(watcher) || isErased(stream)) continue
    const last = { ...farewell, cseq: Math.max(cseq, known.numbers.get(dialogOf(start)) ?? 0) }
    const before = found.get(stream)
    if (before === undefined) found.set(stream, [last])
    else before.push(last)
  }
  return found
}

const dialogOf = ({ callId, localTag, remoteTag }: DialogStart): string =>
  dialogKey(callId, localTag, remoteTag)
