/**
 * Errors in the answers of a store that the program brought along.
 */
import type { Decision } from "../../domain/presentity/events.ts"
import { isTable } from "../../domain/table.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { shown } from "../extensions/words.ts"

/** Says what is wrong with an answer, to follow "it answered"; null: nothing. */
export type Check<A> = (answer: A) => string | null

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

export const appendedFault = (answer: unknown, decisions: readonly Decision[]): string | null => {
  if (!isObject(answer) || !isCount(answer["position"]))
    return `${shown(answer)} instead of { position, conflicts }`
  const { conflicts } = answer
  if (!(conflicts instanceof Set)) return `conflicts ${shown(conflicts)} instead of a Set of streams`
  if (conflicts.size === 0) return null
  const streams = new Set<unknown>(decisions.map(({ stream }) => stream))
  for (const stream of conflicts)
    if (!streams.has(stream)) return `a conflict of ${shown(stream)}, which was not appended to`
  return null
}

const tables = [
  "publications",
  "hardState",
  "subscriptions",
  "waiting",
  "rules",
  "verdicts",
  "sharingTags",
  "watchersChangedIn",
  "departed",
  "dialogs",
] as const

const stateFault = (state: unknown): string | null => {
  if (!isObject(state)) return `${shown(state)} instead of a state`
  if (typeof state["presentity"] !== "string") return "a state without presentity"
  if (!isCount(state["version"])) return `a state of version ${shown(state["version"])}`
  if (!Number.isFinite(state["decidedAt"])) return `a state decided at ${shown(state["decidedAt"])}`
  if (!isCount(state["unproven"])) return `a state with unproven ${shown(state["unproven"])}`
  if (!isCount(state["winfoSubscriptions"]))
    return `a state with winfoSubscriptions ${shown(state["winfoSubscriptions"])}`
  const odd = tables.find((name) => !isTable(state[name]))
  return odd === undefined
    ? null
    : `a state with ${odd} ${shown(state[odd])}; states are folded from decisions`
}

export const statesFault: Check<unknown> = (answer) => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of states`
  for (const state of answer) {
    const fault = stateFault(state)
    if (fault !== null) return fault
  }
  return null
}

export const stateOrNullFault: Check<unknown> = (answer) => (answer === null ? null : stateFault(answer))

export const loadedFault = (
  answer: readonly { readonly presentity: Uri }[],
  streams: readonly Uri[],
): string | null => {
  const fault = statesFault(answer)
  if (fault !== null) return fault
  if (answer.length !== streams.length) return `${answer.length} states instead of ${streams.length}`
  const odd = streams.findIndex((stream, index) => answer[index]?.presentity !== stream)
  return odd < 0
    ? null
    : `the state of ${shown(answer[odd]?.presentity)} instead of that of ${shown(streams[odd])}`
}

export const behindFault = (
  answer: readonly { readonly stream: Uri; readonly version: number }[],
  after: string,
  max: number,
): string | null => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of { stream, version }`
  if (answer.length > max) return `${answer.length} rows instead of ${max} at most`
  // a reader would never come to an end
  const before = new Set<unknown>([after])
  for (const row of answer as readonly unknown[]) {
    if (!isObject(row) || typeof row["stream"] !== "string" || !isCount(row["version"]))
      return `${shown(row)} instead of { stream, version }`
    if (before.has(row["stream"])) return `${shown(row["stream"])} twice`
    before.add(row["stream"])
  }
  return null
}

interface Row {
  readonly position: number
  readonly decision: Decision
}

export const rowsFault = (
  answer: readonly Row[],
  max: number,
  order: (row: Row, before: Row | undefined) => string | null,
): string | null => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of { position, decision }`
  if (answer.length > max) return `${answer.length} rows instead of ${max} at most`
  for (const [index, row] of answer.entries()) {
    const fault = rowFault(row) ?? order(row, answer[index - 1])
    if (fault !== null) return fault
  }
  return null
}

const rowFault = (row: unknown): string | null => {
  if (!isObject(row) || !isCount(row["position"]) || !isObject(row["decision"]))
    return `${shown(row)} instead of { position, decision }`
  const { decision } = row
  if (typeof decision["stream"] !== "string") return "a decision without stream"
  if (!isCount(decision["version"]) || decision["version"] === 0)
    return `a decision of version ${shown(decision["version"])}`
  if (!Number.isFinite(decision["at"])) return `a decision at ${shown(decision["at"])}`
  for (const name of ["cause", "origin", "nonce"])
    if (typeof decision[name] !== "string") return `a decision with ${name} ${shown(decision[name])}`
  const { events } = decision
  return Array.isArray(events) &&
    events.every((event) => isObject(event) && typeof event["_tag"] === "string")
    ? null
    : `a decision with events ${shown(events)}`
}

export const checkpointFault = (answer: unknown): string | null =>
  answer === null || (isObject(answer) && isCount(answer["position"]) && Number.isFinite(answer["at"]))
    ? null
    : `${shown(answer)} instead of { position, at }`
