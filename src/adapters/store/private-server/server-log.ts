/**
 * What a server that does not start says in its log.
 */
import { readFileSync } from "node:fs"

const isSevere = (line: string): boolean => /(?:FATAL|PANIC|ERROR): /.test(line)

/** Lines that every start and stop have, and those that only add to another one. */
const saysNothing = (line: string): boolean =>
  /\b(?:shut(?:ting)? down|aborting startup|starting PostgreSQL|listening on|redirecting log output)\b/.test(
    line,
  ) || /^(?:.*?\b)?(?:HINT|DETAIL|CONTEXT|STATEMENT|LOCATION|BACKTRACE): /.test(line)

/**
 * The server's own reason for not starting: its last severe message, else the last line that is not about starting and
 * stopping, as a shell or PostgreSQL writes it before or without a level.
 *
 * @param from where in the log this start began, in octets
 */
export const reasonIn = (log: string, from: number): string => {
  const lines = readFileSync(log)
    .subarray(from)
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
  const reason = lines.findLast(isSevere) ?? lines.findLast((line) => !saysNothing(line))
  const words = reason?.replace(/^.*?\b(?:FATAL|PANIC|ERROR|WARNING|LOG): +/, "")
  return words ?? `it did not start; see ${log}`
}

/** What is in the way only as long as processes of an earlier server end. */
export const isPassing = (why: string): boolean =>
  /pre-existing shared memory block|lock file .* already exists/.test(why)
