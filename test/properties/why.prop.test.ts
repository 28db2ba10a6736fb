/**
 * Why a watcher was told of a change or not, against what the generator of the history knows: who was subscribed, how the
 * hook treats him, which NOTIFYs were under way, which left and what was in them.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { makeInquiry } from "../../src/domain/history/why.ts"
import type { Explanation } from "../../src/domain/history/why.ts"
import { get, values } from "../../src/domain/table.ts"
import type { PackageName, Rates, Uri } from "../../src/domain/vocabulary.ts"
import type { Step } from "../support/arbitraries.ts"
import { check, forEveryPair, packageNames, tellings, watchersIn } from "../support/explained.ts"
import type { Told } from "../support/explained.ts"
import { forEveryHistory, play } from "../support/history.ts"
import { packagesOf, worlds } from "../support/machine.ts"
import type { Run } from "../support/machine.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

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
      forEveryRuledHistory(
        (run) => {
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
        },
        2,
        { watched: true },
      )
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
    const holds = (run: Run): void => {
      pairs += forEveryPair(run, (explanation, told, at) => {
        count(explanation)
        check(explanation, told, at, run)
      })
    }
    forEveryHistory(holds, 3)
    forEveryRuledHistory(holds, 3, { watched: true })
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

  // ── what is held back ──

  const subscribes = (watcher: number, rates: Rates | null = null): Step => ({
    _tag: "Subscribe",
    presentity: 0,
    packageName: "stub",
    watcher,
    device: 0,
    eventId: null,
    expires: 3600,
    accept: null,
    routes: 0,
    rates,
    suppresses: false,
    forceActive: false,
  })
  const publishes = (content: number, expires = 3600): Step => ({
    _tag: "Publish",
    presentity: 0,
    packageName: "stub",
    names: "nothing",
    which: 0,
    body: "good",
    content,
    expires,
    sender: null,
  })
  const refuses = (which: number, retryAfter: number | null): Step => ({
    _tag: "Report",
    which,
    outcome: { _tag: "Refused", status: 503, retryAfter },
  })
  const has: Step = {
    _tag: "Resubscribe",
    names: "live",
    which: 0,
    further: null,
    cseq: "next",
    expires: 3600,
    device: null,
    rates: null,
    condition: "last",
    impostor: false,
  }
  const arrive: Step = { _tag: "Arrive" }
  const again: Step = { _tag: "Redeliver", presentity: 0, ago: 60_000 }
  const pass = (by: number): Step => ({ _tag: "Advance", by })

  it.each<readonly [what: string, steps: readonly Step[], sequel: string]>([
    [
      "the watcher says that it has the document that it refused",
      [subscribes(0), arrive, publishes(0), refuses(0, 30), publishes(1, 5), pass(5000), has, publishes(2)],
      "Retried TakenBack",
    ],
    [
      "the NOTIFY after the one that it refused comes back sooner",
      [subscribes(0), arrive, publishes(0), again, refuses(0, 30), publishes(1), refuses(0, 1), pass(5000)],
      "Retried Told",
    ],
    [
      "its minimum rate asks for it as others are told of a change",
      [
        subscribes(0),
        subscribes(1),
        subscribes(2, { max: null, min: 0.2, adaptiveMin: null }),
        arrive,
        publishes(0, 5),
        refuses(2, 30),
        arrive,
        publishes(1),
        arrive,
        pass(5000),
      ],
      "Retried Told",
    ],
  ])("a change that is held back may be told before its time: %s", { tags: ["A3"] }, (_, steps, sequel) => {
    for (const world of worlds) {
      const found = new Set<string>()
      forEveryPair(play(world, steps), (explanation, told, at, run) => {
        check(explanation, told, at, run)
        for (const { finding, sequel: then } of explanation.cases)
          found.add(`${finding._tag} ${then?._tag ?? ""}`)
      })
      ok(found.has(sequel), [...found].join())
    }
  })
})
