/**
 * Many presentities, one synchronous machine: commands in, batches of decisions out, answers and NOTIFYs released
 * only when a batch is committed.
 *
 * Sans-I/O: it opens nothing, waits for nothing and reads no clock. The server's pump and the simulator drive the very
 * same object: `offer` → `seal` → append → `committed` or `failed`. Decisions build on each other before they are
 * stored (provisional state); a failed append drops them and everything decided on top of them.
 */
import type { Packages } from "../packages/event-package.ts"
import type { Accepted, Answer, Command } from "../presentity/commands.ts"
import type { Authorize, Context, IsUnread, Limits } from "../presentity/context.ts"
import { consider } from "../presentity/decide.ts"
import { nothingHappened } from "../presentity/decision.ts"
import type { Decision, Event } from "../presentity/events.ts"
import { acceptedEvent } from "../presentity/delivery-acks.ts"
import { isSetBack, lastClock, nowFor, placedAt, slackMillis } from "../presentity/clock.ts"
import type { Notify } from "../presentity/intents.ts"
import { react } from "../presentity/react.ts"
import { closed, evolve, statesAfter } from "../presentity/evolve.ts"
import { requesterOf } from "../presentity/requester.ts"
import { deadlineIn, isEmpty, nextDeadline } from "../presentity/state.ts"
import type { State } from "../presentity/state.ts"
import type { DialogKey, Millis, SubscriptionNo, Uri } from "../vocabulary.ts"
import { invariant } from "../vocabulary.ts"
import { makeDeadlines } from "./deadlines.ts"
import { makeDialogs } from "./dialogs.ts"
import { makeFlights } from "./flights.ts"
import type { OutstandingNotifies } from "./flights.ts"

/** A command on its way in. `ticket` is whatever the shell needs to deliver the answer; the engine only keeps it. */
export interface Offer<Ticket> {
  /** Null for a request inside a dialog: the dialog says which presentity. */
  readonly presentity: Uri | null
  readonly command: Command
  readonly origin: string
  readonly ticket: Ticket
  /**
   * Decided before what is overdue, not after it: what was true while nobody looked, as rules that changed while the server was
   * down. Absent: no.
   */
  readonly amends?: true
}

export interface Batch {
  /** In the order they were decided; several of one stream follow each other in version. */
  readonly decisions: readonly Decision[]
  /** For each of them the watcher whose request it was; null: the presentity's own, or nobody's. */
  readonly requesters: readonly (Uri | null)[]
}

/** What may leave now, in order: for each decision first its answer, then its NOTIFYs. */
export interface Release<Ticket> {
  readonly ticket: Ticket | null
  /** When it was decided: for what fell due, when it was due. */
  readonly at: Millis
  readonly answer: Answer
  readonly notifications: readonly Notify[]
}

