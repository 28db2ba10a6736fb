/**
 * The commands that may be behind a recorded decision, the likeliest first.
 *
 * What the log does not record and nothing depends on is left as in a request that does not state it: Accept, a
 * lifetime above the granted one, headers that packages do not carry.
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

/** No command for a cause that is none of this core. */
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
    case "RefreshWatchers":
      return refreshes(before, events)
    case "ApplyPolicies":
      return [{ _tag: "ApplyPolicies" }]
    case "Terminate":
      return terminations(before, events)
    case "Erase":
      return erasures(before, events)
    case "AdoptSubscription":
      return adoptions(before, events)
    case "FallDue":
      return [{ _tag: "FallDue" }]
    case "ReportDelivery":
      return reports(before, events, at)
    case "Redeliver":
      return redeliveries(events)
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
      return events.flatMap((event) => commandIn(event, decision) ?? [])
  }
}

/** The command that an event states by itself; null: it states none, or not under this cause. */
const commandIn = (event: Event, { cause, at }: Decision): Command | null => {
  switch (event._tag) {
    case "RulesReplaced":
      return cause === "ReplaceRules"
        ? { _tag: cause, packageName: event.packageName, rules: event.rules }
        : null
    case "WatcherDecided": {
      const { packageName, watcher, handling } = event
      return cause === "DecideWatcher" ? { _tag: cause, packageName, watcher, handling } : null
    }
    case "SharingTagSet":
      return cause === "SetSharingTag" ? { _tag: cause, tag: event.tag, role: event.role } : null
    case "SharingTagSwitched": {
      const { tag, role, epoch } = event
      return cause === "SwitchSharingTag" ? { _tag: cause, tag, role, epoch } : null
    }
    case "HardStateReplaced":
      return cause === "SetHardState"
        ? { _tag: cause, packageName: event.packageName, body: event.body }
        : null
    case "PublicationCreated": {
      const { _tag: _, after: _after, receivedAt = at, ...publication } = event
      return cause === "AdoptPublication" ? { _tag: cause, receivedAt, ...publication } : null
    }
    case "WatcherRemembered": {
      const { packageName, watcher, createdAt } = event
      return cause === "AdoptWatcher" ? { _tag: cause, packageName, watcher, createdAt } : null
    }
    case "NotificationsAccepted":
      return cause === "RecordDeliveries" ? { _tag: cause, accepted: answersIn(event, at) } : null
    case "ClockSetBack":
      return cause === "FollowClock" ? { _tag: cause, from: at + (event.moved ?? 0) } : null
    default:
      return null
  }
}

// ── PUBLISH ──

const publishes = (before: State, events: readonly Event[], at: Millis): readonly Command[] => {
  // what a publication takes the place of follows from its device
  const event = events.find(
    (recorded) => !(recorded._tag === "PublicationRemoved" && recorded.cause === "replaced"),
  )
  if (event === undefined) return []
  const common = { _tag: "Publish", bodyFault: null, sender: null, body: null } as const
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified": {
      const { packageName, body, headers, sender } = event
      const ifMatch = event._tag === "PublicationModified" ? [event.supersedes] : []
      const expires = secondsTo(event.expiresAt, at)
      return [
        {
          ...common,
          packageName,
          ifMatch,
          expires,
          body,
          sender,
          ...(headers === undefined ? {} : { headers }),
          ...("device" in event && event.device !== undefined ? { device: event.device } : {}),
        },
      ]
    }
    case "PublicationRefreshed": {
      const { packageName, supersedes, expiresAt } = event
      return [{ ...common, packageName, ifMatch: [supersedes], expires: secondsTo(expiresAt, at) }]
    }
    case "PublicationRemoved": {
      const { packageName, entityTag, sender } = event
      const removal = { ...common, packageName, ifMatch: [entityTag], expires: 0, sender: sender ?? null }
      // older logs do not record the device, except by who was not notified
      const own = sender === undefined ? devicesOf(before, packageName) : []
      return [removal, ...own.map((sender): Command => ({ ...removal, sender }))]
    }
    default:
      return []
  }
}

