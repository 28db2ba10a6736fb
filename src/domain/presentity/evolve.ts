/**
 * How each event changes a presentity. Nothing else changes state.
 *
 * Total: it never throws, reads no clock, and ignores what it cannot apply.
 */
import { privacyOf } from "../privacy.ts"
import { emptyTable, get, remove, set, setAll, size, values } from "../table.ts"
import { unreachable } from "../vocabulary.ts"
import { clockOf, withClockSetBack } from "./clock.ts"
import type { DialogNo, EntityTag, Millis, PackageName, SubscriptionNo } from "../vocabulary.ts"
import type { Decision, Event, NotificationsIssued, SubscriptionTerminated } from "./events.ts"
import { withNumberTaken } from "./dialog-numbers.ts"
import { paced, repaced, repeatOf } from "./pace.ts"
import { nothingDropped, withDocumentsDropped, withLogDropped, withPersonErased } from "./retention.ts"
import {
  proofAtStart,
  spent,
  withAddress,
  withAnswers,
  withDialog,
  withDoubt,
  withSilence,
  withUnsent,
  withTarget,
  withoutDialog,
} from "./targets.ts"
import { audience, isEmpty, isTemplate, publication, templateOf, verdictKey } from "./state.ts"
import type { TerminatedWatcher, Dialog, Publication, State, Subscription } from "./state.ts"

/** The state after one decision. O(its events), or O(subscriptions) where it notifies all active ones. */
export const fold = (state: State, decision: Pick<Decision, "events" | "at" | "version">): State => {
  let next = state
  const now = clockOf(decision)
  for (const event of decision.events) next = evolve(next, event, now)
  return closed(state, next, decision)
}

/** The states after each event, of which one decision is made. */
export const statesAfter = (state: State, events: readonly Event[], at: Millis): readonly State[] => {
  let next = state
  return events.map((event) => (next = evolve(next, event, at)))
}

/** `fold` where the state after all events is known. */
export const closed = (
  state: State,
  next: State,
  decision: Pick<Decision, "events" | "at" | "version">,
): State => {
  // of nothing only the version is known, however it came about
  const watchersChangedIn = isEmpty(next) ? emptyTable<PackageName, number>() : next.watchersChangedIn
  const decidedAt = Math.max(state.decidedAt, decision.at)
  return {
    ...next,
    watchersChangedIn,
    version: decision.version,
    decidedAt,
    behind: decision.at - clockOf(decision),
  }
}

