/**
 * Laws of subscriptions and dialogs, over arbitrary histories.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { decide } from "../../src/domain/presentity/decide.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State, Subscription } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anyExpires, anySteps } from "../support/arbitraries.ts"
import { alice, contextAt, publish, subscribe } from "../support/builders.ts"
import { forEveryHistory, keyOf, onEngine, parameters, play, worlds } from "../support/history.ts"
import type { Input, Moment, Run } from "../support/history.ts"
import { packages, text } from "../support/stub-package.ts"

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
  it("L06: every accepted one causes exactly one NOTIFY, in its dialog, of the resulting state", () => {
    forEveryHistory((run) => {
      for (const one of run.moments) {
        if (!isSubscribe(one) || !accepted(one)) continue
        const no = subjectOf(one)
        const left = get(one.after.subscriptions, no)
        deepStrictEqual(
          one.notifications.map((sent) => [sent.no, sent.state, sent.reason]),
          [[no, left?.status ?? "terminated", left === undefined ? "timeout" : null]],
        )
        const { answer } = one
        const granted =
          answer._tag === "Accepted" && answer.reply._tag === "Subscribed" ? answer.reply.expires : null
        deepStrictEqual(one.notifications[0]?.expires, granted === 0 ? null : granted)
      }
    })
  })

  it("L07: a refused one leaves no trace, then or later", () => {
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

  it("3265-3.1.6.1-d, 6665-8.3.1-a: the success code is a function of profile and state only", () => {
    forEveryHistory((run) => {
      for (const { answer, notifications, events } of run.moments) {
        if (answer._tag !== "Accepted" || answer.reply._tag !== "Subscribed") continue
        const undecided =
          notifications[0]?.state === "pending" ||
          events.some((event) => "status" in event && event.status === "pending") ||
          (notifications[0]?.state === "terminated" && answer.reply.status === 202)
        deepStrictEqual(answer.reply.status, undecided && run.world.limits.profile === "3265" ? 202 : 200)
      }
    })
  })

  it("L08: after the end of a subscription no NOTIFY is sent in it, and its closed dialog answers 481", () => {
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
        for (const { no } of subscriptionsOf(one.after)) ok(!over.has(place(presentity, no)), `${no} is back`)
        if (one.command._tag === "Resubscribe" && one.context.findDialog(one.command.dialog) === null) {
          deepStrictEqual(one.answer, {
            _tag: "Rejected",
            rejection: { _tag: "CallDoesNotExist", status: 481 },
          })
        }
      }
    })
  })
})

describe("time", () => {
  it("L09: what has a deadline lives until just before it and ends exactly then", () => {
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

  it("L10: how time is cut into steps shows nowhere, nor does looking in vain", () => {
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

  it("L11: what is granted is never more than asked or allowed, grows with the wish, and is granted again", () => {
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
          return answer._tag === "Accepted" && answer.reply._tag === "Subscribed" ? answer.reply.expires : -1
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
  })

  it("L11: Subscription-State never promises more than is left, nor more than it did", () => {
    forEveryHistory((run) => {
      const promised = new Map<string, number>()
      for (const one of run.moments) {
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

describe("dialogs", () => {
  it("L12: the NOTIFYs of a dialog are numbered 1, 2, 3 … in the order in which they are made", () => {
    forEveryHistory((run) => {
      const last = new Map<string, number>()
      for (const { notifications } of run.moments) {
        for (const { dialog, cseq } of notifications) {
          deepStrictEqual(cseq, (last.get(dialog.callId) ?? 0) + 1)
          last.set(dialog.callId, cseq)
        }
      }
      for (const state of run.states.values()) {
        for (const { start, localCseq } of values(state.dialogs)) {
          deepStrictEqual(localCseq, last.get(start.callId) ?? 0)
        }
      }
    })
  })

  it("L12: the CSeqs accepted from a watcher grow; one that does not is answered 500", () => {
    forEveryHistory((run) => {
      for (const { before, after, command, answer, context } of run.moments) {
        if (command._tag !== "Resubscribe") continue
        const no = context.findDialog(command.dialog)
        const dialog = no === null ? undefined : get(before.dialogs, no)
        if (dialog === undefined) continue
        const isLate = command.cseq <= dialog.remoteCseq
        deepStrictEqual(answer._tag === "Rejected" && answer.rejection.status === 500, isLate)
        const left = get(after.dialogs, dialog.no)
        if (left !== undefined) {
          deepStrictEqual(left.remoteCseq, answer._tag === "Accepted" ? command.cseq : dialog.remoteCseq)
        }
      }
    })
  })

  it("L13: the route set is that of the beginning; the target is the Contact of the last accepted request or 2xx", () => {
    forEveryHistory((run) => {
      const targets = new Map<string, string>()
      const routes = new Map<string, readonly string[]>()
      for (const { before, command, answer, notifications, context } of run.moments) {
        if (command._tag === "Subscribe" && answer._tag === "Accepted") {
          targets.set(command.dialog.callId, command.dialog.remoteTarget)
          routes.set(command.dialog.callId, command.dialog.routeSet)
        } else if (
          command._tag === "Resubscribe" &&
          answer._tag === "Accepted" &&
          command.remoteTarget !== null
        ) {
          const start = get(before.dialogs, context.findDialog(command.dialog) ?? -1)?.start
          targets.set(start?.callId ?? "", command.remoteTarget)
        } else if (command._tag === "ReportDelivery" && command.outcome._tag === "Accepted") {
          const dialog = get(before.subscriptions, command.no)?.dialog ?? -1
          const start = get(before.dialogs, dialog)?.start
          if (start !== undefined && command.outcome.remoteTarget !== null) {
            targets.set(start.callId, command.outcome.remoteTarget)
          }
        }
        for (const { dialog } of notifications) {
          deepStrictEqual(dialog.routeSet, routes.get(dialog.callId))
          deepStrictEqual(dialog.remoteTarget, targets.get(dialog.callId))
        }
      }
    })
  })

  it("3265-3.3.4-d: a dialog lives exactly as long as a subscription in it", () => {
    forEveryHistory((run) => {
      for (const { after } of run.moments) {
        const usages = new Map<number, number>()
        for (const { dialog } of values(after.subscriptions))
          usages.set(dialog, (usages.get(dialog) ?? 0) + 1)
        deepStrictEqual(new Map([...values(after.dialogs)].map((one) => [one.no, one.usages])), usages)
      }
    })
  })

  it("L15: package and id together name a subscription in its dialog; its siblings are not touched", () => {
    forEveryHistory((run) => {
      for (const one of run.moments) {
        const { command, before, after, context } = one
        if (command._tag !== "Resubscribe" || !accepted(one)) continue
        const dialog = context.findDialog(command.dialog)!
        const siblings = subscriptionsOf(before).filter((some) => some.dialog === dialog)
        const meant = siblings.find(
          (some) => some.packageName === command.packageName && some.eventId === command.eventId,
        )
        const created = one.events.find((event) => event._tag === "SubscriptionCreated")
        deepStrictEqual(created === undefined, meant !== undefined)
        if (created !== undefined) {
          deepStrictEqual([created.packageName, created.eventId], [command.packageName, command.eventId])
          deepStrictEqual(run.world.limits.profile, "3265")
        }
        for (const other of subscriptionsOf(before)) {
          if (other.no !== meant?.no) deepStrictEqual(get(after.subscriptions, other.no), other)
        }
      }
    })
  })

  it("L15: every NOTIFY repeats the Event of the SUBSCRIBE that began its subscription", () => {
    forEveryHistory((run) => {
      const begun = new Map<string, readonly [string, string | null]>()
      for (const { events, before, notifications } of run.moments) {
        for (const event of events) {
          if (event._tag !== "SubscriptionCreated") continue
          begun.set(place(before.presentity, event.no), [event.packageName, event.eventId])
        }
        for (const { no, packageName, eventId, presentity } of notifications) {
          deepStrictEqual([packageName, eventId], begun.get(place(presentity, no)))
        }
      }
    })
  })
})

describe("the end of a NOTIFY", () => {
  it("L37: ends what the profile's table says, silently, or nothing; a failure from before a SUBSCRIBE says nothing", () => {
    forEveryHistory((run) => {
      for (const { before, after, command, events, notifications } of run.moments) {
        if (command._tag !== "ReportDelivery") continue
        const one = get(before.subscriptions, command.no)
        if (one === undefined) {
          deepStrictEqual(events, [])
          continue
        }
        const gone = subscriptionsOf(before).filter(({ no }) => get(after.subscriptions, no) === undefined)
        const scope = command.cseq <= one.heardAt ? "none" : scopeOf(command.outcome, run.world.limits)
        deepStrictEqual(
          gone.map(({ no }) => no),
          scope === "none"
            ? []
            : scope === "one"
              ? [one.no]
              : subscriptionsOf(before).flatMap(({ no, dialog }) => (dialog === one.dialog ? [no] : [])),
        )
        for (const { no } of gone) ok(!notifications.some((sent) => sent.no === no), "not even the last word")
        for (const other of subscriptionsOf(before)) {
          if (other.no !== one.no && !gone.includes(other)) {
            deepStrictEqual(get(after.subscriptions, other.no), other)
          }
        }
      }
    })
  })

  /** Written down from RFC 3265 §3.2.2, RFC 6665 §4.2.2 and RFC 5057 §5.1, not from the code. */
  const scopeOf = (
    outcome: Extract<Moment["command"], { readonly _tag: "ReportDelivery" }>["outcome"],
    limits: Run["world"]["limits"],
  ): "none" | "one" | "dialog" => {
    if (outcome._tag === "Accepted") return "none"
    if (outcome._tag !== "Refused" || outcome.status === 408) return limits.endSubOnTimeout ? "one" : "none"
    const { status } = outcome
    if ([404, 410, 416, 482, 483, 484, 485, 604].includes(status)) return "dialog"
    if ([405, 480, 481, 489, 501].includes(status)) return "one"
    if (limits.profile === "6665" || outcome.retryAfter !== null) return "none"
    return status === 502 ? "dialog" : "one"
  }

  it("6665-4.2.2-b: a failure alone sends nothing to the watcher that failed", () => {
    forEveryHistory((run) => {
      for (const { before, command, notifications } of run.moments) {
        if (command._tag !== "ReportDelivery" || command.outcome._tag === "Accepted") continue
        const one = get(before.subscriptions, command.no)
        if (one === undefined || notifications.length === 0) continue
        // what is sent is a change that waited for this NOTIFY to end
        deepStrictEqual(
          notifications.map(({ no }) => no),
          [one.no],
        )
        ok(freeze(before).version > 0 && packages.find(one.packageName) !== null)
        ok(one.status === "active")
      }
    })
  })
})

