/** An event store of one's own, on SQLite: all that the contract asks, the contract itself, and a program that is restarted on it. */
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { SQLInputValue } from "node:sqlite"
import { Effect, Layer } from "effect"
import { EventStore, Presence, StoreUnavailable, decodeDecision, encodeDecision } from "presently"
import type { Appended, CheckpointName, RecordedDecision } from "presently"
import { fold, freeze, initial, isEmpty, thaw } from "presently/domain"
import type { Decision, Snapshot, State, Uri } from "presently/domain"
import { storeContract } from "presently/testing"

const layout = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,
    version INTEGER NOT NULL, nonce TEXT NOT NULL, decision TEXT NOT NULL, UNIQUE (stream, version));
  CREATE TABLE IF NOT EXISTS snapshots (stream TEXT PRIMARY KEY, version INTEGER NOT NULL, alive INTEGER NOT NULL,
    state TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS landmarks (stream TEXT NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, PRIMARY KEY (stream, version));
  CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, at REAL NOT NULL)`

interface EventRow {
  readonly position: number
  readonly decision: string
}

interface StateRow {
  readonly state: string
}

const recorded = ({ position, decision }: EventRow): RecordedDecision => ({
  position,
  decision: decodeDecision(decision),
})

const stateOf = ({ state }: StateRow): State => thaw(JSON.parse(state) as Snapshot)
const textOf = (state: State): string => JSON.stringify(freeze(state))

/** Opens a database. Nobody else can write to the file as long as it is open, so the store needs no claim. */
const openDatabase = (file: string) => {
  const database = new DatabaseSync(file)
  database.exec(layout)
  return {
    rows: <Row>(text: string, ...values: readonly SQLInputValue[]) =>
      database.prepare(text).all(...values) as unknown as readonly Row[],
    run: (text: string, ...values: readonly SQLInputValue[]) => void database.prepare(text).run(...values),
    /** All of it or nothing. */
    atomically: <A>(work: () => A): A => {
      database.exec("BEGIN IMMEDIATE")
      try {
        const result = work()
        database.exec("COMMIT")
        return result
      } catch (cause) {
        database.exec("ROLLBACK")
        throw cause
      }
    },
    close: () => database.close(),
  }
}

type Database = ReturnType<typeof openDatabase>

/** Stores decisions, all of a stream or none, each stream only when it stands just before its first one. */
const append = ({ rows, run }: Database, decisions: readonly Decision[]): Appended => {
  const conflicts = new Set<Uri>()
  for (const [stream, ours] of Map.groupBy(decisions, (decision) => decision.stream)) {
    const newest = "SELECT version, nonce FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1"
    const [head = { version: 0, nonce: "" }] = rows<{ version: number; nonce: string }>(newest, stream)
    const [first, last] = [ours[0]!, ours.at(-1)!]
    // an append that is repeated: nobody knew whether the first attempt came through
    if (head.version === last.version && head.nonce === last.nonce) continue
    if (head.version !== first.version - 1) conflicts.add(stream)
  }
  for (const decision of decisions) {
    const { stream, version, nonce } = decision
    if (conflicts.has(stream)) continue
    const insert = "INSERT OR IGNORE INTO events (stream, version, nonce, decision) VALUES (?, ?, ?, ?)"
    run(insert, stream, version, nonce, encodeDecision(decision))
  }
  const [end] = rows<{ position: number | null }>("SELECT max(position) AS position FROM events")
  return { position: end?.position ?? 0, conflicts }
}

/** The snapshot of a stream, and what was decided since then. */
const load = ({ rows }: Database, stream: Uri): State => {
  const [saved] = rows<StateRow>("SELECT state FROM snapshots WHERE stream = ?", stream)
  const state = saved === undefined ? initial(stream) : stateOf(saved)
  const later = "SELECT position, decision FROM events WHERE stream = ? AND version > ? ORDER BY version"
  return rows<EventRow>(later, stream, state.version)
    .map(recorded)
    .reduce((before, { decision }) => fold(before, decision), state)
}

const saveSnapshot = ({ run }: Database, state: State): void =>
  run(
    `INSERT INTO snapshots VALUES (?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET version = excluded.version,
       alive = excluded.alive, state = excluded.state WHERE version < excluded.version`,
    state.presentity,
    state.version,
    isEmpty(state) ? 0 : 1,
    textOf(state),
  )

const saveLandmark = ({ run }: Database, state: State): void =>
  run(
    "INSERT OR REPLACE INTO landmarks VALUES (?, ?, ?, ?)",
    state.presentity,
    state.version,
    state.decidedAt,
    textOf(state),
  )

const makeStore = (database: Database): EventStore["Service"] => {
  const { rows, run, atomically } = database
  const asked = <A>(work: () => A): Effect.Effect<A, StoreUnavailable> =>
    Effect.try({ try: work, catch: (cause) => new StoreUnavailable({ cause }) })
  const events = (where: string, ...values: readonly SQLInputValue[]) =>
    asked(() =>
      rows<EventRow>(`SELECT position, decision FROM events WHERE ${where}`, ...values).map(recorded),
    )
  const landmarks = (where: string, ...values: readonly SQLInputValue[]) =>
    asked(() =>
      rows<StateRow>(`SELECT state FROM landmarks WHERE stream = ? AND ${where}`, ...values).map(stateOf),
    )
  const newest = Effect.map((found: readonly State[]) => found[0] ?? null)
  return {
    append: (decisions) => asked(() => atomically(() => append(database, decisions))),
    load: (streams) => asked(() => streams.map((stream) => load(database, stream))),
    read: (after, max) => events("position > ? ORDER BY position LIMIT ?", after, max),
    history: (stream, after, max) =>
      events("stream = ? AND version > ? ORDER BY version LIMIT ?", stream, after, max),
    historyBack: (stream, before, max) =>
      events("stream = ? AND version < ? ORDER BY version DESC LIMIT ?", stream, before, max),
    saveLandmarks: (states) =>
      asked(() => atomically(() => states.forEach((state) => saveLandmark(database, state)))),
    landmarkAt: (stream, at) =>
      landmarks("at <= ? ORDER BY at DESC, version DESC LIMIT 1", stream, at).pipe(newest),
    landmarkBefore: (stream, version) =>
      landmarks("version <= ? ORDER BY version DESC LIMIT 1", stream, version).pipe(newest),
    landmarksBack: (stream, before, max) =>
      landmarks("version < ? ORDER BY version DESC LIMIT ?", stream, before, max),
    saveSnapshots: (states) =>
      asked(() => atomically(() => states.forEach((state) => saveSnapshot(database, state)))),
    snapshots: (after, max) =>
      asked(() => {
        const alive = "SELECT state FROM snapshots WHERE alive = 1 AND stream > ? ORDER BY stream LIMIT ?"
        return rows<StateRow>(alive, after, max).map(stateOf)
      }),
    saveCheckpoint: (name, { position, at }) =>
      asked(() => run("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", name, position, at)),
    checkpoint: (name) =>
      asked(() => {
        const known = "SELECT position, at FROM checkpoints WHERE name = ?"
        return rows<{ position: number; at: number }>(known, name satisfies CheckpointName)[0] ?? null
      }),
  }
}

/** The store as a layer: its file is closed when the program that uses it is. */
const sqliteStore = (file: string): Layer.Layer<EventStore> =>
  Layer.effect(
    EventStore,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => openDatabase(file)),
        (database) => Effect.sync(database.close),
      ),
      makeStore,
    ),
  )

const cases = storeContract(() => makeStore(openDatabase(":memory:")))
for (const { run } of cases) await run()
console.log("promises kept:", cases.length)

const file = join(tmpdir(), `presently-example-${process.pid}.sqlite`)
const alice = "sip:alice@example.com"
const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"/></presence>`

const before = await Presence.make({ store: sqliteStore(file) })
await before.publish({ presentity: alice, body })
await before.close()

// another start on the same file
const after = await Presence.make({ store: sqliteStore(file) })
console.log("published:", after.isPublished(alice))
console.log((await after.history(alice)).map(({ version, cause }) => `${version} ${cause}`).join(", "))
await after.close()
for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true })

// prints:
// promises kept: 13
// published: true
// 1 Publish
