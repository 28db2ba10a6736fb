/**
 * Why a watcher was told of a change or not, against what the generator of the history knows: who was subscribed, how the
 * hook treats him, which NOTIFYs were under way, which left and what was in them.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { changeIn } from "../../src/domain/history/changes.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import type { DecisionStep } from "../../src/domain/history/moments.ts"
import { makeInquiry } from "../../src/domain/history/why.ts"
import type { Case, Explanation } from "../../src/domain/history/why.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { viewFor } from "../../src/domain/presentity/notify.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { PackageName, Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import { parameters, play } from "../support/history.ts"
import { packagesOf, reactionOf, worlds } from "../support/machine.ts"
import type { Moment as Truth, Run } from "../support/machine.ts"
import { anyRuledSteps, playRuled, ruledWorlds } from "../support/ruled-history.ts"

interface Told {
  readonly truth: Truth
  readonly moment: DecisionStep
}

/** The log of one presentity as a reader sees it, beside what really happened. */
const tellings = (run: Run, presentity: Uri): readonly Told[] => {
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

const watchersIn = (told: readonly Told[]): readonly Uri[] => [
  ...new Set(
    told.flatMap(({ moment }) =>
      moment.decision.events.flatMap((event) =>
        event._tag === "SubscriptionCreated" ? [event.watcher] : [],
      ),
    ),
  ),
]

const packageNames: readonly PackageName[] = ["presence", "stub", "stub-all", "presence.winfo", "stub.winfo"]

/** Every pair of a change and a watcher in a run, explained; `check` gets the answer and the truth. */
const forEveryPair = (
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
          for (const one of told) inquiry.take(one.moment)
          check(inquiry.answer(asOf), told, index, run)
          pairs += 1
        }
      }
    }
  }
  return pairs
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
      // nothing but an end, an answer to a SUBSCRIBE, another treatment or a start comes before
      for (const { index, notify } of left) {
        const next = told[index]!.truth
        if (index <= at || next.at >= finding.until || notify.state === "terminated") continue
        const cause = next.events.find(
          (event) =>
            event._tag === "NotificationsIssued" && (event.to === "active" || event.to.includes(life.no)),
        )
        ok(
          cause?._tag === "NotificationsIssued" && cause.cause !== "change",
          "held back, and told all the same",
        )
        break
      }
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

const check = (explanation: Explanation, told: readonly Told[], at: number, run: Run): void => {
  ok(explanation.change !== null, "no change")
  ok(explanation.cases.length > 0 || explanation.absence !== null, "no cause")
  for (const one of explanation.cases) checkCase(one, explanation, told, at, run)
  if (explanation.cases.length === 0) checkAbsence(explanation, told, at)
}

/** Of everything that was said of a watcher's subscriptions, whether it is shown anything after the last of it. */
const lastWord = (
  told: readonly Told[],
  watcher: Uri,
  packageName: PackageName,
): { readonly index: number; readonly isShown: boolean } | null => {
  const isOwn = (one: { readonly watcher: Uri; readonly packageName: PackageName }): boolean =>
    one.watcher === watcher && one.packageName === packageName
  const isSeeing = (one: { readonly status: string; readonly polite: boolean }): boolean =>
    one.status === "active" && !one.polite
  const index = told.findLastIndex(({ truth: { before, after, events } }) =>
    events.some((event) => {
      if (
        event._tag !== "SubscriptionCreated" &&
        event._tag !== "SubscriptionStatusChanged" &&
        event._tag !== "SubscriptionTerminated"
      )
        return false
      const one = get(after.subscriptions, event.no) ?? get(before.subscriptions, event.no)
      const whose = event._tag === "SubscriptionCreated" ? event : one
      // those that are left are treated as before
      const isOnlyLess =
        event._tag === "SubscriptionTerminated" &&
        [...values(after.subscriptions)].some(isOwn) &&
        ![...values(before.subscriptions)].some((other) => isOwn(other) && isSeeing(other))
      if (isOnlyLess) return false
      return whose?.watcher === watcher && whose.packageName === packageName
    }),
  )
  if (index < 0) return null
  const { after, before, events } = told[index]!.truth
  const own = [...values(after.subscriptions)].filter(
    (one) => one.watcher === watcher && one.packageName === packageName,
  )
  // one that asked once was told how it is treated, and was over
  const asked = events.findLast(
    (event) =>
      event._tag === "SubscriptionCreated" &&
      event.watcher === watcher &&
      event.packageName === packageName &&
      get(after.subscriptions, event.no) === undefined,
  )
  const isOver = events.some(
    (event) =>
      event._tag === "SubscriptionTerminated" &&
      event.reason === "timeout" &&
      get(before.subscriptions, event.no)?.watcher === watcher &&
      get(before.subscriptions, event.no)?.packageName === packageName,
  )
  const isShownOnce = asked?._tag === "SubscriptionCreated" && asked.status === "active" && !asked.polite
  return {
    index,
    isShown:
      own.some(({ status, polite }) => status === "active" && !polite) ||
      (own.length === 0 && (asked === undefined ? isOver : isShownOnce)),
  }
}

