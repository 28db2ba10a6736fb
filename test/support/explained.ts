/**
 * What the generator of a history knows of each change and each watcher: who was subscribed, how the hook treats him, which
 * NOTIFYs were under way, which left and what was in them. Held against the explanation that `why` gives from the log alone.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { changeIn } from "../../src/domain/history/changes.ts"
import { unansweredMillis } from "../../src/domain/history/ledger.ts"
import type { Place } from "../../src/domain/history/ledger.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import type { DecisionStep } from "../../src/domain/history/moments.ts"
import { makeInquiry } from "../../src/domain/history/why.ts"
import type { Case, Explanation } from "../../src/domain/history/why.ts"
import { clockOf } from "../../src/domain/presentity/clock.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { viewFor } from "../../src/domain/presentity/notify.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { PackageName, Uri } from "../../src/domain/vocabulary.ts"
import { packagesOf, reactionOf } from "./machine.ts"
import type { Moment as Truth, Run } from "./machine.ts"

export interface Told {
  readonly truth: Truth
  readonly moment: DecisionStep
}

/** The log of one presentity as a reader sees it, beside what really happened. */
export const tellings = (run: Run, presentity: Uri): readonly Told[] => {
  const decided = run.moments.filter(
    ({ events, before }) => events.length > 0 && before.presentity === presentity,
  )
  let state = initial(presentity)
  return run.log
    .filter(({ stream }) => stream === presentity)
    .map((decision, index) => {
      const moment = momentOf(
        state,
        { position: run.log.indexOf(decision) + 1, decision },
        reactionOf(run.world),
      )
      state = moment.after
      return { truth: decided[index]!, moment }
    })
}

export const watchersIn = (told: readonly Told[]): readonly Uri[] => [
  ...new Set(
    told.flatMap(({ moment }) =>
      moment.decision.events.flatMap((event) =>
        event._tag === "SubscriptionCreated" ? [event.watcher] : [],
      ),
    ),
  ),
]

export const packageNames: readonly PackageName[] = [
  "presence",
  "stub",
  "stub-all",
  "presence.winfo",
  "stub.winfo",
]

/** Every pair of a change and a watcher in a run, explained; `check` gets the answer and the truth. */
export const forEveryPair = (
  run: Run,
  check: (explanation: Explanation, told: readonly Told[], at: number, run: Run) => void,
): number => {
  let pairs = 0
  for (const presentity of run.states.keys()) {
    const told = tellings(run, presentity)
    const asOf = (told.at(-1)?.moment.decision.at ?? 0) + 100_000
    for (const packageName of packageNames) {
      for (const watcher of watchersIn(told)) {
        for (const [index, { moment, truth }] of told.entries()) {
          if (changeIn(moment, packageName, watcher, packagesOf(run.world)) === null) continue
          const inquiry = makeInquiry(
            { presentity, watcher, packageName, at: moment.decision.at, position: moment.position },
            { packages: packagesOf(run.world), limits: run.world.limits, authorize: truth.context.authorize },
          )
          let first: readonly Settled[] | null = null
          for (const one of told) {
            inquiry.take(one.moment)
            if (first !== null || !inquiry.isAnswered()) continue
            first = settled(inquiry.answer(asOf))
            const readTo = clockOf(one.moment.decision)
            for (const { told: place, outcome } of first)
              ok(place === null || outcome !== null || readTo - place.at > unansweredMillis, "outcome unread")
          }
          const explanation = inquiry.answer(asOf)
          // a reader stops when it is answered, and has to say the same as one that reads on, but for outcomes that were late
          for (const [number, { outcome, ...rest }] of settled(explanation).entries()) {
            if (first === null) break
            deepStrictEqual(
              { ...rest, outcome: first[number]!.outcome === null ? null : outcome },
              first[number],
            )
          }
          check(explanation, told, index, run)
          pairs += 1
        }
      }
    }
  }
  return pairs
}

/** What an explanation says of one subscription, but for its end, which comes later. */
interface Settled {
  readonly no: number | null
  readonly said: unknown
  readonly told: Place | null
  readonly outcome: string | null
}

