/**
 * What a command that failed says, and the number it ends with (the names are those of sysexits).
 */
import { Cause } from "effect"
import { CliError } from "effect/cli"
import type { DataFolderInUse, DataFolderUnusable } from "../../adapters/store/postgres/embedded.ts"
import { BindFailed } from "../../ports/sip-transport.ts"
import { ConfigInvalid } from "../config/config.ts"

export const exitCodes = {
  /** A finding: the thing waited for did not come, a difference was found. */
  finding: 1,
  /** The server said no. */
  refused: 2,
  usage: 64,
  /** Nobody answers there. */
  unavailable: 69,
  /** A defect of ours. */
  software: 70,
  /** A file or socket of this machine could not be used. */
  io: 74,
  /** The token is missing, unknown, or of too small a scope. */
  notAllowed: 77,
  config: 78,
  interrupted: 130,
} as const

/** Known by name: loading the classes would load the embedded database with them. */
const dataFolderTags: ReadonlySet<unknown> = new Set<(DataFolderInUse | DataFolderUnusable)["_tag"]>([
  "DataFolderInUse",
  "DataFolderUnusable",
])

export const exitCodeOf = (cause: Cause.Cause<unknown>): number => {
  // told to stop, and stopped in order
  if (Cause.hasInterruptsOnly(cause)) return 0
  const error = Cause.squash(cause)
  if (error instanceof ConfigInvalid) return exitCodes.config
  if (CliError.isCliError(error)) return exitCodes.usage
  if (error instanceof BindFailed) return exitCodes.io
  if (typeof error !== "object" || error === null) return exitCodes.software
  if ("_tag" in error && dataFolderTags.has(error._tag)) return exitCodes.io
  if ("exitCode" in error && typeof error.exitCode === "number") return error.exitCode
  return exitCodes.software
}

/** One line for people; a defect of ours comes with its stack. */
export const lineOf = (error: unknown): string => {
  if (error instanceof BindFailed) {
    const why = error.cause instanceof Error ? error.cause.message : String(error.cause)
    return `presently: cannot listen on ${error.address} (${why}): stop what uses it, or give another address`
  }
  if (error instanceof ConfigInvalid) return error.faults.map((fault) => `presently: ${fault}`).join("\n")
  if (error instanceof Error && "_tag" in error) return `presently: ${error.message}`
  return error instanceof Error ? `presently: ${error.stack ?? error.message}` : `presently: ${String(error)}`
}
