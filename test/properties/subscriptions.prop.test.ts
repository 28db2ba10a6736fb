/**
 * Laws of subscriptions and dialogs, over arbitrary histories.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { decide } from "../../src/domain/presentity/decide.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State, Subscription } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anyExpires, anySteps } from "../support/arbitraries.ts"
import { alice, publish, subscribe } from "../support/builders.ts"
import { contextAt } from "../support/given.ts"
import { forEveryHistory, onEngine, parameters, play } from "../support/history.ts"
import { worlds } from "../support/machine.ts"
import type { Input, Moment, Run } from "../support/machine.ts"
import { text } from "../support/stub-package.ts"

const isSubscribe = ({ command }: Moment): boolean =>
  command._tag === "Subscribe" || command._tag === "Resubscribe"

const accepted = (one: Moment): boolean => one.answer._tag === "Accepted"

const subscriptionsOf = (state: State): readonly Subscription[] =>
  [...values(state.subscriptions)].sort((one, other) => one.no - other.no)

/** `presentity no`, for maps. */
const place = (presentity: Uri, no: number): string => `${presentity} ${no}`

/** The subscription that an accepted SUBSCRIBE was about. */
const subjectOf = (one: Moment): number => {
  for (const event of one.events) {
    if (event._tag === "SubscriptionCreated" || event._tag === "SubscriptionRefreshed") return event.no
  }
  for (const event of one.events) if (event._tag === "SubscriptionTerminated") return event.no
  throw new Error("accepted without consequence")
}

describe("SUBSCRIBE", () => {
  it(
    "every accepted one causes exactly one NOTIFY, in its dialog, of the resulting state",
    { tags: ["L06"] },
    () => {
      forEveryHistory((run) => {
        for (const one of run.moments) {
          if (!isSubscribe(one) || !accepted(one)) continue
          const no = subjectOf(one)
          const left = get(one.after.subscriptions, no)
          // 5839-6.3-a, 5839-5.7-a: unless the watcher has it already
          if (
            one.answer._tag === "Accepted" &&
            one.answer.reply._tag === "Subscribed" &&
            one.answer.reply.status === 204
          ) {
            deepStrictEqual(
              one.notifications.filter((other) => other.no === no),
              [],
            )
            ok(one.command._tag === "Resubscribe" && one.command.suppressIfMatch !== undefined)
            continue
          }
          // whoever watches the watchers may be told of it too
          const sent = one.notifications.filter((other) => other.no === no)
          deepStrictEqual(
            sent.map(({ state, reason }) => [no, state, reason]),
            [[no, left?.status ?? "terminated", left === undefined ? "timeout" : null]],
          )
          const { answer } = one
          const granted =
            answer._tag === "Accepted" && answer.reply._tag === "Subscribed" ? answer.reply.expires : null
          deepStrictEqual(sent[0]?.expires, granted === 0 ? null : granted)
        }
      })
    },
  )

  it("a refused one leaves no trace, then or later", { tags: ["L07"] }, () => {
    forEveryHistory((run) => {
      const refused = new Set<string>()
      for (const one of run.moments) {
        if (one.command._tag === "Subscribe" && one.answer._tag === "Rejected") {
          refused.add(one.command.dialog.callId)
          deepStrictEqual(one.after === one.before, true)
        }
        for (const { dialog } of one.notifications)
          ok(!refused.has(dialog.callId), "a NOTIFY after a refusal")
      }
    })
  })

  it(
    "the success code is a function of profile and state only",
    { tags: ["3265-3.1.6.1-d", "6665-8.3.1-a"] },
    () => {
      forEveryHistory((run) => {
        for (const { answer, notifications, events } of run.moments) {
          if (answer._tag !== "Accepted" || answer.reply._tag !== "Subscribed") continue
          if (answer.reply.status === 204) continue
          const undecided =
            notifications[0]?.state === "pending" ||
            events.some((event) => "status" in event && event.status === "pending") ||
            (notifications[0]?.state === "terminated" && answer.reply.status === 202)
          deepStrictEqual(answer.reply.status, undecided && run.world.limits.profile === "3265" ? 202 : 200)
        }
      })
    },
  )

  it(
    "after the end of a subscription no NOTIFY is sent in it, and its closed dialog answers 481",
    { tags: ["L08"] },
    () => {
      forEveryHistory((run) => {
        const over = new Set<string>()
        for (const one of run.moments) {
          const { presentity } = one.before
          for (const { no, state } of one.notifications) {
            ok(!over.has(place(presentity, no)), `a NOTIFY after the end of ${no}`)
            if (state === "terminated") over.add(place(presentity, no))
          }
          for (const event of one.events) {
            if (event._tag === "SubscriptionTerminated") over.add(place(presentity, event.no))
          }
          for (const { no } of subscriptionsOf(one.after))
            ok(!over.has(place(presentity, no)), `${no} is back`)
          if (one.command._tag === "Resubscribe" && one.context.findDialog(one.command.dialog) === null) {
            deepStrictEqual(one.answer, {
              _tag: "Rejected",
              rejection: { _tag: "CallDoesNotExist", status: 481 },
            })
          }
        }
      })
    },
  )
})

