/**
 * `presently dev` and `presently serve`: run a server until they are told to stop.
 */
import { Command } from "effect/cli"
import { onDemand } from "./on-demand.ts"
import { serverFlags } from "./server-flags.ts"

const dev = Command.make(
  "dev",
  serverFlags,
  onDemand(async () => (await import("./run/server.ts")).runDev),
).pipe(
  Command.withDescription("Run a server on this machine to try things: embedded database, open, no pacing"),
)

const serve = Command.make(
  "serve",
  serverFlags,
  onDemand(async () => (await import("./run/server.ts")).runServe),
).pipe(Command.withDescription("Run a production server"))

export const runCommands = [dev, serve] as const
