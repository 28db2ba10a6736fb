/**
 * The steps of erasing a person, each of which can be repeated: ending what is alive, removing key, name and everything
 * unencrypted, and removing the bytes from the files.
 */
import { Effect } from "effect"
import {
  pseudonymizerFor,
  newPersonKey,
  pseudonym,
} from "../../adapters/store/encryption/encrypted-decision.ts"
import { mapPersonalFieldsOfSnapshot } from "../../adapters/store/encryption/personal-fields.ts"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import { nowFor, placedAt } from "../../domain/presentity/clock.ts"
import { erase } from "../../domain/presentity/erase.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { isLandmark, landmarkEvery } from "../../domain/presentity/snapshot.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import type { ErasureStore } from "../../ports/log-retention.ts"
import type { PersonKey } from "../../ports/stored-events.ts"
import { verifyTables } from "../integrity/verify.ts"
import { makeOwnProjector } from "../node/catch-up.ts"
import { freshNonce } from "../nonce.ts"
import type { Remains } from "./erasable.ts"
import { EraseRefused } from "./erase-refused.ts"

export interface Erased {
  /** The pseudonym that replaces the person. */
  readonly standIn: Uri
  /** Streams in which something of the person was alive and was ended. */
  readonly ended: number
  /** Documents of others that name the person, and stay; the first `mentionsMax`. */
  readonly mentions: readonly { readonly stream: Uri; readonly version: number }[]
  readonly mentionsLeft: number
  /** What was written in clear text before encryption, and stays; null: nothing. */
  readonly remains: Remains | null
  /** What could not be removed from the files, one line each. */
  readonly left: readonly string[]
}

export const tablesUnwritten = "the tables could not be written: try again"

/** The key of a person; made if there is none yet. */
export const removeIdentity = (erasure: ErasureStore, person: Uri) =>
  Effect.map(erasure.keyOf(person), (key) => key ?? newPersonKey(person))

/**
 * Removes name and key, and what stands in clear text beside the log.
 *
 * @returns landmarks in which a pseudonym may differ from the one that the log has now
 */
export const shredKey = (log: LogAdmin["Service"], key: PersonKey) => {
  const { erasure } = log
  const person = key.person as Uri
  return log.exclusively(
    Effect.gen(function* () {
      yield* erasure.dropLandmarks(person)
      // a state does not know the rows that it was folded from, and stand-ins come from rows
      const unsure = yield* erasure.landmarksOf(person)
      for (const saved of yield* erasure.saved(person)) {
        yield* erasure.put({
          ...saved,
          state: mapPersonalFieldsOfSnapshot(saved.state, person, pseudonymizerFor(key)),
        })
      }
      yield* erasure.shred(person, pseudonym(key.id))
      yield* keepLandmarks(log, pseudonym(key.id))
      return unsure
    }),
  )
}

/** Makes landmarks again from what can still be read. */
export const renewLandmarks = Effect.fnUntraced(function* (
  { store }: LogAdmin["Service"],
  landmarks: readonly { readonly stream: Uri; readonly version: number }[],
) {
  for (const { stream, version } of landmarks) {
    let state = (yield* store.landmarkBefore(stream, version - 1)) ?? initial(stream)
    const rows = yield* store.history(stream, state.version, version - state.version)
    for (const { decision } of rows) state = fold(state, decision)
    // what verify would report is left for it to report
    if (state.version === version) yield* store.saveLandmarks([state])
  }
})

/** Makes the landmarks of a stream again from what can still be read of it. */
const keepLandmarks = Effect.fnUntraced(function* ({ store }: LogAdmin["Service"], stream: Uri) {
  let state = (yield* store.landmarkBefore(stream, Number.MAX_SAFE_INTEGER)) ?? initial(stream)
  for (;;) {
    const page = yield* store.history(stream, state.version, landmarkEvery)
    for (const { decision } of page) {
      state = fold(state, decision)
      if (isLandmark(state.version)) yield* store.saveLandmarks([state])
    }
    if (page.length < landmarkEvery) return
  }
})

/** @returns what could not be removed from the files, one line each */
export const scrubStorage = Effect.fnUntraced(function* (log: LogAdmin["Service"]) {
  yield* verifyTables(log, { fromStart: false, repair: true })
  return yield* log.erasure.scrub
})

const streamsPerAppend = 500

/** On whose behalf, and when, something is ended. */
export interface Termination {
  readonly now: Millis
  /** For the log: `erase ada`. */
  readonly by: string
  /** The issue time of the oldest NOTIFY without a response; null: there is none. */
  readonly oldestInFlight: () => Millis | null
}

/** Ends everything of a person that is alive, in the log, the tables and the snapshots. */
export const terminateAll = Effect.fnUntraced(function* (
  log: LogAdmin["Service"],
  person: Uri,
  { now, by: eraser, oldestInFlight }: Termination,
) {
  const { store } = log
  const { projector, committed } = yield* makeOwnProjector(log, oldestInFlight)
  const alive = yield* log.erasure.aliveIn(person)
  let ended = 0
  for (let start = 0; start < alive.length; start += streamsPerAppend) {
    const states = yield* store.load(alive.slice(start, start + streamsPerAppend))
    const stored = states.flatMap((before): readonly CommittedDecision[] => {
      const { events } = erase(before, { _tag: "Erase", person, silent: true })
      if (events.length === 0) return []
      const decision = {
        stream: before.presentity,
        version: before.version + 1,
        cause: "Erase",
        origin: eraser,
        nonce: freshNonce(),
        ...placedAt(before, nowFor(before, now), events),
      }
      return [{ decision, before, after: fold(before, decision) }]
    })
    if (stored.length === 0) continue
    const { position, conflicts } = yield* store.append(stored.map(({ decision }) => decision))
    for (const stream of conflicts) {
      return yield* new EraseRefused({
        why: `somebody writes to ${stream}: a server is at work on this database`,
      })
    }
    committed.position = position
    committed.at = Math.max(committed.at, ...stored.map(({ decision }) => decision.at))
    projector.note(stored)
    ended += stored.length
  }
  yield* projector.flush
  if (projector.lag().decisions > 0) {
    return yield* new EraseRefused({ why: tablesUnwritten })
  }
  return ended
})