/** The state after one event that was decided when it was `at` by the clock. */
export const evolve = (state: State, event: Event, at: Millis): State => {
  switch (event._tag) {
    case "PublicationCreated":
      return putPublication(state, event.packageName, null, {
        entityTag: event.entityTag,
        createdIn: state.version + 1,
        slot: freeSlot(state, event.packageName),
        bodyFrom: state.version + 1,
        receivedAt: event.receivedAt ?? at,
        expiresAt: event.expiresAt,
        body: event.body,
        ...headersOf(event),
        sender: event.sender,
      })
    case "PublicationModified": {
      const old = publication(state, event.packageName, event.supersedes)
      if (old === undefined) return state
      const { headers: _, droppedHeaders: __, ...kept } = old
      return putPublication(state, event.packageName, event.supersedes, {
        ...kept,
        entityTag: event.entityTag,
        bodyFrom: state.version + 1,
        receivedAt: at,
        expiresAt: event.expiresAt,
        body: event.body,
        ...headersOf(event),
        sender: event.sender,
      })
    }
    case "PublicationRefreshed": {
      const old = publication(state, event.packageName, event.supersedes)
      if (old === undefined) return state
      return putPublication(state, event.packageName, event.supersedes, {
        ...old,
        entityTag: event.entityTag,
        expiresAt: event.expiresAt,
      })
    }
    case "PublicationRemoved": {
      const publications = get(state.publications, event.packageName)
      if (publications === undefined) return state
      const left = remove(publications, event.entityTag)
      return {
        ...state,
        publications:
          size(left) === 0
            ? remove(state.publications, event.packageName)
            : set(state.publications, event.packageName, left),
      }
    }
    case "HardStateReplaced": {
      const { packageName, body } = event
      const { hardState } = state
      return {
        ...state,
        hardState: body === null ? remove(hardState, packageName) : set(hardState, packageName, body),
      }
    }
    case "SharingTagSet": {
      const { tag, role, epoch } = event
      return { ...state, sharingTags: set(state.sharingTags, tag, { tag, role, epoch }) }
    }
    case "SharingTagSwitched": {
      const { tag, role } = event
      const switched = [...values(state.subscriptions)].filter((one) => one.sharingTag === tag)
      return {
        ...state,
        subscriptions: setAll(
          state.subscriptions,
          switched.map((one): [SubscriptionNo, Subscription] => {
            const { parked: _, ...kept } = one
            return [one.no, role === "backup" ? { ...kept, parked: true } : kept]
          }),
        ),
      }
    }
    case "LogDropped":
      return { ...state, retained: withLogDropped(state.retained ?? nothingDropped, event) }
    case "DocumentsDropped":
      return { ...state, retained: withDocumentsDropped(state.retained ?? nothingDropped, event) }
    case "PersonErased":
      return { ...state, retained: withPersonErased(state.retained ?? nothingDropped, event.standIn) }
    case "WatcherDecided": {
      const { packageName, watcher, handling } = event
      const key = verdictKey(packageName, watcher)
      const verdicts =
        handling === null
          ? remove(state.verdicts, key)
          : set(state.verdicts, key, { packageName, watcher, handling })
      return { ...state, verdicts }
    }
    case "SubscriptionCreated": {
      const { takenOver } = event
      const dialog =
        event.start === null
          ? get(state.dialogs, event.dialog)
          : {
              no: event.dialog,
              start: event.start,
              remoteTarget: event.start.remoteTarget,
              remoteCseq: event.remoteCseq,
              localCseq: takenOver?.localCseq ?? 0,
              usages: 0,
              ...proofAtStart(event.start, takenOver?.localCseq ?? 0),
            }
      if (dialog === undefined) return state
      return {
        ...withDialog(state, { ...dialog, remoteCseq: event.remoteCseq, usages: dialog.usages + 1 }),
        // one that is over within its decision, a fetch, is not seen in between (RFC 3857 §4.7.2)
        watchersChangedIn: event.expiresAt > at ? changed(state, event.packageName) : state.watchersChangedIn,
        subscriptions: set(state.subscriptions, event.no, {
          no: event.no,
          packageName: event.packageName,
          eventId: event.eventId,
          watcher: event.watcher,
          status: event.status,
          polite: event.polite,
          matched: event.matched,
          ...(event.argument === undefined ? {} : { argument: event.argument }),
          ...(event.accept === undefined ? {} : { accept: event.accept }),
          ...(event.sharingTag === undefined ? {} : { sharingTag: event.sharingTag }),
          ...(event.parked === undefined ? {} : { parked: event.parked }),
          ...privacyOf(event),
          forced: event.forced === true,
          ...(event.policy === undefined ? {} : { policy: event.policy }),
          ...(event.unread === undefined ? {} : { unread: event.unread }),
          event: "subscribe",
          changedIn: state.version + 1,
          createdAt: takenOver?.createdAt ?? at,
          expiresAt: event.expiresAt,
          giveUpAt: event.giveUpAt,
          dialog: dialog.no,
          notified: takenOver?.notified ?? 0,
          shown: "",
          spared: false,
          // what another server has sent is not for us to repeat
          issuedAt: takenOver === undefined ? at : 0,
          toldIn: takenOver === undefined || takenOver.localCseq === 0 ? 0 : state.version + 1,
          pacedAt: 0,
          heardAt: dialog.localCseq,
          dueAt: null,
          dormant: event.dormant === true,
          rates: event.rates ?? null,
          repeatAt: null,
          recent: [],
        }),
      }
    }
    case "SubscriptionRefreshed": {
      const subscription = get(state.subscriptions, event.no)
      if (subscription === undefined) return state
      const dialog = get(state.dialogs, subscription.dialog)
      if (dialog === undefined) return state
      const refreshed = { ...dialog, remoteCseq: event.remoteCseq }
      return {
        ...withDialog(state, withTarget(refreshed, event.remoteTarget, event.room)),
        // others are told under which name it goes from now on
        ...(event.private === undefined
          ? {}
          : { watchersChangedIn: changed(state, subscription.packageName) }),
        subscriptions: set(state.subscriptions, event.no, {
          ...(event.private === undefined
            ? taking(subscription, event.accept)
            : named(taking(subscription, event.accept), event.private, state.version + 1)),
          expiresAt: event.expiresAt,
          heardAt: dialog.localCseq,
          ...(event.rates === undefined ? {} : repaced(subscription, event.rates, at)),
          dormant: event.dormant ?? subscription.dormant,
          ...(event.argument === undefined ? {} : { argument: event.argument }),
          ...(event.accept == null ? {} : { accept: event.accept }),
        }),
      }
    }
    case "SubscriptionStatusChanged": {
      const subscription = get(state.subscriptions, event.no)
      if (subscription === undefined) return state
      const { status, polite, matched, giveUpAt } = event
      const isTransition = status !== subscription.status
      const { policy: _, unread: __, ...kept } = subscription
      return {
        ...state,
        watchersChangedIn: isTransition ? changed(state, subscription.packageName) : state.watchersChangedIn,
        subscriptions: set(state.subscriptions, event.no, {
          ...kept,
          status,
          polite,
          matched,
          forced: event.forced === true,
          ...(event.policy === undefined ? {} : { policy: event.policy }),
          ...(event.unread === undefined ? {} : { unread: event.unread }),
          giveUpAt,
          repeatAt: status === "active" ? subscription.repeatAt : null,
          // back to pending has no event of its own (RFC 3858 §3): the only one that leads there is subscribe
          event: !isTransition ? subscription.event : status === "active" ? "approved" : "subscribe",
          changedIn: isTransition ? state.version + 1 : subscription.changedIn,
        }),
      }
    }
    case "SubscriptionTerminated":
      return terminate(state, event, at)
    case "WatcherRemembered": {
      const { no, packageName, watcher, createdAt, giveUpAt } = event
      const changedIn = state.version + 1
      return {
        ...state,
        watchersChangedIn: changed(state, packageName),
        waiting: set(state.waiting, no, {
          no,
          packageName,
          eventId: null,
          watcher,
          createdAt,
          since: at,
          giveUpAt,
          changedIn,
        }),
      }
    }
    case "WaitingEnded": {
      const waiting = get(state.waiting, event.no)
      if (waiting === undefined) return state
      const { no, packageName, watcher, createdAt } = waiting
      return rememberTerminated(
        { ...state, waiting: remove(state.waiting, no) },
        {
          no,
          packageName,
          watcher,
          ...privacyOf(waiting),
          createdAt,
          event: event.event,
          changedIn: state.version + 1,
        },
      )
    }
    case "RulesReplaced":
      return {
        ...state,
        rules:
          event.rules === null
            ? remove(state.rules, event.packageName)
            : set(state.rules, event.packageName, {
                body: event.rules,
                replacedIn: state.version + 1,
                boundaryAt: event.boundaryAt,
              }),
      }
    case "RulesReviewed": {
      const rules = get(state.rules, event.packageName)
      if (rules === undefined) return state
      return {
        ...state,
        rules: set(state.rules, event.packageName, { ...rules, boundaryAt: event.boundaryAt }),
      }
    }
    case "RemoteTargetChanged": {
      const dialog = get(state.dialogs, event.dialog)
      if (dialog === undefined) return state
      return withDialog(state, withTarget(dialog, event.remoteTarget, event.room))
    }
    case "TargetDoubted": {
      const dialog = get(state.dialogs, event.dialog)
      return dialog === undefined ? state : withDialog(state, withDoubt(dialog, event.room))
    }
    case "TargetProven": {
      const dialog = get(state.dialogs, event.dialog)
      return dialog === undefined ? state : withDialog(state, withAddress(dialog, event.address))
    }
    case "NotificationsIssued":
      return issue(state, event, at)
    case "NotificationsDeferred":
      return {
        ...state,
        subscriptions: setAll(
          state.subscriptions,
          event.to.flatMap((no): [SubscriptionNo, Subscription][] => {
            const subscription = get(state.subscriptions, no)
            if (subscription === undefined) return []
            const shown = event.undelivered ? "" : subscription.shown
            const { repeatAt } = subscription
            const isMissed = repeatAt !== null && repeatAt <= at
            return [
              [
                no,
                {
                  ...subscription,
                  shown,
                  dueAt: event.until,
                  repeatAt: isMissed ? repeatOf(subscription, at) : repeatAt,
                },
              ],
            ]
          }),
        ),
      }
    case "NotificationFailed":
      return withSilence(withUnsent(state, event), event)
    case "NotificationsAccepted":
      return withAnswers(state, event)
    case "ClockSetBack":
      return withClockSetBack(state, event, at)
    case "FarewellRepeated":
      return withNumberTaken(state, event.start, event.cseq)
    default:
      return unreachable(event)
  }
}