/** Copied, for the parts of an explanation go on changing. */
const settled = ({ change, cases, absence }: Explanation): readonly Settled[] => {
  const entry = (no: number | undefined, said: unknown, sent: Case["sent"] | undefined): Settled =>
    structuredClone({
      no: no ?? null,
      said,
      told: sent?.place ?? null,
      outcome:
        sent?.answeredAt == null && sent?.failed == null
          ? null
          : JSON.stringify([sent.answeredAt, sent.failed]),
    })
  const before = (life: Case["life"]) =>
    life.sent.findLast(({ place }) => place.position < (change?.position ?? 0))
  return [
    ...cases.flatMap(({ life, finding, sequel, sent }) => [
      entry(life.no, [finding, sequel], sent),
      entry(life.no, "before", before(life)),
    ]),
    entry(absence?.last?.no, "before", absence?.last?.sent.at(-1)),
    entry(absence?.next?.no, null, absence?.next?.sent[0]),
  ]
}

const leftFor = (
  told: readonly Told[],
  no: number,
): readonly { readonly index: number; readonly notify: Notify }[] =>
  told.flatMap(({ truth }, index) =>
    truth.notifications.filter((notify) => notify.no === no).map((notify) => ({ index, notify })),
  )

/** Whether it has said since its last NOTIFY which document it has, and was believed. */
const knows = (told: readonly Told[], at: number, no: number): boolean =>
  told.some(
    ({ truth: { events } }, index) =>
      index <= at &&
      events.some((event) => event._tag === "NotificationsIssued" && event.suppressed.includes(no)),
  )

/** Whether the last NOTIFY showed something for the last time: publications that ended right then. */
const parted = (told: readonly Told[], left: ReturnType<typeof leftFor>, at: number): boolean => {
  const index = left.findLast((one) => one.index < at)?.index ?? 0
  return told[index]!.truth.events.some(({ _tag }) => _tag === "PublicationRemoved")
}

/**
 * A change that is held back is not told before its time; an end, an answer to a SUBSCRIBE, another treatment or a start may come
 * before. Its time is another one once a NOTIFY that was still under way is refused, and it has none any more when the watcher says
 * that it has the present document, or its own device has made it.
 */
const checkHeld = (heldUntil: number, no: number, packageName: PackageName, later: readonly Told[]): void => {
  let until: number | null = heldUntil
  for (const { truth } of later) {
    for (const event of truth.events) {
      if (event._tag === "NotificationsDeferred" && event.to.includes(no)) until = event.until
      if (event._tag !== "NotificationsIssued" || event.packageName !== packageName) continue
      if (event.suppressed.includes(no)) until = null
      if (event.to === "active" ? event.except.includes(no) : !event.to.includes(no)) continue
      ok(event.cause !== "change" || until === null || until <= truth.at, "held back, and told all the same")
      return
    }
    if (get(truth.after.subscriptions, no) === undefined) return
  }
}

