/**
 * Converts a state to the rows of `presentity`, `active_watchers` and `watchers`, column by column in the layout of the
 * OpenSIPS presence module (times are Unix seconds).
 *
 * A row is a function of the state and its key, so a table can be dropped and rebuilt at any time. The writer of rows
 * truncates values that are too wide for the table.
 */
import { livingDialog } from "../presentity/dialog-numbers.ts"
import type { Event } from "../presentity/events.ts"
import { audience, publication } from "../presentity/state.ts"
import type { State, Subscription } from "../presentity/state.ts"
import { arrivalOf } from "../presentity/targets.ts"
import { entries, get, values } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo, Uri } from "../vocabulary.ts"
import { cut } from "./widths.ts"

/** Identifies one row; `watchers` has one per watcher and package whatever the number of subscriptions. */
export type RowKey =
  | { readonly table: "presentity"; readonly packageName: PackageName; readonly etag: string }
  | ActiveWatcherKey
  | { readonly table: "watchers"; readonly packageName: PackageName; readonly watcher: Uri }

export interface ActiveWatcherKey {
  readonly table: "active_watchers"
  readonly no: SubscriptionNo
  /** The last form of the row if the subscription has ended, since a state without it cannot give its columns. */
  readonly ended: ActiveWatcherRow | null
}

export interface PresentityRow {
  readonly username: string
  readonly domain: string
  readonly event: string
  readonly etag: string
  readonly expires: number
  readonly received_time: number
  readonly body: string
  readonly extra_hdrs: string | null
  readonly sender: string
}

export interface ActiveWatcherRow {
  readonly presentity_uri: string
  readonly watcher_username: string
  readonly watcher_domain: string
  readonly to_user: string
  readonly to_domain: string
  readonly event: string
  readonly event_id: string
  readonly to_tag: string
  readonly from_tag: string
  readonly callid: string
  readonly local_cseq: number
  readonly remote_cseq: number
  readonly contact: string
  readonly record_route: string
  readonly expires: number
  readonly status: number
  readonly reason: string
  readonly version: number
  readonly socket_info: string
  readonly local_contact: string
  readonly sharing_tag: string | null
}

export interface WatcherRow {
  readonly presentity_uri: string
  readonly watcher_username: string
  readonly watcher_domain: string
  readonly event: string
  readonly status: number
  readonly reason: string
  readonly inserted_time: number
}

/** 1 active, 2 pending: the numbers the module stores. */
const statusNumber = { active: 1, pending: 2 } as const

/** The rows that one event may have changed, given the states around its decision. */
export const touched = (event: Event, before: State, after: State): readonly RowKey[] => {
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationRemoved":
      return [{ table: "presentity", packageName: event.packageName, etag: event.entityTag }]
    case "PublicationModified":
    case "PublicationRefreshed":
      return [
        { table: "presentity", packageName: event.packageName, etag: event.supersedes },
        { table: "presentity", packageName: event.packageName, etag: event.entityTag },
      ]
    case "SubscriptionCreated":
    case "SubscriptionRefreshed":
    case "SubscriptionStatusChanged":
    case "SubscriptionTerminated": {
      const subscription = get(after.subscriptions, event.no) ?? get(before.subscriptions, event.no)
      // it began and ended in one decision: there never was a row, but its watcher may be waiting now
      if (subscription === undefined) {
        const waiting = get(after.waiting, event.no)
        if (waiting === undefined) return []
        return [{ table: "watchers", packageName: waiting.packageName, watcher: waiting.watcher }]
      }
      const ended = endedRow(before, after, event.no)
      const own: RowKey = { table: "active_watchers", no: event.no, ended }
      const { packageName, watcher } = subscription
      return [own, ...siblings(after, subscription), { table: "watchers", packageName, watcher }]
    }
    case "WatcherRemembered":
      return [{ table: "watchers", packageName: event.packageName, watcher: event.watcher }]
    case "WaitingEnded": {
      const waiting = get(before.waiting, event.no)
      if (waiting === undefined) return []
      const { packageName, watcher } = waiting
      return [{ table: "watchers", packageName, watcher }]
    }
    case "RulesReplaced":
    case "WatcherDecided":
    case "LogDropped":
    case "DocumentsDropped":
    case "PersonErased":
    case "SharingTagSet":
    case "SharingTagSwitched":
    case "RulesReviewed":
      return []
    case "ClockSetBack":
      return event.moved === undefined ? [] : allRows(after)
    case "HardStateReplaced":
      // the module keeps hard state in the table of XCAP documents: a row here would be a publication that could be
      // ended
      return []
    case "RemoteTargetChanged":
      return inDialog(after, event.dialog)
    case "NotificationsIssued":
      return audience(after, event).flatMap((subscription): readonly RowKey[] => [
        { table: "active_watchers", no: subscription.no, ended: null },
        ...siblings(after, subscription),
      ])
    case "NotificationFailed": {
      // a NOTIFY that was not sent has given its CSeq back
      const subscription = event.outcome === "unproven" ? get(after.subscriptions, event.no) : undefined
      return subscription === undefined ? [] : inDialog(after, subscription.dialog)
    }
    case "FarewellRepeated": {
      const dialog = livingDialog(after, event.start)
      return dialog === undefined ? [] : inDialog(after, dialog.no)
    }
    case "NotificationsDeferred":
    case "NotificationsAccepted":
    case "TargetDoubted":
    case "TargetProven":
    case "TargetsFailed":
      return []
  }
}