const freeSlot = (state: State, packageName: PackageName): number => {
  const publications = get(state.publications, packageName)
  if (publications === undefined) return 1
  const taken = new Set<number>()
  for (const one of values(publications)) taken.add(one.slot)
  let slot = 1
  while (taken.has(slot)) slot++
  return slot
}

const putPublication = (
  state: State,
  packageName: PackageName,
  supersedes: EntityTag | null,
  next: Publication,
): State => {
  const publications = get(state.publications, packageName) ?? emptyTable<EntityTag, Publication>()
  const without = supersedes === null ? publications : remove(publications, supersedes)
  return { ...state, publications: set(state.publications, packageName, set(without, next.entityTag, next)) }
}

const terminate = (state: State, event: SubscriptionTerminated, at: Millis): State => {
  const { no, silent, waitsUntil } = event
  const subscription = get(state.subscriptions, no)
  if (subscription === undefined) return state
  const { packageName, watcher, eventId, createdAt, expiresAt } = subscription
  const version = state.version + 1
  let next: State = { ...state, subscriptions: remove(state.subscriptions, no) }
  const dialog = get(state.dialogs, subscription.dialog)
  if (dialog !== undefined) {
    const left = {
      ...dialog,
      usages: dialog.usages - 1,
      localCseq: silent ? dialog.localCseq : dialog.localCseq + 1,
    }
    next = left.usages <= 0 ? withoutDialog(next, dialog.no) : withDialog(next, silent ? left : spent(left))
  }
  if (waitsUntil !== null) {
    return {
      ...next,
      watchersChangedIn: changed(state, packageName),
      waiting: set(next.waiting, no, {
        no,
        packageName,
        eventId,
        watcher,
        ...privacyOf(subscription),
        createdAt,
        since: at,
        giveUpAt: waitsUntil,
        changedIn: version,
      }),
    }
  }
  if (isTemplate(packageName)) next = forgetDeparted(next)
  // a fetch: it began in this decision, and not to stay
  if (subscription.changedIn === version && expiresAt <= at && subscription.notified === 0) return next
  // RFC 3857 has no event for a NOTIFY that failed: nobody decided on a pending one, an active one timed out
  const ending = silent && subscription.status === "pending" ? "giveup" : event.reason
  return rememberTerminated(next, {
    no,
    packageName,
    watcher,
    ...privacyOf(subscription),
    createdAt,
    event: ending,
    changedIn: version,
  })
}

