/**
 * Digests of a stream: one for each step (what was sent, what changed), and at the end one of all NOTIFYs and one of
 * the state. Equal on every machine: they do not depend on clock, locale or order of keys.
 */
import { momentOf } from "../../domain/history/moments.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import type { RecordedDecision } from "../../domain/history/moments.ts"
import { changedBetween } from "../../domain/history/state-difference.ts"
import type { Reaction } from "../../domain/presentity/react.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Sha256 } from "./sha256.ts"

/** JSON with the keys of every object in order. Documents and dialogs, which many values share, are serialized once. */
export const canonicalJson = (value: unknown): string => {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null"
  if (Array.isArray(value)) {
    let text = "["
    for (let index = 0; index < value.length; index++)
      text += (index === 0 ? "" : ",") + canonicalJson(value[index])
    return `${text}]`
  }
  const known = written.get(value)
  if (known !== undefined) return known
  const members = value as Readonly<Record<string, unknown>>
  let text = ""
  for (const key of Object.keys(members).sort()) {
    const member = members[key]
    if (member !== undefined)
      text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(member)}`
  }
  text = `{${text}}`
  if ("contentType" in members || "routeSet" in members) written.set(value, text)
  return text
}

/** Of immutable values. */
const written = new WeakMap<object, string>()

const stateDigest = (state: State, sha256: Sha256): string => sha256.hex(canonicalJson(freeze(state)))

/** A decision step, and the digest of what was sent and what changed. */
export interface Step {
  readonly moment: DecisionStep
  readonly digest: string
}

export interface Walk {
  readonly state: () => State
  readonly step: (recorded: RecordedDecision) => Step
  readonly end: () => { readonly state: string; readonly notifications: string }
}

/** Walks from a state on, decision by decision. */
export const walkFrom = (begin: State, reaction: Reaction, sha256: Sha256): Walk => {
  let state = begin
  const all = sha256.running()
  return {
    state: () => state,
    step: (recorded) => {
      const moment = momentOf(state, recorded, reaction)
      state = moment.after
      const left = moment.notifications.map(canonicalJson)
      for (const digest of left) all.update(`${digest}\n`)
      const changed = canonicalJson(changedBetween(moment.before, moment.after))
      // as many digits as distinguish steps; the end of the stream has the full digest
      return { moment, digest: sha256.hex([...left, changed].join("\n")).slice(0, 16) }
    },
    end: () => ({ state: stateDigest(state, sha256), notifications: all.hex() }),
  }
}
