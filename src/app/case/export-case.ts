/**
 * Writes a case from a store: one stream after the other, with one page of decisions in memory at a time.
 */
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { Clock, Data, Effect } from "effect"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import { isAfter, isBefore } from "../../explain/case/log-position.ts"
import type { Place } from "../../explain/case/log-position.ts"
import { worldOf } from "../../explain/case/world.ts"
import type { EventStore, RecordedDecision } from "../../ports/event-store.ts"
import { LocalFailure } from "../client/failures.ts"
import type { Config } from "../config/config.ts"
import { errorMessage } from "../error-message.ts"
import { exitCodes } from "../exit-codes.ts"
import { makeRequesters } from "../history/requesters.ts"
import { StoreUnusable, openStore, requireLog } from "../open-store.ts"
import { version } from "../version.ts"
import { makeAnonymizer } from "./anonymize.ts"
import type { Anonymizer } from "./anonymize.ts"
import { caseWorldOf, worldAbout, worldRenamed } from "./world.ts"
import { makeCaseWriter } from "./write.ts"
import type { CaseWriter } from "./write.ts"

/** The log holds nothing of what was asked for. */
export class NothingRecorded extends Data.TaggedError("NothingRecorded")<{
  readonly store: string
  readonly of: string
}> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.store} has no decision about ${this.of} in that time: nothing is written`
  }
}

export interface ExportOptions {
  readonly file: string
  /** Canonical URIs, and wildcards over canonical URIs. */
  readonly streams: readonly string[]
  readonly since: Place | null
  readonly until: Place | null
  readonly anonymize: boolean
}

export interface Exported {
  readonly store: string
  readonly streams: number
  readonly decisions: number
  readonly bytes: number
}

/** Decisions per read: a database within the process blocks the event loop while it reads. */
const pageRows = 500

/** Opens the store that a server uses, or used, and writes a case from it. */
export const exportCase = Effect.fn("Case.export")(function* (config: Config, options: ExportOptions) {
  const opened = yield* openStore(config, "export")
  yield* requireLog(opened)
  const { store, audit } = opened.log
  const usable = Effect.mapError((cause: unknown) =>
    cause instanceof StoreUnusable || cause instanceof NothingRecorded || cause instanceof LocalFailure
      ? cause
      : new StoreUnusable({ store: opened.name, why: errorMessage(cause) }),
  )
  const wildcards = options.streams.filter(isWildcard)
  const exact = options.streams.filter((stream) => !isWildcard(stream))
  const matches = (presentity: string): boolean =>
    exact.includes(presentity) || wildcards.some((pattern) => matchesWildcard(pattern, presentity))
  const world = worldAbout(caseWorldOf(config), matches)
  const made = worldOf(world)
  const anonymizer = options.anonymize ? makeAnonymizer(made) : null
  const told = anonymizer === null ? world : worldRenamed(world, anonymizer.name)
  const now = yield* Clock.currentTimeMillis
  const sink = yield* openSink(options.file)
  const writer = makeCaseWriter(
    {
      presently: version,
      node: process.version,
      writtenAt: new Date(now).toISOString(),
      anonymized: options.anonymize,
      since: shown(options.since),
      until: shown(options.until),
      world: told,
    },
    worldOf(told),
    sink.write,
  )
  const write = anonymizer === null ? writer : anonymous(writer, anonymizer)

  const exportOne = (stream: Uri) => exportStream(store, stream, write, options)
  for (const stream of new Set(exact)) {
    if (!(yield* exportOne(stream as Uri).pipe(usable)))
      return yield* new NothingRecorded({ store: opened.name, of: stream })
  }
  if (wildcards.length > 0) {
    for (let after = ""; ;) {
      const heads = yield* audit.heads(after).pipe(usable)
      const last = heads.at(-1)
      if (last === undefined) break
      for (const { stream } of heads) {
        if (exact.includes(stream) || !wildcards.some((pattern) => matchesWildcard(pattern, stream))) continue
        yield* exportOne(stream).pipe(usable)
      }
      after = last.stream
    }
  }
  const counts = writer.end()
  if (counts.streams === 0)
    return yield* new NothingRecorded({ store: opened.name, of: options.streams.join(", ") })
  const exported: Exported = { store: opened.name, ...counts, bytes: sink.finish() }
  return exported
}, Effect.scoped)

export const isWildcard = (text: string): boolean => /[*?]/.test(text)

const shown = (place: Place | null): string | null =>
  place === null
    ? null
    : place._tag === "Position"
      ? String(place.position)
      : new Date(place.at).toISOString()

const anonymous = (writer: CaseWriter, anonymizer: Anonymizer): CaseWriter => ({
  ...writer,
  stream: (state) => writer.stream(anonymizer.stream(state)),
  decision: (recorded) => writer.decision(anonymizer.decision(recorded)),
})

/** @returns whether there was anything to write */
export const exportStream = Effect.fnUntraced(function* (
  store: Pick<EventStore["Service"], "history" | "landmarkAt" | "landmarkBefore">,
  stream: Uri,
  writer: CaseWriter,
  { since, until }: Pick<ExportOptions, "since" | "until">,
) {
  // from the newest landmark before everything asked for; where there is none, from the beginning
  const landmark = since?._tag === "Instant" ? yield* store.landmarkAt(stream, since.at - 1) : null
  let state: State = landmark ?? initial(stream)
  let hasBegun = false
  const requesters = requestersWithin(store, stream)
  for (let isOver = false; !isOver;) {
    const page = yield* store.history(stream, state.version, pageRows)
    state = yield* beginningOf(store, state, page)
    for (const recorded of page) {
      const { decision } = recorded
      if (decision.version !== state.version + 1) {
        const why = `the log of ${stream} goes from decision ${state.version} to ${decision.version}; presently verify says more`
        return yield* new LocalFailure({ what: "there is no whole history", cause: why })
      }
      if (until !== null && isAfter(recorded, until)) {
        isOver = true
        break
      }
      if (!hasBegun && (since === null || !isBefore(recorded, since))) {
        writer.stream(state)
        hasBegun = true
      }
      if (hasBegun) writer.decision(yield* requesters.whole(recorded))
      state = fold(state, decision)
    }
    if (page.length < pageRows) break
  }
  if (hasBegun) writer.endStream()
  return hasBegun
})

/** Who sent a request is written in full in its first decision in the case, where the log has it only in an earlier one. */
const requestersWithin = (store: Pick<EventStore["Service"], "history">, stream: Uri) => {
  let first: number | null = null
  /** By the version that the log refers to, the one that the case refers to. */
  const versions = new Map<number, number>()
  const requesterAt = makeRequesters(store, stream)
  return {
    whole: Effect.fnUntraced(function* (recorded: RecordedDecision) {
      const { decision } = recorded
      first ??= decision.version
      const { about } = decision
      const by = about?.by
      if (typeof by !== "number" || by >= first) return recorded
      const { by: _, ...rest } = about!
      const requester = versions.get(by) ?? (yield* requesterAt(by))
      // nobody refers to a decision that does not say it, because the person was erased
      if (requester !== null && typeof requester !== "number") versions.set(by, decision.version)
      return {
        ...recorded,
        decision: { ...decision, about: requester === null ? rest : { ...rest, by: requester } },
      }
    }),
  }
}

/** The state before a page: where older decisions were dropped, the landmark kept in their place. */
export const beginningOf = Effect.fnUntraced(function* (
  store: Pick<EventStore["Service"], "landmarkBefore">,
  state: State,
  [first]: readonly RecordedDecision[],
) {
  if (first === undefined || state.version > 0 || first.decision.version === 1) return state
  const kept = yield* store.landmarkBefore(state.presentity, first.decision.version - 1)
  return kept?.version === first.decision.version - 1 ? kept : state
})

/** A file that gets its name only once it is complete, and that only its owner may read. */
export const openSink = (path: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        // an existing file is not overwritten
        closeSync(openSync(path, "wx", 0o600))
        // a file left by an export that was killed, or put there by somebody, would keep its mode if it were written over
        rmSync(`${path}.part`, { force: true })
        return openSync(`${path}.part`, "wx", 0o600)
      },
      catch: (cause) => new LocalFailure({ what: `${path} cannot be written`, cause }),
    }).pipe(
      Effect.map((file) => {
        let pending: string[] = []
        let [length, bytes] = [0, 0]
        let isWhole = false
        const flush = (): void => {
          const buffer = Buffer.from(pending.join(""))
          for (let from = 0; from < buffer.length;) from += writeSync(file, buffer, from)
          bytes += buffer.length
          pending = []
          length = 0
        }
        return {
          write: (line: string): void => {
            pending.push(line)
            length += line.length
            if (length >= 64 * 1024) flush()
          },
          finish: (): number => {
            flush()
            renameSync(`${path}.part`, path)
            isWhole = true
            return bytes
          },
          close: (): void => {
            closeSync(file)
            if (isWhole) return
            rmSync(`${path}.part`, { force: true })
            rmSync(path, { force: true })
          },
        }
      }),
    ),
    (sink) => Effect.sync(sink.close),
  )
