/**
 * The log of one presentity as questions are asked of it: from the landmark before what is asked for on, so that no more
 * than a thousand decisions are folded for any instant.
 */
import { Effect } from "effect"
import { presentityIn } from "../../domain/history/at.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import { compare } from "../../domain/history/compare.ts"
import type { Difference } from "../../domain/history/compare.ts"
import { entryOf } from "../../domain/history/entries.ts"
import type { Entry } from "../../domain/history/entries.ts"
import { changeIn } from "../../domain/history/changes.ts"
import { makeLedger, unansweredMillis } from "../../domain/history/ledger.ts"
import type { Sent } from "../../domain/history/ledger.ts"
import { momentOf } from "../../domain/history/moments.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import { makeInquiry, treatmentIn } from "../../domain/history/why.ts"
import type { DecisionContext, Explanation, Question, Treatment } from "../../domain/history/why.ts"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { entries, values } from "../../domain/table.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import { decisionsPerRead, eachDecision } from "./each-decision.ts"
import { isAfter, untilOf } from "./until.ts"

export interface PageWish {
  /** Only decisions before this version; null: the newest. */
  readonly before: number | null
  /** Only those after this version, the oldest first; null: the newest. */
  readonly after: number | null
  readonly limit: number
  readonly since: Millis | null
  readonly until: Millis | null
  /** Kinds of events; null: all. */
  readonly types: ReadonlySet<string> | null
  readonly event: PackageName | null
}

export interface HistoryPage {
  /** Oldest first. */
  readonly entries: readonly Entry[]
  /** `before` of the page that comes before this one; null: there is none. */
  readonly next: number | null
}

export interface SeenWish {
  /** Only NOTIFYs of decisions before this version; null: the newest. */
  readonly before: number | null
  readonly event: PackageName | null
  readonly since: Millis | null
  readonly until: Millis | null
  /** The newest so many. */
  readonly limit: number
}

export interface HistoryReader {
  readonly page: (of: Uri, wish: PageWish) => Effect.Effect<HistoryPage, StoreUnavailable>
  readonly at: (of: Uri, at: Millis) => Effect.Effect<PresentityAt, StoreUnavailable>
  readonly diff: (
    of: Uri,
    before: Millis,
    after: Millis,
  ) => Effect.Effect<readonly Difference[], StoreUnavailable>
  /** Every NOTIFY that a watcher was sent, oldest first. */
  readonly seen: (
    of: Uri,
    watcher: Uri,
    wish: SeenWish,
  ) => Effect.Effect<{ readonly sent: readonly Sent[]; readonly next: number | null }, StoreUnavailable>
  readonly why: (question: Question) => Effect.Effect<Explanation, StoreUnavailable>
  /** The package that a watcher subscribed to last; else the one that was published last. */
  readonly packageFor: (of: Uri, watcher: Uri, at: Millis) => Effect.Effect<PackageName, StoreUnavailable>
}

type Store = Pick<EventStore["Service"], "history" | "historyBack" | "landmarkAt" | "landmarkBefore">

interface Meant {
  readonly watcher: Uri
  readonly packageName: PackageName
}

const nobody = (): boolean => false

const pageRows = decisionsPerRead

/** Decisions that one question looks through at most, back or on, besides those around what it is about. */
const lookMax = 20_000

