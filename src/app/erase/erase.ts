/**
 * Erases a person from a store that no server is using; watchers are not notified.
 *
 * If it is interrupted, it can be started again under the same URI. Once the name is gone nobody is found under it, and the last
 * step is repeated all the same.
 */
import { Effect } from "effect"
import { pseudonym } from "../../adapters/store/encryption/encrypted-decision.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import { recordFact } from "../retention/compact.ts"
import { remainsOf, requireErasable, requireStopped } from "./erasable.ts"
import { scrubStorage, terminateAll, shredKey, removeIdentity, renewLandmarks } from "./erasure-steps.ts"
import type { Erased } from "./erasure-steps.ts"
import { mentionsOf } from "./mentions.ts"

/** @param eraser for the log: `erase ada` */
export const erase = Effect.fn("Erase.erase")(function* (
  log: LogAdmin["Service"],
  person: Uri,
  now: Millis,
  eraser: string,
) {
  yield* requireErasable(log, person)
  yield* requireStopped(log)
  const mentions = yield* mentionsOf(log.erasure, person)
  const remains = yield* remainsOf(log.erasure, person)
  const key = yield* removeIdentity(log.erasure, person)
  yield* recordFact(log, { _tag: "PersonErased", standIn: pseudonym(key.id) }, now, "Erase", eraser)
  const ended = yield* terminateAll(log, person, { now, by: eraser, oldestInFlight: () => null })
  yield* renewLandmarks(log, yield* shredKey(log, key))
  const left = yield* scrubStorage(log)
  const erased: Erased = { standIn: pseudonym(key.id), ended, ...mentions, remains, left }
  return erased
})
