/**
 * The commands that may stand behind a recorded decision, the likeliest first.
 *
 * What the log does not say and nothing follows from is left as a request has it that says nothing: Accept, a lifetime
 * above what is granted, headers that packages do not carry.
 */
import type { Command, ReportDelivery } from "../presentity/commands.ts"
import { answersIn } from "../presentity/delivery-acks.ts"
import type { Decision, Event, NotificationFailed } from "../presentity/events.ts"
import { farewellOf, rulesFrom } from "../presentity/farewell.ts"
import type { Farewell } from "../presentity/farewell.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, Seconds, SubscriptionNo, Uri } from "../vocabulary.ts"
import { createdIn, resubscribes, subscribes } from "./reconstructed-subscriptions.ts"
import { secondsTo } from "./reconstruction-context.ts"
import type { ReconstructionContext } from "./reconstruction-context.ts"

/** None for a cause that is no command of this core. */
export const commandsBehind = (
  before: State,
  decision: Decision,
  world: ReconstructionContext,
): readonly Command[] => {
  const { events, at } = decision
  switch (decision.cause as Command["_tag"]) {
    case "Publish":
      return publishes(before, events, at)
    case "Subscribe":
      return subscribes(before, events, at, world)
    case "Resubscribe":
      return resubscribes(before, events, at, world)
    case "ReplaceRules":
      return events.flatMap((event) =>
        event._tag === "RulesReplaced"
          ? { _tag: "ReplaceRules", packageName: event.packageName, rules: event.rules }
          : [],
      )
    case "RefreshWatchers":
      return refreshes(before, events)
    case "ApplyPolicies":
      return [{ _tag: "ApplyPolicies" }]
    case "DecideWatcher":
      return events.flatMap((event) => {
        if (event._tag !== "WatcherDecided") return []
        const { packageName, watcher, handling } = event
        return { _tag: "DecideWatcher", packageName, watcher, handling }
      })
    case "SetSharingTag":
      return events.flatMap((event) =>
        event._tag === "SharingTagSet" ? { _tag: "SetSharingTag", tag: event.tag, role: event.role } : [],
      )
    case "SwitchSharingTag":
      return events.flatMap((event) => {
        if (event._tag !== "SharingTagSwitched") return []
        const { tag, role, epoch } = event
        return { _tag: "SwitchSharingTag", tag, role, epoch }
      })
    case "SetHardState":
      return events.flatMap((event) =>
        event._tag === "HardStateReplaced"
          ? { _tag: "SetHardState", packageName: event.packageName, body: event.body }
          : [],
      )
    case "Terminate":
      return terminations(before, events)
    case "Erase":
      return erasures(before, events)
    case "AdoptPublication":
      return events.flatMap((event) => {
        if (event._tag !== "PublicationCreated") return []
        const { _tag: _, receivedAt = at, ...publication } = event
        return { _tag: "AdoptPublication", receivedAt, ...publication }
      })
    case "AdoptSubscription":
      return adoptions(before, events)
    case "AdoptWatcher":
      return events.flatMap((event) => {
        if (event._tag !== "WatcherRemembered") return []
        const { packageName, watcher, createdAt } = event
        return { _tag: "AdoptWatcher", packageName, watcher, createdAt }
      })
    case "FallDue":
      return [{ _tag: "FallDue" }]
    case "ReportDelivery":
      return reports(before, events, at)
    case "RecordDeliveries":
      return events.flatMap((event) =>
        event._tag === "NotificationsAccepted"
          ? { _tag: "RecordDeliveries", accepted: answersIn(event, at) }
          : [],
      )
    case "Redeliver":
      return redeliveries(events)
    case "FollowClock":
      return events.flatMap((event) =>
        event._tag === "ClockSetBack" ? { _tag: "FollowClock", from: at + (event.moved ?? 0) } : [],
      )
    case "RepeatFarewells":
      return farewells(before, events)
    case "Abandon":
      return [
        {
          _tag: "Abandon",
          only: events.flatMap((event) => (event._tag === "SubscriptionTerminated" ? event.no : [])),
        },
      ]
    default:
      return []
  }
}

