/**
 * `presently replay`: steps through a case, checks it, decides it again, or tries what would have been otherwise.
 */
import { Argument, Command, Flag } from "effect/cli"
import { placeFlag } from "./export.ts"
import { onDemand } from "./on-demand.ts"
import { flag } from "./store-flags.ts"

export const replayCommand = Command.make(
  "replay",
  {
    until: placeFlag("until", "steps up to there"),
    break: Flag.String("break").pipe(
      Flag.withMetavar("TYPE"),
      Flag.withDescription("stop at the first event of that type, and show the state"),
      Flag.optional,
    ),
    verify: flag("verify", "only compare with the recorded digests; exit code 1 when one differs"),
    drift: flag(
      "drift",
      "decide each recorded command again; exit code 1 when today's code decides otherwise",
    ),
    without: Flag.Int("without").pipe(
      Flag.withMetavar("SEQ"),
      Flag.withDescription("as if the decision at that position had never been; repeatable"),
      Flag.atLeast(0),
    ),
    rules: Flag.String("rules").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("as if this document had been in force"),
      Flag.optional,
    ),
    from: Flag.Int("from").pipe(
      Flag.withMetavar("SEQ"),
      Flag.withDescription("with --rules: from that position on; else from the beginning"),
      Flag.optional,
    ),
    event: Flag.String("event").pipe(
      Flag.withMetavar("PACKAGE"),
      Flag.withDefault("presence"),
      Flag.withDescription("with --rules: of which event package"),
    ),
    utc: flag("utc", "times in UTC"),
    json: flag("json", "one JSON object a line"),
    file: Argument.String("FILE").pipe(Argument.withDescription("a case that presently export wrote")),
    stream: Argument.String("URI").pipe(
      Argument.optional,
      Argument.withDescription("only this one of the case"),
    ),
  },
  onDemand(async () => (await import("./run/replay.ts")).replayCase),
).pipe(
  Command.withDescription(
    "Walk through a case: what happened, whether it comes out again, and what would have been otherwise",
  ),
)
