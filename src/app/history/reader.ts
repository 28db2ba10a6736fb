/**
 * Questions about the history of one presentity, answered from its log.
 */
import { Effect } from "effect"
import { presentityIn } from "../../domain/history/at.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import { compare } from "../../domain/history/compare.ts"
import type { Difference } from "../../domain/history/compare.ts"
import type { DecisionContext } from "../../domain/history/findings.ts"
import type { Sent } from "../../domain/history/ledger.ts"
import type { Explanation, Question } from "../../domain/history/why.ts"
import type { State } from "../../domain/presentity/state.ts"
import { entries, values } from "../../domain/table.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"
import { stateAt } from "./decisions.ts"
import type { HistoryLog, HistoryStore } from "./decisions.ts"
import { explainChange } from "./explain-change.ts"
import { historyPage } from "./page.ts"
import type { HistoryPage, PageWish } from "./page.ts"
import { sentTo } from "./sent.ts"
import type { SeenWish } from "./sent.ts"

export interface HistoryReader {
  readonly page: (presentity: Uri, wish: PageWish) => Effect.Effect<HistoryPage, StoreUnavailable>
  readonly at: (presentity: Uri, at: Millis) => Effect.Effect<PresentityAt, StoreUnavailable>
  readonly diff: (
    presentity: Uri,
    before: Millis,
    after: Millis,
  ) => Effect.Effect<readonly Difference[], StoreUnavailable>
  /** Every NOTIFY sent to a watcher, oldest first. */
  readonly seen: (
    presentity: Uri,
    watcher: Uri,
    wish: SeenWish,
  ) => Effect.Effect<{ readonly sent: readonly Sent[]; readonly next: number | null }, StoreUnavailable>
  readonly why: (question: Question) => Effect.Effect<Explanation, StoreUnavailable>
  /** The package that the watcher subscribed to last, or else the one published last. */
  readonly packageFor: (
    presentity: Uri,
    watcher: Uri,
    at: Millis,
  ) => Effect.Effect<PackageName, StoreUnavailable>
}

export const makeHistoryReader = (
  store: HistoryStore,
  circumstances: DecisionContext,
  now: () => Millis,
): HistoryReader => {
  const log: HistoryLog = { store, circumstances, now }
  const { packages } = circumstances
  return {
    page: (presentity, wish) => historyPage(log, presentity, wish),
    seen: (presentity, watcher, wish) => sentTo(log, presentity, watcher, wish),
    why: (question) => explainChange(log, question),
    at: (presentity, at) =>
      Effect.map(stateAt(store, presentity, at), (state) => presentityIn(state, packages, at)),
    diff: (presentity, before, after) =>
      Effect.gen(function* () {
        const stateThen = presentityIn(yield* stateAt(store, presentity, before), packages, before)
        const stateNow = presentityIn(yield* stateAt(store, presentity, after), packages, after)
        return compare(stateThen, stateNow)
      }),
    packageFor: (presentity, watcher, at) =>
      Effect.map(stateAt(store, presentity, at), (state) => packageAsked(state, watcher)),
  }
}

/** The package that the watcher subscribed to last, or else the one published last. */
const packageAsked = (state: State, watcher: Uri): PackageName => {
  const [newest] = [...values(state.subscriptions), ...values(state.waiting)]
    .filter((subscription) => subscription.watcher === watcher)
    .sort((a, b) => b.no - a.no)
  const [published] = [...entries(state.publications)]
    .map(([name, publications]) => ({
      name,
      from: Math.max(...[...values(publications)].map(({ bodyFrom }) => bodyFrom)),
    }))
    .sort((a, b) => b.from - a.from)
  return newest?.packageName ?? published?.name ?? "presence"
}
