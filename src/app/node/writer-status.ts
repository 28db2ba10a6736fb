/** What a server reports about its right to write to its log. */
import type { WriterCounters } from "../../ports/claim.ts"
import { whyUnsure } from "../../ports/claim.ts"
import { holderText } from "../../ports/claim.ts"
import type { Config } from "../config/config.ts"
import type { Storage } from "./storage.ts"

/** Whom a standby waits for; null if this server is not waiting. */
export const standbyText = ({ waitingFor }: Storage): string | null => {
  const awaited = waitingFor()
  return awaited === null ? null : `standby: the log is taken by ${holderText(awaited)}`
}

/** Why answers from memory are not certain; null if they are. */
export const doubtOf = ({ claim, writer }: Storage): string | null =>
  // before the log is ours there is no memory to answer from
  writer() === null ? null : whyUnsure(claim)

/**
 * What to do if another program has the log. @param program whom the advice is for: a command, or the user's
 * own program
 */
export const takenFix = ({ standby }: Pick<Config, "standby">, program: string): string => {
  const isCommand = program.startsWith("presently ")
  if (standby) return isCommand ? "this server waits for it now" : "start the server again to wait for it"
  return isCommand
    ? "stop that one, or start with --standby to wait for it"
    : "stop that one, or give the option standby: true to wait for it"
}

/**
 * For GET /status. `of`: the holder of the log, this server or the one it waits for; null if unknown, or if
 * it cannot be taken.
 */
export const writerView = ({ claim, waitingFor, writer }: Storage, counters: Readonly<WriterCounters>) => {
  const awaited = waitingFor()
  const own = writer()
  const holder = claim.taken()?.holder ?? own?.holder ?? awaited
  return {
    role: awaited !== null ? "standby" : own === null ? "none" : claim.taken() === null ? "writer" : "lost",
    sure: claim.isSure(),
    of: holder === null ? null : { ...holder, since: new Date(holder.since).toISOString() },
    ...counters,
  }
}
