/**
 * When something must be decided without a request. There is one table of deadlines. A number added to a record of the
 * state, a collection added to the state or an event added to the log does not compile until this table says whether it
 * is a deadline, or which records it may give a different one.
 */
import { get, values } from "../table.ts"
import type { Table } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo } from "../vocabulary.ts"
import type { Event, NotificationsIssued } from "./events.ts"
import { publication } from "./state.ts"
import type { Publication, Rules, State, Subscription, Waiting } from "./state.ts"

/** The fields that hold a number or null: each of them may be an instant. */
type Numeric<T> = {
  [Key in keyof T]-?: number extends T[Key] ? (NonNullable<T[Key]> extends number ? Key : never) : never
}[keyof T]

/**
 * States for each number of a record whether it is a deadline, that is, an instant at which something must be decided.
 */
type Instants<T> = { readonly [Key in Numeric<T>]: "deadline" | "no deadline" }

const ofPublication: Instants<Publication> = {
  createdIn: "no deadline",
  after: "no deadline",
  taggedIn: "no deadline",
  slot: "no deadline",
  bodyFrom: "no deadline",
  receivedAt: "no deadline",
  expiresAt: "deadline",
}

const ofSubscription: Instants<Subscription> = {
  no: "no deadline",
  dialog: "no deadline",
  changedIn: "no deadline",
  createdAt: "no deadline",
  expiresAt: "deadline",
  giveUpAt: "deadline",
  notified: "no deadline",
  issuedAt: "no deadline",
  toldIn: "no deadline",
  pacedAt: "no deadline",
  heardAt: "no deadline",
  dueAt: "deadline",
  repeatAt: "deadline",
}

const ofWaiting: Instants<Waiting> = {
  no: "no deadline",
  since: "no deadline",
  createdAt: "no deadline",
  changedIn: "no deadline",
  giveUpAt: "deadline",
}

const ofRules: Instants<Rules> = { replacedIn: "no deadline", boundaryAt: "deadline" }

const never = Number.POSITIVE_INFINITY

/** The earliest deadline of one record according to its row of the table; `never` if it has none. */
const earliestBy = <T>(instants: Instants<T>): ((record: T) => Millis) => {
  const keys = (Object.keys(instants) as Numeric<T>[]).filter((key) => instants[key] === "deadline")
  return (record) => {
    let earliest = never
    for (const key of keys) {
      const at = record[key] as Millis | null
      if (at !== null && at < earliest) earliest = at
    }
    return earliest
  }
}

const publicationDeadline = earliestBy(ofPublication)
const subscriptionAlone = earliestBy(ofSubscription)
const waitingDeadline = earliestBy(ofWaiting)
const rulesDeadline = earliestBy(ofRules)

/** Nothing is decided here about a subscription for which another server is responsible. */
const subscriptionDeadline = (subscription: Subscription): Millis =>
  subscription.parked === true ? never : subscriptionAlone(subscription)

type Collection = {
  [Key in keyof State]-?: State[Key] extends Table<infer _Key, infer _Value> ? Key : never
}[keyof State]

const earliestIn = <K extends string | number, V>(
  table: Table<K, V>,
  deadline: (value: V) => Millis,
): Millis => {
  let earliest = never
  for (const value of values(table)) earliest = Math.min(earliest, deadline(value))
  return earliest
}

const nothing = (): Millis => never

/** The earliest deadline of each collection of a state. */
const inState: { readonly [Key in Collection]: (state: State) => Millis } = {
  publications: ({ publications }) =>
    earliestIn(publications, (ofPackage) => earliestIn(ofPackage, publicationDeadline)),
  subscriptions: ({ subscriptions }) => earliestIn(subscriptions, subscriptionDeadline),
  waiting: ({ waiting }) => earliestIn(waiting, waitingDeadline),
  rules: ({ rules }) => earliestIn(rules, rulesDeadline),
  // these stay until a command changes them
  hardState: nothing,
  verdicts: nothing,
  sharingTags: nothing,
  watchersChangedIn: nothing,
  // these go with the subscriptions to which they belong, or once watchers have been told of them
  departed: nothing,
  dialogs: nothing,
}

const allOf = Object.values(inState)

