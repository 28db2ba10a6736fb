/**
 * `presently dev` and `presently serve`: run a server until they are told to stop.
 */
import { Argument, Command, Flag } from "effect/cli"
import { onDemand } from "./on-demand.ts"
import { serverFlags } from "./server-flags.ts"

const devFlags = {
  ...serverFlags,
  lan: Flag.String("lan").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withOptionalValue(""),
    Flag.withDescription(
      "listen on the local network, with accounts for phones made on the spot; on that address of this machine, or on the one of its default route",
    ),
    Flag.optional,
  ),
  browser: Flag.Boolean("browser").pipe(
    Flag.withDescription(
      "listen over TLS and WebSocket as well, with a certificate made on the spot, for phones in browsers",
    ),
    Flag.withDefault(false),
  ),
  address: Argument.String("ADDRESS").pipe(
    Argument.withDescription("with --lan: the address to listen on"),
    Argument.optional,
  ),
}

const dev = Command.make(
  "dev",
  devFlags,
  onDemand(async () => (await import("./run/server.ts")).runDev),
).pipe(
  Command.withDescription("Run a server on this machine to try things: embedded database, open, no pacing"),
  Command.withExamples([
    { command: "presently dev" },
    { command: "presently dev --browser", description: "For phones in browsers: JsSIP, SIP.js" },
    { command: "presently dev --lan", description: "For phones on this network, with accounts to type in" },
    { command: "presently dev --lan 192.0.2.10", description: "On that address of this machine" },
  ]),
)

const serve = Command.make(
  "serve",
  serverFlags,
  onDemand(async () => (await import("./run/server.ts")).runServe),
).pipe(Command.withDescription("Run a production server"))

export const runCommands = [dev, serve] as const