// ── PUBLISH ──

const publishes = (before: State, events: readonly Event[], at: Millis): readonly Command[] => {
  const [event] = events
  if (event === undefined) return []
  const said = { _tag: "Publish", bodyFault: null, sender: null, body: null } as const
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified": {
      const { packageName, body, headers, sender } = event
      const ifMatch = event._tag === "PublicationModified" ? [event.supersedes] : []
      const expires = secondsTo(event.expiresAt, at)
      return [
        {
          ...said,
          packageName,
          ifMatch,
          expires,
          body,
          sender,
          ...(headers === undefined ? {} : { headers }),
        },
      ]
    }
    case "PublicationRefreshed": {
      const { packageName, supersedes, expiresAt } = event
      return [{ ...said, packageName, ifMatch: [supersedes], expires: secondsTo(expiresAt, at) }]
    }
    case "PublicationRemoved": {
      const { packageName, entityTag, sender } = event
      const removal = { ...said, packageName, ifMatch: [entityTag], expires: 0, sender: sender ?? null }
      // older logs do not say whose device it was, but by who was not told
      const own = sender === undefined ? devicesOf(before, packageName) : []
      return [removal, ...own.map((sender): Command => ({ ...removal, sender }))]
    }
    default:
      return []
  }
}

const devicesOf = (state: State, packageName: PackageName): readonly string[] => {
  const targets = new Set<string>()
  for (const one of values(state.subscriptions)) {
    const dialog = one.packageName === packageName ? get(state.dialogs, one.dialog) : undefined
    if (dialog !== undefined) targets.add(dialog.remoteTarget)
  }
  return [...targets].sort()
}

// ── the operator ──

const packageOf = (state: State, events: readonly Event[]): PackageName | null => {
  for (const event of events) {
    if ("packageName" in event) return event.packageName
    if (!("no" in event)) continue
    const one = get(state.subscriptions, event.no) ?? get(state.waiting, event.no)
    if (one !== undefined) return one.packageName
  }
  return null
}

const refreshes = (before: State, events: readonly Event[]): readonly Command[] => {
  const packageName = packageOf(before, events)
  if (packageName === null) return []
  const isState = events.some((event) => event._tag === "NotificationsIssued" && event.cause === "refresh")
  return [{ _tag: "RefreshWatchers", packageName, kind: isState ? "state" : "rules" }]
}

const erasures = (before: State, events: readonly Event[]): readonly Command[] => {
  const silent = events.some((event) => event._tag === "SubscriptionTerminated" && event.silent)
  const persons = new Set([before.presentity, ...watchersIn(before, events)])
  return [...persons].flatMap((person): readonly Command[] => [
    { _tag: "Erase", person, silent },
    { _tag: "Erase", person, silent: !silent },
  ])
}

/** Whose subscriptions ended. */
const watchersIn = (before: State, events: readonly Event[]): ReadonlySet<Uri> =>
  new Set(
    events.flatMap((event) => {
      if (event._tag === "WatcherDecided") return event.watcher
      if (event._tag !== "SubscriptionTerminated" && event._tag !== "WaitingEnded") return []
      return (get(before.subscriptions, event.no) ?? get(before.waiting, event.no))?.watcher ?? []
    }),
  )

const terminations = (before: State, events: readonly Event[]): readonly Command[] => {
  const packageName = packageOf(before, events)
  if (packageName === null) return []
  const ended = events.find((event) => event._tag === "SubscriptionTerminated")
  const reason = ended?._tag === "SubscriptionTerminated" ? ended.reason : "noresource"
  if (reason !== "deactivated" && reason !== "probation" && reason !== "noresource") return []
  return [null, ...watchersIn(before, events)].map((watcher) => ({
    _tag: "Terminate",
    packageName,
    watcher,
    reason,
  }))
}

