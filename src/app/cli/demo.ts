/**
 * `presently demo`: a watcher and a publisher in one terminal, and the ladder of messages between them and a server.
 */
import { Argument, Command } from "effect/cli"
import { toFlag } from "./client-flags.ts"
import { onDemand } from "./on-demand.ts"

export const demo = Command.make(
  "demo",
  {
    to: toFlag,
    uri: Argument.String("URI").pipe(
      Argument.withDefault("sip:alice@example.com"),
      Argument.withDescription("whom to publish for and to watch"),
    ),
  },
  onDemand(async () => (await import("./run/demo.ts")).demo),
).pipe(
  Command.withDescription("Show PUBLISH and NOTIFY at work: server, watcher and publisher in one terminal"),
)
