/**
 * The log level, which can be changed while the server runs.
 */
import { Logger } from "effect"
import type { LogLevel } from "../../ports/operations.ts"

export interface LogLevels {
  readonly present: () => LogLevel
  readonly set: (level: LogLevel) => void
  readonly shows: (level: string) => boolean
}

const ranks: Readonly<Record<string, number>> = { error: 3, warn: 2, info: 1, debug: 0 }

export const makeLogLevels = (initial: LogLevel = "info"): LogLevels => {
  let present = initial
  return {
    present: () => present,
    set: (level) => {
      present = level
    },
    // Fatal is highest, Trace lowest
    shows: (level) => (ranks[level.toLowerCase()] ?? (level === "Fatal" ? 4 : -1)) >= ranks[present]!,
  }
}

/** The same logger, silent below the current level. */
export const gated = <Message, Output>(
  logger: Logger.Logger<Message, Output>,
  levels: LogLevels,
): Logger.Logger<Message, Output | undefined> =>
  Logger.make((options) => (levels.shows(options.logLevel) ? logger.log(options) : undefined))
