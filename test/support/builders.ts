/**
 * The vocabulary of the tests: commands, outcomes, events and facts, each with an obvious default for every field, and
 * clock times of one day. `given.ts` makes sentences of them.
 */
import type {
  Command,
  DeliveryOutcome,
  Publish,
  Resubscribe,
  Subscribe,
} from "../../src/domain/presentity/commands.ts"
import type { Event, NotificationFailed, SubscriptionCreated } from "../../src/domain/presentity/events.ts"
import type { TerminationReason } from "../../src/domain/presentity/intents.ts"
import { viewHash } from "../../src/domain/presentity/view-digest.ts"
import { dialogKey } from "../../src/domain/vocabulary.ts"
import type {
  Body,
  DialogStart,
  EntityTag,
  Millis,
  SubscriptionNo,
  Uri,
} from "../../src/domain/vocabulary.ts"
import { text } from "./stub-package.ts"

export const alice = "sip:alice@example.com" as Uri
export const bob = "sip:bob@example.com" as Uri
export const carol = "sip:carol@elsewhere.example" as Uri

const midnight = Date.UTC(2026, 10, 20)

/** `"10:00:30"` or `"10:00:30.500"` on the day of all tests. */
export const at = (clock: string): Millis => {
  const [hours, minutes, seconds] = clock.split(":").map(Number)
  return midnight + ((hours ?? 0) * 60 + (minutes ?? 0)) * 60_000 + Math.round((seconds ?? 0) * 1000)
}

const units = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `"5 s"`, `"1 h"` after 10:00:00, the time of everything in `given` unless stated otherwise. */
export const after = (span: string): Millis => {
  const [count, unit] = span.split(" ")
  return at("10:00:00") + Number(count) * units[unit as keyof typeof units]
}

export const open = text("open")
export const busy = text("busy")
export const away = text("away")

/** What a watcher is shown: a body, that there is nothing, or nothing of what there may be. */
export type Shown = Body | "nothing" | "hidden"

export const shownAs = (body: Shown): string =>
  body === "nothing" ? "-" : body === "hidden" ? "?" : viewHash(body)

// ── dialogs ──

export const dialogOf = (id: number, over: Partial<DialogStart> = {}): DialogStart => ({
  callId: `call-${id}`,
  localTag: `local-${id}`,
  remoteTag: `remote-${id}`,
  localUri: "<sip:alice@example.com>",
  remoteUri: "<sip:bob@example.com>",
  remoteTarget: "sip:bob@192.0.2.20",
  routeSet: [],
  remoteCseq: 1,
  localContact: "sip:192.0.2.10",
  flow: "udp:192.0.2.10:5060",
  source: "192.0.2.20:5060",
  ...over,
})

export const keyOf = (id: number) => dialogKey(`call-${id}`, `local-${id}`, `remote-${id}`)

// ── commands ──

export const publish = (
  over: Partial<Omit<Publish, "ifMatch">> & { readonly ifMatch?: string | readonly string[] } = {},
): Publish => ({
  _tag: "Publish",
  packageName: "stub",
  expires: null,
  body: null,
  bodyFault: null,
  sender: null,
  ...over,
  ifMatch: over.ifMatch === undefined ? [] : typeof over.ifMatch === "string" ? [over.ifMatch] : over.ifMatch,
})

/** SUBSCRIBE outside a dialog. */
export const subscribe = (over: Partial<Subscribe> = {}): Subscribe => ({
  _tag: "Subscribe",
  packageName: "stub",
  eventId: null,
  watcher: bob,
  expires: null,
  accept: null,
  dialog: dialogOf(1),
  forceActive: false,
  bodyFault: null,
  ...over,
})

/** SUBSCRIBE inside the dialog with this number. */
export const resubscribe = (id: number, over: Partial<Resubscribe> = {}): Resubscribe => ({
  _tag: "Resubscribe",
  dialog: keyOf(id),
  packageName: "stub",
  eventId: null,
  watcher: bob,
  expires: null,
  accept: null,
  cseq: 2,
  remoteTarget: null,
  forceActive: false,
  bodyFault: null,
  ...over,
})

export const setHardState = (body: Body | null, packageName = "stub"): Command => ({
  _tag: "SetHardState",
  packageName,
  body,
})

export const fallDue: Command = { _tag: "FallDue" }
export const redeliver = (since: Millis): Command => ({ _tag: "Redeliver", since })

export const delivery = (id: SubscriptionNo, cseq: number, outcome: DeliveryOutcome): Command => ({
  _tag: "ReportDelivery",
  no: id,
  cseq,
  outcome,
})

export type Failure = Exclude<DeliveryOutcome, { readonly _tag: "Accepted" }>

export const accepted = (remoteTarget: string | null = null): DeliveryOutcome => ({
  _tag: "Accepted",
  remoteTarget,
})
export const refused = (status: number, retryAfter: number | null = null): Failure => ({
  _tag: "Refused",
  status,
  retryAfter,
})
export const timedOut: Failure = { _tag: "TimedOut" }
export const unreachable: Failure = { _tag: "Unreachable" }

// ── events ──

interface Publication {
  readonly packageName?: string
  readonly expiresAt?: Millis
  readonly sender?: string | null
}

export const publicationCreated = (entityTag: string, body: Body, over: Publication = {}): Event => ({
  _tag: "PublicationCreated",
  packageName: "stub",
  entityTag: entityTag as EntityTag,
  expiresAt: at("11:00:00"),
  body,
  sender: null,
  ...over,
})

