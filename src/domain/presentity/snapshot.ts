/**
 * Converts a state to plain JSON and back. A snapshot only saves folding: `thaw(freeze(state))` is `state`.
 */
import { emptyTable, entries, setAll, size, values } from "../table.ts"
import type { Table } from "../table.ts"
import type { Body, DialogNo, EntityTag, PackageName, SubscriptionNo, Uri } from "../vocabulary.ts"
import type { Retained } from "./retention.ts"
import { byNo, countTemplates, verdictKey } from "./state.ts"
import type {
  TerminatedWatcher,
  Dialog,
  Publication,
  Publications,
  Rules,
  SharingTag,
  State,
  Subscription,
  Verdict,
  Waiting,
} from "./state.ts"
import { countUnproven } from "./targets.ts"

/** Fields are only ever added; a change of meaning needs a new `shape` and an upcaster where snapshots are read. */
export interface Snapshot {
  readonly shape: 1
  readonly presentity: Uri
  readonly version: number
  readonly decidedAt: number
  /** Absent: 0, the clock and the chronology of the stream agree. */
  readonly behind?: number
  readonly publications: readonly (readonly [PackageName, readonly Publication[]])[]
  /** Absent: none. */
  readonly hardState?: readonly (readonly [PackageName, Body])[]
  readonly subscriptions: readonly Subscription[]
  readonly waiting: readonly Waiting[]
  readonly rules: readonly (readonly [PackageName, Rules])[]
  /** Absent: none. */
  readonly verdicts?: readonly Verdict[]
  /** Absent: none. */
  readonly sharingTags?: readonly SharingTag[]
  /** Absent: none. */
  readonly retained?: Retained
  readonly watchersChangedIn: readonly (readonly [PackageName, number])[]
  readonly departed: readonly TerminatedWatcher[]
  readonly dialogs: readonly Dialog[]
}

export const freeze = (state: State): Snapshot => ({
  shape: 1,
  presentity: state.presentity,
  version: state.version,
  decidedAt: state.decidedAt,
  ...(state.behind === 0 ? {} : { behind: state.behind }),
  publications: [...entries(state.publications)]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, publications]) => [
      name,
      [...values(publications)].sort((left, right) => left.createdIn - right.createdIn),
    ]),
  ...(size(state.hardState) === 0 ? {} : { hardState: byName(state.hardState) }),
  subscriptions: [...values(state.subscriptions)].sort(byNo),
  waiting: inOrder(state.waiting),
  rules: byName(state.rules),
  ...(size(state.verdicts) === 0
    ? {}
    : {
        verdicts: byName(state.verdicts).map(([, verdict]) => verdict),
      }),
  ...(size(state.sharingTags) === 0 ? {} : { sharingTags: byName(state.sharingTags).map(([, tag]) => tag) }),
  ...(state.retained === null ? {} : { retained: state.retained }),
  watchersChangedIn: byName(state.watchersChangedIn),
  departed: inOrder(state.departed),
  dialogs: [...values(state.dialogs)].sort(byNo),
})

export const thaw = (snapshot: Snapshot): State => ({
  presentity: snapshot.presentity,
  version: snapshot.version,
  decidedAt: snapshot.decidedAt,
  behind: snapshot.behind ?? 0,
  publications: setAll(
    emptyTable<PackageName, Publications>(),
    snapshot.publications.map(([name, publications]) => [
      name,
      setAll(
        emptyTable<EntityTag, Publication>(),
        publications.map((publication) => [publication.entityTag, publication]),
      ),
    ]),
  ),
  hardState: setAll(emptyTable<PackageName, Body>(), snapshot.hardState ?? []),
  subscriptions: setAll(
    emptyTable<SubscriptionNo, Subscription>(),
    snapshot.subscriptions.map((subscription) => [subscription.no, subscription]),
  ),
  waiting: setAll(
    emptyTable<SubscriptionNo, Waiting>(),
    snapshot.waiting.map((waiting) => [waiting.no, waiting]),
  ),
  rules: setAll(emptyTable<PackageName, Rules>(), snapshot.rules),
  verdicts: setAll(
    emptyTable<string, Verdict>(),
    (snapshot.verdicts ?? []).map((verdict) => [verdictKey(verdict.packageName, verdict.watcher), verdict]),
  ),
  sharingTags: setAll(
    emptyTable<string, SharingTag>(),
    (snapshot.sharingTags ?? []).map((tag) => [tag.tag, tag]),
  ),
  retained: snapshot.retained ?? null,
  watchersChangedIn: setAll(emptyTable<PackageName, number>(), snapshot.watchersChangedIn),
  departed: setAll(
    emptyTable<SubscriptionNo, TerminatedWatcher>(),
    snapshot.departed.map((terminated) => [terminated.no, terminated]),
  ),
  dialogs: setAll(
    emptyTable<DialogNo, Dialog>(),
    snapshot.dialogs.map((dialog) => [dialog.no, dialog]),
  ),
  unproven: countUnproven(snapshot.dialogs),
  winfoSubscriptions: countTemplates(snapshot.subscriptions),
})

/** The number of versions between two periodic snapshots (landmarks) of a stream. */
export const landmarkEvery = 500

/**
 * Whether the state at this version is kept for good, so that a question about an instant near it need not fold from
 * the beginning.
 */
export const isLandmark = (version: number): boolean => version > 0 && version % landmarkEvery === 0

const inOrder = <V extends { readonly no: number }>(table: Table<number, V>): readonly V[] =>
  [...values(table)].sort(byNo)

const byName = <V>(table: Table<PackageName, V>): readonly (readonly [PackageName, V])[] =>
  [...entries(table)].sort(([left], [right]) => (left < right ? -1 : 1))