// the generator reaches what these laws are about
describe("the histories", () => {
  it("OPS-coverage: refreshes, shared dialogs, pending watchers and late failures all occur", () => {
    const seen = new Set<string>()
    for (const world of worlds) {
      for (const steps of fc.sample(anySteps, { numRuns: 300, seed: 1 })) {
        for (const { events, after, before, command } of play(world, steps).moments) {
          for (const event of events) seen.add(event._tag)
          for (const { usages } of values(after.dialogs)) if (usages > 1) seen.add("shared")
          for (const { status, polite } of values(after.subscriptions)) seen.add(polite ? "polite" : status)
          if (command._tag === "ReportDelivery") {
            const one = get(before.subscriptions, command.no)
            if (one !== undefined && command.cseq <= one.heardAt) seen.add("late")
          }
          for (const { start } of values(after.dialogs)) seen.add(keyOf(start) === "" ? "" : "dialog")
        }
      }
    }
    deepStrictEqual([...seen].toSorted(), [
      "NotificationsDeferred",
      "NotificationsIssued",
      "PublicationCreated",
      "PublicationModified",
      "PublicationRefreshed",
      "PublicationRemoved",
      "RemoteTargetChanged",
      "SubscriptionCreated",
      "SubscriptionRefreshed",
      "SubscriptionStatusChanged",
      "SubscriptionTerminated",
      "active",
      "dialog",
      "late",
      "pending",
      "polite",
      "shared",
    ])
  })
})
