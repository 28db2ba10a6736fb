/**
 * The event store in arrays: reference implementation, simulator, library mode without a database.
 *
 * Nothing outlives the process.
 */
import { Effect } from "effect"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial, isEmpty } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { soleClaim } from "../../ports/claim.ts"
import { StoreUnavailable } from "../../ports/event-store.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { Appended, Checkpoint, RecordedDecision } from "../../ports/event-store.ts"

/** The same store without Effect, for whoever drives the engine in a plain loop. */
export interface MemoryLog {
  readonly append: (decisions: readonly Decision[]) => Appended
  readonly load: (stream: Uri) => State
  readonly read: (after: number, max: number) => readonly RecordedDecision[]
  readonly history: (stream: Uri, afterVersion: number, max: number) => readonly RecordedDecision[]
}

export const makeMemoryLog = (): MemoryLog => {
  const log: RecordedDecision[] = []
  const streams = new Map<Uri, RecordedDecision[]>()

  const rowsOf = (stream: Uri): readonly RecordedDecision[] => streams.get(stream) ?? []

  return {
    append: (decisions) => {
      const byStream = new Map<Uri, Decision[]>()
      for (const one of decisions) {
        const others = byStream.get(one.stream)
        if (others === undefined) byStream.set(one.stream, [one])
        else others.push(one)
      }
      const conflicts = new Set<Uri>()
      const stored = new Set<Uri>()
      for (const [stream, ours] of byStream) {
        const rows = rowsOf(stream)
        const last = ours.at(-1)!
        if (rows.at(last.version - 1)?.decision.nonce === last.nonce && rows.length === last.version) {
          stored.add(stream)
        } else if (rows.length !== ours[0]!.version - 1) conflicts.add(stream)
      }
      for (const decision of decisions) {
        if (conflicts.has(decision.stream) || stored.has(decision.stream)) continue
        const recorded = { position: log.length + 1, decision }
        log.push(recorded)
        const rows = streams.get(decision.stream)
        if (rows === undefined) streams.set(decision.stream, [recorded])
        else rows.push(recorded)
      }
      return { position: log.length, conflicts }
    },
    load: (stream) => rowsOf(stream).reduce((state, row) => fold(state, row.decision), initial(stream)),
    read: (after, max) => log.slice(after, after + max),
    history: (stream, afterVersion, max) => rowsOf(stream).slice(afterVersion, afterVersion + max),
  }
}

export const makeMemoryStore = (log: MemoryLog = makeMemoryLog()): EventStore["Service"] => {
  const snapshots = new Map<Uri, State>()
  const landmarks = new Map<Uri, Map<number, State>>()
  const checkpoints = new Map<string, Checkpoint>()

  const landmarksBack = (stream: Uri, matches: (state: State) => boolean): readonly State[] =>
    [...(landmarks.get(stream)?.values() ?? [])]
      .filter(matches)
      .sort((one, other) => other.version - one.version)

  return {
    append: (decisions) => Effect.sync(() => log.append(decisions)),
    load: (streams) =>
      Effect.try({
        try: () => streams.map(log.load),
        catch: (cause) => new StoreUnavailable({ cause }),
      }),
    read: (after, max) => Effect.sync(() => log.read(after, max)),
    history: (stream, afterVersion, max) => Effect.sync(() => log.history(stream, afterVersion, max)),
    historyBack: (stream, beforeVersion, max) =>
      Effect.sync(() =>
        log
          .history(stream, 0, beforeVersion - 1)
          .slice(-max)
          .toReversed(),
      ),
    saveLandmarks: (states) =>
      Effect.sync(() => {
        for (const state of states) {
          const others = landmarks.get(state.presentity)
          if (others === undefined) landmarks.set(state.presentity, new Map([[state.version, state]]))
          else others.set(state.version, state)
        }
      }),
    landmarkAt: (stream, at) =>
      Effect.sync(() => landmarksBack(stream, ({ decidedAt }) => decidedAt <= at)[0] ?? null),
    landmarkBefore: (stream, before) =>
      Effect.sync(() => landmarksBack(stream, ({ version }) => version <= before)[0] ?? null),
    landmarksBack: (stream, before, max) =>
      Effect.sync(() => landmarksBack(stream, ({ version }) => version < before).slice(0, max)),
    saveSnapshots: (states) =>
      Effect.sync(() => {
        for (const state of states) {
          const older = snapshots.get(state.presentity)
          if (older === undefined || older.version < state.version) snapshots.set(state.presentity, state)
        }
      }),
    snapshots: (after, max) =>
      Effect.sync(() =>
        [...snapshots.values()]
          .filter((state) => state.presentity > after && !isEmpty(state))
          .sort((one, other) => (one.presentity < other.presentity ? -1 : 1))
          .slice(0, max),
      ),
    saveCheckpoint: (name, checkpoint) => Effect.sync(() => void checkpoints.set(name, checkpoint)),
    checkpoint: (name) => Effect.sync(() => checkpoints.get(name) ?? null),
    behind: (upTo, after, max) =>
      Effect.sync(() => {
        const behind = new Map<Uri, number>()
        for (const { decision } of log.read(0, upTo)) {
          const version = snapshots.get(decision.stream)?.version ?? 0
          if (decision.version > version && decision.stream > after) behind.set(decision.stream, version)
        }
        return [...behind]
          .map(([stream, version]) => ({ stream, version }))
          .sort((one, other) => (one.stream < other.stream ? -1 : 1))
          .slice(0, max)
      }),
    claim: soleClaim,
  }
}
