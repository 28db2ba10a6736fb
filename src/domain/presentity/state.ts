/**
 * What is true of one presentity, and the questions that are asked of it.
 *
 * How events change it is `evolve.ts`.
 */
import type { WatcherEvent } from "../packages/event-package.ts"
import type { Private } from "../privacy.ts"
import { each, emptyTable, get, size } from "../table.ts"
import type { Table } from "../table.ts"
import { invariant } from "../vocabulary.ts"
import type {
  Arrival,
  Body,
  DialogNo,
  DialogStart,
  EntityTag,
  Header,
  Millis,
  PackageName,
  Proof,
  Rates,
  SubHandling,
  SubscriptionNo,
  Uri,
  WatchWord,
} from "../vocabulary.ts"
import type { NotificationsIssued, Status } from "./events.ts"
import type { Retained } from "./retention.ts"
import type { SharingTagRole } from "./sharing-tag-events.ts"

export interface State {
  readonly presentity: Uri
  /** Decisions folded so far: the version of the stream. */
  readonly version: number
  /** Time of the last decision: a stream's time never goes back. */
  readonly decidedAt: Millis
  /** How long before that it was by the clock: above 0 after the clock was set back, until it has caught up (`clock.ts`). */
  readonly behind: Millis
  /** Live publications of each package by entity-tag. A package without any has no entry. */
  readonly publications: Table<PackageName, Publications>
  /** By package: what counts as published before everything else, and has no end (RFC 4827). */
  readonly hardState: Table<PackageName, Body>
  readonly subscriptions: Table<SubscriptionNo, Subscription>
  /** Watchers that nobody decided on before their subscription ended (RFC 3857 §4.7.1). */
  readonly waiting: Table<SubscriptionNo, Waiting>
  /** Authorization documents by package. */
  readonly rules: Table<PackageName, Rules>
  /** What the operator has decided on single watchers, by `verdictKey`. */
  readonly verdicts: Table<string, Verdict>
  /** What the tags are on this server; only in the stream of tags. */
  readonly sharingTags: Table<string, SharingTag>
  /** What was dropped from the log; only in the stream of retention, null elsewhere. */
  readonly retained: Retained | null
  /** For each watched package the decision that last changed what its watcher information says. */
  readonly watchersChangedIn: Table<PackageName, number>
  /** Watchers that are gone and that some winfo subscription has not been told of yet. */
  readonly departed: Table<SubscriptionNo, TerminatedWatcher>
  /** A dialog lives as long as a subscription in it (RFC 3265 §3.3.4). */
  readonly dialogs: Table<DialogNo, Dialog>
  /** How many of them go where no NOTIFY was answered yet. */
  readonly unproven: number
  /** How many subscriptions there are to watcher information: most presentities have none, and nothing is looked for then. */
  readonly winfoSubscriptions: number
  /**
   * Decisions are missing before this state, so that it need not know what later ones name: the oldest part of the log was
   * dropped, or one of its decisions cannot be read. In memory only; absent: it is whole.
   */
  readonly isIncomplete?: true
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
  /** Null: all that is published is in `headers`. */
  readonly body: Body | null
  /** Absent: none. */
  readonly headers?: readonly Header[]
  /** The SHA-256 of headers that retention has dropped; absent: it has not. */
  readonly droppedHeaders?: string
  readonly sender: string | null
  /** As in `PublicationCreated`; absent: nothing identifies its device. */
  readonly device?: string
  /** As in the event that gave it its present body; absent: not recorded. */
  readonly after?: number
  /** The decision that issued its present entity-tag; absent where `after` is. */
  readonly taggedIn?: number
}

export interface Subscription extends Private {
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly status: Status
  readonly polite: boolean
  /** Ordinals of the rules that match it (`0,3`); null when rules were not asked. */
  readonly matched: string | null
  /** What its SUBSCRIBE said in the header that is its package's argument; absent: nothing. */
  readonly argument?: string
  /** As in `SubscriptionCreated`: the form of documents that its phone needs; absent: the usual one. */
  readonly needs?: string
  /** The registrar made it for a phone that has not subscribed; absent: the watcher did. */
  readonly unsolicited?: true
  /** Ranges of media types that it takes (RFC 3856 §6.7); absent: all that its package sends. */
  readonly accept?: readonly string[]
  /** The tag that says which server looks after it; absent: this one. */
  readonly sharingTag?: string
  /** Another server looks after it; absent: this one does. */
  readonly parked?: true
  /** Admitted by the operator, whatever the rules say. */
  readonly forced: boolean
  /** The policy that last decided on it; absent: none was asked, or the log is older than policies. */
  readonly policy?: WatchWord
  /** It waits because the source of rules had not been read; absent: it had, or rules decided. */
  readonly unread?: true
  /** What led to its status (RFC 3857 §4.7.1). */
  readonly event: WatcherEvent
  /** The decision that last changed its status, or whether it is named to others. */
  readonly changedIn: number
  readonly createdAt: Millis
  readonly expiresAt: Millis
  /** When a pending one is given up. */
  readonly giveUpAt: Millis | null
  readonly dialog: DialogNo
  /** Documents issued: the version of the next one, for packages that count (RFC 3858 §3, RFC 4235 §4.1). */
  readonly notified: number
  /** Digest of the view last issued; empty before the first, `withheldDigest` when its document waits. */
  readonly shown: string
  /** `shown` was no NOTIFY: its own device made the change (OpenSIPS `Sender`). */
  readonly spared: boolean
  readonly issuedAt: Millis
  /** The decision that issued its last NOTIFY; 0 before the first. */
  readonly toldIn: number
  /** When the last change-driven NOTIFY was issued; 0 before the first. */
  readonly pacedAt: Millis
  /** The dialog's local CSeq when the watcher last sent a SUBSCRIBE: failures of older NOTIFYs say nothing now. */
  readonly heardAt: number
  /** When a change held back is to be sent; null when none is. */
  readonly dueAt: Millis | null
  /** It wants no documents until it subscribes again (RFC 5839 §5.2). */
  readonly dormant: boolean
  /** The pace it was granted (RFC 6446); null: the package's. */
  readonly rates: Rates | null
  /** When it is notified though nothing changed; null when it did not ask for that. */
  readonly repeatAt: Millis | null
  /** Issue times that an adaptive pace counts; empty for any other. */
  readonly recent: readonly Millis[]
}