export interface Engine<Ticket> {
  /**
   * Decides a command at `now`, catching up first with what was due before, unless it `amends`: then that is decided
   * afterwards, on what the command has made of the presentity. When `now` is earlier than it was, the presentity first
   * follows the clock.
   *
   * @returns `Missing`: the presentity is not in memory; `load` it and offer again. `Held`: released with a later
   *   batch. `Released`: nothing to store, the answer may leave.
   */
  readonly offer: (offer: Offer<Ticket>, now: Millis, nonce: () => string) => Offered<Ticket>
  /** Puts a presentity into memory as the store knows it. */
  readonly load: (state: State) => void
  readonly isLoaded: (presentity: Uri) => boolean
  /**
   * Takes a presentity out of memory on which nothing is undecided: the store knows it otherwise. Requests in its dialogs still find
   * it.
   */
  readonly unload: (presentity: Uri) => void
  /**
   * Decides everything that has fallen due by `now`, each at its own deadline. When `now` is earlier than it was, all that live follow
   * the clock first: O(presentities).
   */
  readonly advance: (now: Millis, nonce: () => string) => void
  /** Has everything written down that is known of NOTIFYs: nothing more will come. */
  readonly record: (now: Millis, nonce: () => string) => void
  /** Takes the next batch for the store; null when there is nothing to store or one is already out. */
  readonly seal: (decisionsMax: number) => Batch | null
  /**
   * The batch is stored, except for the decisions of `conflicts`: streams that another writer moved meanwhile.
   *
   * @returns what may leave, and the offers to be made again once their streams are loaded afresh
   */
  readonly committed: (conflicts: ReadonlySet<Uri>) => {
    readonly release: readonly Release<Ticket>[]
    readonly stored: readonly CommittedDecision[]
    readonly again: readonly Offer<Ticket>[]
  }
  /** The batch, and all decided since, is given up: every stream concerned is to be loaded afresh. */
  readonly failed: () => Failed<Ticket>
  /**
   * What is `doubtful` has turned out to be stored, and its presentity is loaded with it: its NOTIFYs leave now. Nothing can have
   * been decided on that presentity in between, so their numbers are in order.
   */
  readonly leaveLate: (one: Doubtful<Ticket>) => void
  /** How it stands with a NOTIFY that nothing is written of yet; null: nobody knows any more. */
  readonly delivery: (presentity: Uri, no: SubscriptionNo, cseq: number) => "under way" | "answered" | null
  /** Committed state of a presentity in memory. */
  readonly state: (presentity: Uri) => State | undefined
  readonly presentities: () => IterableIterator<Uri>
  /**
   * Issue time of the oldest NOTIFY whose final answer is missing or not yet committed with what follows from it; null
   * when there is none. O(presentities with such + undecided).
   */
  readonly oldestInFlight: () => Millis | null
  readonly counts: () => {
    readonly presentities: number
    readonly dialogs: number
    readonly undecided: number
  }
}

export interface Failed<Ticket> {
  /** Of what was decided in vain, in order. */
  readonly offers: readonly Offer<Ticket>[]
  readonly streams: readonly Uri[]
  /** What the store was asked to keep, and may have kept, or may still. */
  readonly doubtful: readonly Doubtful<Ticket>[]
}

/** A decision that was given up before anybody said whether it is stored. */
export interface Doubtful<Ticket> extends CommittedDecision {
  /** What was decided; not to be offered again when it is stored. Null: time passed. */
  readonly offer: Offer<Ticket> | null
  /** They have not left. */
  readonly notifications: readonly Notify[]
  /** Answers to NOTIFYs that it writes down. */
  readonly took: readonly Accepted[]
}

export type Offered<Ticket> =
  | { readonly _tag: "Missing"; readonly presentity: Uri }
  | { readonly _tag: "Held" }
  | { readonly _tag: "Released"; readonly release: Release<Ticket> }

/** One committed decision with the states around it, for projections. */
export interface CommittedDecision {
  readonly decision: Decision
  readonly before: State
  readonly after: State
}

export interface EngineOptions {
  readonly packages: Packages
  readonly limits: Limits
  readonly authorize: Authorize
  /** Whether this server looks after subscriptions with that sharing tag; absent: after all. */
  readonly isTagActive?: (tag: string) => boolean
  /** Whether the source that keeps rules for somebody has not been read yet; absent: it has, or there is none. */
  readonly isUnread?: IsUnread
  /** Answers to NOTIFYs are written down after so long when nothing else is decided meanwhile; absent: never. */
  readonly recordAfterMillis?: Millis
  /**
   * Told of a defect of ours; the presentity it happened on decides nothing more, all others go on. Without it a
   * defect is thrown.
   */
  readonly onDefect?: (presentity: Uri, command: string, defect: unknown) => void
}

interface Entry {
  committed: State
  provisional: State
  /** Decisions and held answers of this stream that are not committed. */
  undecided: number
  readonly inFlight: OutstandingNotifies
  /** NOTIFYs that were answered 2xx, not yet written down. */
  accepted: Accepted[]
  /** A decision on it failed for a fault of ours. */
  broken: boolean
}