/** Every row of one presentity. */
export const allRows = (state: State): readonly RowKey[] => {
  const keys: RowKey[] = []
  for (const [packageName, publications] of entries(state.publications)) {
    for (const publication of values(publications)) {
      keys.push({ table: "presentity", packageName, etag: publication.entityTag })
    }
  }
  const watchers = new Map<string, RowKey>()
  for (const { no: id, packageName, watcher } of values(state.subscriptions)) {
    keys.push({ table: "active_watchers", no: id, ended: null })
    watchers.set(`${packageName}\n${watcher}`, { table: "watchers", packageName, watcher })
  }
  for (const { packageName, watcher } of values(state.waiting)) {
    watchers.set(`${packageName}\n${watcher}`, { table: "watchers", packageName, watcher })
  }
  return [...keys, ...watchers.values()]
}

export const presentityRow = (
  state: State,
  packageName: PackageName,
  etag: string,
): PresentityRow | undefined => {
  const current = publication(state, packageName, etag)
  if (current === undefined) return undefined
  const { user, host } = splitUri(state.presentity)
  return {
    username: user,
    domain: host,
    event: packageName,
    etag,
    expires: seconds(current.expiresAt),
    received_time: seconds(current.receivedAt),
    body: current.body?.text ?? "",
    extra_hdrs: current.headers?.map(([name, value]) => `${name}: ${value}\r\n`).join("") ?? null,
    sender: current.sender ?? "",
  }
}

export const activeWatcherRow = (state: State, id: SubscriptionNo): ActiveWatcherRow | undefined => {
  const subscription = get(state.subscriptions, id)
  const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
  if (subscription === undefined || dialog === undefined) return undefined
  const watcher = splitUri(subscription.watcher)
  const to = splitUri(state.presentity)
  return {
    presentity_uri: state.presentity,
    watcher_username: watcher.user,
    watcher_domain: watcher.host,
    to_user: to.user,
    to_domain: to.host,
    event: subscription.packageName,
    event_id: subscription.eventId ?? "",
    to_tag: dialog.start.localTag,
    from_tag: dialog.start.remoteTag,
    callid: dialog.start.callId,
    local_cseq: dialog.localCseq,
    remote_cseq: dialog.remoteCseq,
    contact: dialog.remoteTarget,
    record_route: dialog.start.routeSet.join(","),
    expires: seconds(subscription.expiresAt),
    status: statusNumber[subscription.status],
    reason: subscription.polite ? "polite-block" : "",
    version: subscription.notified,
    socket_info: arrivalOf(dialog).flow,
    local_contact: arrivalOf(dialog).localContact,
    sharing_tag: subscription.sharingTag ?? null,
  }
}

/**
 * One row for all subscriptions of a watcher, or of several whose names the columns cannot distinguish, and for the
 * record of an undecided one: the most favourable status, the earliest time.
 */
export const watcherRow = (state: State, packageName: PackageName, watcher: Uri): WatcherRow | undefined => {
  let createdAt = Number.POSITIVE_INFINITY
  let status: number = statusNumber.pending
  let polite = false
  for (const subscription of values(state.subscriptions)) {
    if (subscription.packageName !== packageName || !sharesRow(subscription.watcher, watcher)) continue
    createdAt = Math.min(createdAt, subscription.createdAt)
    status = Math.min(status, statusNumber[subscription.status])
    polite ||= subscription.polite
  }
  for (const waiting of values(state.waiting)) {
    if (waiting.packageName === packageName && sharesRow(waiting.watcher, watcher))
      createdAt = Math.min(createdAt, waiting.createdAt)
  }
  if (createdAt === Number.POSITIVE_INFINITY) return undefined
  const { user, host } = splitUri(watcher)
  return {
    presentity_uri: state.presentity,
    watcher_username: user,
    watcher_domain: host,
    event: packageName,
    status,
    reason: polite ? "polite-block" : "",
    inserted_time: seconds(createdAt),
  }
}

const sharesRow = (left: Uri, right: Uri): boolean => {
  if (left === right) return true
  if (left.length <= nameMax || right.length <= nameMax) return false
  const [first, second] = [splitUri(left), splitUri(right)]
  return (
    cut("watcher_username", first.user) === cut("watcher_username", second.user) &&
    cut("watcher_domain", first.host) === cut("watcher_domain", second.host)
  )
}

/** Shorter URIs are distinguished by every column. */
const nameMax = 64

/** `sip:alice@example.com` → alice, example.com; `tel:+1` → +1 and no host; `sip:example.com` → no user. */
export const splitUri = (uri: Uri): { readonly user: string; readonly host: string } => {
  const rest = uri.slice(uri.indexOf(":") + 1)
  const at = rest.lastIndexOf("@")
  if (at >= 0) return { user: rest.slice(0, at), host: rest.slice(at + 1) }
  return uri.startsWith("tel:") ? { user: rest, host: "" } : { user: "", host: rest }
}

/** The other subscriptions of a shared dialog: they show its counters too, even if `subscription` has just left it. */
const siblings = (state: State, subscription: Subscription): readonly RowKey[] => {
  const dialog = get(state.dialogs, subscription.dialog)
  if (dialog === undefined) return []
  const alone = dialog.usages < 2 && get(state.subscriptions, subscription.no) !== undefined
  return alone ? [] : inDialog(state, subscription.dialog)
}

const inDialog = (state: State, dialog: number): readonly RowKey[] =>
  [...values(state.subscriptions)]
    .filter((subscription) => subscription.dialog === dialog)
    .map((subscription) => ({ table: "active_watchers", no: subscription.no, ended: null }))

const endedRow = (before: State, after: State, id: SubscriptionNo): ActiveWatcherRow | null =>
  get(after.subscriptions, id) === undefined ? (activeWatcherRow(before, id) ?? null) : null

const seconds = (at: Millis): number => Math.floor(at / 1000)
