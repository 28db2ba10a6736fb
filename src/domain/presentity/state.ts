/**
 * What is true of one presentity, and how each event changes it.
 *
 * `evolve` is total: it never throws, reads no clock, and ignores what it cannot apply. Nothing else changes state.
 */
import { emptyTable, get, remove, set, setAll, size, values } from "../table.ts"
import type { Table } from "../table.ts"
import { unreachable } from "../vocabulary.ts"
import type {
  Body,
  DialogNo,
  DialogStart,
  EntityTag,
  Millis,
  PackageName,
  SubscriptionNo,
  Uri,
} from "../vocabulary.ts"
import type { WatcherEvent } from "../packages/event-package.ts"
import type { Decision, Event, NotificationsIssued, Status, SubscriptionTerminated } from "./events.ts"

export interface State {
  readonly presentity: Uri
  /** Decisions folded so far: the version of the stream. */
  readonly version: number
  /** Time of the last decision: a stream's time never goes back. */
  readonly decidedAt: Millis
  /** Live publications of each package by entity-tag. A package without any has no entry. */
  readonly publications: Table<PackageName, Publications>
  readonly subscriptions: Table<SubscriptionNo, Subscription>
  /** Watchers that nobody decided on before their subscription ended (RFC 3857 §4.7.1). */
  readonly waiting: Table<SubscriptionNo, Waiting>
  /** Authorization documents by package. */
  readonly rules: Table<PackageName, Rules>
  /** For each watched package the decision that last changed what its watcher information says. */
  readonly watchersChangedIn: Table<PackageName, number>
  /** Watchers that are gone and that some winfo subscription has not been told of yet. */
  readonly departed: Table<SubscriptionNo, Departed>
  /** A dialog lives as long as a subscription in it (RFC 3265 §3.3.4). */
  readonly dialogs: Table<DialogNo, Dialog>
}

export type Publications = Table<EntityTag, Publication>

export interface Publication {
  readonly entityTag: EntityTag
  /** The decision that created it: names it through all its entity-tags. */
  readonly createdIn: number
  /** The smallest number, from 1, that no other live publication of the package had then: its key in composition. */
  readonly slot: number
  /** The decision that gave it its present body: the order in which publications compose. A refresh keeps it. */
  readonly bodyFrom: number
  readonly receivedAt: Millis
  readonly expiresAt: Millis
  readonly body: Body
  readonly sender: string | null
}

export interface Subscription {
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly status: Status
  readonly polite: boolean
  /** Ordinals of the rules that match it (`0,3`); null when rules were not asked. */
  readonly matched: string | null
  /** What led to its status (RFC 3857 §4.7.1). */
  readonly event: WatcherEvent
  /** The decision that last changed its status. */
  readonly changedIn: number
  readonly createdAt: Millis
  readonly expiresAt: Millis
  /** When a pending one is given up. */
  readonly giveUpAt: Millis | null
  readonly dialog: DialogNo
  /** NOTIFYs issued: the version of the next document, for packages that count (RFC 3858 §3, RFC 4235 §4.1). */
  readonly notified: number
  /** Digest of the view last issued; empty before the first. */
  readonly shown: string
  readonly issuedAt: Millis
  /** The decision that issued its last NOTIFY; 0 before the first. */
  readonly toldIn: number
  /** When the last change-driven NOTIFY was issued; 0 before the first. */
  readonly pacedAt: Millis
  /** The dialog's local CSeq when the watcher last sent a SUBSCRIBE: failures of older NOTIFYs say nothing now. */
  readonly heardAt: number
  /** When a change held back is to be sent; null when none is. */
  readonly dueAt: Millis | null
}

export interface Waiting {
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly since: Millis
  readonly giveUpAt: Millis
  readonly createdAt: Millis
  readonly changedIn: number
}

export interface Departed {
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly event: WatcherEvent
  readonly createdAt: Millis
  readonly changedIn: number
}

export interface Rules {
  readonly body: Body
  /** The decision that put them in force: their version in the log. */
  readonly replacedIn: number
  readonly boundaryAt: Millis | null
}

export interface Dialog {
  readonly no: DialogNo
  /** As created; `remoteTarget` and `remoteCseq` below supersede those in it, the route set never changes. */
  readonly start: DialogStart
  readonly remoteTarget: string
  readonly remoteCseq: number
  /** CSeq of the last NOTIFY issued. */
  readonly localCseq: number
  /** Subscriptions alive in it. */
  readonly usages: number
}

export const initial = (presentity: Uri): State => ({
  presentity,
  version: 0,
  decidedAt: 0,
  publications: emptyTable(),
  subscriptions: emptyTable(),
  waiting: emptyTable(),
  rules: emptyTable(),
  watchersChangedIn: emptyTable(),
  departed: emptyTable(),
  dialogs: emptyTable(),
})

