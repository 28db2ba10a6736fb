/**
 * `presently psql`: the line that opens the database of a log with PostgreSQL's own client.
 */
import { Command } from "effect/cli"
import { adminFlags } from "./admin-call.ts"
import { onDemand } from "./on-demand.ts"
import { flag, storeFlags } from "./store-flags.ts"

export const psql = Command.make(
  "psql",
  {
    ...adminFlags,
    ...storeFlags,
    create: flag("create", "where --data has no database yet, make an empty one: to restore a dump into"),
  },
  onDemand(async () => (await import("./run/psql.ts")).printPsql),
).pipe(
  Command.withDescription(
    "Print the line to paste that opens the log's database with psql; where no server runs on an embedded one, it is kept open meanwhile. The tables show the log as of at most db_update_period seconds ago",
  ),
  Command.withExamples([
    { command: 'eval "$(presently psql)"', description: "Beside the running server in this folder" },
  ]),
)