describe("time", () => {
  it("what has a deadline lives until just before it and ends exactly then", { tags: ["L09"] }, () => {
    forEveryHistory((run) => {
      const { expiresOffset } = run.world.limits
      for (const { at, before, command, events, after, answer } of run.moments) {
        const publications = [...values(before.publications)].flatMap((table) => [...values(table)])
        const mortal = [...publications, ...values(before.subscriptions)]
        if (command._tag !== "FallDue") {
          for (const one of mortal) ok(one.expiresAt > at, "something overdue is still there")
        }
        for (const event of events) {
          if (event._tag === "PublicationRemoved" && event.cause === "expired") {
            const one = publications.find(({ entityTag }) => entityTag === event.entityTag)
            deepStrictEqual([command._tag, one?.expiresAt], ["FallDue", at])
          }
          if (event._tag === "SubscriptionTerminated" && command._tag === "FallDue") {
            deepStrictEqual(get(before.subscriptions, event.no)?.expiresAt, at)
          }
          // 3265-3.1.1-c: the deadline is that of the answer, and of nothing else
          if (answer._tag === "Accepted" && answer.reply._tag !== "Done" && "expiresAt" in event) {
            const { reply } = answer
            const announced = reply.expires * 1000
            if (reply._tag === "Subscribed" && reply.expires > 0) {
              deepStrictEqual(event.expiresAt, at + announced + expiresOffset * 1000)
            } else if (reply._tag === "Published") {
              ok(
                event.expiresAt - at - announced <= expiresOffset * 1000 && event.expiresAt - at >= announced,
              )
            }
          }
        }
        if (command._tag === "FallDue") {
          for (const one of values(after.subscriptions)) ok(one.expiresAt > at && (one.dueAt ?? at + 1) > at)
          for (const table of values(after.publications))
            for (const one of values(table)) ok(one.expiresAt > at)
        }
      }
    })
  })

  it("how time is cut into steps shows nowhere, nor does looking in vain", { tags: ["L10"] }, () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 })
    for (const world of worlds) {
      fc.assert(
        fc.property(anySteps, cuts, (steps, fractions) => {
          const run = play(world, steps)
          const whole = onEngine(world, run.inputs)
          const fine = onEngine(world, cutUp(run.inputs, fractions), 2)
          const lazy = onEngine(world, onlyAtTheEnd(run))
          for (const presentity of run.states.keys()) {
            for (const other of [fine, lazy]) {
              deepStrictEqual(
                other.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
                whole.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
              )
              const mine = (one: { readonly presentity: Uri }): boolean => one.presentity === presentity
              deepStrictEqual(other.notifications.filter(mine), whole.notifications.filter(mine))
            }
          }
        }),
        parameters(),
      )
    }
  })

  const essence = ({ version, at, cause, events }: Decision) => ({ version, at, cause, events })

  /** Each step of time in several, with looks in between at what is not due yet. */
  const cutUp = (inputs: readonly Input[], fractions: readonly number[]): readonly Input[] => {
    let from: number | null = null
    return inputs.flatMap((input): readonly Input[] => {
      if (input._tag !== "Advance") {
        if (input._tag === "Ask") from = input.at
        return input._tag === "Ask" ? [{ _tag: "Advance", to: input.at }, input] : [input]
      }
      const start: number = from ?? input.to
      from = input.to
      const stops = fractions.map((one) => Math.floor(start + (input.to - start) * one))
      return [...stops.sort((one, other) => one - other), input.to, input.to].map((to) => ({
        _tag: "Advance",
        to,
      }))
    })
  }

  /** Nobody looks at the clock: requests alone bring out what has fallen due before them. */
  const onlyAtTheEnd = (run: Run): readonly Input[] => [
    ...run.inputs.filter(({ _tag }) => _tag !== "Advance"),
    { _tag: "Advance", to: run.now },
  ]

  it(
    "what is granted is never more than asked or allowed, grows with the wish, and is granted again",
    { tags: ["L11"] },
    () => {
      const anyLimits = fc.record({
        maxExpiresSubscribe: fc.constantFrom(1, 60, 3600, 86_400),
        maxExpiresPublish: fc.constantFrom(1, 60, 3600, 86_400),
        expiresOffset: fc.constantFrom(0, 1, 30),
      })
      fc.assert(
        fc.property(anyExpires, anyExpires, anyLimits, (one, other, limits) => {
          const context = contextAt(initial(alice), 0, { limits })
          const state = initial(alice)
          const subscribeFor = (expires: number | null): number => {
            const { answer } = decide(state, subscribe({ expires }), context)
            return answer._tag === "Accepted" && answer.reply._tag === "Subscribed"
              ? answer.reply.expires
              : -1
          }
          const publishFor = (expires: number | null): number => {
            const { answer } = decide(state, publish({ expires, body: text("a") }), context)
            return answer._tag === "Accepted" && answer.reply._tag === "Published" ? answer.reply.expires : -1
          }
          for (const [grant, max] of [
            [subscribeFor, limits.maxExpiresSubscribe],
            [publishFor, limits.maxExpiresPublish],
          ] as const) {
            const granted = grant(one)
            ok(granted <= (one ?? 3600) && granted <= max && granted >= 0)
            ok(granted > 0 || one === 0)
            const [less, more] = [one ?? 3600, other ?? 3600].sort((a, b) => a - b) as [number, number]
            ok(grant(less) <= grant(more))
            if (grant === subscribeFor) deepStrictEqual(grant(granted), granted)
          }
        }),
        parameters(5),
      )
    },
  )

  it("Subscription-State never promises more than is left, nor more than it did", { tags: ["L11"] }, () => {
    forEveryHistory((run) => {
      const promised = new Map<string, number>()
      for (const one of run.moments) {
        if (isSubscribe(one) && accepted(one)) promised.delete(place(one.before.presentity, subjectOf(one)))
        for (const { no, expires, state } of one.notifications) {
          const name = place(one.before.presentity, no)
          if (state === "terminated") {
            deepStrictEqual(expires, null)
            continue
          }
          const left = get(one.after.subscriptions, no)!.expiresAt - one.at
          ok(expires !== null && expires >= 1, "no time left is not promised")
          ok(expires === 1 || expires * 1000 <= left + 999 - run.world.limits.expiresOffset * 1000)
          const until = one.at + expires * 1000
          if (isSubscribe(one)) promised.set(name, until)
          else ok(expires === 1 || until <= (promised.get(name) ?? Number.POSITIVE_INFINITY) + 999)
        }
      }
    })
  })
})

// the generator reaches what these laws are about
