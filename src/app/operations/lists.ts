/**
 * Publications, subscriptions and watchers as rows, made from committed state.
 */
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { publishedDocuments } from "../../domain/presentity/sources.ts"
import { isEmpty } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { currentView } from "../../domain/presentity/view.ts"
import { privacyOf } from "../../domain/privacy.ts"
import { presentityRow, splitUri } from "../../domain/projections/rows.ts"
import { entries, get, has, size, values } from "../../domain/table.ts"
import type { Millis, PackageName, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import type {
  ExposedRow,
  Page,
  Paged,
  PresentityView,
  PublicationRow,
  SubscriptionRow,
  WatcherRow,
  WatchingRow,
  WatchingState,
} from "../../ports/operations.ts"

/** All presentities in memory, and each one's committed state. */
export interface States {
  readonly presentities: () => Iterable<Uri>
  /** Undefined: it is not in memory, where everything alive is. */
  readonly state: (presentity: Uri) => State | undefined
}

/** Whole presentities in the order of their names, until there are enough rows. O(presentities). */
export const paged = <Row>(
  { presentities, state }: States,
  { after, limit }: Page,
  rowsOf: (state: State) => readonly Row[],
): Paged<Row> => {
  const names = [...presentities()].filter((name) => name > after).sort()
  const items: Row[] = []
  for (const [index, name] of names.entries()) {
    const committed = state(name)
    if (committed !== undefined) items.push(...rowsOf(committed))
    if (items.length >= limit && index < names.length - 1) return { items, next: name }
  }
  return { items, next: null }
}

export const publicationRows = (
  state: State,
  packages: Packages,
  event: string | null,
  now: Millis,
): readonly PublicationRow[] =>
  [...entries(state.publications)]
    .filter(([name]) => event === null || name === event)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([name, publications]) => {
      const eventPackage = packages.find(name)
      const sphere = eventPackage?.rules?.sphere(publishedDocuments(state, eventPackage), now) ?? null
      return [...values(publications)]
        .sort((left, right) => left.createdIn - right.createdIn)
        .map((publication) => ({
          pres_uri: state.presentity,
          event: name,
          etag_count: size(publications),
          ...(sphere === null ? {} : { sphere }),
          etag: publication.entityTag,
          expires: seconds(publication.expiresAt),
          received: seconds(publication.receivedAt),
          sender: publication.sender ?? "",
        }))
    })

export const subscriptionRows = (
  state: State,
  matches: (subscription: Subscription) => boolean,
): readonly SubscriptionRow[] => {
  const { user: to_user, host: to_domain } = splitUri(state.presentity)
  return [...values(state.subscriptions)]
    .filter(matches)
    .sort((left, right) => left.no - right.no)
    .flatMap((subscription) => {
      const dialog = get(state.dialogs, subscription.dialog)
      if (dialog === undefined) return []
      const { user: from_user, host: from_domain } = splitUri(subscription.watcher)
      return [
        {
          pres_uri: state.presentity,
          event: subscription.packageName,
          expires: seconds(subscription.expiresAt),
          db_flag: 0,
          version: subscription.notified,
          ...(subscription.sharingTag === undefined ? {} : { sharing_tag: subscription.sharingTag }),
          to_user,
          to_domain,
          to_tag: dialog.start.localTag,
          from_user,
          from_domain,
          from_tag: dialog.start.remoteTag,
          contact: dialog.remoteTarget,
          callid: dialog.start.callId,
          local_cseq: dialog.localCseq,
          remote_cseq: dialog.remoteCseq,
          status: subscription.status,
          reason: subscription.polite ? "polite-block" : "",
          event_id: subscription.eventId ?? "",
        },
      ]
    })
}

