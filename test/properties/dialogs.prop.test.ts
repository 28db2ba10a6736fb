/**
 * Laws of dialogs and of the end of a NOTIFY, over arbitrary histories.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import type { State, Subscription } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import { failure } from "../support/builders.ts"
import { forEveryHistory, play } from "../support/history.ts"
import { keyOf, worlds } from "../support/machine.ts"
import type { Moment, Run } from "../support/machine.ts"
import { packages } from "../support/stub-package.ts"

const accepted = (one: Moment): boolean => one.answer._tag === "Accepted"

const subscriptionsOf = (state: State): readonly Subscription[] =>
  [...values(state.subscriptions)].sort((one, other) => one.no - other.no)

/** `presentity no`, for maps. */
const place = (presentity: Uri, no: number): string => `${presentity} ${no}`

describe("dialogs", () => {
  it(
    "the NOTIFYs of a dialog are numbered 1, 2, 3 … in the order in which they are made",
    { tags: ["L12"] },
    () => {
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
    },
  )

  it("the CSeqs accepted from a watcher grow; one that does not is answered 500", { tags: ["L12"] }, () => {
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

  it(
    "the route set is that of the beginning; the target is the Contact of the last accepted request or 2xx",
    { tags: ["L13"] },
    () => {
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
    },
  )

  it("a dialog lives exactly as long as a subscription in it", { tags: ["3265-3.3.4-d"] }, () => {
    forEveryHistory((run) => {
      for (const { after } of run.moments) {
        const usages = new Map<number, number>()
        for (const { dialog } of values(after.subscriptions))
          usages.set(dialog, (usages.get(dialog) ?? 0) + 1)
        deepStrictEqual(new Map([...values(after.dialogs)].map((one) => [one.no, one.usages])), usages)
      }
    })
  })

  it(
    "package and id together name a subscription in its dialog; its siblings are not touched",
    { tags: ["L15"] },
    () => {
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
          const told = new Set(one.notifications.map(({ no }) => no))
          for (const other of subscriptionsOf(before)) {
            if (other.no === meant?.no) continue
            const now = get(after.subscriptions, other.no)
            // whoever sees who watches is told of it in the same dialog as well
            if (told.has(other.no)) deepStrictEqual(withoutTold(now!), withoutTold(other))
            else deepStrictEqual(now, other)
          }
        }
      })
    },
  )

  /** What a NOTIFY changes of its subscription goes. */
  const withoutTold = (one: Subscription) => ({
    ...one,
    notified: 0,
    pacedAt: 0,
    shown: "",
    toldIn: 0,
    issuedAt: 0,
  })

  it("every NOTIFY repeats the Event of the SUBSCRIBE that began its subscription", { tags: ["L15"] }, () => {
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
  it(
    "ends what the profile's table says, silently, or nothing; a failure from before a SUBSCRIBE says nothing",
    { tags: ["L37"] },
    () => {
      forEveryHistory((run) => {
        for (const { before, after, command, events, notifications } of run.moments) {
          if (command._tag !== "ReportDelivery") continue
          const one = get(before.subscriptions, command.no)
          const { outcome } = command
          // whatever follows from it, a failure is on record
          deepStrictEqual(
            events.filter((event) => event._tag === "NotificationFailed"),
            outcome._tag === "Accepted" ? [] : [failure(command.no, command.cseq, outcome)],
          )
          if (one === undefined) {
            ok(events.length <= 1)
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
          for (const { no } of gone)
            ok(!notifications.some((sent) => sent.no === no), "not even the last word")
          // the end of one changes the list of watchers, of which another may have to be told later
          const held = new Set(
            events.flatMap((event) => (event._tag === "NotificationsDeferred" ? event.to : [])),
          )
          for (const other of subscriptionsOf(before)) {
            if (other.no === one.no || gone.includes(other)) continue
            const present: typeof other | undefined = get(after.subscriptions, other.no)
            deepStrictEqual(held.has(other.no) ? { ...present, dueAt: other.dueAt } : present, other)
          }
        }
      })
    },
  )

  /** Written down from RFC 3265 §3.2.2, RFC 6665 §4.2.2 and RFC 5057 §5.1, not from the code. */
  const scopeOf = (
    outcome: Extract<Moment["command"], { readonly _tag: "ReportDelivery" }>["outcome"],
    limits: Run["world"]["limits"],
  ): "none" | "one" | "dialog" => {
    // a connection that is gone says nothing about its watcher, who comes back by another (RFC 5626 §5.3)
    if (outcome._tag === "Accepted" || outcome._tag === "FlowLost") return "none"
    // what a presentity publishes does not take its watchers away (RFC 3856 §9)
    if (outcome._tag === "TooLarge") return "none"
    if (outcome._tag !== "Refused") return limits.endSubOnTimeout ? "one" : "none"
    const { status } = outcome
    if (limits.profile === "3265" && outcome.retryAfter !== null && status !== 481) return "none"
    if (status === 408) return limits.endSubOnTimeout ? "one" : "none"
    if ([404, 410, 416, 482, 483, 484, 485, 604].includes(status)) return "dialog"
    if ([405, 480, 481, 489, 501].includes(status)) return "one"
    if (limits.profile === "6665") return "none"
    // a further action is implied by which it can be retried (RFC 3265 §3.2.2)
    if (status < 400 || [401, 407, 413, 415, 420, 421, 430, 491, 494, 513].includes(status)) return "none"
    return status === 502 ? "dialog" : "one"
  }

  it("a failure alone sends nothing to the watcher that failed", { tags: ["6665-4.2.2-b"] }, () => {
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

describe("the histories", () => {
  it(
    "refreshes, shared dialogs, pending watchers and late failures all occur",
    { tags: ["OPS-coverage"] },
    () => {
      const seen = new Set<string>()
      for (const world of worlds) {
        for (const steps of fc.sample(anySteps, { numRuns: 600, seed: 1 })) {
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
        "NotificationFailed",
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
        "WaitingEnded",
        "active",
        "dialog",
        "late",
        "pending",
        "polite",
        "shared",
      ])
    },
  )
})
