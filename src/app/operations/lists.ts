/**
 * Publications, subscriptions and watchers as rows, made from committed state.
 */
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { isEmpty } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { currentView, publishedDocuments } from "../../domain/presentity/view.ts"
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
  /** Undefined: it is not in memory, which holds all that is alive. */
  readonly state: (presentity: Uri) => State | undefined
}

/** Whole presentities in the order of their names, until there are rows enough. O(presentities). */
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
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([name, publications]) => {
      const eventPackage = packages.find(name)
      const sphere = eventPackage?.rules?.sphere(publishedDocuments(state, eventPackage), now) ?? null
      return [...values(publications)]
        .sort((one, other) => one.createdIn - other.createdIn)
        .map((one) => ({
          pres_uri: state.presentity,
          event: name,
          etag_count: size(publications),
          ...(sphere === null ? {} : { sphere }),
          etag: one.entityTag,
          expires: seconds(one.expiresAt),
          received: seconds(one.receivedAt),
          sender: one.sender ?? "",
        }))
    })

export const subscriptionRows = (
  state: State,
  matches: (one: Subscription) => boolean,
): readonly SubscriptionRow[] => {
  const { user: to_user, host: to_domain } = splitUri(state.presentity)
  return [...values(state.subscriptions)]
    .filter(matches)
    .sort((one, other) => one.no - other.no)
    .flatMap((one) => {
      const dialog = get(state.dialogs, one.dialog)
      if (dialog === undefined) return []
      const { user: from_user, host: from_domain } = splitUri(one.watcher)
      return [
        {
          pres_uri: state.presentity,
          event: one.packageName,
          expires: seconds(one.expiresAt),
          db_flag: 0,
          version: one.notified,
          ...(one.sharingTag === undefined ? {} : { sharing_tag: one.sharingTag }),
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
          status: one.status,
          reason: one.polite ? "polite-block" : "",
          event_id: one.eventId ?? "",
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
  for (const one of values(state.subscriptions)) {
    const dialog = get(state.dialogs, one.dialog)
    const eventPackage = packages.find(one.packageName)
    rows.push([
      one.no,
      {
        watcher: one.watcher,
        event: one.packageName,
        status: one.status,
        reason: one.polite
          ? "polite-block"
          : one.forced
            ? "force_active"
            : one.unread === true
              ? "rules not read yet"
              : "",
        ...privacyOf(one),
        since: seconds(one.createdAt),
        expires: seconds(one.expiresAt),
        callid: dialog?.start.callId ?? "",
        local_cseq: dialog?.localCseq ?? 0,
        contact: dialog?.remoteTarget ?? "",
        ...(eventPackage === null
          ? {}
          : { is_current: one.shown === viewFor(state, one, eventPackage).digest }),
        told: seconds(one.issuedAt),
        ...(one.dueAt === null ? {} : { held_until: seconds(one.dueAt) }),
      },
    ])
  }
  for (const one of values(state.waiting)) {
    rows.push([
      one.no,
      {
        watcher: one.watcher,
        event: one.packageName,
        status: "waiting",
        reason: "",
        ...privacyOf(one),
        since: seconds(one.createdAt),
        expires: seconds(one.giveUpAt),
      },
    ])
  }
  return rows
    .filter(([, row]) => event === null || row.event === event)
    .sort(([one], [other]) => one - other)
    .map(([, row]) => row)
}

/** @param wanted `stale`: active, not asleep, and not sent what is shown now; null: all */
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

/** Null: there is nothing of that name. */
export const presentityView = (state: State, packages: Packages, now: Millis): PresentityView | null => {
  if (isEmpty(state)) return null
  const names = new Set<PackageName>()
  for (const table of [state.publications, state.hardState, state.rules]) {
    for (const [name] of entries(table as typeof state.rules)) names.add(name)
  }
  for (const one of values(state.subscriptions)) names.add(one.packageName)
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
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, { packageName, watcher, handling }]) => ({ event: packageName, watcher, handling })),
  }
}

/** Watcher information is a list of who watches, which is there already. */
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
    .sort((one, other) => one.createdIn - other.createdIn)
    .flatMap(({ entityTag }) => {
      const row = presentityRow(state, event, entityTag)
      if (row === undefined) return []
      const { username, domain, expires, etag, body } = row
      return [{ user: username, domain, event, expires, etag, body }]
    })
}

const seconds = (at: Millis): number => Math.floor(at / 1000)
