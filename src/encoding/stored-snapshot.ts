/**
 * The form in which snapshots of states are stored: subscriptions and dialogs, of which there are many, as rows of values without the
 * names of their fields. A server that starts reads them all before it is ready, and most of that time is parsing JSON.
 *
 * A row has the fields of `subscriptionFields` or `dialogFields` in this order. What else is there follows in an object at its end. The
 * order belongs to the stored form: it never changes, and a field that comes later is one of those at the end.
 */
import type { Snapshot } from "../domain/presentity/snapshot.ts"
import type { Dialog, Subscription } from "../domain/presentity/state.ts"

export interface StoredSnapshot extends Omit<Snapshot, "shape" | "subscriptions" | "dialogs"> {
  readonly shape: 2
  readonly subscriptions: readonly Row[]
  readonly dialogs: readonly Row[]
}

type Row = readonly unknown[]

const subscriptionFields = [
  "no",
  "packageName",
  "eventId",
  "watcher",
  "status",
  "polite",
  "matched",
  "forced",
  "event",
  "changedIn",
  "createdAt",
  "expiresAt",
  "giveUpAt",
  "dialog",
  "notified",
  "shown",
  "spared",
  "issuedAt",
  "toldIn",
  "pacedAt",
  "heardAt",
  "dueAt",
  "dormant",
  "rates",
  "repeatAt",
  "recent",
] as const satisfies readonly (keyof Subscription)[]

const dialogFields = [
  "no",
  "remoteTarget",
  "remoteCseq",
  "localCseq",
  "usages",
] as const satisfies readonly (keyof Dialog)[]

const startFields = [
  "callId",
  "localTag",
  "remoteTag",
  "localUri",
  "remoteUri",
  "remoteTarget",
  "routeSet",
  "remoteCseq",
  "localContact",
  "flow",
  "source",
] as const satisfies readonly (keyof Dialog["start"])[]

export const storedSnapshot = (snapshot: Snapshot): StoredSnapshot => ({
  ...snapshot,
  shape: 2,
  subscriptions: snapshot.subscriptions.map((subscription) => rowOf(subscription, subscriptionFields)),
  dialogs: snapshot.dialogs.map((dialog) => {
    const { start, ...rest } = dialog
    return [rowOf(start, startFields), ...rowOf(rest, dialogFields)]
  }),
})

/** @param stored as it was parsed; what is no such snapshot, because it is older or because it is none, is given back as it is */
export const readStoredSnapshot = (stored: unknown): unknown => {
  if (!isStored(stored)) return stored
  const { subscriptions, dialogs } = stored
  return {
    ...stored,
    shape: 1,
    subscriptions: subscriptions.map(subscriptionIn),
    dialogs: dialogs.map(dialogIn),
  }
}

const isStored = (stored: unknown): stored is StoredSnapshot =>
  typeof stored === "object" &&
  stored !== null &&
  (stored as StoredSnapshot).shape === 2 &&
  areRows((stored as StoredSnapshot).subscriptions) &&
  areRows((stored as StoredSnapshot).dialogs) &&
  (stored as StoredSnapshot).dialogs.every(([start]) => Array.isArray(start))

const areRows = (rows: unknown): rows is readonly Row[] =>
  Array.isArray(rows) && rows.every((row) => Array.isArray(row))

const rowOf = <T extends object>(value: T, fields: readonly (keyof T & string)[]): Row => {
  const row: unknown[] = fields.map((field) => value[field])
  const rest = Object.entries(value).filter(([field]) => !(fields as readonly string[]).includes(field))
  return rest.length === 0 ? row : [...row, Object.fromEntries(rest)]
}

// literals, so that all records have one shape in memory

const subscriptionIn = (row: Row): Subscription => {
  const subscription = {
    no: row[0],
    packageName: row[1],
    eventId: row[2],
    watcher: row[3],
    status: row[4],
    polite: row[5],
    matched: row[6],
    forced: row[7],
    event: row[8],
    changedIn: row[9],
    createdAt: row[10],
    expiresAt: row[11],
    giveUpAt: row[12],
    dialog: row[13],
    notified: row[14],
    shown: row[15],
    spared: row[16],
    issuedAt: row[17],
    toldIn: row[18],
    pacedAt: row[19],
    heardAt: row[20],
    dueAt: row[21],
    dormant: row[22],
    rates: row[23],
    repeatAt: row[24],
    recent: row[25],
  } as Subscription
  return withRest(subscription, row[subscriptionFields.length])
}

const dialogIn = (row: Row): Dialog => {
  const dialog = {
    no: row[1],
    start: startIn(row[0] as Row),
    remoteTarget: row[2],
    remoteCseq: row[3],
    localCseq: row[4],
    usages: row[5],
  } as Dialog
  return withRest(dialog, row[1 + dialogFields.length])
}

const startIn = (row: Row): Dialog["start"] => {
  const start = {
    callId: row[0],
    localTag: row[1],
    remoteTag: row[2],
    localUri: row[3],
    remoteUri: row[4],
    remoteTarget: row[5],
    routeSet: row[6],
    remoteCseq: row[7],
    localContact: row[8],
    flow: row[9],
    source: row[10],
  } as Dialog["start"]
  return withRest(start, row[startFields.length])
}

const withRest = <T extends object>(value: T, rest: unknown): T =>
  rest === undefined ? value : { ...value, ...(rest as Partial<T>) }