const devicesOf = (state: State, packageName: PackageName): readonly string[] => {
  const targets = new Set<string>()
  for (const subscription of values(state.subscriptions)) {
    const dialog =
      subscription.packageName === packageName ? get(state.dialogs, subscription.dialog) : undefined
    if (dialog !== undefined) targets.add(dialog.remoteTarget)
  }
  return [...targets].sort()
}

// ── the operator ──

const packageOf = (state: State, events: readonly Event[]): PackageName | null => {
  for (const event of events) {
    if ("packageName" in event) return event.packageName
    if (!("no" in event)) continue
    const subject = get(state.subscriptions, event.no) ?? get(state.waiting, event.no)
    if (subject !== undefined) return subject.packageName
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

/** The watchers whose subscriptions ended. */
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
  if (failed?._tag === "NotificationFailed")
    return failures(failed, events, at).map((report) => withTried(report, events))
  const moved = events.find((event) => event._tag === "RemoteTargetChanged")
  const remoteTarget = moved?._tag === "RemoteTargetChanged" ? moved.remoteTarget : null
  const proven = events.find((event) => event._tag === "TargetProven")
  const address = proven?._tag === "TargetProven" ? { address: proven.address } : {}
  const passed = events.find((event) => event._tag === "TargetsFailed")
  if (passed !== undefined) {
    const { no: id, cseq } = passed
    const outcome = { _tag: "Accepted", remoteTarget, ...address } as const
    return [withTried({ _tag: "ReportDelivery", no: id, cseq, outcome }, events)]
  }
  const about = moved ?? proven
  const dialog = about !== undefined && "dialog" in about ? about.dialog : null
  const numbers = events.flatMap((event): readonly SubscriptionNo[] =>
    event._tag === "NotificationsIssued" && event.to !== "active"
      ? event.to
      : event._tag === "NotificationsDeferred"
        ? event.to
        : [],
  )
  // if nothing more followed, the response may concern any of several subscriptions in the dialog
  const inDialog = [...values(before.subscriptions)]
    .filter((subscription) => subscription.dialog === dialog)
    .map(({ no: id }) => id)
  return [...numbers.slice(0, 1), ...inDialog.sort((left, right) => left - right)].map((id) => {
    const subscription = get(before.subscriptions, id)
    const cseq = subscription === undefined ? 0 : (get(before.dialogs, subscription.dialog)?.localCseq ?? 0)
    return {
      _tag: "ReportDelivery",
      no: id,
      cseq,
      outcome: { _tag: "Accepted", remoteTarget, ...address },
    }
  })
}

/** The report with the places that were tried in vain, as the events have them. */
const withTried = (report: ReportDelivery, events: readonly Event[]): ReportDelivery => {
  const passed = events.find((event) => event._tag === "TargetsFailed")
  return passed === undefined ? report : { ...report, outcome: { ...report.outcome, tried: passed.tried } }
}

const failures = (
  failed: NotificationFailed,
  events: readonly Event[],
  at: Millis,
): readonly ReportDelivery[] => {
  const { no: id, cseq, outcome, status = 500 } = failed
  const report = { _tag: "ReportDelivery", no: id, cseq } as const
  if (outcome === "unproven") return [{ ...report, outcome: { _tag: "Unproven" } }]
  if (outcome === "unrepeated") return [{ ...report, outcome: { _tag: "Unproven", room: 0 } }]
  if (outcome === "timed-out") return [{ ...report, outcome: { _tag: "TimedOut" } }]
  if (outcome === "unreachable") return [{ ...report, outcome: { _tag: "Unreachable" } }]
  if (outcome === "flow-lost") return [{ ...report, outcome: { _tag: "FlowLost" } }]
  if (outcome === "too-large") return [{ ...report, outcome: { _tag: "TooLarge" } }]
  const isAnswered = events.some(
    (event) => event._tag === "NotificationsIssued" && event.cause === "credentials",
  )
  if (isAnswered)
    return [{ ...report, outcome: { _tag: "Refused", status, retryAfter: null, credentials: true } }]
  // the deferral shows the value of Retry-After
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