export const makeHistoryReader = (
  store: Store,
  circumstances: DecisionContext,
  now: () => Millis,
): HistoryReader => {
  const { packages, limits } = circumstances

  /** Calls `each` with every decision, the states around it, and the NOTIFYs to those that `only` picks, until it says stop. */
  const walk = (
    from: State,
    only: ((one: Meant) => boolean) | null,
    each: (moment: DecisionStep) => "go on" | "stop",
  ): Effect.Effect<void, StoreUnavailable> => {
    const reaction = { packages, limits, ...(only === null ? {} : { only }) }
    let state = from
    return eachDecision(store, from.presentity, from.version, (recorded) => {
      const moment = momentOf(state, recorded, reaction)
      state = moment.after
      return each(moment)
    })
  }

  const landmarkAt = (of: Uri, at: Millis): Effect.Effect<State, StoreUnavailable> =>
    Effect.map(store.landmarkAt(of, at), (state) => state ?? initial(of))

  const landmarkBefore = (of: Uri, version: number): Effect.Effect<State, StoreUnavailable> =>
    Effect.map(store.landmarkBefore(of, version), (state) => state ?? initial(of))

  const stateAt = (of: Uri, at: Millis): Effect.Effect<State, StoreUnavailable> =>
    Effect.flatMap(Effect.all([landmarkAt(of, at), untilOf(store, of, at)]), ([from, until]) => {
      let state = from
      return Effect.map(
        eachDecision(store, of, from.version, ({ decision }) => {
          if (isAfter(decision, until)) return "stop"
          state = fold(state, decision)
          return "go on"
        }),
        () => state,
      )
    })

  const fits = (
    { decision }: RecordedDecision,
    { types, event: packageName, since, until }: PageWish,
  ): boolean =>
    // that NOTIFYs were answered is told with them, unless it is asked for
    (decision.cause !== "RecordDeliveries" || types !== null) &&
    clockOf(decision) >= (since ?? 0) &&
    clockOf(decision) <= (until ?? Number.POSITIVE_INFINITY) &&
    ((types === null && packageName === null) ||
      decision.events.some(
        (event) =>
          (types === null || types.has(event._tag)) &&
          (packageName === null || !("packageName" in event) || event.packageName === packageName),
      ))

  /** Versions from the newest down that fit, at most so many; and where to go on. */
  const versionsBack = Effect.fnUntraced(function* (of: Uri, wish: PageWish) {
    const found: number[] = []
    let before = wish.before ?? Number.MAX_SAFE_INTEGER
    for (let looked = 0; looked < lookMax; looked += pageRows) {
      const rows = yield* store.historyBack(of, before, pageRows)
      for (const recorded of rows) {
        before = recorded.decision.version
        if (wish.since !== null && recorded.decision.at < wish.since) return { found, next: null }
        if (!fits(recorded, wish)) continue
        found.push(before)
        if (found.length >= wish.limit) return { found, next: before > 1 ? before : null }
      }
      if (rows.length < pageRows) return { found, next: null }
    }
    return { found, next: before }
  })

  /** The same from a version on. */
  const versionsOn = Effect.fnUntraced(function* (of: Uri, after: number, wish: PageWish) {
    const found: number[] = []
    yield* eachDecision(store, of, after, (recorded) => {
      if (fits(recorded, wish)) found.unshift(recorded.decision.version)
      return found.length >= wish.limit || recorded.decision.version > after + lookMax ? "stop" : "go on"
    })
    return { found, next: null }
  })

  const page = Effect.fnUntraced(function* (of: Uri, wish: PageWish) {
    const { found, next } = yield* wish.after === null
      ? versionsBack(of, wish)
      : versionsOn(of, wish.after, wish)
    const [oldest, newest] = [found.at(-1), found[0]]
    if (oldest === undefined || newest === undefined) return { entries: [], next }
    const wanted = new Set(found)
    const entries: Entry[] = []
    yield* walk(yield* landmarkBefore(of, oldest - 1), null, (moment) => {
      const { version } = moment.decision
      if (wanted.has(version)) entries.push(entryOf(moment, circumstances))
      return version >= newest ? "stop" : "go on"
    })
    return { entries, next }
  })

  const seen = Effect.fnUntraced(function* (of: Uri, watcher: Uri, wish: SeenWish) {
    const matches = (one: Meant): boolean =>
      one.watcher === watcher && (wish.event === null || one.packageName === wish.event)
    const until = wish.until ?? Number.POSITIVE_INFINITY
    const { at: untilAt } = yield* untilOf(store, of, until)
    let found: readonly Sent[] = []
    let end = wish.before ?? Number.MAX_SAFE_INTEGER
    let from = yield* wish.until === null ? landmarkBefore(of, end - 1) : landmarkAt(of, until)
    for (let looked = 0; ; looked += pageRows) {
      const ledger = makeLedger(matches)
      const last = end
      let lastAt = from.decidedAt
      yield* walk(from, matches, (moment) => {
        const { version, at } = moment.decision
        if (version < last) lastAt = at
        // what became of the last ones is written down a little later
        const isSoon = at <= lastAt + unansweredMillis && version <= last + lookMax
        if (at > untilAt + unansweredMillis || (version > last + pageRows && !isSoon)) return "stop"
        ledger.take(moment)
        return "go on"
      })
      const sent = ledger
        .lives()
        .flatMap((life) => life.sent)
        .filter(({ place }) => place.version < last && place.at <= until && place.at >= (wish.since ?? 0))
        .sort((one, other) => one.place.version - other.place.version)
      found = [...sent, ...found]
      const isOver = from.version === 0 || (wish.since !== null && from.decidedAt < wish.since)
      if (found.length > wish.limit) {
        // those of one decision stay together
        const next = found.at(-wish.limit)?.place.version ?? 0
        return { sent: found.filter(({ place }) => place.version >= next), next }
      }
      if (isOver) return { sent: found, next: null }
      if (looked >= lookMax) return { sent: found, next: from.version + 1 }
      // those of the landmark's own decision are still to come
      end = from.version + 1
      from = yield* landmarkBefore(of, from.version - 1)
    }
  })

  /** The last change until then, or the one at the position asked for, and what was said of the watcher since. */
  const lastChange = Effect.fnUntraced(function* (question: Question) {
    const { presentity: of, watcher, packageName, at, position } = question
    let treatment: Treatment | null | undefined = undefined as Treatment | null | undefined
    let from = yield* landmarkAt(of, at)
    const until = yield* untilOf(store, of, at)
    for (let [end, looked] = [Number.MAX_SAFE_INTEGER, 0]; ; looked += pageRows) {
      const last = end
      let found: RecordedDecision | null = null as RecordedDecision | null
      let since: Treatment | null | undefined = undefined as Treatment | null | undefined
      let isPassed = false
      yield* walk(from, nobody, (moment) => {
        if (isAfter(moment.decision, until) || moment.decision.version > last) return "stop"
        if (position !== undefined && moment.position !== position) {
          isPassed ||= moment.position < position
          return moment.position > position ? "stop" : "go on"
        }
        if (changeIn(moment, packageName, watcher, packages) !== null) {
          found = moment
          since = undefined
        }
        const treated = treatmentIn(moment, packageName, watcher, circumstances)
        if (treated !== undefined) since = treated
        return position === undefined ? "go on" : "stop"
      })
      if (treatment === undefined) treatment = since
      const isOver = from.version === 0 || looked >= 10 * lookMax || isPassed || since !== undefined
      if (found !== null || (position === undefined ? from.version === 0 || looked >= 10 * lookMax : isOver))
        return { found, treatment: treatment ?? null }
      end = from.version
      from = yield* landmarkBefore(of, from.version - 1)
    }
  })

  /** The last subscription that began before a version, as far as it goes before that. */
  const lastLife = Effect.fnUntraced(function* (of: Uri, matches: (one: Meant) => boolean, version: number) {
    let before = version
    for (let looked = 0; looked < lookMax; looked += pageRows) {
      const rows = yield* store.historyBack(of, before, pageRows)
      for (const { decision } of rows) {
        before = decision.version
        const began = decision.events.findLast(
          (event) => event._tag === "SubscriptionCreated" && matches(event),
        )
        if (began?._tag !== "SubscriptionCreated") continue
        const { no } = began
        const ledger = makeLedger(matches)
        yield* walk(yield* landmarkBefore(of, no - 1), matches, (moment) => {
          if (moment.decision.version >= version) return "stop"
          ledger.take(moment)
          return ledger.lives().some((life) => life.no === no && life.ended !== null) ? "stop" : "go on"
        })
        return ledger.lives().find((life) => life.no === no) ?? null
      }
      if (rows.length < pageRows) break
    }
    return null
  })

  const why = Effect.fnUntraced(function* (question: Question) {
    const { presentity: of, watcher, packageName } = question
    const matches = (one: Meant): boolean => one.watcher === watcher && one.packageName === packageName
    const { found: change, treatment } = yield* lastChange(question)
    const inquiry = makeInquiry({ ...question, position: change?.position ?? 0 }, circumstances)
    if (change === null) return { ...inquiry.answer(now()), treatment }
    let looked = 0
    const { version } = change.decision
    yield* walk(yield* landmarkBefore(of, version - 1), matches, (moment) => {
      inquiry.take(moment)
      if (moment.decision.version > version) looked += 1
      return inquiry.isAnswered() || looked > lookMax ? "stop" : "go on"
    })
    // where the change itself says it, it is said
    const later = treatment !== null && treatment.position > change.position ? treatment : null
    const answer: Explanation = { ...inquiry.answer(now()), treatment: later }
    const { absence } = answer
    if (absence === null || absence.last !== null) return answer
    const last = yield* lastLife(of, matches, version)
    return { ...answer, absence: { ...absence, last } }
  })

  return {
    page,
    seen,
    why,
    at: (of, at) => Effect.map(stateAt(of, at), (state) => presentityIn(state, circumstances.packages, at)),
    diff: (of, before, after) =>
      Effect.gen(function* () {
        const was = presentityIn(yield* stateAt(of, before), circumstances.packages, before)
        const is = presentityIn(yield* stateAt(of, after), circumstances.packages, after)
        return compare(was, is)
      }),
    packageFor: (of, watcher, at) =>
      Effect.map(stateAt(of, at), (state) => {
        const own = [...values(state.subscriptions), ...values(state.waiting)]
          .filter((one) => one.watcher === watcher)
          .sort((one, other) => other.no - one.no)
        const published = [...entries(state.publications)]
          .map(([name, some]) => ({
            name,
            from: Math.max(...[...values(some)].map(({ bodyFrom }) => bodyFrom)),
          }))
          .sort((one, other) => other.from - one.from)
        return own[0]?.packageName ?? published[0]?.name ?? "presence"
      }),
  }
}
