/**
 * Appending decisions: encryption before the statement (`append.sql.ts`), and what its answer means after it.
 *
 * An append is prepared at once, sent by one call of the driver (`append-connection.ts`) and answered by one callback of it.
 *
 * A writer makes the key of somebody it does not know and stores it along with the first decision that is encrypted with it. When
 * there is one already, nothing is stored, and the append is tried again with the keys that are known then.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { Decision } from "../../../domain/presentity/events.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { LogIsTaken } from "../../../ports/claim.ts"
import type { Appended, StoreUnavailable } from "../../../ports/event-store.ts"
import type { PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { encryptDecision, inClear } from "../encryption/encrypted-decision.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import { encodeWithDigest } from "../integrity/hash-chain.ts"
import { claimOn, fencedOff } from "../writer/claim.ts"
import type { AppendConnection } from "./append-connection.ts"
import { appendParameters, movedElsewhere } from "./append.sql.ts"
import type { AppendOutcome, AppendedDecision, AppendedHead } from "./append.sql.ts"
import { unavailable } from "./unavailable.ts"

type Requesters = readonly (Uri | null)[]
type Appending = Effect.Effect<Appended, SqlError.SqlError | StoreUnavailable | LogIsTaken>

/** @param erasable encrypts what is personal, so that people can be erased */
export const makeAppend = (sql: PgClient.PgClient, connection: AppendConnection, erasable: boolean) => {
  const persons = personKeysOf(sql)
  const claim = claimOn(sql)

  /** @param isLearned the keys of all persons that have one are in memory */
  const append = (decisions: readonly Decision[], requesters: Requesters, isLearned: boolean): Appending => {
    const { keyOf, fresh } = persons.draft()
    const encrypted = decisions.map((decision, index) =>
      erasable ? encryptedForm(decision, requesters[index] ?? null, keyOf) : clearForm(decision),
    )
    const again = Effect.suspend(() =>
      Effect.andThen(
        persons.learn(fresh.map(({ person }) => person)),
        Effect.suspend(() => append(decisions, requesters, true)),
      ),
    )
    if (fresh.length > 0 && !isLearned && persons.isLikelyStored()) return again
    const rows = encrypted.map(withDigest)
    const heads = headsOf(decisions)
    const sent = connection.send(appendParameters(claim, rows, heads.length, fresh))
    return Effect.flatMap(sent, (outcome): Appending => {
      if (!outcome.held) return fencedOff(sql)
      // some have a key already, of which nobody here knew
      if (!outcome.keyed) return again
      if (!isLearned && fresh.length > 0) persons.foundNone()
      persons.keep(fresh)
      return appended(sql, heads, outcome)
    })
  }

  return (decisions: readonly Decision[], requesters: Requesters = []) =>
    unavailable(Effect.suspend(() => append(decisions, requesters, false)))
}

/** @param requester the watcher whose request it was; null: the presentity's own, or nobody's */
const encryptedForm = (
  decision: Decision,
  requester: Uri | null,
  keyOf: (person: string) => PersonKey,
): Stored => {
  const { origin, stored } = encryptDecision(decision, requester, keyOf)
  return { decision, origin, events: stored }
}

const clearForm = (decision: Decision): Stored => ({
  decision,
  origin: decision.origin,
  events: inClear(decision),
})

/** A decision with what is stored in the place of its origin and events. */
interface Stored {
  readonly decision: Decision
  readonly origin: string
  readonly events: StoredEvents
}

const withDigest = ({ decision, origin, events }: Stored): AppendedDecision => {
  const { stream, version, at, cause, nonce } = decision
  const { encoded, said } = encodeWithDigest({ version, at, cause, origin, nonce, events })
  return { stream, version, at, cause, origin, nonce, encoded, said }
}

/** Where each stream must stand, and where it goes. */
const headsOf = (decisions: readonly Decision[]): readonly AppendedHead[] => {
  const heads = new Map<Uri, { stream: Uri; expected: number; version: number; nonce: string }>()
  for (const { stream, version, nonce } of decisions) {
    const head = heads.get(stream)
    if (head === undefined) heads.set(stream, { stream, expected: version - 1, version, nonce })
    else Object.assign(head, { version, nonce })
  }
  return [...heads.values()]
}

/** What was stored, and of the rest whether it stands in the log already. */
const appended = (
  sql: PgClient.PgClient,
  heads: readonly AppendedHead[],
  { stored, position }: AppendOutcome,
): Effect.Effect<Appended, SqlError.SqlError> => {
  if (position !== null && stored === null) {
    return Effect.succeed({ position: Number(position), conflicts: noConflicts })
  }
  const moved = new Set(stored)
  return movedElsewhere(
    sql,
    heads.filter(({ stream }) => !moved.has(stream)),
  )
}

const noConflicts: ReadonlySet<Uri> = new Set()
