/**
 * What an append does to decisions before its statement, for whoever wants it done ahead of time (`app/node/warm-up.ts`): encryption,
 * JSON, digest. Nothing is stored, and the keys are forgotten.
 */
import type { Decision } from "../../../domain/presentity/events.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { PersonKey } from "../../../ports/stored-events.ts"
import { encryptDecision, newPersonKey } from "../encryption/encrypted-decision.ts"
import { encodeWithDigest } from "../integrity/hash-chain.ts"

/** Does so with keys of its own; returns the octets that would have been stored. */
export const makeRehearsal = () => {
  const keys = new Map<string, PersonKey>()
  const keyOf = (person: string): PersonKey => {
    const known = keys.get(person)
    if (known !== undefined) return known
    const made = newPersonKey(person)
    keys.set(person, made)
    return made
  }
  return (decisions: readonly Decision[], requesters: readonly (Uri | null)[]): number => {
    let octets = 0
    for (const [index, decision] of decisions.entries()) {
      const { version, at, cause, nonce } = decision
      const { origin, stored } = encryptDecision(decision, requesters[index] ?? null, keyOf)
      octets += encodeWithDigest({ version, at, cause, origin, nonce, events: stored }).encoded.length
    }
    return octets
  }
}