/** What the generator knows of the finding for one subscription. */
const checkCase = (
  { life, finding, sequel, sent }: Case,
  { watcher, packageName }: Explanation,
  told: readonly Told[],
  at: number,
  run: Run,
): void => {
  const { truth } = told[at]!
  const { before, after, context, command, events } = truth
  const left = leftFor(told, life.no)
  const now = left.filter(({ index }) => index === at)
  const later = left.find(({ index }) => index > at)
  const one = get(after.subscriptions, life.no)
  const hook = context.authorize({ presentity: after.presentity, packageName, watcher, now: truth.at })
  deepStrictEqual(finding._tag === "Told" || (finding._tag === "Ended" && now.length > 0), now.length > 0)
  if (sent !== null && finding._tag === "Told") deepStrictEqual(sent.notify, now[0]?.notify)
  if (sequel?._tag === "Told") deepStrictEqual(sent?.notify, later?.notify)
  switch (finding._tag) {
    case "Told":
      break
    case "Ended": {
      deepStrictEqual(one, undefined)
      break
    }
    case "Pending":
      if (hook !== null) deepStrictEqual(finding.judgement.handling, hook)
      deepStrictEqual(one?.status, "pending")
      break
    case "PoliteBlock":
      deepStrictEqual(one?.polite, true)
      break
    case "Hidden":
    case "SameDocument": {
      ok(one !== undefined && one.status === "active")
      const eventPackage = packagesOf(run.world).find(packageName)
      const last = left.findLast(({ index }) => index < at)?.notify
      // not of watcher information, nor of what a device has seen by itself, nor of who has said what it knows
      const isPlain =
        eventPackage !== null &&
        eventPackage.watcherInfoOf === undefined &&
        !one.spared &&
        !knows(told, at, life.no)
      // and who has not taken the last one is owed an earlier change
      const is = isPlain && one.shown !== "" ? viewFor(after, one, eventPackage).body : null
      if (is !== null && last?.body != null && last.state === "active" && !parted(told, left, at))
        deepStrictEqual(last.body.text, is.text)
      break
    }
    case "Missed": {
      const failed = told.some(
        ({ truth: then }, index) =>
          index < at &&
          then.command._tag === "ReportDelivery" &&
          then.command.no === life.no &&
          then.command.outcome._tag !== "Accepted",
      )
      ok(failed, "it took what it was sent")
      break
    }
    case "OwnDevice":
      ok(command._tag === "Publish" && command.sender === get(after.dialogs, one?.dialog ?? 0)?.remoteTarget)
      break
    case "Asleep":
      deepStrictEqual(one?.dormant, true)
      break
    case "Backup":
      throw new Error("no history has tags")
    case "Paced":
    case "Retried":
      ok(finding.until > truth.at)
      checkHeld(finding.until, life.no, packageName, told.slice(at + 1))
      break
    case "UnderWay":
      ok(context.inFlight(life.no), "nothing was under way")
      break
  }
  const isHeld = finding._tag === "Paced" || finding._tag === "Retried" || finding._tag === "UnderWay"
  deepStrictEqual(sequel !== null, isHeld)
  if (sequel?._tag === "Ended") {
    const end = told.findIndex(
      ({ truth: { after: then } }, index) => index > at && get(then.subscriptions, life.no) === undefined,
    )
    deepStrictEqual(told[end]?.moment.position, sequel.ending.place.position)
  }
  if (sequel?._tag === "Open") {
    deepStrictEqual(later, undefined)
    ok(get(told.at(-1)!.truth.after.subscriptions, life.no) !== undefined)
  }
  ok(before.version < after.version && events.length > 0)
}

const checkAbsence = (
  { absence, watcher, packageName, change }: Explanation,
  told: readonly Told[],
  at: number,
): void => {
  ok(absence !== null && change !== null)
  const { after, before } = told[at]!.truth
  for (const state of [before, after]) {
    ok(
      ![...values(state.subscriptions)].some(
        (one) => one.watcher === watcher && one.packageName === packageName,
      ),
    )
  }
  const began = told.flatMap(({ truth: { events } }, index) =>
    events.flatMap((event) =>
      event._tag === "SubscriptionCreated" && event.watcher === watcher && event.packageName === packageName
        ? [{ index, no: event.no }]
        : [],
    ),
  )
  deepStrictEqual(absence.last?.no, began.findLast(({ index }) => index < at)?.no)
  deepStrictEqual(absence.next?.no, began.find(({ index }) => index > at)?.no)
  if (absence.last === null) return
  // it ended by the command that the generator gave, and of what that means
  const { ended } = absence.last
  ok(ended !== null)
  const { truth } = told.find(({ moment }) => moment.position === ended.place.position)!
  deepStrictEqual(ended.cause, truth.command._tag)
  switch (ended.because) {
    case "expired":
      return deepStrictEqual(truth.command._tag, "FallDue")
    case "unsubscribed":
      return ok(truth.command._tag === "Resubscribe" && truth.command.expires === 0)
    case "fetch":
      return ok(truth.command._tag === "Subscribe" && truth.command.expires === 0)
    case "failure":
      ok(truth.command._tag === "ReportDelivery" && truth.command.outcome._tag !== "Accepted")
      return deepStrictEqual(ended.failure?.cseq, truth.command.cseq)
    case "rules":
      return ok(truth.command._tag !== "ReportDelivery" && truth.command._tag !== "Terminate")
    case "undecided":
      return deepStrictEqual(truth.command._tag, "FallDue")
    case "erased":
      return deepStrictEqual(truth.command._tag, "Erase")
    case "operator":
      throw new Error("no history has an operator who ends subscriptions")
  }
}

/** Whether an explanation is the true one. @throws AssertionError: it is not */
export const check = (explanation: Explanation, told: readonly Told[], at: number, run: Run): void => {
  ok(explanation.change !== null, "no change")
  ok(explanation.cases.length > 0 || explanation.absence !== null, "no cause")
  for (const one of explanation.cases) checkCase(one, explanation, told, at, run)
  if (explanation.cases.length === 0) checkAbsence(explanation, told, at)
}
