/**
 * How a failed command ends: the line that it prints, and its exit code.
 */
import { Cause } from "effect"
import { CliError } from "effect/cli"
import type { DataFolderInUse, DataFolderUnusable } from "../../adapters/store/postgres/folder-claim.ts"
import type { CaseBroken } from "../../explain/case/read.ts"
import type { BindFailed } from "../../ports/sip-transport.ts"
import type { ConfigInvalid } from "../config/config.ts"
import { exitCodes } from "../exit-codes.ts"

// Errors are recognized by their tags: importing the classes would load the server, the embedded database and more.

type IoFailure = BindFailed | DataFolderInUse | DataFolderUnusable | CaseBroken

const ioTags: ReadonlySet<unknown> = new Set<IoFailure["_tag"]>([
  "BindFailed",
  "DataFolderInUse",
  "DataFolderUnusable",
  "CaseBroken",
])

const hasTag = (error: unknown): error is { readonly _tag: unknown } =>
  typeof error === "object" && error !== null && "_tag" in error

const isConfigInvalid = (error: unknown): error is ConfigInvalid =>
  hasTag(error) && error._tag === ("ConfigInvalid" satisfies ConfigInvalid["_tag"])

const isBindFailed = (error: unknown): error is BindFailed =>
  hasTag(error) && error._tag === ("BindFailed" satisfies BindFailed["_tag"])

export const exitCodeOf = (cause: Cause.Cause<unknown>): number => {
  // a signal, and an orderly stop
  if (Cause.hasInterruptsOnly(cause)) return 0
  const error = Cause.squash(cause)
  if (isConfigInvalid(error)) return exitCodes.config
  if (CliError.isCliError(error)) return exitCodes.usage
  if (typeof error !== "object" || error === null) return exitCodes.software
  if ("_tag" in error && ioTags.has(error._tag)) return exitCodes.io
  if ("exitCode" in error && typeof error.exitCode === "number") return error.exitCode
  return exitCodes.software
}

/** One line for people; a defect of presently is printed with its stack. */
export const lineOf = (error: unknown): string => {
  if (isBindFailed(error)) {
    const why = error.cause instanceof Error ? error.cause.message : String(error.cause)
    return `presently: cannot listen on ${error.address} (${why}): stop what uses it, or give another address`
  }
  if (isConfigInvalid(error)) return error.faults.map((fault) => `presently: ${fault}`).join("\n")
  if (error instanceof Error && "_tag" in error) return `presently: ${error.message}`
  return error instanceof Error ? `presently: ${error.stack ?? error.message}` : `presently: ${String(error)}`
}
