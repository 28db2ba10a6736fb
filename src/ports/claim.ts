/**
 * The right to write to a log, which one program has at a time.
 *
 * A store that several programs can reach uses a `Claim` to say whether this program still has that right. It refuses
 * it with `LogIsTaken` if another program has it, or with `StoreUnfit` if the database cannot serve as a store at all.
 */
import { Data } from "effect"
import type { Effect } from "effect"
import type { Millis } from "../domain/vocabulary.ts"

/** The program that holds a log, the only one that may write to it. */
export interface Holder {
  /** `presently serve` */
  readonly program: string
  readonly host: string
  /** The process on that host; with `isSession` the PostgreSQL backend. */
  readonly pid: number
  /** Only its database session is known: a server of a version that took no claim. */
  readonly isSession?: true
  readonly version: string
  /** The instant since which it has held the log. */
  readonly since: Millis
  /** How many times the log has been taken; 0: never. */
  readonly epoch: number
}

/** The right of one process to write to a log. */
export interface Claim {
  /**
   * Whether the process certainly has that right at this moment. Otherwise nothing may be answered from memory, because
   * another program may have written meanwhile. It costs a comparison of numbers.
   */
  readonly isSure: () => boolean
  /** The program that took the log away; null: none, as far as is known. A lost log is not regained. */
  readonly taken: () => LogIsTaken | null
}

/** The claim on a store to which no other program can write. */
export const soleClaim: Claim = { isSure: () => true, taken: () => null }

/**
 * The reason given to peers that must not learn who holds the log, such as phones, when nothing may be answered from
 * memory.
 */
export const unsure = "somebody else may have the log by now"

/**
 * Why nothing may be answered from memory, with the holder of the log if known; null: this program certainly holds it.
 */
export const whyUnsure = (claim: Claim): string | null =>
  claim.isSure() ? null : (claim.taken()?.message ?? unsure)

/** Another program holds the log, or has taken it since: nothing can be written. */
export class LogIsTaken extends Data.TaggedError("LogIsTaken")<{
  /** A description of where the log is. */
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
  /** The setting with its value and source, or a description of where the database is. */
  readonly store: string
  readonly why: string
  readonly fix: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.store}: ${this.why}: ${this.fix}`
  }
}

/** Notifications for a program that wants the log, or holds it. */
export interface WriterEvents {
  /** Another program holds the log, and this one waits. */
  readonly waiting: (holder: Holder) => Effect.Effect<void>
  /** It is no longer certain that this program alone writes. */
  readonly lapsed: (cause: unknown) => Effect.Effect<void>
  /** It is certain again: no other program has written. */
  readonly returned: Effect.Effect<void>
}

/** The log as obtained by a program, for the lifetime of the scope in which it was obtained. */
export interface Writer {
  readonly holder: Holder
  /** Fails when another program has taken the log. */
  readonly lost: Effect.Effect<never, LogIsTaken>
  readonly counters: Readonly<WriterCounters>
}

/** Counted from the start of the process. */
export interface WriterCounters {
  /** How often it was no longer certain that this program alone writes. */
  lapses: number
  /** Writes refused by the fence. */
  fenced: number
}
