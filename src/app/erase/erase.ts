/**
 * Erases a person from a store that no server is at work on; nobody is told.
 *
 * Cut off anywhere, it can be begun again under the same URI. Once the name is gone nobody is found under it, and the last step is
 * made again all the same.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { makeErasureQueries } from "../../adapters/store/postgres/erasure-queries.ts"
import { pseudonym } from "../../adapters/store/encryption/encrypted-decision.ts"
import type { TableNames } from "../../ports/presence-tables.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { recordFact } from "../retention/compact.ts"
import { remainsOf, requireErasable, requireStopped } from "./erasable.ts"
import { mentionsOf } from "./mentions.ts"
import { scrubStorage, end, shredKey, removeIdentity, renewLandmarks } from "./erasure-steps.ts"
import type { Erased } from "./erasure-steps.ts"

/** @param by for the log: `erase ada` */
export const erase = Effect.fn("Erase.erase")(function* (
  sql: PgClient.PgClient,
  names: TableNames,
  person: Uri,
  now: Millis,
  by: string,
) {
  const erasing = makeErasureQueries(sql)
  yield* requireErasable(sql, names, erasing, person)
  yield* requireStopped(sql, names, erasing)
  const mentions = yield* mentionsOf(erasing, person)
  const remains = yield* remainsOf(erasing, person)
  const key = yield* removeIdentity(erasing, person)
  yield* recordFact(sql, { _tag: "PersonErased", standIn: pseudonym(key.id) }, now, "Erase", by)
  const ended = yield* end(sql, names, erasing, person, now, by, () => null)
  yield* renewLandmarks(sql, yield* shredKey(sql, erasing, key))
  const left = yield* scrubStorage(sql, names)
  const erased: Erased = { standIn: pseudonym(key.id), ended, ...mentions, remains, left }
  return erased
})
