/**
 * Folds the log up to a position: every state that has something alive then.
 *
 * Starts from snapshots where they are valid, and folds events for the rest; or starts from the first event, and only compares
 * snapshots.
 */
import { Effect } from "effect"
import type { Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { freeze, isLandmark, thaw } from "../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { values } from "../../domain/table.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Head, LoggedDecision } from "../../ports/log-audit.ts"
import type { LogAudit } from "../../ports/log-audit.ts"
import { canonical } from "./canonical.ts"
import { checkLandmarks } from "./check-landmarks.ts"
import { withDigests, withDocumentsOf } from "./dropped-documents.ts"
import type { Folded, LogFinding } from "./folded.ts"

/**
 * Folds on to a position, event by event, and compares landmarks on the way.
 *
 * @param repair writes landmarks that are missing or differ
 */
export const foldEvents = Effect.fnUntraced(function* (
  audit: LogAudit,
  folded: Folded,
  upTo: number,
  repair: boolean,
) {
  if (folded.position === 0) yield* foldBeginnings(audit, folded)
  while (folded.position < upTo) {
    const page = yield* audit.decisions(folded.position, upTo)
    const passed: State[] = []
    for (const decision of page) {
      foldOne(folded, decision)
      const { stream, version } = decision
      const isSure = !folded.broken.has(stream) && !folded.truncated.has(stream)
      if (isLandmark(version) && isSure) passed.push(stateIn(folded, stream))
    }
    yield* checkLandmarks(audit, folded, passed, repair)
    folded.position = page.at(-1)?.position ?? upTo
  }
})

/** States of streams at the last of their dropped decisions. */
const foldBeginnings = Effect.fnUntraced(function* (audit: LogAudit, folded: Folded) {
  for (
    let page = yield* audit.beginnings(null);
    page.length > 0;
    page = yield* audit.beginnings(page.at(-1)!)
  ) {
    for (const { state: frozen, stream } of page) {
      const state = thaw(frozen as Snapshot)
      folded.versions.set(stream, state.version)
      put(folded, state)
      folded.begun++
    }
  }
})

/** The stream's state, whether anything in it is alive or not. */
export const stateIn = (folded: Folded, stream: Uri): State => {
  const state = folded.states.get(stream) ?? {
    ...initial(stream),
    version: folded.versions.get(stream) ?? 0,
  }
  return folded.broken.has(stream) || folded.truncated.has(stream) ? { ...state, isIncomplete: true } : state
}

const foldOne = (folded: Folded, decision: LoggedDecision): void => {
  folded.decisions++
  const { stream, version, events } = decision
  const before = stateIn(folded, stream)
  // about to be dropped, and contained in the landmark already
  if (version <= before.version && folded.begun > 0) return
  folded.versions.set(stream, version)
  if (typeof events === "string") {
    folded.broken.add(stream)
    folded.findings.push(unreadable(decision, events))
    return
  }
  if (version !== before.version + 1) {
    // streams whose old partitions were dropped begin in the middle; a gap is found separately
    if (before.version === 0) folded.truncated.add(stream)
    else folded.broken.add(stream)
  }
  put(folded, foldedOr(folded, before, decision, events))
}

/** The state after a decision; an impossible decision is skipped, and its stream counts as broken. */
const foldedOr = (
  folded: Folded,
  before: State,
  decision: LoggedDecision,
  events: readonly Event[],
): State => {
  const { version, at } = decision
  try {
    return fold(before, { events, version, at })
  } catch (cause) {
    folded.broken.add(decision.stream)
    folded.findings.push(unreadable(decision, cause instanceof Error ? cause.message : String(cause)))
    return { ...before, version, isIncomplete: true }
  }
}

const put = (folded: Folded, state: State): void => {
  if (isEmpty(state)) folded.states.delete(state.presentity)
  else folded.states.set(state.presentity, state)
}

const unreadable = ({ stream, version, position }: LoggedDecision, why: string): LogFinding => ({
  table: "events",
  key: `${stream} version ${version} at position ${position}`,
  column: "events",
  log: null,
  found: why,
})

/**
 * The states in snapshots at a position: brought forward where they are behind, and folded from the beginning where they are
 * ahead (an interrupted write).
 *
 * @returns states whose snapshots are behind or unreadable
 */
export const foldSnapshots = Effect.fnUntraced(function* (
  audit: LogAudit,
  folded: Folded,
  upTo: number,
  decisionsAfter: ReadonlyMap<Uri, number>,
) {
  const wrong: State[] = []
  for (let after = ""; ;) {
    const heads = yield* audit.heads(after)
    if (heads.length === 0) break
    for (const head of heads) {
      const version = head.version - (decisionsAfter.get(head.stream) ?? 0)
      const snapshot = readSnapshot(head)
      folded.versions.set(head.stream, version)
      const isUsable = typeof snapshot === "object" && snapshot.version <= version
      const isBehind = !isUsable ? typeof snapshot === "string" : snapshot.version < version
      let state = isUsable
        ? snapshot
        : ((yield* audit.landmarkBefore(head.stream, version)) ?? initial(head.stream))
      while (state.version < version) {
        const page = yield* audit.history(head.stream, state.version, version)
        for (const decision of page) {
          if (decision.version !== state.version + 1) folded.broken.add(head.stream)
          state = foldInto(folded, state, decision)
        }
        if (page.length === 0) {
          // what is missing is gone for good
          if (version > 0) folded.broken.add(head.stream)
          break
        }
      }
      put(folded, state)
      if (isBehind && version > 0) {
        folded.findings.push({
          table: "snapshots",
          key: head.stream,
          column: typeof snapshot === "string" && head.snapshotVersion !== null ? "state" : "version",
          log: version,
          found: typeof snapshot === "string" ? snapshot : snapshot.version,
        })
        wrong.push(state)
      }
    }
    after = heads.at(-1)!.stream
  }
  folded.position = upTo
  return wrong
})

