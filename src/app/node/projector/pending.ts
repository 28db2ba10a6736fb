/** Changes that the tables do not show yet. Rows are collected by key, so many changes to one row count once. */
import type { CommittedDecision } from "../../../domain/engine/engine.ts"
import { isLandmark } from "../../../domain/presentity/snapshot.ts"
import type { State } from "../../../domain/presentity/state.ts"
import { touched } from "../../../domain/projections/rows.ts"
import type { RowKey } from "../../../domain/projections/rows.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { weightOf } from "./slices.ts"

/** A presentity, with those of its rows that are to be written. */
export interface Dirty {
  state: State
  readonly keys: Map<string, RowKey>
}

/** Everything to be written together. */
export interface Batch {
  readonly dirty: Map<Uri, Dirty>
  readonly decisions: number
  readonly landmarks: readonly State[]
}

export interface Pending {
  /** @param present the current state, if later decisions have been made; absent: the state after the last of these */
  readonly note: (stored: readonly CommittedDecision[], present?: State) => void
  /** Removes and returns everything noted so far. */
  readonly take: () => Batch
  /** Returns a batch that could not be written; what has been noted since takes precedence. */
  readonly putBack: (batch: Batch) => void
  readonly lag: () => { readonly streams: number; readonly decisions: number }
  /**
   * Whether there are at least that many decisions, and a quarter as many as subscriptions and publications
   * to be written.
   */
  readonly isMany: (decisionsMax: number) => boolean
}

/** Landmarks kept in memory while they cannot be written; the rest is left to `presently projections rebuild`. */
const landmarksMax = 50_000

export const makePending = (): Pending => {
  let dirty = new Map<Uri, Dirty>()
  let decisions = 0
  let landmarks: State[] = []
  return {
    note: (stored, present) => {
      for (const committed of stored) {
        const { decision, after } = committed
        decisions++
        let entry = dirty.get(decision.stream)
        if (entry === undefined) {
          entry = { state: present ?? after, keys: new Map() }
          dirty.set(decision.stream, entry)
        }
        // a decision reported late must not replace a newer state
        if (after.version > entry.state.version) entry.state = after
        if (isLandmark(after.version) && landmarks.length < landmarksMax) landmarks.push(after)
        noteRows(entry, committed)
      }
    },
    take: () => {
      const batch: Batch = { dirty, decisions, landmarks }
      dirty = new Map()
      decisions = 0
      landmarks = []
      return batch
    },
    putBack: (batch) => {
      decisions += batch.decisions
      landmarks = [...batch.landmarks, ...landmarks].slice(0, landmarksMax)
      for (const [presentity, old] of batch.dirty) {
        const newer = dirty.get(presentity)
        if (newer === undefined) dirty.set(presentity, old)
        else for (const [name, key] of old.keys) if (!newer.keys.has(name)) newer.keys.set(name, key)
      }
    },
    lag: () => ({ streams: dirty.size, decisions }),
    isMany: (decisionsMax) => {
      if (decisions < decisionsMax) return false
      let weight = 0
      for (const { state } of dirty.values()) weight += weightOf(state)
      return decisions >= weight / 4
    },
  }
}

const noteRows = ({ keys }: Dirty, { decision, before, after }: CommittedDecision): void => {
  for (const event of decision.events) {
    for (const key of touched(event, before, after)) {
      const name = nameOf(key)
      const old = keys.get(name)
      // a key with `ended` deletes the row, and must not be replaced by one without
      if (old?.table !== "active_watchers" || old.ended === null) keys.set(name, key)
    }
  }
}

const nameOf = (key: RowKey): string => {
  switch (key.table) {
    case "active_watchers":
      return `a${key.no}`
    case "presentity":
      return `p${key.packageName}\n${key.etag}`
    case "watchers":
      return `w${key.packageName}\n${key.watcher}`
  }
}
