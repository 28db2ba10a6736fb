/**
 * The answer to whoever wants a log that somebody else has.
 */
import { Data } from "effect"
import type { Holder } from "../../../ports/event-store.ts"

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
