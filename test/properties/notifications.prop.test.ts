/**
 * Laws of who is told what and when, and of presentities that do not know each other.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { evolve } from "../../src/domain/presentity/evolve.ts"
import { viewFor } from "../../src/domain/presentity/notify.ts"
import { intervalOf } from "../../src/domain/presentity/pace.ts"
import { audience } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import { forEveryHistory, onEngine, parameters, play, settle } from "../support/history.ts"
import { keyOf, worlds } from "../support/machine.ts"
import type { Input, Moment, Run } from "../support/machine.ts"
import { offlineLine, packages } from "../support/stub-package.ts"

const place = (presentity: Uri, no: number): string => `${presentity} ${no}`

/** Each NOTIFY that a decision issues, with the subscription as it was just before. */
const issues = ({ before, events, at }: Moment) => {
  let state = before
  return events.flatMap((event) => {
    const told = event._tag === "NotificationsIssued" ? audience(state, event) : []
    state = evolve(state, event, at)
    return event._tag === "NotificationsIssued" ? told.map((one) => ({ one, event })) : []
  })
}

describe("pacing", () => {
  it(
    "two change-driven NOTIFYs of a subscription are never closer than its package's interval",
    { tags: ["L35"] },
    () => {
      forEveryHistory((run) => {
        const last = new Map<string, number>()
        for (const moment of run.moments) {
          for (const { one, event } of issues(moment)) {
            if (event.cause !== "change") continue
            const name = place(moment.before.presentity, one.no)
            const interval = intervalOf(packages.find(one.packageName)!, run.world.limits)
            ok(moment.at - (last.get(name) ?? Number.NEGATIVE_INFINITY) >= interval, "too soon")
            last.set(name, moment.at)
            // 6446-5.2-b: from the last one, whatever its reason was
            if (one.rates?.max != null)
              ok((moment.at - one.issuedAt) * one.rates.max >= 1000, "too soon for its watcher")
          }
        }
      })
    },
  )

  it(
    "no change is lost: who has not been shown the present view has a NOTIFY on its way or one due",
    { tags: ["L35"] },
    () => {
      forEveryHistory((run) => {
        for (const { before, after, context, notifications, command } of run.moments) {
          for (const one of values(after.subscriptions)) {
            const eventPackage = packages.find(one.packageName)!
            const view = viewFor(after, one, eventPackage)
            // 5839-6.3-c: it wants to know nothing until it asks
            if (one.shown === view.digest || one.dormant) continue
            const flies = context.inFlight(one.no) || notifications.some(({ no }) => no === one.no)
            // an undelivered one is repeated only on request, or with the next change (RFC 6665 §4.2.2) …
            ok(flies || one.dueAt !== null || one.shown === "", `subscription ${one.no} is forgotten`)
            // … which may have come while it was under way
            const was = get(before.subscriptions, one.no)?.shown ?? ""
            if (command._tag !== "ReportDelivery" || command.no !== one.no || was === "") continue
            ok(
              flies || one.dueAt !== null || was === view.digest,
              `${one.no} is forgotten with what was lost`,
            )
          }
        }
      })
    },
  )

  it(
    "a change held back goes at the first allowed instant, or when Retry-After says, and as of then",
    { tags: ["L35"] },
    () => {
      forEveryHistory((run) => {
        for (const moment of run.moments) {
          const { events, before, after, at, command } = moment
          for (const event of events) {
            if (event._tag !== "NotificationsDeferred" || event.until === null) continue
            for (const no of event.to) {
              const one = get(before.subscriptions, no)!
              // a NOTIFY that was due only to be heard of has been left out: nothing is held for longer
              if (event.until === one.dueAt) continue
              const byPackage = one.pacedAt + intervalOf(packages.find(one.packageName)!, run.world.limits)
              const max = one.rates?.max ?? null
              const allowedAt =
                max === null ? byPackage : Math.max(byPackage, one.issuedAt + Math.ceil(1000 / max))
              if (event.undelivered) ok(event.until >= allowedAt)
              else deepStrictEqual(event.until, allowedAt)
              ok(event.until > at)
            }
          }
          if (command._tag !== "FallDue") continue
          for (const one of values(before.subscriptions)) {
            if (one.dueAt === null || one.dueAt > at) continue
            const left = get(after.subscriptions, one.no)
            if (left === undefined || one.dormant || (one.repeatAt !== null && one.repeatAt <= at)) continue
            const view = viewFor(after, one, packages.find(one.packageName)!)
            const sent = moment.notifications.filter(({ no }) => no === one.no).length
            const max = one.rates?.max ?? null
            // 6446-5.2-a: a slower pace was asked for meanwhile
            const isSlowed = max !== null && (at - one.issuedAt) * max < 1000 && one.shown !== view.digest
            if (isSlowed && left.dueAt !== null) continue
            deepStrictEqual(sent, one.shown === view.digest || moment.context.inFlight(one.no) ? 0 : 1)
            deepStrictEqual(left.dueAt, null)
          }
        }
      })
    },
  )

  it(
    "who wants to hear something now and then does, at the very instant, if it answers",
    { tags: ["6446-6.2-a", "6446-7.4-a"] },
    () => {
      forEveryHistory((run) => {
        for (const { after, at } of run.moments) {
          for (const one of values(after.subscriptions)) {
            if (one.rates === null || one.status !== "active") deepStrictEqual(one.repeatAt, null)
            else if (one.rates.min !== null) ok(one.repeatAt !== null && one.repeatAt > at)
            if (one.rates?.min != null && one.repeatAt !== null && one.issuedAt === at) {
              ok(one.repeatAt <= at + Math.ceil(1000 / one.rates.min), "the pace is not kept")
            }
          }
        }
        for (const moment of run.moments) {
          for (const one of values(moment.before.subscriptions)) {
            const { repeatAt, rates } = one
            if (repeatAt === null || rates?.min == null) continue
            ok(moment.at <= repeatAt, "it was not looked at in time")
            if (moment.at < repeatAt || moment.command._tag !== "FallDue") continue
            if (get(moment.after.subscriptions, one.no) === undefined) continue
            const sent = moment.notifications.filter(({ no }) => no === one.no).length
            deepStrictEqual(sent, moment.context.inFlight(one.no) || one.dormant ? 0 : 1)
          }
        }
      })
    },
  )

  it(
    "one entity-tag, one document; and none of a publication",
    { tags: ["5839-6.1-a", "5839-6.1-b", "5839-4-a"] },
    () => {
      forEveryHistory((run) => {
        const bodies = new Map<string, string>()
        const published = new Set(
          run.log.flatMap(({ events }) =>
            events.flatMap((one) => ("entityTag" in one ? [`${one.entityTag}`] : [])),
          ),
        )
        for (const { presentity, packageName, entityTag, body } of run.moments.flatMap(
          (one) => one.notifications,
        )) {
          ok(entityTag !== null && entityTag !== "*" && !published.has(entityTag))
          if (body === null) continue
          const name = `${presentity} ${packageName} ${entityTag}`
          deepStrictEqual(bodies.get(name) ?? body.text, body.text)
          bodies.set(name, body.text)
        }
      })
    },
  )

  it("at most one change-driven NOTIFY of a subscription is under way", { tags: ["3856-6.10-a"] }, () => {
    forEveryHistory((run) => {
      for (const moment of run.moments) {
        for (const { one, event } of issues(moment)) {
          if (event.cause === "change") ok(!moment.context.inFlight(one.no), "one is under way")
        }
      }
    })
  })
})

