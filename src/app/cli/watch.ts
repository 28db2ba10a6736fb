/**
 * `presently watch`: subscribes to one presentity and prints a line for each NOTIFY.
 */
import { Command, Flag } from "effect/cli"
import { agentFlags, eventFlag, uriArgument } from "./client-flags.ts"
import { onDemand } from "./on-demand.ts"

const flags = {
  ...agentFlags,
  uri: uriArgument,
  event: eventFlag,
  until: Flag.Literals("until", ["open", "closed"]).pipe(
    Flag.withDescription("end once a tuple is open, or once a document shows none open"),
    Flag.optional,
  ),
  timeout: Flag.Finite("timeout").pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription("end after so long; with --until that is exit code 1"),
    Flag.optional,
  ),
  expires: Flag.Int("expires").pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription("lifetime asked for; refreshed in time; 0 looks once"),
    Flag.optional,
  ),
  as: Flag.String("as").pipe(
    Flag.withMetavar("URI"),
    Flag.withDescription("who is watching; default: --user, or watcher, at the presentity's domain"),
    Flag.optional,
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withDescription("print each NOTIFY as one line of JSON"),
  ),
  body: Flag.Boolean("body").pipe(Flag.withDefault(false), Flag.withDescription("print the documents, too")),
}

export const watch = Command.make(
  "watch",
  flags,
  onDemand(async () => (await import("./run/watch.ts")).watch),
).pipe(
  Command.withDescription("Watch a presentity: one line for each NOTIFY"),
  Command.withExamples([
    { command: "presently watch sip:alice@example.com" },
    {
      command: "presently watch sip:alice@example.com --until open --timeout 10",
      description: "Wait for it in a script",
    },
  ]),
)
