/**
 * What a server says of its right to write to its log.
 */
import type { WriterCounters } from "../../ports/claim.ts"
import { whyUnsure } from "../../ports/claim.ts"
import { holderText } from "../../ports/claim.ts"
import type { Config } from "../config/config.ts"
import type { Storage } from "./storage.ts"

/** Whom a standby waits for; null: this is none, or not any more. */
export const standbyText = ({ waitingFor }: Storage): string | null => {
  const other = waitingFor()
  return other === null ? null : `standby: the log is taken by ${holderText(other)}`
}

/** Why nothing is said from memory; null: nobody else has the log. */
export const doubtOf = ({ claim, writer }: Storage): string | null =>
  // before it is ours nothing is known that could be said
  writer() === null ? null : whyUnsure(claim)

/** What to do about another program that has the log. @param program who is told: a command, or a program of somebody's own */
export const takenFix = ({ standby }: Pick<Config, "standby">, program: string): string => {
  const isCommand = program.startsWith("presently ")
  if (standby) return isCommand ? "this server waits for it now" : "start the server again to wait for it"
  return isCommand
    ? "stop that one, or start with --standby to wait for it"
    : "stop that one, or give the option standby: true to wait for it"
}

/** For GET /status. `of`: who has the log, this server or whoever it waits for; null: not known, or nobody else can have it. */
export const writerView = ({ claim, waitingFor, writer }: Storage, counters: Readonly<WriterCounters>) => {
  const other = waitingFor()
  const own = writer()
  const holder = claim.taken()?.holder ?? own?.holder ?? other
  return {
    role: other !== null ? "standby" : own === null ? "none" : claim.taken() === null ? "writer" : "lost",
    sure: claim.isSure(),
    of: holder === null ? null : { ...holder, since: new Date(holder.since).toISOString() },
    ...counters,
  }
}