describe("why", () => {
  it(
    "who was ended, is undecided or is politely blocked since the last change, or without one, is told so",
    { tags: ["A3"] },
    () => {
      const seen = { Ended: 0, Pending: 0, PoliteBlock: 0, shown: 0 }
      for (const of of ruledWorlds) {
        fc.assert(
          fc.property(anyRuledSteps({ watched: true }), (steps) => {
            const run = playRuled(of, steps)
            for (const presentity of run.states.keys()) {
              const told = tellings(run, presentity)
              const asOf = (told.at(-1)?.moment.decision.at ?? 0) + 100_000
              for (const packageName of packageNames) {
                for (const watcher of watchersIn(told)) {
                  const { authorize } = told.at(-1)!.truth.context
                  const inquiry = makeInquiry(
                    { presentity, watcher, packageName, at: asOf },
                    { packages: packagesOf(run.world), limits: run.world.limits, authorize },
                  )
                  for (const one of told) inquiry.take(one.moment)
                  const { change, treatment } = inquiry.answer(asOf)
                  const word = lastWord(told, watcher, packageName)
                  const place = word === null ? 0 : told[word.index]!.moment.position
                  if (word === null || word.isShown || place <= (change?.position ?? 0)) {
                    deepStrictEqual(treatment, null)
                    seen.shown++
                    continue
                  }
                  ok(treatment !== null, `${watcher} ${packageName}`)
                  deepStrictEqual(treatment.position, place)
                  seen[treatment._tag]++
                  const { after, events } = told[word.index]!.truth
                  const made = events.find(
                    (event) => event._tag === "SubscriptionCreated" && event.no === treatment.life.no,
                  )
                  const one =
                    get(after.subscriptions, treatment.life.no) ??
                    (made?._tag === "SubscriptionCreated" ? made : undefined)
                  if (treatment._tag === "Ended") {
                    deepStrictEqual(one, undefined)
                    const ended = events.find(
                      (event) => event._tag === "SubscriptionTerminated" && event.no === treatment.life.no,
                    )
                    ok(ended?._tag === "SubscriptionTerminated" && ended.reason !== "timeout")
                    deepStrictEqual(treatment.ending.reason, ended.reason)
                  } else
                    deepStrictEqual(
                      [one?.status, one?.polite],
                      [treatment._tag === "Pending" ? "pending" : "active", treatment._tag === "PoliteBlock"],
                    )
                }
              }
            }
          }),
          parameters<[Parameters<typeof playRuled>[1]]>(2),
        )
      }
      for (const [what, count] of Object.entries(seen)) ok(count > 0, `${what}: ${count}`)
    },
  )

  const seen = new Map<string, number>()
  const count = (explanation: Explanation): void => {
    for (const { finding, sequel } of explanation.cases) {
      const key = sequel === null ? finding._tag : `${finding._tag} ${sequel._tag}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
    if (explanation.absence !== null) {
      const key = `Absent ${explanation.absence.last?.ended?.because ?? "never"}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
  }

  it("every pair of a change and a watcher has a cause, and it is the true one", { tags: ["A3"] }, () => {
    let pairs = 0
    for (const of of worlds) {
      fc.assert(
        fc.property(anySteps, (steps) => {
          pairs += forEveryPair(play(of, steps), (explanation, told, at, run) => {
            count(explanation)
            check(explanation, told, at, run)
          })
        }),
        parameters<[Parameters<typeof play>[1]]>(3),
      )
    }
    for (const of of ruledWorlds) {
      fc.assert(
        fc.property(anyRuledSteps({ watched: true }), (steps) => {
          pairs += forEveryPair(playRuled(of, steps), (explanation, told, at, run) => {
            count(explanation)
            check(explanation, told, at, run)
          })
        }),
        parameters<[Parameters<typeof playRuled>[1]]>(3),
      )
    }
    // those without any subscription are too easy
    ok(pairs - (seen.get("Absent never") ?? 0) >= 10_000, `only ${pairs} pairs`)
    const findings = [
      "Told",
      "Ended",
      "Pending",
      "PoliteBlock",
      "Hidden",
      "SameDocument",
      "OwnDevice",
      "Asleep",
    ]
    const held = ["Paced", "Retried", "UnderWay"].flatMap((one) => [`${one} Told`, `${one} Open`])
    const ends = ["expired", "unsubscribed", "fetch", "failure", "rules", "erased", "undecided"]
    for (const key of [...findings, ...held, ...ends.map((one) => `Absent ${one}`)]) ok(seen.has(key), key)
  })
})
