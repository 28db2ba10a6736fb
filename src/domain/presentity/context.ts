/**
 * What a decision may look at besides state and command. All of it is handed in, so that a decision is a function of
 * its arguments: the simulator mints nonces from a seed and moves `now` by hand.
 */
import type { Packages } from "../packages/event-package.ts"
import type {
  DialogKey,
  DialogNo,
  Millis,
  PackageName,
  Seconds,
  SubHandling,
  SubscriptionNo,
  Uri,
} from "../vocabulary.ts"
import type { Watching } from "./watching.ts"

export interface Context {
  readonly now: Millis
  /** Unguessable and fresh for each decision; a token (RFC 3261 §25.1). */
  readonly nonce: string
  readonly limits: Limits
  readonly packages: Packages
  readonly authorize: Authorize
  /** Whether this server looks after subscriptions with that sharing tag; absent: after all. */
  readonly isTagActive?: (tag: string) => boolean
  /**
   * Whether the source that keeps rules for this presentity and package has not been read yet; asked only where none are in force,
   * for not to have read is not to have found none. Absent: there is no source, or all of it has been read.
   */
  readonly isUnread?: IsUnread
  /** Whether a NOTIFY of this subscription has no final answer yet. */
  readonly inFlight: (id: SubscriptionNo) => boolean
  /** The dialog of this presentity that has this key. */
  readonly findDialog: (key: DialogKey) => DialogNo | null
}

/** What one can know of a presentity that nothing happens to: no NOTIFY is under way, and no request is in a dialog of it. */
export const standingAt = (
  {
    packages,
    limits,
    authorize,
    isUnread,
  }: Pick<Context, "packages" | "limits" | "authorize"> & { readonly isUnread?: IsUnread | undefined },
  now: Millis,
): Context => ({
  now,
  nonce: "",
  limits,
  packages,
  authorize,
  ...(isUnread === undefined ? {} : { isUnread }),
  inFlight: () => false,
  findDialog: () => null,
})

/**
 * The authorization hook: how one watcher is to be treated, or null to let the presentity's rules say. Asked at every
 * SUBSCRIBE (RFC 3265 §3.1.6.4) and whenever rules are looked at again.
 */
export type Authorize = (question: {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly now: Millis
}) => SubHandling | null

export type IsUnread = (presentity: Uri, packageName: PackageName) => boolean

/** No rules are asked: whoever may send requests may watch. */
export const allowEveryone: Authorize = () => "allow"

/** The policies of packages and each presentity's own rules decide. */
export const askTheRules: Authorize = () => null

/** Everything that bounds or shapes decisions. Seconds are as on the wire. */
export interface Limits {
  readonly maxExpiresPublish: Seconds
  readonly maxExpiresSubscribe: Seconds
  /** Shorter wishes get 423; 0: never. */
  readonly minExpiresPublish: Seconds
  /** Shorter wishes get 423, but never those of an hour or more (RFC 3265 §3.1.6.1); 0: never. */
  readonly minExpiresSubscribe: Seconds
  /** The 200 to PUBLISH announces so much less, and a subscription lives so much longer than announced. */
  readonly expiresOffset: Seconds
  /** Replaces every package's own shortest time between change-driven NOTIFYs; null: the package's. */
  readonly notifyIntervalMillis: number | null
  /** Whether a NOTIFY without an answer ends its subscription. */
  readonly endSubOnTimeout: boolean
  /** When it does not: how long until such a NOTIFY is tried again; 0: not before the next change. */
  readonly probeSeconds: Seconds
  /** Where RFC 3265 and RFC 6665 differ: reply codes and which failures end a subscription. */
  readonly profile: "3265" | "6665"
  /** What a presentity without rules says to a watcher (RFC 3857 §4.7.1: undecided). */
  readonly noRules: SubHandling
  /** What rules say that match nobody of that kind (RFC 5025 §3.2.1: block). */
  readonly noMatch: SubHandling
  /**
   * Who may watch which package; absent: packages with rules of their own ask them, all others let everybody watch whom the
   * hook leaves to the rules.
   */
  readonly watching?: Watching
  /** How long an undecided watcher is remembered, in days (`waiting_subs_daysno`). */
  readonly waitingDays: number
  /** Whether rules may look at the published sphere (`enable_sphere_check`). */
  readonly sphereCheck: boolean
  /** Whether watchers may set their pace (RFC 6446). */
  readonly rateControl: boolean
  /** Whether watchers may say which document they have already (RFC 5839). */
  readonly conditionalNotify: boolean
  readonly publicationsMax: number
  readonly subscriptionsMax: number
  /** What a request refused by one of these bounds is told to wait. */
  readonly retryAfter: Seconds
}

export const defaultLimits: Limits = {
  maxExpiresPublish: 3600,
  maxExpiresSubscribe: 3600,
  minExpiresPublish: 0,
  minExpiresSubscribe: 0,
  expiresOffset: 0,
  notifyIntervalMillis: null,
  endSubOnTimeout: true,
  probeSeconds: 0,
  profile: "3265",
  noRules: "confirm",
  noMatch: "block",
  waitingDays: 3,
  sphereCheck: false,
  rateControl: true,
  conditionalNotify: true,
  publicationsMax: 64,
  subscriptionsMax: 1000,
  retryAfter: 10,
}