export const publicationModified = (
  supersedes: string,
  entityTag: string,
  body: Body,
  over: Publication = {},
): Event => ({
  _tag: "PublicationModified",
  packageName: "stub",
  entityTag: entityTag as EntityTag,
  supersedes: supersedes as EntityTag,
  expiresAt: at("11:00:00"),
  body,
  sender: null,
  ...over,
})

export const publicationRefreshed = (
  supersedes: string,
  entityTag: string,
  expiresAt: Millis,
  packageName = "stub",
): Event => ({
  _tag: "PublicationRefreshed",
  packageName,
  entityTag: entityTag as EntityTag,
  supersedes: supersedes as EntityTag,
  expiresAt,
})

export const publicationRemoved = (
  entityTag: string,
  cause: "requested" | "expired",
  packageName = "stub",
): Event => ({ _tag: "PublicationRemoved", packageName, entityTag: entityTag as EntityTag, cause })

export const hardStateReplaced = (body: Body | null, packageName = "stub"): Event => ({
  _tag: "HardStateReplaced",
  packageName,
  body,
})

export const subscriptionCreated = (id: number, over: Partial<SubscriptionCreated> = {}): Event => ({
  _tag: "SubscriptionCreated",
  no: id,
  packageName: "stub",
  eventId: null,
  watcher: bob,
  status: "active",
  polite: false,
  matched: null,
  giveUpAt: over.status === "pending" ? after("3 d") : null,
  expiresAt: at("11:00:00"),
  dialog: id,
  start: dialogOf(id),
  remoteCseq: 1,
  ...over,
})

export const subscriptionRefreshed = (
  id: number,
  remoteCseq: number,
  expiresAt: Millis,
  remoteTarget: string | null = null,
): Event => ({ _tag: "SubscriptionRefreshed", no: id, expiresAt, remoteCseq, remoteTarget })

/** To pending; a decision is possible for three days from then on. */
export const statusChanged = (
  id: number,
  status: "active" | "pending",
  polite = false,
  over: { readonly matched?: string | null; readonly giveUpAt?: Millis } = {},
): Event => ({
  _tag: "SubscriptionStatusChanged",
  no: id,
  status,
  polite,
  matched: null,
  giveUpAt: status === "pending" ? after("3 d") : null,
  ...over,
})

/** @param waitsUntil the watcher was undecided and is remembered as waiting until then */
export const terminated = (
  id: number,
  reason: TerminationReason,
  waitsUntil: Millis | null = null,
): Event => ({
  _tag: "SubscriptionTerminated",
  no: id,
  reason,
  silent: false,
  waitsUntil,
})

/** Ended without a NOTIFY. */
export const dropped = (id: number): Event => ({
  _tag: "SubscriptionTerminated",
  no: id,
  reason: "timeout",
  silent: true,
  waitsUntil: null,
})

/** The event for a NOTIFY with that outcome. */
const outcomeNames: Partial<Record<Failure["_tag"], NotificationFailed["outcome"]>> = {
  Refused: "refused",
  TimedOut: "timed-out",
  FlowLost: "flow-lost",
  TooLarge: "too-large",
}

export const failure = (id: number, cseq: number, outcome: Failure): Event => ({
  _tag: "NotificationFailed",
  no: id,
  cseq,
  outcome: outcomeNames[outcome._tag] ?? "unreachable",
  ...(outcome._tag === "Refused" ? { status: outcome.status } : {}),
})

export const retargeted = (dialog: number, remoteTarget: string): Event => ({
  _tag: "RemoteTargetChanged",
  dialog,
  remoteTarget,
})

interface Told {
  readonly packageName?: string
  readonly except?: readonly number[]
  readonly suppressed?: readonly number[]
  readonly cause?: "subscribe" | "change" | "rules" | "recovery" | "credentials"
}

/** A NOTIFY to each of these subscriptions, showing that body. */
export const notified = (to: "active" | readonly number[], shown: Shown, over: Told = {}): Event => ({
  _tag: "NotificationsIssued",
  packageName: "stub",
  to,
  except: [],
  suppressed: [],
  shown: shownAs(shown),
  cause: "change",
  ...over,
})

/** The NOTIFY in response to a SUBSCRIBE. */
export const answeredWith = (id: number, shown: Shown, over: Told = {}): Event =>
  notified([id], shown, { cause: "subscribe", ...over })

export const deferred = (to: readonly number[], until: Millis | null, undelivered = false): Event => ({
  _tag: "NotificationsDeferred",
  to,
  until,
  undelivered,
})

// ── facts ──

/** The events of one decision, at 10:00:00 unless `happened` says otherwise. */
export interface Fact {
  readonly at: Millis
  readonly events: readonly Event[]
}

export const happened = (when: Millis, ...events: readonly Event[]): Fact => ({ at: when, events })

/** A publication of the default package. */
export const published = (tag: string, body: Body, over: Publication = {}): Event =>
  publicationCreated(tag, body, over)

/** A subscription with its own dialog, notified of the state at that time: `shown`. */
export const subscribed = (
  id: number,
  watcher: Uri = bob,
  shown: Shown = "nothing",
  over: Partial<SubscriptionCreated> = {},
): Fact =>
  happened(
    at("10:00:00"),
    subscriptionCreated(id, { watcher, ...over }),
    answeredWith(id, shown, over.packageName === undefined ? {} : { packageName: over.packageName }),
  )