export const watcherRows = (
  state: State,
  packages: Packages,
  event: string | null,
): readonly WatcherRow[] => {
  const rows: [SubscriptionNo, WatcherRow][] = []
  for (const subscription of values(state.subscriptions)) {
    const dialog = get(state.dialogs, subscription.dialog)
    const eventPackage = packages.find(subscription.packageName)
    rows.push([
      subscription.no,
      {
        watcher: subscription.watcher,
        event: subscription.packageName,
        status: subscription.status,
        reason: subscription.polite
          ? "polite-block"
          : subscription.forced
            ? "force_active"
            : subscription.unread === true
              ? "rules not read yet"
              : "",
        ...privacyOf(subscription),
        since: seconds(subscription.createdAt),
        expires: seconds(subscription.expiresAt),
        callid: dialog?.start.callId ?? "",
        local_cseq: dialog?.localCseq ?? 0,
        contact: dialog?.remoteTarget ?? "",
        ...(eventPackage === null
          ? {}
          : { is_current: subscription.shown === viewFor(state, subscription, eventPackage).digest }),
        told: seconds(subscription.issuedAt),
        ...(subscription.dueAt === null ? {} : { held_until: seconds(subscription.dueAt) }),
      },
    ])
  }
  for (const waiting of values(state.waiting)) {
    rows.push([
      waiting.no,
      {
        watcher: waiting.watcher,
        event: waiting.packageName,
        status: "waiting",
        reason: "",
        ...privacyOf(waiting),
        since: seconds(waiting.createdAt),
        expires: seconds(waiting.giveUpAt),
      },
    ])
  }
  return rows
    .filter(([, row]) => event === null || row.event === event)
    .sort(([left], [right]) => left - right)
    .map(([, row]) => row)
}

/** @param wanted `stale`: active, not suspended, and not notified of the present view; null: all */
export const watchingRows = (
  state: State,
  packages: Packages,
  wanted: WatchingState | null,
): readonly WatchingRow[] =>
  watcherRows(state, packages, null)
    .filter(
      ({ status, is_current }) =>
        wanted === null ||
        (wanted === "stale" ? status === "active" && is_current === false : status === wanted),
    )
    .map((row) => ({ presentity: state.presentity, ...row }))

/** Null: there is nothing under that name. */
export const presentityView = (state: State, packages: Packages, now: Millis): PresentityView | null => {
  if (isEmpty(state)) return null
  const names = new Set<PackageName>()
  for (const table of [state.publications, state.hardState, state.rules]) {
    for (const [name] of entries(table as typeof state.rules)) names.add(name)
  }
  for (const subscription of values(state.subscriptions)) names.add(subscription.packageName)
  return {
    presentity: state.presentity,
    version: state.version,
    packages: [...names].sort().map((event) => ({
      event,
      publications: publicationRows(state, packages, event, now),
      document: documentOf(state, packages.find(event)),
      hard_state: has(state.hardState, event),
      rules: has(state.rules, event),
    })),
    watchers: watcherRows(state, packages, null),
    decisions: [...entries(state.verdicts)]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, { packageName, watcher, handling }]) => ({ event: packageName, watcher, handling })),
  }
}

/** Watcher information only lists watchers, who are listed here already. */
const documentOf = (
  state: State,
  eventPackage: EventPackage | null,
): PresentityView["packages"][number]["document"] => {
  if (eventPackage === null || eventPackage.watcherInfoOf !== undefined) return null
  const { body } = currentView(state, eventPackage)
  return body === null ? null : { contentType: body.contentType, body: body.text }
}

export const exposedRows = (state: State, event: PackageName): readonly ExposedRow[] => {
  const publications = get(state.publications, event)
  if (publications === undefined) return []
  return [...values(publications)]
    .sort((left, right) => left.createdIn - right.createdIn)
    .flatMap(({ entityTag }) => {
      const row = presentityRow(state, event, entityTag)
      if (row === undefined) return []
      const { username, domain, expires, etag, body } = row
      return [{ user: username, domain, event, expires, etag, body }]
    })
}

const seconds = (at: Millis): number => Math.floor(at / 1000)
