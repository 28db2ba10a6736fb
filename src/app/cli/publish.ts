/**
 * `presently publish`: publishes the state of one presentity.
 */
import { Command, Flag } from "effect/cli"
import { agentFlags, eventFlag, uriArgument } from "./client-flags.ts"
import { onDemand } from "./on-demand.ts"

const flags = {
  ...agentFlags,
  uri: uriArgument,
  event: eventFlag,
  open: Flag.Boolean("open").pipe(Flag.withDefault(false), Flag.withDescription("can be reached")),
  closed: Flag.Boolean("closed").pipe(Flag.withDefault(false), Flag.withDescription("cannot be reached")),
  note: Flag.String("note").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("a remark for people, with --open or --closed"),
    Flag.optional,
  ),
  expires: Flag.Int("expires").pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription("lifetime asked for; default: what the server gives"),
    Flag.optional,
  ),
  body: Flag.String("body").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("publish this file instead"),
    Flag.optional,
  ),
  contentType: Flag.String("content-type").pipe(
    Flag.withMetavar("TYPE"),
    Flag.withDefault("application/pidf+xml"),
    Flag.withDescription("what --body is"),
  ),
  etag: Flag.String("etag").pipe(
    Flag.withMetavar("TAG"),
    Flag.withDescription("change, refresh or remove the publication that was given this entity-tag"),
    Flag.optional,
  ),
  remove: Flag.Boolean("remove").pipe(
    Flag.withDefault(false),
    Flag.withDescription("remove the publication named by --etag"),
  ),
  stay: Flag.Boolean("stay").pipe(
    Flag.withDefault(false),
    Flag.withDescription("keep it alive until Ctrl-C, then remove it"),
  ),
}

export const publish = Command.make(
  "publish",
  flags,
  onDemand(async () => (await import("./run/publish.ts")).publish),
).pipe(
  Command.withDescription("Publish what is to be known about a presentity"),
  Command.withExamples([
    { command: 'presently publish sip:alice@example.com --open --note "at my desk"' },
    { command: "presently publish sip:alice@example.com --etag TAG --remove", description: "Take it back" },
  ]),
)
