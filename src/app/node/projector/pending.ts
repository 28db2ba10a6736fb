/**
 * What decisions have changed and the tables do not show yet. Rows are remembered by key, so a storm of changes to one row is one.
 */
import type { CommittedDecision } from "../../../domain/engine/engine.ts"
import { isLandmark } from "../../../domain/presentity/snapshot.ts"
import type { State } from "../../../domain/presentity/state.ts"
import { touched } from "../../../domain/projections/rows.ts"
import type { RowKey } from "../../../domain/projections/rows.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { weightOf } from "./slices.ts"

/** A presentity with the rows of it that are to be written. */
export interface Dirty {
  state: State
  readonly keys: Map<string, RowKey>
}

/** All that is to be written together. */
export interface Batch {
  readonly dirty: Map<Uri, Dirty>
  readonly decisions: number
  readonly landmarks: readonly State[]
}

export interface Pending {
  /** @param present the state now, when more has been decided since; absent: that after the last of them */
  readonly note: (stored: readonly CommittedDecision[], present?: State) => void
  /** Everything noted so far, which is forgotten. */
  readonly take: () => Batch
  /** What was taken could not be written: it is noted again, under what has been since. */
  readonly putBack: (batch: Batch) => void
  readonly lag: () => { readonly streams: number; readonly decisions: number }
  /** Whether there are at least so many decisions, and a quarter as many as there are subscriptions and publications to be written. */
  readonly isMany: (decisionsMax: number) => boolean
}

/** Landmarks kept in memory while they cannot be written; any more are left to `presently projections rebuild`. */
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
        // rows and snapshots show what is, however late this is told of
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
      // the row's last look is what deletes it: a later key without one must not hide it
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
