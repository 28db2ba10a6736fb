#!/usr/bin/env node
/**
 * The command line: runs a command, and turns an error into one line and an exit code.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit } from "effect"
import { CliError, Command } from "effect/cli"
import { presently } from "./cli/commands.ts"
import { exitCodeOf, lineOf } from "./cli/exit.ts"
import { stopWithNpm } from "./cli/run/npm-parent.ts"
import { version } from "./version.ts"

// The reader of our output may close it early: `presently watch … | head -1`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0)
})

// servers, and commands that go on until they are told to stop: watch, publish --stay, history --follow, psql
stopWithNpm()

Command.run(presently, { version }).pipe(
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)) return Effect.void
    return Console.error(lineOf(error))
  }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, done) => done(Exit.isSuccess(exit) ? 0 : exitCodeOf(exit.cause)),
  }),
)
