/**
 * Golden logs: rows as some presently once wrote them, and beside them what they mean: rows of the three tables at the end,
 * and a digest of what each decision sent.
 *
 *     NAME/events.jsonl       a row of `events` a line
 *     NAME/keys.json          keys of persons, by number, where rows are encrypted; one that is missing was erased
 *     NAME/snapshots.jsonl    rows of `snapshots`, of half-way through; may be absent
 *     NAME/expected.json      what follows from them
 */
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { decodeRow } from "../../src/adapters/store/encryption/stored-row.ts"
import { sha256Hex } from "../../src/adapters/store/integrity/sha256.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import type { DecisionStep } from "../../src/domain/history/moments.ts"
import type { About } from "../../src/domain/presentity/about.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { rowOf, rowsOf } from "../../src/domain/projections/layout.ts"
import type { TableRow } from "../../src/domain/projections/layout.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../src/encoding/event-codec.ts"
import { canonicalJson } from "../../src/explain/case/digests.ts"
import { worldOf } from "../../src/explain/case/world.ts"
import type { CaseWorld } from "../../src/explain/case/world.ts"
import type { PersonKey } from "../../src/ports/stored-events.ts"

export interface EventRow {
  readonly pos: number
  readonly at: string
  readonly stream: string
  readonly version: number
  readonly cause: string
  readonly origin: string
  readonly nonce: string
  readonly events: unknown
  /** Of rows that were read. */
  readonly about?: About
}

export interface SnapshotRow {
  readonly stream: string
  readonly version: number
  /** Null: nothing was alive. */
  readonly state: unknown
}

export interface Expected {
  readonly world: CaseWorld
  /** By table, in a fixed order. */
  readonly tables: Readonly<Record<string, readonly TableRow[]>>
  /** By position: what left with that decision. */
  readonly notifications: Readonly<Record<string, string>>
}

const folder = import.meta.dirname

export const goldenLogs = (): readonly string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()

const linesIn = <Row>(name: string, file: string): readonly Row[] => {
  const path = join(folder, name, file)
  if (!existsSync(path)) return []
  return readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Row)
}

/** As they stand in the database. */
export const storedRows = (name: string): readonly EventRow[] => linesIn(name, "events.jsonl")

/** The keys of a log by number; null: nothing in it is encrypted. */
export const keysFor = (name: string): ((id: string) => PersonKey | undefined) | null => {
  const path = join(folder, name, "keys.json")
  if (!existsSync(path)) return null
  const keys = JSON.parse(readFileSync(path, "utf8")) as Record<string, string>
  return (id) => (keys[id] === undefined ? undefined : { id, person: "", key: Buffer.from(keys[id], "hex") })
}

/** With what is encrypted opened. */
export const eventRows = (name: string): readonly EventRow[] => {
  const keyOf = keysFor(name)
  if (keyOf === null) return storedRows(name)
  return storedRows(name).map((row) => ({ ...row, ...decodeRow(row, keyOf) }))
}
export const snapshotRows = (name: string): readonly SnapshotRow[] => linesIn(name, "snapshots.jsonl")
export const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(join(folder, name, "expected.json"), "utf8")) as Expected

/** Every row folded, in order. */
export const momentsOf = (
  rows: readonly EventRow[],
  { world }: Pick<Expected, "world">,
): readonly DecisionStep[] => {
  const states = new Map<Uri, State>()
  const reaction = worldOf(world)
  return rows.map(({ pos, at, stream: name, events, ...row }) => {
    const stream = name as Uri
    const decision = { ...row, stream, at: Date.parse(at), events: decodeEvents(events) }
    const moment = momentOf(states.get(stream) ?? initial(stream), { position: pos, decision }, reaction)
    states.set(stream, moment.after)
    return moment
  })
}

/** What they mean to a reader of the tables and to those who were notified. */
export const meaningOf = (moments: readonly DecisionStep[]): Omit<Expected, "world"> => {
  const states = new Map(moments.map(({ after }) => [after.presentity, after]))
  const tables: Record<string, TableRow[]> = { presentity: [], active_watchers: [], watchers: [] }
  for (const state of states.values()) {
    for (const key of rowsOf(state)) {
      const row = rowOf(state, key)
      if (row !== undefined) tables[key.table]!.push(row)
    }
  }
  for (const rows of Object.values(tables))
    rows.sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1))
  const notifications = new Map(moments.map((moment) => [moment.position, moment.notifications]))
  return { tables, notifications: sentOf({ notifications }) }
}

export const sentOf = ({
  notifications,
}: {
  readonly notifications: ReadonlyMap<number, readonly Notify[]>
}): Expected["notifications"] =>
  Object.fromEntries(
    [...notifications].flatMap(([position, some]) =>
      some.length === 0 ? [] : [[position, sha256Hex(some.map(canonicalJson).join("\n"))]],
    ),
  )
