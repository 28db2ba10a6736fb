/**
 * Compares the three tables with the log, row by row and column by column, at the position up to which the tables claim to be.
 *
 * What the log has beyond that position is lag, not difference. A row that shows a later decision than the others was written by
 * an interrupted write (a database within the process only); the next start finishes that write.
 */
import type { KeyObject } from "node:crypto"
import { Clock, Effect } from "effect"
import { nothingDropped, retentionStream } from "../../domain/presentity/retention.ts"
import type { State } from "../../domain/presentity/state.ts"
import {
  differingColumns,
  layouts,
  nameOf,
  rowName,
  rowOf,
  rowsOf,
  tableNames,
} from "../../domain/projections/layout.ts"
import type { TableName, TableRow, Value } from "../../domain/projections/layout.ts"
import { splitUri } from "../../domain/projections/rows.ts"
import type { RowKey } from "../../domain/projections/rows.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import type { LogAudit, Positions } from "../../ports/log-audit.ts"
import type { TableNames } from "../../ports/presence-tables.ts"
import { checkChain } from "./check-chain.ts"
import type { ChainReport } from "./check-chain.ts"
import { checkSeals } from "./check-seals.ts"
import type { SealReport } from "./check-seals.ts"
import { compareSnapshots, foldEvents, foldSnapshots } from "./fold.ts"
import { nothingFolded } from "./folded.ts"
import type { Folded } from "./folded.ts"
import { laterRows, nothingLater, readTail } from "./later-rows.ts"
import type { Later } from "./later-rows.ts"

/** One wrong value. */
export interface Difference {
  readonly kind: "changed" | "missing" | "extra"
  /** The table's name in the database. */
  readonly table: string
  /** Names the row, or the stream. */
  readonly key: string
  /** Null: the whole row. */
  readonly column: string | null
  readonly log: Value
  readonly found: Value
}

export interface VerifyReport {
  readonly v: 1
  /** Position up to which the tables claim to be. */
  readonly position: number
  /** Decisions that they do not show yet. */
  readonly lag: number
  /** Whether events were read from the first on, and snapshots compared with them. */
  readonly fromStart: boolean
  /** Decisions read from the log. */
  readonly decisions: number
  readonly streams: number
  readonly snapshots: number
  readonly rows: Readonly<Record<TableName, number>>
  /** Rows of an interrupted write. */
  readonly ahead: number
  /** Streams whose oldest decisions are no longer in the log. */
  readonly truncated: number
  /** The result for the chains of the log; null: not asked for. */
  readonly chain: ChainReport | null
  /** The result for the seals; null: not asked for. */
  readonly seals: SealReport | null
  readonly differences: readonly Difference[]
  /** Rows and snapshots written; null: repair was not asked for. */
  readonly repaired: number | null
  readonly seconds: number
}

export interface VerifyOptions {
  readonly fromStart: boolean
  /** Rewrites what differs, while no other program writes. */
  readonly repair: boolean
  /** Recomputes the chain of every stream, which reads the whole log. Absent: not. */
  readonly chain?: boolean
  /** With `chain`: the public key of the seals. Absent: they are not checked. */
  readonly publicKey?: KeyObject
}

/**
 * Checks one moment of the database, whatever is written meanwhile; a repair keeps other writers out.
 */
export const verifyTables = Effect.fn("Tables.verify")(function* (
  log: LogAdmin["Service"],
  options: VerifyOptions,
) {
  const startedAt = yield* Clock.currentTimeMillis
  const { audit } = log
  const folded = nothingFolded()
  if (options.repair && options.fromStart) {
    // most of the work, before anybody has to wait
    yield* foldEvents(audit, folded, (yield* audit.positions).tables, true)
  }
  const examine = Effect.gen(function* () {
    const found = yield* findDifferences(log, folded, options)
    const repaired = options.repair ? yield* repair(log, found, folded) : null
    if (options.chain !== true) return { ...found, repaired, chain: null, seals: null }
    const [retention] = yield* log.store.load([retentionStream])
    const retained = retention?.retained ?? nothingDropped
    const chain = yield* checkChain(log.chain, retained, folded.findings)
    const begun = yield* log.chain.begun
    const seals =
      options.publicKey === undefined
        ? null
        : yield* checkSeals(log.seals, options.publicKey, begun, retained, folded.findings)
    return { ...found, repaired, chain, seals }
  })
  const { positions, ...found } = yield* options.repair ? log.exclusively(examine) : log.consistently(examine)
  const report: VerifyReport = {
    v: 1,
    position: positions.tables,
    lag: positions.lag,
    fromStart: options.fromStart,
    decisions: folded.decisions,
    streams: folded.versions.size,
    snapshots: found.snapshots,
    rows: found.rows,
    ahead: found.ahead,
    truncated: folded.truncated.size + folded.begun,
    chain: found.chain,
    seals: found.seals,
    differences: [
      ...folded.findings.map((finding): Difference => ({ kind: "changed", ...finding })),
      ...found.wrong.flatMap((row) => row.differences),
    ],
    repaired: found.repaired,
    seconds: ((yield* Clock.currentTimeMillis) - startedAt) / 1000,
  }
  return report
})