export interface Waiting extends Private {
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly since: Millis
  readonly giveUpAt: Millis
  readonly createdAt: Millis
  readonly changedIn: number
}

export interface TerminatedWatcher extends Private {
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

export interface Verdict {
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly handling: SubHandling
}

export interface SharingTag {
  readonly tag: string
  readonly role: SharingTagRole
  readonly epoch: number
}

export interface Dialog {
  readonly no: DialogNo
  /** As created; `remoteTarget`, `remoteCseq` and `arrival` below supersede what it has of them, the route set never changes. */
  readonly start: DialogStart
  readonly remoteTarget: string
  readonly remoteCseq: number
  /** CSeq of the last NOTIFY issued. */
  readonly localCseq: number
  /** Subscriptions alive in it. */
  readonly usages: number
  /** What is known of where its NOTIFYs go; absent: all of it is proven. */
  readonly proof?: Proof
  /** Where its newest SUBSCRIBE arrived; absent: as in `start`. */
  readonly arrival?: Arrival
}

export const initial = (presentity: Uri): State => ({
  presentity,
  version: 0,
  decidedAt: 0,
  behind: 0,
  publications: emptyTable(),
  hardState: emptyTable(),
  subscriptions: emptyTable(),
  waiting: emptyTable(),
  rules: emptyTable(),
  verdicts: emptyTable(),
  sharingTags: emptyTable(),
  retained: null,
  watchersChangedIn: emptyTable(),
  departed: emptyTable(),
  dialogs: emptyTable(),
  unproven: 0,
  winfoSubscriptions: 0,
})

/** Nothing lives and nothing is in force: such a state needs no deadline, no snapshot and no memory. */
export const isEmpty = (state: State): boolean =>
  size(state.subscriptions) === 0 &&
  size(state.publications) === 0 &&
  size(state.hardState) === 0 &&
  size(state.waiting) === 0 &&
  size(state.rules) === 0 &&
  size(state.verdicts) === 0 &&
  size(state.sharingTags) === 0 &&
  state.retained === null

/**
 * Whether something is there that the log names. It always is in a state that is whole; there an invariant breaks.
 *
 * @param what that it is there, as a sentence
 */
export const isKnown = <T>(state: State, found: T | undefined, what: string): found is T => {
  invariant(found !== undefined || state.isIncomplete === true, what)
  return found !== undefined
}

/** Where the verdict on a watcher of a package is kept. */
export const verdictKey = (packageName: PackageName, watcher: Uri): string => `${packageName} ${watcher}`

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
  const served = servedHere(state, event.packageName)
  if (event.except.length === 0) return served
  const except = new Set(event.except)
  return served.filter(({ no }) => !except.has(no))
}

/** Active subscriptions to one package, by number. O(subscriptions of the presentity). */
export const activeSubscriptions = (state: State, packageName: PackageName): Subscription[] => {
  const found: Subscription[] = []
  // a table is in order of its keys, and these are the numbers
  each(state.subscriptions, (subscription) => {
    if (subscription.packageName === packageName && subscription.status === "active") found.push(subscription)
  })
  return found
}

/** Active subscriptions to one package that this server looks after, by number: those that are told of changes. */
export const servedHere = (state: State, packageName: PackageName): Subscription[] => {
  const active = activeSubscriptions(state, packageName)
  return active.every(isServedHere) ? active : active.filter(isServedHere)
}

/** Whether this server looks after a subscription, or another one that has its sharing tag. */
export const isServedHere = ({ parked }: Pick<Subscription, "parked">): boolean => parked !== true

/** The order in which subscriptions and waiting watchers are decided on: that in which they came. */
export const byNo = (left: { readonly no: SubscriptionNo }, right: { readonly no: SubscriptionNo }): number =>
  left.no - right.no

/** The package of the watcher information of a package (RFC 3857 §4.1). */
export const templateOf = (packageName: PackageName): PackageName => `${packageName}${templateSuffix}`

export const isTemplate = (packageName: PackageName): boolean => packageName.endsWith(templateSuffix)

/** Of these the state counts how many are to watcher information (`winfoSubscriptions`). */
export const countTemplates = (subscriptions: readonly Pick<Subscription, "packageName">[]): number => {
  let count = 0
  for (const { packageName } of subscriptions) if (isTemplate(packageName)) count++
  return count
}

const templateSuffix = ".winfo"
