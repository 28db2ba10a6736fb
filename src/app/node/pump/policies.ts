/** Applies changed policies to existing watchers: checked whenever a presentity is loaded. */
import { policyChanges } from "../../../domain/presentity/apply-policies.ts"
import type { PolicyChange } from "../../../domain/presentity/apply-policies.ts"
import { standingAt } from "../../../domain/presentity/context.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { freshNonce } from "../../nonce.ts"
import type { PoliciesFound } from "../policy-changes.ts"
import type { Parts } from "./parts.ts"
import { send } from "./release.ts"

/** The origin of decisions that policies make on existing watchers. */
export const policiesOrigin = "watch policy"

const changesIn = (pump: Parts, state: State): readonly PolicyChange[] => {
  const { options } = pump
  if (options.limits.watching === undefined) return []
  try {
    return policyChanges(state, standingAt(options, pump.now()))
  } catch (defect) {
    if (options.onDefect === undefined) throw defect
    // the engine decides it anyway, and confines a defect to this presentity
    offerPolicies(pump, state)
    return []
  }
}

const offerPolicies = (pump: Parts, { presentity }: State): void => {
  const command = { _tag: "ApplyPolicies" } as const
  const offer = { presentity, command, origin: policiesOrigin, ticket: null, amends: true } as const
  const offered = pump.engine.offer(offer, pump.now(), freshNonce)
  if (offered._tag === "Released") send(pump, offered.release, false)
}

/** Decides what the policies change for a presentity in memory, if anything. */
export const applyPolicies = (pump: Parts, state: State): void => {
  if (changesIn(pump, state).length > 0) offerPolicies(pump, state)
}

export const findPolicyChanges = (pump: Parts): PoliciesFound => {
  const { engine, options } = pump
  const found = new Map<Uri, readonly PolicyChange[]>()
  for (const presentity of engine.presentities()) {
    const state = engine.state(presentity)
    const changes = state === undefined ? [] : changesIn(pump, state)
    if (changes.length > 0) found.set(presentity, changes)
  }
  return { changes: found, state: engine.state, context: standingAt(options, pump.now()) }
}
