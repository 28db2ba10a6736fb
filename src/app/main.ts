#!/usr/bin/env node
/**
 * The command line: commands put together, errors turned into one line each and an exit code.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit } from "effect"
import { CliError, Command } from "effect/cli"
import { compactCommand } from "./cli/compact.ts"
import { eraseCommand } from "./cli/erase.ts"
import { config, init } from "./cli/config.ts"
import { demo } from "./cli/demo.ts"
import { doctor } from "./cli/doctor.ts"
import { exitCodeOf, lineOf } from "./cli/exit.ts"
import { exportCommand } from "./cli/export.ts"
import { at, diff, history, presentities, seen, watchers, why } from "./cli/history.ts"
import { importCommand } from "./cli/import.ts"
import { ladderCommand } from "./cli/ladder-command.ts"
import { mi } from "./cli/mi.ts"
import { publish } from "./cli/publish.ts"
import { replayCommand } from "./cli/replay.ts"
import { rules } from "./cli/rules.ts"
import { runCommands } from "./cli/run.ts"
import { sealKey } from "./cli/seal-key.ts"
import { projections, verify } from "./cli/tables.ts"
import { token } from "./cli/token.ts"
import { user } from "./cli/user.ts"
import { watch } from "./cli/watch.ts"
import { version } from "./version.ts"

const presently = Command.make("presently").pipe(
  Command.withDescription("SIP presence server with an auditable history"),
  Command.withSubcommands([
    ...runCommands,
    init,
    config,
    demo,
    publish,
    watch,
    user,
    token,
    sealKey,
    rules,
    history,
    at,
    seen,
    why,
    diff,
    watchers,
    presentities,
    mi,
    importCommand,
    exportCommand,
    replayCommand,
    ladderCommand,
    doctor,
    verify,
    projections,
    compactCommand,
    eraseCommand,
  ]),
)

// Whoever reads our output may have seen enough: `presently watch … | head -1`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0)
})

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
