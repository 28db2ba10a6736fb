/**
 * `presently demo`: the story of a lamp that stays lit; or a watcher and a publisher in one terminal, and the ladder of messages
 * between them and a server.
 */
import { Argument, Command } from "effect/cli"
import { toFlag } from "./client-flags.ts"
import { onDemand } from "./on-demand.ts"
import { placeFlags } from "./server-place.ts"

export const demo = Command.make(
  "demo",
  {
    to: toFlag,
    ...placeFlags,
    uri: Argument.String("URI").pipe(
      Argument.withDescription("whom to publish for and to watch"),
      Argument.optional,
    ),
  },
  onDemand(async () => (await import("./run/demo.ts")).demo),
).pipe(
  Command.withDescription(
    "Show an office with a lamp that stays lit, and why; with URI or --to, the messages of one change: server, watcher and publisher in one terminal",
  ),
  Command.withExamples([
    { command: "presently demo" },
    { command: "presently demo sip:alice@example.com", description: "PUBLISH and NOTIFY, drawn" },
    { command: "presently demo --to 127.0.0.1:5060", description: "The same against a running server" },
  ]),
)
