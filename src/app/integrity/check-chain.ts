/**
 * Recomputes the hash chains of the log: whether each row is what was written, in its place, with nothing added before, between
 * or after, and nothing removed.
 *
 * Streams are read one after the other, in pages: memory does not grow with the log.
 */
import { Effect } from "effect"
import { eventsIn } from "../../adapters/store/encryption/encrypted-decision.ts"
import { digestOfSaid, droppedFrom, rootOf, rowHash } from "../../adapters/store/integrity/hash-chain.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { Retained } from "../../domain/presentity/retention.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { LogChain, ChainHead, ChainRow } from "../../ports/log-audit.ts"
import { lowest } from "../../ports/log-audit.ts"
import type { StoredEvents } from "../../ports/stored-events.ts"
import type { LogFinding } from "./folded.ts"
import { oneByOne } from "./one-by-one.ts"

export interface ChainReport {
  /** Decisions whose hash was recomputed. */
  readonly rows: number
  /** Decisions from before there was a chain, which nothing proves. */
  readonly unchained: number
  /** Streams whose oldest decisions were dropped: they are proved from there on. */
  readonly beginnings: number
}

/** Progress along one stream. */
interface Walk {
  readonly head: ChainHead | null
  readonly name: string
  /** The hash that the next row continues from. */
  before: Uint8Array
  last: ChainRow | null
}

/**
 * @param retained what the log records as dropped from it
 * @param findings receives one line for each row or stream that does not match
 */
export const checkChain = Effect.fnUntraced(function* (
  audit: LogChain,
  retained: Retained,
  findings: LogFinding[],
) {
  const begun = yield* audit.begun
  const counts = { rows: 0, unchained: 0, beginnings: 0 }
  const heads = oneByOne(audit.heads, ({ id }) => id, lowest)
  let walk: Walk | null = null
  for (let page = yield* audit.rows(null); page.length > 0; page = yield* audit.rows(page.at(-1)!)) {
    for (const row of page) {
      if (walk === null || walk.last!.stream !== row.stream) {
        if (walk !== null) findings.push(...endOf(walk, retained))
        let head: ChainHead | null = null
        for (;;) {
          head = yield* heads.peek
          if (head === null || head.id >= row.stream) break
          findings.push(...rowless(head, retained))
          heads.take()
        }
        if (head?.id === row.stream) heads.take()
        else head = null
        walk = beginning(head, row)
        const unknown = beginningFault(walk, row, retained)
        if (unknown !== null) findings.push(rowFinding(walk, row, unknown))
        if (row.version > 1n && unknown === null) counts.beginnings++
      }
      const fault = step(walk, row, begun, retained)
      if (fault !== null) findings.push(rowFinding(walk, row, fault))
      if (row.hash === null) counts.unchained++
      else counts.rows++
    }
  }
  if (walk !== null) findings.push(...endOf(walk, retained))
  for (let head = yield* heads.peek; head !== null; head = yield* heads.peek) {
    findings.push(...rowless(head, retained))
    heads.take()
  }
  const report: ChainReport = counts
  return report
})

const beginning = (head: ChainHead | null, { stream, version }: ChainRow): Walk => {
  const name = head?.name ?? `stream ${stream}`
  const dropped = head?.beginnings.find((beginning) => beginning.version === version - 1n)
  return { head, name, before: dropped?.hash ?? head?.root ?? Buffer.alloc(0), last: null }
}

const beginningFault = ({ head }: Walk, { version }: ChainRow, { before }: Retained): string | null => {
  if (head === null) return "no stream has that number"
  const isKnown = head.beginnings.some(
    (beginning) => beginning.version === version - 1n && beginning.at < before,
  )
  return version === 1n || isKnown
    ? null
    : "what came before it is gone, and nothing says that it was dropped"
}

