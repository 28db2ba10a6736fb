/**
 * Everything besides the state and the command that a decision may depend on. All of it is passed in, so that a
 * decision is a function of its arguments: the simulator draws nonces from a seed and advances `now` itself.
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
  /**
   * Whether this server is responsible for subscriptions with that sharing tag. Absent: it is responsible for all of
   * them.
   */
  readonly isTagActive?: (tag: string) => boolean
  /**
   * Whether the source of rules for this presentity and package has not been read yet. It is asked only when no rules
   * are in force, because an unread source does not mean that there are none. Absent: there is no source, or all of it
   * has been read.
   */
  readonly isUnread?: IsUnread
  /**
   * True: the decision is one of a log from before the order of publications was recorded, made again; it is not
   * recorded then either. Absent: it is.
   */
  readonly isUnordered?: true
  /** Whether a NOTIFY of this subscription is still waiting for its final response. */
  readonly inFlight: (id: SubscriptionNo) => boolean
  /** The dialog of this presentity with the given key. */
  readonly findDialog: (key: DialogKey) => DialogNo | null
}

/**
 * The context of a presentity that is only looked at: no NOTIFY is under way, and no request arrives in one of its
 * dialogs.
 */
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
 * The authorization hook. It says how one watcher is to be treated, or returns null to leave that to the presentity's
 * rules. It is asked at every SUBSCRIBE (RFC 3265 §3.1.6.4) and whenever the rules are evaluated again.
 */
export type Authorize = (question: {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly now: Millis
}) => SubHandling | null

export type IsUnread = (presentity: Uri, packageName: PackageName) => boolean

/** Consults no rules: everybody who may send requests may watch. */
export const allowEveryone: Authorize = () => "allow"

/** Leaves every decision to the policies of the packages and the rules of each presentity. */
export const askTheRules: Authorize = () => null

/** All bounds and options of decisions. Seconds are as on the wire. */
export interface Limits {
  readonly maxExpiresPublish: Seconds
  readonly maxExpiresSubscribe: Seconds
  /** Shorter requested lifetimes are answered with 423; 0: none is. */
  readonly minExpiresPublish: Seconds
  /**
   * Shorter requested lifetimes are answered with 423, except those of an hour or more (RFC 3265 §3.1.6.1); 0: none is.
   */
  readonly minExpiresSubscribe: Seconds
  /**
   * The 200 to a PUBLISH announces a lifetime that is shorter by this much; a subscription lives longer than announced
   * by this much.
   */
  readonly expiresOffset: Seconds
  /** Replaces the minimum interval between change-driven NOTIFYs of every package; null: each package's own applies. */
  readonly notifyIntervalMillis: number | null
  /** Whether a NOTIFY without an answer ends its subscription. */
  readonly endSubOnTimeout: boolean
  /** If it does not: the time until such a NOTIFY is tried again; 0: not before the next change. */
  readonly probeSeconds: Seconds
  /** Where RFC 3265 and RFC 6665 differ: the response codes, and which failures end a subscription. */
  readonly profile: "3265" | "6665"
  /** How a watcher is treated when the presentity has no rules (RFC 3857 §4.7.1: undecided). */
  readonly noRules: SubHandling
  /** How a watcher is treated when no rule matches it (RFC 5025 §3.2.1: block). */
  readonly noMatch: SubHandling
  /**
   * Who may watch which package. Absent: packages with rules of their own consult them, and every other package admits
   * each watcher that the hook leaves undecided.
   */
  readonly watching?: Watching
  /** How long an undecided watcher is remembered, in days (`waiting_subs_daysno`). */
  readonly waitingDays: number
  /** Whether rules may depend on the published sphere (`enable_sphere_check`). */
  readonly sphereCheck: boolean
  /** Whether watchers may limit the rate of notifications (RFC 6446). */
  readonly rateControl: boolean
  /** Whether watchers may state which document they already have (RFC 5839). */
  readonly conditionalNotify: boolean
  readonly publicationsMax: number
  readonly subscriptionsMax: number
  /** The Retry-After value for a request that one of these bounds refuses. */
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
