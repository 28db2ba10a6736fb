/**
 * The right to write to a log: one program has it at a time.
 *
 * A store that several programs can reach says with a `Claim` whether this program still has that right, and refuses it with
 * `LogIsTaken` when somebody else has it, or with `StoreUnfit` when the database cannot serve as a store at all.
 */
import { Data } from "effect"
import type { Effect } from "effect"
import type { Millis } from "../domain/vocabulary.ts"

/** The program that has a log, and alone may write to it. */
export interface Holder {
  /** `presently serve` */
  readonly program: string
  readonly host: string
  /** The process on that host; with `isSession` the backend of PostgreSQL. */
  readonly pid: number
  /** Only its session in the database is known: it is a server of a version that took no log. */
  readonly isSession?: true
  readonly version: string
  /** The instant since when it has the log. */
  readonly since: Millis
  /** How many times the log was taken so far; 0: never. */
  readonly epoch: number
}

/** The right of one process to write to a log. */
export interface Claim {
  /**
   * Whether the process has that right beyond doubt at this moment. Otherwise nothing may be answered from memory, because somebody
   * else may have written meanwhile. It costs a comparison of numbers.
   */
  readonly isSure: () => boolean
  /** Who took the log away; null: nobody, as far as is known. There is no way back. */
  readonly taken: () => LogIsTaken | null
}

/** The claim on a store that nobody else can write to. */
export const soleClaim: Claim = { isSure: () => true, taken: () => null }

/** Why nothing is said from memory, for whoever is not to know who has the log: a phone, for instance. */
export const unsure = "somebody else may have the log by now"

/** Why nothing may be said from memory, with who has the log where that is known; null: it is sure that nobody else has. */
export const whyUnsure = (claim: Claim): string | null =>
  claim.isSure() ? null : (claim.taken()?.message ?? unsure)

/** Somebody else has the log, or took it since: nothing can be written. */
export class LogIsTaken extends Data.TaggedError("LogIsTaken")<{
  /** Where the log is, in words. */
  readonly store: string
  readonly holder: Holder
  /** What to do about it. */
  readonly fix: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.store} is taken by ${holderText(this.holder)}: ${this.fix}`
  }
}

/** `presently serve 0.1.0, pid 4711 on host a, since 2026-01-01T00:00:00.000Z` */
export const holderText = ({ program, host, pid, version, since, isSession }: Holder): string =>
  isSession === true
    ? `${program}, connected from host ${host} since ${new Date(since).toISOString()} (PostgreSQL backend ${pid})`
    : `${program}${version === "" ? "" : ` ${version}`}, pid ${pid} on host ${host}, since ${new Date(since).toISOString()}`

/** The database cannot serve as a store, and waiting does not help. */
export class StoreUnfit extends Data.TaggedError("StoreUnfit")<{
  /** The setting with its value and source, or where the database is, in words. */
  readonly store: string
  readonly why: string
  readonly fix: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.store}: ${this.why}: ${this.fix}`
  }
}

/** What is told to whoever wants the log, or has it. */
export interface WriterEvents {
  /** Somebody else has the log, and we wait. */
  readonly waiting: (holder: Holder) => Effect.Effect<void>
  /** It is not sure any more that nobody else writes. */
  readonly lapsed: (cause: unknown) => Effect.Effect<void>
  /** It is sure again: nobody has. */
  readonly returned: Effect.Effect<void>
}

/** The log as a program got it, for as long as the scope lives in which it got it. */
export interface Writer {
  readonly holder: Holder
  /** Fails when somebody else took the log. */
  readonly lost: Effect.Effect<never, LogIsTaken>
  readonly counters: Readonly<WriterCounters>
}

/** Counted from the start of the process. */
export interface WriterCounters {
  /** Times when it was not sure any more that nobody else writes. */
  lapses: number
  /** Writes that the fence kept out. */
  fenced: number
}
