/**
 * What a server says of itself in its log.
 */
import { readFileSync } from "node:fs"

/** The server's own reason for not starting. */
export const reasonIn = (log: string, from: number): string => {
  const lines = readFileSync(log)
    .subarray(from)
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
  const fatal = lines.findLast((line) => /(?:FATAL|PANIC|ERROR): /.test(line))
  // what fails before the server can log, or is logged as no error, stands before the lines about its end
  const reason =
    fatal ?? lines.findLast((line) => !/shut(?:ting)? down|starting PostgreSQL|listening on/.test(line))
  return reason?.replace(/^.*?(?:FATAL|PANIC|ERROR|LOG|postgres): +/, "") ?? `it did not start; see ${log}`
}

/** Whether something of an earlier server is still in the way, which ends by itself. */
export const isPassing = (why: string): boolean =>
  /pre-existing shared memory block|lock file .* already exists/.test(why)