describe("convergence", () => {
  it("a change-driven NOTIFY is sent only to whom the view is news", { tags: ["L36"] }, () => {
    forEveryHistory((run) => {
      for (const moment of run.moments) {
        for (const { one, event } of issues(moment)) {
          if (event.cause !== "change") continue
          ok(one.shown !== event.shown, `nothing new for ${one.no}`)
          deepStrictEqual(event.shown, viewFor(moment.after, one, packages.find(one.packageName)!).digest)
        }
      }
    })
  })

  it(
    "when nothing moves any more, the last document each watcher took is the present view",
    { tags: ["L36"] },
    () => {
      forEveryHistory((history) => {
        const run = settle(history)
        const documents = documentsOf(run)
        for (const state of run.states.values()) {
          for (const one of values(state.subscriptions)) {
            const eventPackage = packages.find(one.packageName)!
            const view = viewFor(state, one, eventPackage)
            // shown nothing since it refused one without asking for another
            if (one.shown === "" || one.dormant) continue
            deepStrictEqual(one.shown, view.digest)
            const known = documents.get(place(state.presentity, one.no))
            if (known === "own" || one.status !== "active" || one.packageName === "presence") continue
            deepStrictEqual(present(known ?? ""), view.body?.text ?? "")
          }
        }
      })
    },
  )

  /** What is said to be there: neither ended nor absent. */
  const present = (text: string): string =>
    text
      .split("\n")
      .filter((line) => !line.startsWith("-") && line !== offlineLine)
      .join("\n")

  /**
   * What each watcher shows: the document of the newest NOTIFY it took that had one (RFC 3856 §6.8). `own`: it made the
   * last change itself and was not told.
   */
  const documentsOf = (run: Run): ReadonlyMap<string, string> => {
    const sent = new Map<string, string | null>()
    const issued = new Map<string, number>()
    const newest = new Map<string, number>()
    const documents = new Map<string, string>()
    for (const { command, before, notifications, events, answer } of run.moments) {
      const { presentity } = before
      // RFC 5839: told nothing, because it says that it has the document
      if (answer._tag === "Accepted" && answer.reply._tag === "Subscribed" && answer.reply.status === 204) {
        for (const event of events) {
          if (event._tag === "SubscriptionRefreshed") documents.set(place(presentity, event.no), "own")
        }
      }
      if (command._tag === "ReportDelivery" && command.outcome._tag === "Accepted") {
        const name = place(presentity, command.no)
        const body = sent.get(`${name} ${command.cseq}`) ?? null
        if (body !== null && command.cseq > (newest.get(name) ?? 0)) {
          newest.set(name, command.cseq)
          documents.set(name, body)
        }
      }
      for (const event of events) {
        if (event._tag !== "NotificationsIssued") continue
        // a watcher that says it has the document, and need not be lying
        const itsOwn = event.bodiless === true && event.to !== "active" ? event.to : event.suppressed
        for (const no of itsOwn) {
          documents.set(place(presentity, no), "own")
          newest.set(place(presentity, no), issued.get(place(presentity, no)) ?? 0)
        }
      }
      for (const { no, cseq, body } of notifications) {
        sent.set(`${place(presentity, no)} ${cseq}`, body?.text ?? null)
        issued.set(place(presentity, no), cseq)
      }
    }
    return documents
  }
})