/** Without what it took before, when it takes other media types from now on. */
const taking = (one: Subscription, accept: readonly string[] | null | undefined): Subscription => {
  if (accept === undefined || one.accept === undefined) return one
  const { accept: _, ...kept } = one
  return kept
}

const named = (one: Subscription, isPrivate: boolean, changedIn: number): Subscription => {
  const { private: _, ...kept } = one
  return isPrivate ? { ...kept, private: true, changedIn } : { ...kept, changedIn }
}

/** Remembers who is gone for as long as a winfo subscription has not been told. */
const rememberTerminated = (state: State, one: TerminatedWatcher): State => {
  const watchersChangedIn = changed(state, one.packageName)
  const isWatched = hasSubscription(state, templateOf(one.packageName))
  return {
    ...state,
    watchersChangedIn,
    departed: isWatched ? set(state.departed, one.no, one) : state.departed,
  }
}

const changed = (state: State, packageName: PackageName): State["watchersChangedIn"] =>
  set(state.watchersChangedIn, packageName, state.version + 1)

const hasSubscription = (state: State, packageName: PackageName): boolean => {
  for (const one of values(state.subscriptions)) if (one.packageName === packageName) return true
  return false
}

const issue = (state: State, event: NotificationsIssued, at: Millis): State => {
  const subscriptions: [SubscriptionNo, Subscription][] = []
  const dialogs = new Map<DialogNo, Dialog>()
  for (const one of audience(state, event)) {
    const dialog = dialogs.get(one.dialog) ?? get(state.dialogs, one.dialog)
    if (dialog === undefined) continue
    const told = { ...dialog, localCseq: dialog.localCseq + 1 }
    dialogs.set(dialog.no, told.proof === undefined ? told : spent(told))
    const isWithheld = event.withheld === true
    const pacedAt = event.cause === "change" && !isWithheld ? at : one.pacedAt
    // a NOTIFY that shows nothing takes no number of a document
    const notified = one.status === "active" && event.bodiless !== true ? one.notified + 1 : one.notified
    const toldIn = state.version + 1
    subscriptions.push([
      one.no,
      {
        ...one,
        notified,
        shown: event.shown,
        spared: false,
        issuedAt: at,
        toldIn,
        pacedAt,
        dueAt: null,
        ...(one.rates === null || isWithheld ? {} : paced(one, at)),
      },
    ])
  }
  for (const no of event.suppressed) {
    const one = get(state.subscriptions, no)
    if (one !== undefined) subscriptions.push([no, { ...one, shown: event.shown, spared: true, dueAt: null }])
  }
  return forgetDeparted({
    ...state,
    subscriptions: setAll(state.subscriptions, subscriptions),
    dialogs: setAll(state.dialogs, dialogs),
  })
}

/** Whoever is gone is forgotten once every winfo subscription that knew of it has been told. */
const forgetDeparted = (state: State): State => {
  if (size(state.departed) === 0) return state
  /** By template: the decision up to which its least informed subscription has been told. */
  const told = new Map<PackageName, number>()
  for (const { packageName, toldIn } of values(state.subscriptions)) {
    if (isTemplate(packageName)) {
      told.set(packageName, Math.min(told.get(packageName) ?? toldIn, toldIn))
    }
  }
  let { departed } = state
  for (const one of values(state.departed)) {
    const until = told.get(templateOf(one.packageName))
    if (until === undefined || until >= one.changedIn) departed = remove(departed, one.no)
  }
  return departed === state.departed ? state : { ...state, departed }
}

const headersOf = ({
  headers,
  droppedHeaders,
}: Pick<Publication, "headers" | "droppedHeaders">): Pick<Publication, "headers" | "droppedHeaders"> =>
  headers === undefined ? (droppedHeaders === undefined ? {} : { droppedHeaders }) : { headers }