const adoptions = (before: State, events: readonly Event[]): readonly Command[] => {
  const created = createdIn(events)
  if (created?.takenOver === undefined) return []
  const { packageName, eventId, watcher, status, polite, expiresAt, takenOver, remoteCseq } = created
  const dialog = created.start ?? get(before.dialogs, created.dialog)?.start
  if (dialog === undefined) return []
  const start = { ...dialog, remoteCseq }
  return [
    {
      _tag: "AdoptSubscription",
      packageName,
      eventId,
      watcher,
      status,
      polite,
      expiresAt,
      dialog: start,
      takenOver,
    },
  ]
}

// ── NOTIFYs ──

const reports = (before: State, events: readonly Event[], at: Millis): readonly ReportDelivery[] => {
  const failed = events.find((event) => event._tag === "NotificationFailed")
  if (failed?._tag === "NotificationFailed") return failures(failed, events, at)
  const moved = events.find((event) => event._tag === "RemoteTargetChanged")
  const remoteTarget = moved?._tag === "RemoteTargetChanged" ? moved.remoteTarget : null
  const proven = events.find((event) => event._tag === "TargetProven")
  const address = proven?._tag === "TargetProven" ? { address: proven.address } : {}
  const about = moved ?? proven
  const dialog = about !== undefined && "dialog" in about ? about.dialog : null
  const numbers = events.flatMap((event): readonly SubscriptionNo[] =>
    event._tag === "NotificationsIssued" && event.to !== "active"
      ? event.to
      : event._tag === "NotificationsDeferred"
        ? event.to
        : [],
  )
  // of several subscriptions in a dialog any may have been answered when nothing more followed
  const inDialog = [...values(before.subscriptions)]
    .filter((one) => one.dialog === dialog)
    .map(({ no }) => no)
  return [...numbers.slice(0, 1), ...inDialog.sort((one, other) => one - other)].map((no) => {
    const one = get(before.subscriptions, no)
    const cseq = one === undefined ? 0 : (get(before.dialogs, one.dialog)?.localCseq ?? 0)
    return {
      _tag: "ReportDelivery",
      no,
      cseq,
      outcome: { _tag: "Accepted", remoteTarget, ...address },
    }
  })
}

const failures = (
  failed: NotificationFailed,
  events: readonly Event[],
  at: Millis,
): readonly ReportDelivery[] => {
  const { no, cseq, outcome, status = 500 } = failed
  const report = { _tag: "ReportDelivery", no, cseq } as const
  if (outcome === "unproven") return [{ ...report, outcome: { _tag: "Unproven" } }]
  if (outcome === "unrepeated") return [{ ...report, outcome: { _tag: "Unproven", room: 0 } }]
  if (outcome === "timed-out") return [{ ...report, outcome: { _tag: "TimedOut" } }]
  if (outcome === "unreachable") return [{ ...report, outcome: { _tag: "Unreachable" } }]
  // Retry-After is said by how long it is held back
  const until = events.find((event) => event._tag === "NotificationsDeferred" && event.undelivered)
  const wait =
    until?._tag === "NotificationsDeferred" && until.until !== null ? (until.until - at) / 1000 : null
  const waits: readonly (Seconds | null)[] = [
    null,
    ...(wait === null ? [] : [Math.max(1, Math.floor(wait))]),
    1,
  ]
  return waits.map((retryAfter) => ({ ...report, outcome: { _tag: "Refused", status, retryAfter } }))
}

const farewells = (before: State, events: readonly Event[]): readonly Command[] => {
  const repeated = events.flatMap((event): Farewell[] => {
    if (event._tag !== "FarewellRepeated") return []
    const isBodiless = event.bodiless === true
    const from = rulesFrom(before, event.packageName)
    return [{ ...farewellOf(event), cseq: event.cseq - 1, forced: !isBodiless, isBodiless, rulesFrom: from }]
  })
  return repeated.length === 0 ? [] : [{ _tag: "RepeatFarewells", farewells: repeated }]
}

const redeliveries = (events: readonly Event[]): readonly Command[] => {
  const issued = events.flatMap((event) =>
    event._tag === "NotificationsIssued" && event.cause === "recovery" && event.to !== "active"
      ? event.to
      : [],
  )
  return issued.length === 0 ? [] : [{ _tag: "Redeliver", since: 0, only: issued }]
}
