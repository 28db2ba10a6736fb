/**
 * Finds the change that a question is about, and explains why a watcher was notified of it, or was not.
 */
import { Effect } from "effect"
import { changeIn } from "../../domain/history/changes.ts"
import { makeLedger } from "../../domain/history/ledger.ts"
import type { RecordedDecision } from "../../domain/history/moments.ts"
import { makeInquiry, treatmentIn } from "../../domain/history/why.ts"
import type { Explanation, Question, Treatment } from "../../domain/history/why.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { landmarkAt, landmarkBefore, lookMax, pageRows, walk } from "./decisions.ts"
import type { HistoryLog, SubscriptionName } from "./decisions.ts"
import { requesterIn } from "./requesters.ts"
import { isAfter, untilOf } from "./until.ts"

const nobody = (): boolean => false

/** The last change up to the instant, or the one at the given position, and the NOTIFYs to the watcher since. */
const lastChange = Effect.fnUntraced(function* (log: HistoryLog, question: Question) {
  const { store, circumstances } = log
  const { presentity, watcher, packageName, at, position } = question
  let treatment: Treatment | null | undefined = undefined as Treatment | null | undefined
  let from = yield* landmarkAt(store, presentity, at)
  const until = yield* untilOf(store, presentity, at)
  for (let [end, looked] = [Number.MAX_SAFE_INTEGER, 0]; ; looked += pageRows) {
    const last = end
    let found: RecordedDecision | null = null as RecordedDecision | null
    let since: Treatment | null | undefined = undefined as Treatment | null | undefined
    let isPassed = false
    yield* walk(log, from, nobody, (moment) => {
      if (isAfter(moment.decision, until) || moment.decision.version > last) return "stop"
      if (position !== undefined && moment.position !== position) {
        isPassed ||= moment.position < position
        return moment.position > position ? "stop" : "go on"
      }
      if (changeIn(moment, packageName, watcher, circumstances.packages) !== null) {
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
    from = yield* landmarkBefore(store, presentity, from.version - 1)
  }
})

/** The last subscription that began before a version, and its life up to that version. */
const lastLife = Effect.fnUntraced(function* (
  log: HistoryLog,
  presentity: Uri,
  matches: (subscription: SubscriptionName) => boolean,
  version: number,
) {
  const { store } = log
  let before = version
  for (let looked = 0; looked < lookMax; looked += pageRows) {
    const rows = yield* store.historyBack(presentity, before, pageRows)
    for (const { decision } of rows) {
      before = decision.version
      const began = decision.events.findLast(
        (event) => event._tag === "SubscriptionCreated" && matches(event),
      )
      if (began?._tag !== "SubscriptionCreated") continue
      const { no: id } = began
      const ledger = makeLedger(matches)
      yield* walk(log, yield* landmarkBefore(store, presentity, id - 1), matches, (moment) => {
        if (moment.decision.version >= version) return "stop"
        ledger.take(moment)
        return ledger.lives().some((life) => life.no === id && life.ended !== null) ? "stop" : "go on"
      })
      return ledger.lives().find((life) => life.no === id) ?? null
    }
    if (rows.length < pageRows) break
  }
  return null
})

/** Finds the change first, then walks on from the landmark before it until nothing later can change the answer. */
export const explainChange = Effect.fnUntraced(function* (log: HistoryLog, question: Question) {
  const { store, circumstances, now } = log
  const { presentity, watcher, packageName } = question
  const matches = (subscription: SubscriptionName): boolean =>
    subscription.watcher === watcher && subscription.packageName === packageName
  const { found: change, treatment } = yield* lastChange(log, question)
  const inquiry = makeInquiry({ ...question, position: change?.position ?? 0 }, circumstances)
  if (change === null) return { ...inquiry.answer(now()), treatment }
  let looked = 0
  const { version } = change.decision
  yield* walk(log, yield* landmarkBefore(store, presentity, version - 1), matches, (moment) => {
    inquiry.take(moment)
    if (moment.decision.version > version) looked += 1
    // the page that was read anyway may say how the subscriptions ended
    const isEnough = inquiry.isAnswered() && (inquiry.isOver() || looked >= pageRows)
    return isEnough || looked > lookMax ? "stop" : "go on"
  })
  // the change itself says it
  const later = treatment !== null && treatment.position > change.position ? treatment : null
  const explained = inquiry.answer(now())
  const requester = yield* requesterIn(store, presentity, explained.change?.requester ?? null)
  const answer: Explanation = {
    ...explained,
    change: explained.change === null ? null : { ...explained.change, requester },
    treatment: later,
  }
  const { absence } = answer
  // one that was met before it began may not be the last: another may have begun later, and been over, before reading began
  if (absence === null || (absence.last !== null && absence.last.began !== null)) return answer
  const last = yield* lastLife(log, presentity, matches, version)
  return { ...answer, absence: { ...absence, last: last ?? absence.last } }
})