interface Undecided<Ticket> {
  readonly entry: Entry
  readonly offer: Offer<Ticket> | null
  readonly decision: Decision | null
  readonly before: State
  readonly after: State
  readonly answer: Answer
  readonly notifications: readonly Notify[]
  /** Were this decision lost, NOTIFYs issued since then would have to be repeated; null when none. */
  readonly unsureSince: Millis | null
  /** Answers to NOTIFYs that it writes down. */
  readonly took: readonly Accepted[]
}

/** What is known of the NOTIFYs of a presentity that is to be loaded afresh: they have left, whatever the log says now. */
type Stranded = Pick<Entry, "inFlight" | "accepted">

export const makeEngine = <Ticket>(options: EngineOptions): Engine<Ticket> => {
  const { packages, limits, authorize, isTagActive, isUnread } = options
  const reaction = { packages, limits }
  /** What every decision looks at, whatever it is about. */
  const circumstances = {
    limits,
    packages,
    authorize,
    ...(isTagActive === undefined ? {} : { isTagActive }),
    ...(isUnread === undefined ? {} : { isUnread }),
  }
  const entries = new Map<Uri, Entry>()
  const dialogs = makeDialogs()
  const deadlines = makeDeadlines<Uri>()
  const withOutstanding = new Set<Entry>()
  /** Last committed state of streams that were forgotten in mid-life: whose dialogs are still in the index. */
  const evicted = new Map<Uri, State>()
  const stranded = new Map<Uri, Stranded>()
  let waiting: Undecided<Ticket>[] = []
  let out: Undecided<Ticket>[] | null = null
  /** Up to when deadlines were looked at, by the clock; before the first look, when nothing is known of it, after everything. */
  let advancedTo = Number.POSITIVE_INFINITY

  const decideOn = (
    entry: Entry,
    command: Command,
    offer: Offer<Ticket> | null,
    at: Millis,
    nonce: () => string,
    unsureSince: Millis | null = null,
  ): Undecided<Ticket> => {
    const before = entry.provisional
    const context: Context = {
      ...circumstances,
      now: at,
      nonce: nonce(),
      inFlight: (no) => entry.inFlight.has(no),
      findDialog: (key) => {
        const place = dialogs.find(key)
        return place?.presentity === before.presentity ? place.no : null
      },
    }
    const known = withProofs(entry, command, at)
    const { outcome, states: afterDecided } = consider(known, command, context)
    const { events: decided, answer } = outcome
    const took = decided.length === 0 || entry.accepted.length === 0 ? noAnswers : entry.accepted
    const told = withAnswers(entry, command, decided, at)
    const placed = placedAt(before, at, told)
    const { events } = placed
    if (events.length === 0) {
      const notifications = none
      return { entry, offer, decision: null, before, after: before, answer, notifications, unsureSince, took }
    }
    const decision: Decision = {
      stream: before.presentity,
      version: before.version + 1,
      at: placed.at,
      cause: command._tag,
      origin: offer?.origin ?? "",
      nonce: context.nonce,
      events,
    }
    const states = statesOf(before, at, events, decided, known, afterDecided)
    const after = closed(before, states.at(-1)!, decision)
    const notifications = react(before, events, after, at, reaction, states)
    entry.provisional = after
    for (const one of notifications) depart(entry, one, at)
    dialogs.follow(before, decision)
    const deadline = deadlineIn(events, after)
    if (deadline !== null) deadlines.arm(before.presentity, deadline)
    return { entry, offer, decision, before, after, answer, notifications, unsureSince, took }
  }

  /** The states after each event: what has been computed to decide is not computed again. */
  const statesOf = (
    before: State,
    at: Millis,
    events: readonly Event[],
    decided: readonly Event[],
    known: State,
    afterDecided: readonly State[],
  ): readonly State[] => {
    if (events === decided) return afterDecided
    // the answers that go along make of what was there what has been decided on
    if (events[0]?._tag === "NotificationsAccepted") return [known, ...afterDecided]
    return statesAfter(before, events, at)
  }

  /** What is decided on: an answer that is not written down yet has proven where NOTIFYs go all the same. */
  const withProofs = ({ provisional, accepted }: Entry, command: Command, at: Millis): State =>
    provisional.unproven === 0 || accepted.length === 0 || command._tag === "RecordDeliveries"
      ? provisional
      : evolve(provisional, acceptedEvent(accepted, at), at)

  /** What is known of NOTIFYs by now goes along with whatever is decided. */
  const withAnswers = (
    entry: Entry,
    command: Command,
    decided: readonly Event[],
    at: Millis,
  ): readonly Event[] => {
    if (decided.length === 0 || entry.accepted.length === 0) return decided
    const accepted = entry.accepted
    entry.accepted = []
    if (command._tag === "RecordDeliveries") return decided
    const known = acceptedEvent(accepted, at)
    const [first, ...rest] = decided
    return first?._tag === "ClockSetBack" ? [first, known, ...rest] : [known, ...decided]
  }

  const depart = (entry: Entry, { no, cseq }: Notify, at: Millis): void => {
    entry.inFlight.add(no, cseq, at)
    withOutstanding.add(entry)
  }

  /** @returns when the NOTIFY was issued */
  const arrive = (entry: Entry, { no, cseq }: Pick<Notify, "no" | "cseq">): Millis | null => {
    const at = entry.inFlight.settle(no, cseq)
    if (at !== null && entry.inFlight.isEmpty()) withOutstanding.delete(entry)
    return at
  }

  const accept = (entry: Entry, { no, cseq }: Accepted, at: Millis): void => {
    // what proves where NOTIFYs go is needed, whether or not answers are written down
    if (options.recordAfterMillis === undefined && entry.provisional.unproven === 0) return
    entry.accepted.push({ no, cseq, at })
    if (options.recordAfterMillis === undefined) return
    if (entry.accepted.length === 1) deadlines.arm(entry.committed.presentity, at + options.recordAfterMillis)
  }

  /** When what is known of NOTIFYs is written down, if nothing else is; null: there is nothing. */
  const recordAt = ({ accepted: [first] }: Entry): Millis | null =>
    first === undefined || options.recordAfterMillis === undefined
      ? null
      : first.at + options.recordAfterMillis

  const hold = (one: Undecided<Ticket>): void => {
    one.entry.undecided++
    waiting.push(one)
  }

  /** Times that a clock gave which stood ahead are moved back with it; of what has ended there are none. */
  const follow = (entry: Entry, now: Millis, nonce: () => string): void => {
    if (!isSetBack(entry.provisional, now) || isEmpty(entry.provisional)) return
    const last = lastClock(entry.provisional)
    const from = advancedTo === Number.POSITIVE_INFINITY ? last : Math.max(advancedTo, last)
    entry.inFlight.moveBack(now, from - now)
    hold(decideOn(entry, { _tag: "FollowClock", from }, null, now, nonce))
    deadlines.arm(entry.provisional.presentity, now)
  }

  /** Those that were decided on by a clock that stood ahead. */
  const followAll = (now: Millis, nonce: () => string): void => {
    for (const entry of entries.values()) {
      if (isSetBack(entry.provisional, now)) guarded(entry, "FollowClock", () => follow(entry, now, nonce))
    }
  }

  /** Everything overdue, each at its own deadline, so that it does not matter how often anybody looks. */
  const catchUp = (entry: Entry, now: Millis, nonce: () => string): void => {
    deadlines.disarm(entry.provisional.presentity)
    for (let passes = 0; ; passes++) {
      const own = nextDeadline(entry.provisional)
      const record = recordAt(entry)
      const isRecord = record !== null && (own === null || record < own)
      const deadline = isRecord ? record : own
      if (deadline === null) return
      if (deadline > now) {
        deadlines.arm(entry.provisional.presentity, deadline)
        return
      }
      invariant(passes < 100_000, "falling due comes to an end")
      const one = decideOn(
        entry,
        isRecord ? { _tag: "RecordDeliveries", accepted: entry.accepted } : { _tag: "FallDue" },
        null,
        Math.max(deadline, lastClock(entry.provisional)),
        nonce,
      )
      invariant(one.decision !== null, "what is overdue has consequences")
      hold(one)
    }
  }

  /** A defect stops one presentity, not the process: what was decided before it stands. */
  const guarded = <A>(entry: Entry, command: string, work: () => A): A | null => {
    if (entry.broken) return null
    try {
      return work()
    } catch (defect) {
      if (options.onDefect === undefined) throw defect
      entry.broken = true
      deadlines.disarm(entry.committed.presentity)
      options.onDefect(entry.committed.presentity, command, defect)
      return null
    }
  }

  /** An empty presentity needs no memory: all there is to know of it is its version, and the store has that. */
  const forget = (entry: Entry): void => {
    if (entry.undecided > 0 || !entry.inFlight.isEmpty() || !isEmpty(entry.committed)) return
    if (entry.accepted.length > 0) return
    deadlines.disarm(entry.committed.presentity)
    if (entries.get(entry.committed.presentity) === entry) entries.delete(entry.committed.presentity)
  }

  /** Takes back what one undecided decision did outside its state. */
  const undo = ({ entry, offer, notifications, unsureSince, took }: Undecided<Ticket>): void => {
    entry.undecided--
    for (const notification of notifications) arrive(entry, notification)
    if (took.length > 0) entry.accepted = [...took, ...entry.accepted]
    if (offer?.command._tag !== "ReportDelivery") return
    // it is offered again, with what it says
    const { no, cseq } = offer.command
    entry.accepted = entry.accepted.filter((one) => one.no !== no || one.cseq !== cseq)
    if (unsureSince === null) return
    entry.inFlight.add(no, cseq, unsureSince)
    withOutstanding.add(entry)
  }

  const evict = (entry: Entry): void => {
    const { presentity } = entry.committed
    dialogs.forget(entry.provisional)
    if (!isEmpty(entry.committed)) {
      // a committed dialog stays known, so that a request in it has the presentity loaded and is not refused
      dialogs.remember(entry.committed)
      evicted.set(presentity, entry.committed)
    }
    deadlines.disarm(presentity)
    withOutstanding.delete(entry)
    entries.delete(presentity)
    const { inFlight, accepted } = entry
    if (!inFlight.isEmpty() || accepted.length > 0) stranded.set(presentity, { inFlight, accepted })
  }

  const releaseOf = (one: Undecided<Ticket>): Release<Ticket> => ({
    ticket: one.offer?.ticket ?? null,
    at: lastClock(one.after),
    answer: one.answer,
    notifications: one.notifications,
  })

  return {
    offer: (offer, now, nonce) => {
      const presentity = presentityOf(offer, dialogs.find)
      if (presentity === null) {
        const answer: Answer = {
          _tag: "Rejected",
          rejection: { _tag: "CallDoesNotExist", status: 481 },
        }
        return { _tag: "Released", release: { ticket: offer.ticket, at: now, answer, notifications: none } }
      }
      const entry = entries.get(presentity)
      // of a NOTIFY of which nobody knows any more, or whose presentity was erased, nothing is written
      const isOfNobody = entry === undefined ? !stranded.has(presentity) : entry.provisional.version === 0
      if (isOfNobody && offer.command._tag === "ReportDelivery") {
        const { answer } = nothingHappened
        return { _tag: "Released", release: { ticket: offer.ticket, at: now, answer, notifications: none } }
      }
      if (entry === undefined) return { _tag: "Missing", presentity }
      const { command } = offer
      const one = guarded(entry, command._tag, () => {
        follow(entry, now, nonce)
        if (offer.amends !== true && deadlines.isDue(presentity, now)) catchUp(entry, now, nonce)
        // only now: what fell due before this outcome came was decided without it
        const unsureSince =
          command._tag === "ReportDelivery"
            ? arrive(entry, command)
            : command._tag === "Redeliver"
              ? command.since
              : command._tag === "RepeatFarewells"
                ? 0
                : null
        if (command._tag === "ReportDelivery" && command.outcome._tag === "Accepted")
          accept(entry, { no: command.no, cseq: command.cseq, at: now }, now)
        return decideOn(entry, command, offer, nowFor(entry.provisional, now), nonce, unsureSince)
      })
      if (one === null) {
        return {
          _tag: "Released",
          release: { ticket: offer.ticket, at: now, answer: ourFault, notifications: none },
        }
      }
      if (one.decision === null && entry.undecided === 0) {
        forget(entry)
        return { _tag: "Released", release: releaseOf(one) }
      }
      hold(one)
      return { _tag: "Held" }
    },
    load: (state) => {
      invariant(!entries.has(state.presentity), "a presentity is loaded once")
      // what the store does not know any more nobody asks about
      const left = state.version === 0 ? undefined : stranded.get(state.presentity)
      stranded.delete(state.presentity)
      const entry: Entry = {
        committed: state,
        provisional: state,
        undecided: 0,
        inFlight: left?.inFlight ?? makeFlights(),
        accepted: left?.accepted ?? [],
        broken: false,
      }
      entries.set(state.presentity, entry)
      if (!entry.inFlight.isEmpty()) withOutstanding.add(entry)
      const record = recordAt(entry)
      if (record !== null) deadlines.arm(state.presentity, record)
      const known = evicted.get(state.presentity)
      if (known !== undefined) {
        dialogs.forget(known)
        evicted.delete(state.presentity)
      }
      dialogs.remember(state)
      const deadline = nextDeadline(state)
      if (deadline !== null) deadlines.arm(state.presentity, deadline)
      // decided on by a clock that stood ahead: the next look sees to it
      if (isSetBack(state, advancedTo)) advancedTo = lastClock(state)
    },
    isLoaded: (presentity) => entries.has(presentity),
    unload: (presentity) => {
      const entry = entries.get(presentity)
      if (entry === undefined) return
      invariant(entry.undecided === 0, "only what is decided is taken out of memory")
      evict(entry)
    },
    advance: (now, nonce) => {
      if (now < advancedTo - slackMillis) followAll(now, nonce)
      advancedTo = now
      for (const presentity of deadlines.due(now)) {
        const entry = entries.get(presentity)
        if (entry !== undefined) guarded(entry, "FallDue", () => catchUp(entry, now, nonce))
      }
    },
    record: (now, nonce) => {
      for (const entry of entries.values()) {
        const { accepted } = entry
        if (accepted.length === 0) continue
        const command: Command = { _tag: "RecordDeliveries", accepted }
        guarded(entry, command._tag, () =>
          hold(decideOn(entry, command, null, nowFor(entry.provisional, now), nonce)),
        )
      }
    },
    seal: (decisionsMax) => {
      if (out !== null || waiting.length === 0) return null
      out = waiting.length <= decisionsMax ? waiting : waiting.slice(0, decisionsMax)
      waiting = waiting.length <= decisionsMax ? [] : waiting.slice(decisionsMax)
      const decisions: Decision[] = []
      const requesters: (Uri | null)[] = []
      for (const { decision, before, offer } of out) {
        if (decision === null) continue
        decisions.push(decision)
        requesters.push(offer === null ? null : requesterOf(before, offer.command, decision.events))
      }
      return { decisions, requesters }
    },
    committed: (conflicts) => {
      invariant(out !== null, "only a sealed batch is committed")
      const batch = out
      out = null
      const release: Release<Ticket>[] = []
      const stored: CommittedDecision[] = []
      const again: Offer<Ticket>[] = []
      const lost = new Set<Entry>()
      for (const one of batch) {
        if (conflicts.has(one.before.presentity)) {
          lost.add(one.entry)
          undo(one)
          if (one.offer !== null) again.push(one.offer)
          continue
        }
        one.entry.undecided--
        if (one.decision !== null) {
          one.entry.committed = one.after
          stored.push({ decision: one.decision, before: one.before, after: one.after })
        }
        release.push(releaseOf(one))
        forget(one.entry)
      }
      if (lost.size > 0) {
        const kept: Undecided<Ticket>[] = []
        for (const one of waiting) {
          if (!lost.has(one.entry)) {
            kept.push(one)
            continue
          }
          undo(one)
          if (one.offer !== null) again.push(one.offer)
        }
        waiting = kept
        for (const entry of lost) evict(entry)
      }
      return { release, stored, again }
    },
    failed: () => {
      const all = [...(out ?? []), ...waiting]
      const doubtful = (out ?? []).flatMap(({ decision, ...one }): Doubtful<Ticket>[] =>
        decision === null ? [] : [{ ...one, decision }],
      )
      out = null
      waiting = []
      const offers: Offer<Ticket>[] = []
      const touched = new Set<Entry>()
      for (const one of all) {
        touched.add(one.entry)
        undo(one)
        if (one.offer !== null) offers.push(one.offer)
      }
      for (const entry of touched) evict(entry)
      return { offers, streams: [...touched].map((entry) => entry.committed.presentity), doubtful }
    },
    leaveLate: ({ decision, offer, notifications, took }) => {
      const entry = entries.get(decision.stream)
      if (entry === undefined) return
      entry.accepted = entry.accepted.filter(
        (one) => !took.some(({ no, cseq }) => no === one.no && cseq === one.cseq),
      )
      if (offer?.command._tag === "ReportDelivery") arrive(entry, offer.command)
      for (const one of notifications) depart(entry, one, decision.at)
    },
    delivery: (presentity, no, cseq) => {
      const entry = entries.get(presentity)
      if (entry === undefined) return null
      if (entry.inFlight.holds(no, cseq)) return "under way"
      return entry.accepted.some((one) => one.no === no && one.cseq === cseq) ? "answered" : null
    },
    state: (presentity) => entries.get(presentity)?.committed,
    presentities: () => entries.keys(),
    oldestInFlight: () => {
      let oldest: Millis | null = null
      for (const entry of withOutstanding) {
        const at = entry.inFlight.oldest()
        if (at !== null && (oldest === null || at < oldest)) oldest = at
      }
      for (const { inFlight } of stranded.values()) {
        const at = inFlight.oldest()
        if (at !== null && (oldest === null || at < oldest)) oldest = at
      }
      for (const { unsureSince } of [...(out ?? []), ...waiting]) {
        if (unsureSince !== null && (oldest === null || unsureSince < oldest)) oldest = unsureSince
      }
      return oldest
    },
    counts: () => ({
      presentities: entries.size,
      dialogs: dialogs.size(),
      undecided: waiting.length + (out?.length ?? 0),
    }),
  }
}

const presentityOf = <Ticket>(
  offer: Offer<Ticket>,
  find: (key: DialogKey) => { readonly presentity: Uri } | null,
): Uri | null => {
  if (offer.presentity !== null) return offer.presentity
  return offer.command._tag === "Resubscribe" ? (find(offer.command.dialog)?.presentity ?? null) : null
}

const ourFault: Answer = {
  _tag: "Rejected",
  rejection: { _tag: "ServerInternalError", status: 500 },
}

const none: readonly Notify[] = []
const noAnswers: readonly Accepted[] = []