const earliestOf = (state: State): Millis => {
  let earliest = never
  for (const collection of allOf) earliest = Math.min(earliest, collection(state))
  return earliest
}

/** The earliest instant at which something must be decided; null: there is none. O(live records). */
export const nextDeadline = (state: State): Millis | null => orNull(earliestOf(state))

const orNull = (at: Millis): Millis | null => (at === never ? null : at)

const ofPublicationIn = (after: State, packageName: PackageName, entityTag: string): Millis => {
  const record = publication(after, packageName, entityTag)
  return record === undefined ? never : publicationDeadline(record)
}

const ofSubscriptionIn = (after: State, id: SubscriptionNo): Millis => {
  const record = get(after.subscriptions, id)
  return record === undefined ? never : subscriptionDeadline(record)
}

const ofWaitingIn = (after: State, id: SubscriptionNo): Millis => {
  const record = get(after.waiting, id)
  return record === undefined ? never : waitingDeadline(record)
}

const ofRulesIn = (after: State, packageName: PackageName): Millis => {
  const record = get(after.rules, packageName)
  return record === undefined ? never : rulesDeadline(record)
}

const ofSubscriptionsIn = (after: State, numbers: readonly SubscriptionNo[]): Millis => {
  let earliest = never
  for (const id of numbers) earliest = Math.min(earliest, ofSubscriptionIn(after, id))
  return earliest
}

const ofToldIn = (after: State, { to, suppressed }: NotificationsIssued): Millis =>
  to === "active"
    ? inState.subscriptions(after)
    : Math.min(ofSubscriptionsIn(after, to), ofSubscriptionsIn(after, suppressed))

/** For each event: the earliest deadline of the records that it changed, in the state after its decision. */
const byEvent: {
  readonly [Tag in Event["_tag"]]: (event: Extract<Event, { readonly _tag: Tag }>, after: State) => Millis
} = {
  PublicationCreated: (event, after) => ofPublicationIn(after, event.packageName, event.entityTag),
  PublicationModified: (event, after) => ofPublicationIn(after, event.packageName, event.entityTag),
  PublicationRefreshed: (event, after) => ofPublicationIn(after, event.packageName, event.entityTag),
  PublicationRemoved: nothing,
  HardStateReplaced: nothing,
  SubscriptionCreated: (event, after) => ofSubscriptionIn(after, event.no),
  SubscriptionRefreshed: (event, after) => ofSubscriptionIn(after, event.no),
  SubscriptionStatusChanged: (event, after) => ofSubscriptionIn(after, event.no),
  SubscriptionTerminated: (event, after) => ofWaitingIn(after, event.no),
  WatcherRemembered: (event, after) => ofWaitingIn(after, event.no),
  WaitingEnded: nothing,
  RulesReplaced: (event, after) => ofRulesIn(after, event.packageName),
  RulesReviewed: (event, after) => ofRulesIn(after, event.packageName),
  WatcherDecided: nothing,
  LogDropped: nothing,
  DocumentsDropped: nothing,
  PersonErased: nothing,
  SharingTagSet: nothing,
  // subscriptions that are served again have the deadlines they had before
  SharingTagSwitched: (_, after) => earliestOf(after),
  RemoteTargetChanged: nothing,
  TargetDoubted: nothing,
  TargetProven: nothing,
  TargetsFailed: nothing,
  NotificationsIssued: (event, after) => ofToldIn(after, event),
  NotificationsDeferred: (event, after) => ofSubscriptionsIn(after, event.to),
  NotificationFailed: nothing,
  NotificationsAccepted: nothing,
  // any instant of the state may have changed
  ClockSetBack: ({ moved }, after) => (moved === undefined ? never : earliestOf(after)),
  FarewellRepeated: nothing,
}

/**
 * The earliest deadline among the records that the events of one decision changed; null: there is none.
 *
 * The earlier of this and the deadline known before the decision is never later than `nextDeadline` of the state after
 * it. O(records that the events name), or O(subscriptions) for events that concern all of them.
 */
export const deadlineIn = (events: readonly Event[], after: State): Millis | null => {
  let earliest = never
  for (const event of events) {
    const deadline = byEvent[event._tag] as (event: Event, after: State) => Millis
    earliest = Math.min(earliest, deadline(event, after))
  }
  return orNull(earliest)
}
