/**
 * The right to write to a log: one program has it at a time.
 *
 * A store that several programs can reach says with a `Claim` whether this program still has that right, and refuses it with
 * `LogIsTaken` when somebody else has it, or with `StoreUnfit` when the database cannot serve as a store at all.
 */
import { Data } from "effect"
import type { Effect } from "effect"
import type { Millis } from "../domain/vocabulary.ts"

/** Who has a log: the program that alone may write to it. */
export interface Holder {
  /** `presently serve` */
  readonly program: string
  readonly host: string
  /** Of the process on that host; with `isSession` that of PostgreSQL's backend. */
  readonly pid: number
  /** All that is known of it is its session in the database: it is a server of a version that took no log. */
  readonly isSession?: true
  readonly version: string
  /** Since when it has the log. */
  readonly since: Millis
  /** Counts the takings of the log; 0: nobody ever took it. */
  readonly epoch: number
}

/** The right to write to a log, as one process has it. */
export interface Claim {
  /**
   * Whether it has that right beyond doubt at this moment. Otherwise nothing may be said from memory: somebody else may have
   * written meanwhile. A comparison of numbers.
   */
  readonly isSure: () => boolean
  /** Who took the log away; null: nobody, as far as is known. There is no way back. */
  readonly taken: () => LogIsTaken | null
}

/** Of a store that nobody else can write to. */
export const soleClaim: Claim = { isSure: () => true, taken: () => null }

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

/** It will not do, and waiting does not help. */
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