/** A row that differs, with what is needed to correct it. */
interface WrongRow {
  readonly table: TableName
  readonly differences: readonly Difference[]
  /** The row according to the log; null: there should be none. */
  readonly expected: { readonly state: State; readonly key: RowKey } | null
  /** The row to be removed; null: there is none, or it will be overwritten. */
  readonly id: number | null
  readonly found: TableRow | null
}

/** Whether checkpoint, versions and snapshots are plausible. @returns snapshots of unknown streams */
const checkPlaces = Effect.fnUntraced(function* (
  audit: LogAudit,
  folded: Folded,
  { tables: shown, given }: Positions,
) {
  // of another log, or edited by hand: the next decisions would not be read
  if (shown > given)
    folded.findings.push({ table: "checkpoints", key: "tables", column: "pos", log: given, found: shown })
  for (const { stream, why } of yield* audit.gaps) {
    folded.broken.add(stream as Uri)
    folded.findings.push({ table: "events", key: stream, column: "version", log: null, found: why })
  }
  const orphans = yield* audit.orphans
  for (const number of orphans) {
    const key = `stream ${number}`
    folded.findings.push({ table: "snapshots", key, column: "stream", log: null, found: key })
  }
  return orphans
})

const findDifferences = Effect.fnUntraced(function* (
  { audit, tableNames: names }: LogAdmin["Service"],
  folded: Folded,
  { fromStart, repair: isRepair }: VerifyOptions,
) {
  const positions = yield* audit.positions
  const orphans = yield* checkPlaces(audit, folded, positions)
  const tail = yield* readTail(audit, positions.tables, positions.last)
  let snapshots: readonly State[]
  let compared = 0
  if (fromStart) {
    yield* foldEvents(audit, folded, positions.tables, isRepair)
    const result = yield* compareSnapshots(audit, folded)
    snapshots = result.wrong
    compared = result.compared
  } else {
    const decisionsAfter = new Map<Uri, number>()
    for (const { stream } of tail) decisionsAfter.set(stream, (decisionsAfter.get(stream) ?? 0) + 1)
    snapshots = yield* foldSnapshots(audit, folded, positions.tables, decisionsAfter)
  }

  const expected = expectedRows(folded)
  const rows = { presentity: 0, active_watchers: 0, watchers: 0 }
  const differing: WrongRow[] = []
  for (const table of tableNames) {
    const name = tableIn(names, table)
    for (let after = -2_147_483_648; ;) {
      const page = yield* audit.rows(table, after)
      if (page.length === 0) break
      rows[table] += page.length
      for (const { id, row } of page) {
        const full = `${table}\n${rowName(table, row)}`
        const rowExpected = expected.get(full)
        if (rowExpected === undefined) differing.push(extra(table, name, id, row))
        else {
          expected.delete(full)
          const difference = changed(table, name, row, rowExpected)
          if (difference !== null) differing.push(difference)
        }
      }
      after = page.at(-1)!.id
    }
  }
  for (const rowExpected of expected.values()) {
    differing.push(missing(rowExpected.key.table, tableIn(names, rowExpected.key.table), rowExpected))
  }
  const later = differing.length === 0 || tail.length === 0 ? nothingLater : laterRows(folded, tail)
  const wrong = differing.filter((row) => !isAhead(row, later))
  return {
    positions,
    snapshots: compared,
    wrongSnapshots: snapshots,
    orphans,
    rows,
    wrong,
    ahead: differing.length - wrong.length,
  }
})

type Found = Effect.Success<ReturnType<typeof findDifferences>>

