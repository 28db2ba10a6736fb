/**
 * Erases a person from a store that no server is at work on; nobody is told.
 *
 * Cut off anywhere, it can be begun again under the same URI. Once the name is gone nobody is found under it, and the last step is
 * made again all the same.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { makeErasing } from "../../adapters/store/erasing.ts"
import { standIn } from "../../adapters/store/sealed.ts"
import type { TableNames } from "../../adapters/store/tables.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { recordFact } from "../retention/compact.ts"
import { remainsOf, requireErasable, requireStopped } from "./erasable.ts"
import { mentionsOf } from "./mentions.ts"
import { clean, end, forget, nameless, renewLandmarks } from "./steps.ts"
import type { Erased } from "./steps.ts"

/** @param by for the log: `erase ada` */
export const erase = Effect.fn("Erase.erase")(function* (
  sql: PgClient.PgClient,
  names: TableNames,
  person: Uri,
  now: Millis,
  by: string,
) {
  const erasing = makeErasing(sql)
  yield* requireErasable(sql, names, erasing, person)
  yield* requireStopped(sql, names, erasing)
  const mentions = yield* mentionsOf(erasing, person)
  const remains = yield* remainsOf(erasing, person)
  const key = yield* nameless(erasing, person)
  yield* recordFact(sql, { _tag: "PersonErased", standIn: standIn(key.id) }, now, "Erase", by)
  const ended = yield* end(sql, names, erasing, person, now, by, () => null)
  yield* renewLandmarks(sql, yield* forget(sql, erasing, key))
  const left = yield* clean(sql, names)
  const erased: Erased = { standIn: standIn(key.id), ended, ...mentions, remains, left }
  return erased
})
