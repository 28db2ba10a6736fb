/**
 * What a server says of its right to write to its log.
 */
import { holderText } from "../domain/ports.ts"
import type { Storage } from "./storage.ts"

/** Why nothing is said from memory: somebody else has the log, or may have. Null: nobody has. */
export const whyNotReady = ({ claim, waitingFor, writer }: Storage): string | null => {
  const other = waitingFor()
  if (other !== null) return `standby: the log is taken by ${holderText(other)}`
  // before it is ours nothing is known that could be said
  if (writer() === null || claim.isSure()) return null
  return claim.taken()?.message ?? "somebody else may have the log by now"
}

/** For GET /v1/status. `of`: who has the log, this server or whoever it waits for; null: not known, or nobody else can have it. */
export const writerView = ({ claim, waitingFor, writer }: Storage) => {
  const other = waitingFor()
  const own = writer()
  const holder = claim.taken()?.holder ?? own?.holder ?? other
  return {
    role: other !== null ? "standby" : own === null ? "none" : claim.taken() === null ? "writer" : "lost",
    sure: claim.isSure(),
    of: holder === null ? null : { ...holder, since: new Date(holder.since).toISOString() },
    lapses: own?.counters.lapses ?? 0,
    fenced: own?.counters.fenced ?? 0,
  }
}