/** @returns how many rows and snapshots were written */
const repair = Effect.fnUntraced(function* (
  { audit, tables }: LogAdmin["Service"],
  { wrong, wrongSnapshots, orphans, positions }: Found,
  folded: Folded,
) {
  const isBeyond = positions.tables > positions.given
  if (isBeyond) yield* audit.putTablesCheckpoint(positions.given)
  const brokenNames = new Set([...folded.broken].map(userOf))
  const isSure = (row: WrongRow): boolean =>
    row.expected !== null
      ? !folded.broken.has(row.expected.state.presentity)
      : !isOf(row, folded.broken, brokenNames)
  const toWrite = wrong.filter(isSure)
  for (const table of tableNames) {
    const ids = toWrite.flatMap((row) => (row.table === table && row.id !== null ? [row.id] : []))
    if (ids.length > 0) yield* audit.deleteRows(table, ids)
  }
  const changes = new Map<State, RowKey[]>()
  for (const { expected } of toWrite) {
    if (expected === null) continue
    const keys = changes.get(expected.state)
    if (keys === undefined) changes.set(expected.state, [expected.key])
    else keys.push(expected.key)
  }
  const all = [...changes].map(([state, keys]) => ({ state, keys }))
  for (let start = 0; start < all.length; start += 500) yield* tables.write(all.slice(start, start + 500))
  const states = wrongSnapshots.filter((state) => !folded.broken.has(state.presentity))
  for (let start = 0; start < states.length; start += 500) {
    yield* audit.putSnapshots(states.slice(start, start + 500))
  }
  if (orphans.length > 0) yield* audit.deleteSnapshots(orphans)
  return toWrite.length + states.length + orphans.length + folded.landmarksWritten + (isBeyond ? 1 : 0)
})

const expectedRows = (folded: Folded) => {
  const expected = new Map<string, { readonly state: State; readonly key: RowKey }>()
  for (const state of folded.states.values()) {
    for (const key of rowsOf(state)) {
      const name = nameOf(state, key)
      if (name !== null) expected.set(`${key.table}\n${name}`, { state, key })
    }
  }
  return expected
}

const tableIn = (names: TableNames, table: TableName): string =>
  table === "active_watchers" ? names.activeWatchers : names[table]

// ── differences in a row ──

/** Null: no column differs. */
const changed = (
  table: TableName,
  name: string,
  found: TableRow,
  expected: NonNullable<WrongRow["expected"]>,
): WrongRow | null => {
  const wanted = rowOf(expected.state, expected.key)!
  const columns = differingColumns(table, wanted, found)
  if (columns.length === 0) return null
  return {
    table,
    differences: columns.map((column) => ({
      kind: "changed",
      table: name,
      key: keyText(table, wanted),
      column,
      log: wanted[column] ?? null,
      found: found[column] ?? null,
    })),
    expected,
    id: null,
    found,
  }
}

const extra = (table: TableName, name: string, id: number, found: TableRow): WrongRow => ({
  table,
  differences: [
    { kind: "extra", table: name, key: keyText(table, found), column: null, log: null, found: null },
  ],
  expected: null,
  id,
  found,
})

const missing = (table: TableName, name: string, expected: NonNullable<WrongRow["expected"]>): WrongRow => ({
  table,
  differences: [
    {
      kind: "missing",
      table: name,
      key: keyText(table, rowOf(expected.state, expected.key) ?? {}),
      column: null,
      log: null,
      found: null,
    },
  ],
  expected,
  id: null,
  found: null,
})

/** A row's name for people: `sip:alice@example.com presence bob@example.com`. */
const keyText = (table: TableName, row: TableRow): string => {
  const { columns, keys } = layouts[table]
  return columns
    .slice(0, keys)
    .map((column) => `${column}=${row[column] ?? "NULL"}`)
    .join(" ")
}

// ── what the log has beyond the tables ──

const isAhead = ({ table, found, expected }: WrongRow, later: Later): boolean => {
  const name = found === null ? nameOf(expected!.state, expected!.key) : rowName(table, found)
  const candidates = later.get(`${table}\n${name}`) ?? []
  return candidates.some((row) =>
    row === null || found === null ? row === found : differingColumns(table, row, found).length === 0,
  )
}

// ── streams of which nothing is certain ──

const userOf = (stream: Uri): string => {
  const { user, host } = splitUri(stream)
  return `${user}@${host}`
}

const isOf = ({ table, found }: WrongRow, streams: ReadonlySet<Uri>, users: ReadonlySet<string>): boolean =>
  table === "presentity"
    ? users.has(`${found?.["username"]}@${found?.["domain"]}`)
    : streams.has(found?.["presentity_uri"] as Uri)