describe("locality", () => {
  const essence = ({ version, at, cause, events }: Decision) => ({ version, at, cause, events })

  const ownerOf = (states: Iterable<State>, input: Input): Uri | null => {
    if (input._tag !== "Ask") return null
    if (input.presentity !== null) return input.presentity
    const { command } = input
    if (command._tag !== "Resubscribe") return null
    for (const { presentity, dialogs } of states) {
      for (const { start } of values(dialogs)) if (keyOf(start) === command.dialog) return presentity
    }
    return null
  }

  it("what happens to one presentity is the same without all others", { tags: ["L39"] }, () => {
    for (const world of worlds) {
      fc.assert(
        fc.property(anySteps, (steps) => {
          const run = play(world, steps)
          const together = onEngine(world, run.inputs)
          const owners = run.inputs.map((input) => ownerOf(statesEver(run), input))
          for (const presentity of run.states.keys()) {
            const own = run.inputs.filter(
              (input, index) => input._tag !== "Ask" || owners[index] === presentity,
            )
            const alone = onEngine(world, own)
            deepStrictEqual(
              alone.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
              together.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
            )
            deepStrictEqual(
              alone.notifications,
              together.notifications.filter((one) => one.presentity === presentity),
            )
          }
        }),
        parameters(),
      )
    }
  })

  it("neighbouring commands on different presentities commute", { tags: ["L39"] }, () => {
    for (const world of worlds) {
      fc.assert(
        fc.property(anySteps, fc.array(fc.nat(60), { maxLength: 10 }), (steps, places) => {
          const run = play(world, steps)
          const swapped = [...run.inputs]
          for (const at of places) {
            const [one, other] = [swapped[at], swapped[at + 1]]
            if (one?._tag !== "Ask" || other?._tag !== "Ask") continue
            const [owner, neighbour] = [one, other].map((input) => ownerOf(statesEver(run), input))
            if (owner === neighbour) continue
            swapped[at] = other
            swapped[at + 1] = one
          }
          const [before, after] = [onEngine(world, run.inputs), onEngine(world, swapped)]
          for (const presentity of run.states.keys()) {
            deepStrictEqual(
              after.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
              before.log.history(presentity, 0, 1e6).map(({ decision }) => essence(decision)),
            )
          }
          const byTicket = (one: { readonly ticket: number }, other: { readonly ticket: number }) =>
            one.ticket - other.ticket
          deepStrictEqual(after.answers.toSorted(byTicket), before.answers.toSorted(byTicket))
        }),
        parameters(),
      )
    }
  })

  /** Every state there was: a dialog belongs to its presentity also after its end. */
  const statesEver = (run: Run): readonly State[] => run.moments.map(({ after }) => after)
})
