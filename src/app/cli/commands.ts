/**
 * All commands put together.
 */
import { Command } from "effect/cli"
import { compactCommand } from "./compact.ts"
import { config, init } from "./config.ts"
import { demo } from "./demo.ts"
import { doctor } from "./doctor.ts"
import { eraseCommand } from "./erase.ts"
import { exportCommand } from "./export.ts"
import { at, diff, history, presentities, seen, watchers, why } from "./history.ts"
import { importCommand } from "./import.ts"
import { ladderCommand } from "./ladder.ts"
import { mi } from "./mi.ts"
import { psql } from "./psql.ts"
import { publish } from "./publish.ts"
import { reloadCommand } from "./reload.ts"
import { replayCommand } from "./replay.ts"
import { rules } from "./rules.ts"
import { sealKey } from "./seal-key.ts"
import { runCommands } from "./server.ts"
import { projections, verify } from "./tables.ts"
import { token } from "./token.ts"
import { user } from "./user.ts"
import { watch } from "./watch.ts"

export const presently = Command.make("presently").pipe(
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
    reloadCommand,
    importCommand,
    exportCommand,
    replayCommand,
    ladderCommand,
    psql,
    doctor,
    verify,
    projections,
    compactCommand,
    eraseCommand,
  ]),
)