/** Nothing lives and nothing is in force: such a state needs no deadline, no snapshot and no memory. */
export const isEmpty = (state: State): boolean =>
  size(state.subscriptions) === 0 &&
  size(state.publications) === 0 &&
  size(state.waiting) === 0 &&
  size(state.rules) === 0

/** The state after one decision. O(its events), or O(subscriptions) where it notifies all active ones. */
export const fold = (state: State, decision: Pick<Decision, "events" | "at" | "version">): State => {
  let next = state
  for (const event of decision.events) next = evolve(next, event, decision.at)
  // of nothing only the version is known, however it came about
  const watchersChangedIn = isEmpty(next) ? emptyTable<PackageName, number>() : next.watchersChangedIn
  const decidedAt = Math.max(state.decidedAt, decision.at)
  return { ...next, watchersChangedIn, version: decision.version, decidedAt }
}

/** The state after one event that was decided at `at`. */
export const evolve = (state: State, event: Event, at: Millis): State => {
  switch (event._tag) {
    case "PublicationCreated":
      return putPublication(state, event.packageName, null, {
        entityTag: event.entityTag,
        createdIn: state.version + 1,
        slot: freeSlot(state, event.packageName),
        bodyFrom: state.version + 1,
        receivedAt: at,
        expiresAt: event.expiresAt,
        body: event.body,
        sender: event.sender,
      })
    case "PublicationModified": {
      const old = publication(state, event.packageName, event.supersedes)
      if (old === undefined) return state
      return putPublication(state, event.packageName, event.supersedes, {
        ...old,
        entityTag: event.entityTag,
        bodyFrom: state.version + 1,
        receivedAt: at,
        expiresAt: event.expiresAt,
        body: event.body,
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
    case "SubscriptionCreated": {
      const dialog =
        event.start === null
          ? get(state.dialogs, event.dialog)
          : {
              no: event.dialog,
              start: event.start,
              remoteTarget: event.start.remoteTarget,
              remoteCseq: event.remoteCseq,
              localCseq: 0,
              usages: 0,
            }
      if (dialog === undefined) return state
      return {
        ...state,
        // one that is over within its decision, a fetch, is not seen in between (RFC 3857 §4.7.2)
        watchersChangedIn: event.expiresAt > at ? changed(state, event.packageName) : state.watchersChangedIn,
        dialogs: set(state.dialogs, dialog.no, {
          ...dialog,
          remoteCseq: event.remoteCseq,
          usages: dialog.usages + 1,
        }),
        subscriptions: set(state.subscriptions, event.no, {
          no: event.no,
          packageName: event.packageName,
          eventId: event.eventId,
          watcher: event.watcher,
          status: event.status,
          polite: event.polite,
          matched: event.matched,
          event: "subscribe",
          changedIn: state.version + 1,
          createdAt: at,
          expiresAt: event.expiresAt,
          giveUpAt: event.giveUpAt,
          dialog: dialog.no,
          notified: 0,
          shown: "",
          issuedAt: at,
          toldIn: 0,
          pacedAt: 0,
          heardAt: dialog.localCseq,
          dueAt: null,
        }),
      }
    }
    case "SubscriptionRefreshed": {
      const subscription = get(state.subscriptions, event.no)
      if (subscription === undefined) return state
      const dialog = get(state.dialogs, subscription.dialog)
      if (dialog === undefined) return state
      return {
        ...state,
        dialogs: set(state.dialogs, dialog.no, {
          ...dialog,
          remoteCseq: event.remoteCseq,
          remoteTarget: event.remoteTarget ?? dialog.remoteTarget,
        }),
        subscriptions: set(state.subscriptions, event.no, {
          ...subscription,
          expiresAt: event.expiresAt,
          heardAt: dialog.localCseq,
        }),
      }
    }
    case "SubscriptionStatusChanged": {
      const subscription = get(state.subscriptions, event.no)
      if (subscription === undefined) return state
      const { status, polite, matched, giveUpAt } = event
      const isTransition = status !== subscription.status
      return {
        ...state,
        watchersChangedIn: isTransition ? changed(state, subscription.packageName) : state.watchersChangedIn,
        subscriptions: set(state.subscriptions, event.no, {
          ...subscription,
          status,
          polite,
          matched,
          giveUpAt,
          // back to pending has no event of its own (RFC 3858 §3): the only one that leads there is subscribe
          event: !isTransition ? subscription.event : status === "active" ? "approved" : "subscribe",
          changedIn: isTransition ? state.version + 1 : subscription.changedIn,
        }),
      }
    }
    case "SubscriptionTerminated":
      return terminate(state, event, at)
    case "WaitingEnded": {
      const waiting = get(state.waiting, event.no)
      if (waiting === undefined) return state
      const { no, packageName, watcher, createdAt } = waiting
      return depart(
        { ...state, waiting: remove(state.waiting, no) },
        { no, packageName, watcher, createdAt, event: event.event, changedIn: state.version + 1 },
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
      return {
        ...state,
        dialogs: set(state.dialogs, dialog.no, { ...dialog, remoteTarget: event.remoteTarget }),
      }
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
            return [[no, { ...subscription, shown, dueAt: event.until }]]
          }),
        ),
      }
    default:
      return unreachable(event)
  }
}

/** The live publication with this entity-tag. */
export const publication = (
  state: State,
  packageName: PackageName,
  entityTag: string,
): Publication | undefined => {
  const publications = get(state.publications, packageName)
  return publications === undefined ? undefined : get(publications, entityTag as EntityTag)
}

/** The subscriptions that one `NotificationsIssued` means, by number. O(subscriptions of the presentity). */
export const audience = (state: State, event: NotificationsIssued): readonly Subscription[] => {
  if (event.to !== "active") {
    const found: Subscription[] = []
    for (const no of event.to) {
      const subscription = get(state.subscriptions, no)
      if (subscription !== undefined) found.push(subscription)
    }
    return found
  }
  const except = event.except.length === 0 ? null : new Set(event.except)
  return activeSubscriptions(state, event.packageName).filter((one) => except === null || !except.has(one.no))
}

/** Active subscriptions to one package, by number. O(subscriptions of the presentity). */
export const activeSubscriptions = (state: State, packageName: PackageName): Subscription[] => {
  const found: Subscription[] = []
  for (const subscription of values(state.subscriptions)) {
    if (subscription.packageName === packageName && subscription.status === "active") found.push(subscription)
  }
  return found.sort((one, other) => one.no - other.no)
}

/** The earliest instant at which something must be decided; null when there is none. O(all that lives). */
export const nextDeadline = (state: State): Millis | null => {
  let earliest = never
  for (const publications of values(state.publications)) {
    for (const one of values(publications)) earliest = Math.min(earliest, one.expiresAt)
  }
  for (const one of values(state.subscriptions)) {
    earliest = Math.min(earliest, one.expiresAt, one.dueAt ?? never, one.giveUpAt ?? never)
  }
  for (const one of values(state.waiting)) earliest = Math.min(earliest, one.giveUpAt)
  for (const one of values(state.rules)) earliest = Math.min(earliest, one.boundaryAt ?? never)
  return earliest === never ? null : earliest
}

/** The earliest deadline that these events bring with them; null when they bring none. */
export const deadlineIn = (events: readonly Event[]): Millis | null => {
  let earliest = never
  for (const event of events) {
    if ("expiresAt" in event) earliest = Math.min(earliest, event.expiresAt)
    if ("giveUpAt" in event) earliest = Math.min(earliest, event.giveUpAt ?? never)
    if ("until" in event) earliest = Math.min(earliest, event.until ?? never)
    if ("waitsUntil" in event) earliest = Math.min(earliest, event.waitsUntil ?? never)
    if ("boundaryAt" in event) earliest = Math.min(earliest, event.boundaryAt ?? never)
  }
  return earliest === never ? null : earliest
}

const never = Number.POSITIVE_INFINITY

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
    const dialogs = left.usages <= 0 ? remove(state.dialogs, dialog.no) : set(state.dialogs, dialog.no, left)
    next = { ...next, dialogs }
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
        createdAt,
        since: at,
        giveUpAt: waitsUntil,
        changedIn: version,
      }),
    }
  }
  if (packageName.endsWith(templateSuffix)) next = forgetDeparted(next)
  // a fetch: it began in this decision, and not to stay
  if (subscription.changedIn === version && expiresAt <= at && subscription.notified === 0) return next
  // RFC 3857 has no event for a NOTIFY that failed: nobody decided on a pending one, an active one timed out
  const ending = silent && subscription.status === "pending" ? "giveup" : event.reason
  return depart(next, { no, packageName, watcher, createdAt, event: ending, changedIn: version })
}

/** Remembers who is gone for as long as a winfo subscription has not been told. */
const depart = (state: State, one: Departed): State => {
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

/** The package of the watcher information of a package (RFC 3857 §4.1). */
export const templateOf = (packageName: PackageName): PackageName => `${packageName}${templateSuffix}`

const templateSuffix = ".winfo"

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
    dialogs.set(dialog.no, { ...dialog, localCseq: dialog.localCseq + 1 })
    const pacedAt = event.cause === "change" ? at : one.pacedAt
    const notified = one.notified + 1
    const toldIn = state.version + 1
    subscriptions.push([
      one.no,
      { ...one, notified, shown: event.shown, issuedAt: at, toldIn, pacedAt, dueAt: null },
    ])
  }
  for (const no of event.suppressed) {
    const one = get(state.subscriptions, no)
    if (one !== undefined) subscriptions.push([no, { ...one, shown: event.shown, dueAt: null }])
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
    if (packageName.endsWith(templateSuffix)) {
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