const foldInto = (folded: Folded, state: State, decision: LoggedDecision): State => {
  folded.decisions++
  const { events, version } = decision
  if (typeof events !== "string") return foldedOr(folded, state, decision, events)
  folded.broken.add(decision.stream)
  folded.findings.push(unreadable(decision, events))
  return { ...state, version, isIncomplete: true }
}

/** Or why the snapshot cannot be used. */
const readSnapshot = (head: Head): State | string => {
  if (head.snapshotVersion === null) return "none"
  if (head.snapshotVersion > head.version) return `version ${head.snapshotVersion} of ${head.version}`
  if (head.snapshot === null) return { ...initial(head.stream), version: head.snapshotVersion }
  try {
    const fault = snapshotFault(head.snapshot)
    if (fault !== null) return `unreadable: ${fault}`
    const state = thaw(head.snapshot as Snapshot)
    return state.presentity === head.stream && state.version === head.snapshotVersion
      ? state
      : `that of ${state.presentity} version ${state.version}`
  } catch (cause) {
    // the engine's message would be about our code
    return cause instanceof TypeError
      ? "unreadable: something in it is not what it should be"
      : `unreadable: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

const snapshotLists = [
  "publications",
  "subscriptions",
  "waiting",
  "rules",
  "watchersChangedIn",
  "departed",
  "dialogs",
] as const satisfies readonly (keyof Snapshot)[]

/** Why a value is not a snapshot; null: no obvious reason. */
const snapshotFault = (value: unknown): string | null => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is no object"
  const found = value as Readonly<Record<string, unknown>>
  const missing = snapshotLists.filter((name) => !Array.isArray(found[name]))
  return missing.length === 0 ? null : `it has no list ${missing.join(", ")}`
}

/**
 * Compares every snapshot with the folded state.
 *
 * The time of the last decision is left out: a presentity with nothing alive is forgotten, which no event records.
 *
 * @returns states whose snapshots differ
 */
export const compareSnapshots = Effect.fnUntraced(function* (audit: LogAudit, folded: Folded) {
  const wrong: State[] = []
  let compared = 0
  for (let after = ""; ;) {
    const heads = yield* audit.heads(after)
    if (heads.length === 0) break
    for (const head of heads) {
      const { stream } = head
      let state = stateIn(folded, stream)
      const snapshot = readSnapshot(head)
      if (typeof snapshot === "object" && hasDropped(state)) {
        state = thaw(withDocumentsOf(freeze(state), freeze(snapshot)))
        put(folded, state)
      }
      if (folded.truncated.has(stream)) {
        if (typeof snapshot === "object" && snapshot.version === state.version) put(folded, snapshot)
        continue
      }
      // written together with rows that are newer than the checkpoint
      if (typeof snapshot === "object" && snapshot.version > state.version) continue
      if (state.version === 0) continue
      compared++
      const before = folded.findings.length
      if (typeof snapshot === "string") {
        folded.findings.push({
          table: "snapshots",
          key: stream,
          column: head.snapshotVersion === null ? "version" : "state",
          log: state.version,
          found: snapshot,
        })
      } else folded.findings.push(...snapshotDifferences(state, snapshot))
      if (folded.findings.length > before) wrong.push(state)
    }
    after = heads.at(-1)!.stream
  }
  return { wrong, compared }
})

const snapshotDifferences = (state: State, snapshot: State): readonly LogFinding[] => {
  const key = state.presentity
  if (snapshot.version !== state.version) {
    return [{ table: "snapshots", key, column: "version", log: state.version, found: snapshot.version }]
  }
  const [ours, theirs] = [state, snapshot].map((compared): Readonly<Record<string, unknown>> =>
    isEmpty(compared) ? {} : { ...withDigests(freeze(compared)), decidedAt: 0 },
  )
  const columns = new Set([...Object.keys(ours!), ...Object.keys(theirs!)])
  return [...columns].flatMap((column): LogFinding[] => {
    const [log, found] = [canonical(ours![column]), canonical(theirs![column])]
    return log === found ? [] : [{ table: "snapshots", key, column, log, found }]
  })
}

/** O(publications). */
const hasDropped = (state: State): boolean => {
  for (const publications of values(state.publications)) {
    for (const { body, droppedHeaders } of values(publications)) {
      if (body?.dropped !== undefined || droppedHeaders !== undefined) return true
    }
  }
  for (const { dropped } of values(state.hardState)) if (dropped !== undefined) return true
  return false
}