/** @returns what is wrong with the row, if anything; the walk continues from what the row says */
const step = (walk: Walk, row: ChainRow, begun: bigint, retained: Retained): string | null => {
  const { last, before } = walk
  walk.last = row
  if (row.hash === null) {
    const isOlder = row.position <= begun && (last === null || last.hash === null)
    return isOlder ? null : "its hash is gone"
  }
  walk.before = row.hash
  // the missing stream is reported already
  if (walk.head === null) return null
  if (last !== null && row.version === last.version) return "there are two of this version"
  const stored = storedIn(row)
  if (stored === null) return "its events are not as they were written"
  const said = saidBy(row, stored)
  if (eventsIn(stored).some((event) => isDroppedEarly(event, row, retained))) {
    return "a document of it is gone, and nothing says that it was dropped"
  }
  return said !== null && equal(rowHash(before, row.position, row.stream, said), row.hash)
    ? null
    : "it is not what was written there, or what came before it is not"
}

/** Null: the text was never written by us. JSON has several texts for one value; what is written always uses the canonical one. */
const storedIn = ({ events: text }: ChainRow): StoredEvents | null => {
  try {
    const stored: unknown = JSON.parse(text)
    if (typeof stored !== "object" || stored === null || JSON.stringify(stored) !== text) return null
    const events: unknown = eventsIn(stored as StoredEvents)
    const isOurs =
      Array.isArray(events) && events.every((event) => typeof event === "object" && event !== null)
    return isOurs ? (stored as StoredEvents) : null
  } catch {
    return null
  }
}

/** Null: a column has a type that it never had. */
const saidBy = (
  { version, at, cause, origin, nonce, events: text }: ChainRow,
  events: StoredEvents,
): string | null => {
  try {
    const said = { version: Number(version), at: Number(at) / 1000, cause, origin, nonce, events }
    return digestOfSaid(said, text)
  } catch {
    return null
  }
}

const isDroppedEarly = (event: Event, { at }: ChainRow, { documents }: Retained): boolean => {
  const name = droppedFrom(event)
  if (name === null) return false
  const before = documents.find(({ packageName }) => packageName === name)?.before ?? 0
  return Number(at) / 1000 >= before
}

/** Whether the head matches the newest row, and itself. */
const endOf = ({ head, last }: Walk, retained: Retained): readonly LogFinding[] => {
  if (head === null || last === null) return []
  const faults = headFaults(head, retained)
  if (head.version !== last.version) {
    faults.push(`it stands at ${head.version}, its newest decision is ${last.version}`)
  } else if (!equal(head.hash, last.hash)) faults.push("its hash is not that of its newest decision")
  if (head.nonce !== last.nonce) faults.push("its nonce is not that of its newest decision")
  return faults.map((fault) => headFinding(head, fault))
}

/** A head without rows: all of them were dropped by retention, or somebody removed them. */
const rowless = (head: ChainHead, retained: Retained): readonly LogFinding[] => {
  const faults = headFaults(head, retained)
  const dropped = head.beginnings.find(
    (beginning) => beginning.version === head.version && beginning.at < retained.before,
  )
  if (dropped === undefined) {
    faults.push(`it stands at ${head.version}, and has no decisions, and nothing says that they were dropped`)
  } else if (!equal(dropped.hash, head.hash)) faults.push("its hash is not that of the last one dropped")
  return faults.map((fault) => headFinding(head, fault))
}

/** An erased person has no name, and so no salt with which the chain began; that the person was erased is recorded. */
const headFaults = ({ salt, root, name }: ChainHead, { erased = [] }: Retained): string[] =>
  (salt === null ? erased.includes(name as Uri) : equal(rootOf(salt, name), root))
    ? []
    : ["its name is not the one that its chain began with"]

const rowFinding = ({ name }: Walk, { version, position }: ChainRow, found: string): LogFinding => ({
  table: "events",
  key: `${name} version ${version} at position ${position}`,
  column: "hash",
  log: null,
  found,
})

const headFinding = ({ name }: ChainHead, found: string): LogFinding => ({
  table: "streams",
  key: name,
  column: "hash",
  log: null,
  found,
})

const equal = (left: Uint8Array | null, right: Uint8Array | null): boolean =>
  left === null || right === null ? left === right : Buffer.compare(left, right) === 0
