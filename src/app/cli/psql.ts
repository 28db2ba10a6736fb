/**
 * `presently psql`: the line that opens the database of a log with PostgreSQL's own client.
 */
import { Command } from "effect/cli"
import { adminFlags } from "./admin-call.ts"
import { onDemand } from "./on-demand.ts"
import { storeFlags } from "./store-flags.ts"

export const psql = Command.make(
  "psql",
  { ...adminFlags, ...storeFlags },
  onDemand(async () => (await import("./run/psql.ts")).printPsql),
).pipe(
  Command.withDescription(
    "Print the line to paste that opens the log's database with psql; where no server runs on an embedded one, it is kept open meanwhile",
  ),
  Command.withExamples([
    { command: 'eval "$(presently psql)"', description: "Beside the running server in this folder" },
  ]),
)
