/**
 * `presently ladder`: the messages of a case or of a presentity's history, between the server and the other parties.
 */
import { Argument, Command, Flag } from "effect/cli"
import { adminFlags } from "./admin-call.ts"
import { placeFlag } from "./export.ts"
import { onDemand } from "./on-demand.ts"
import { flag, storeFlags } from "./store-flags.ts"

export const ladderCommand = Command.make(
  "ladder",
  {
    ...adminFlags,
    ...storeFlags,
    json: flag("json", "one JSON object a line, with the text of each message"),
    since: placeFlag("since", "from there on"),
    until: placeFlag("until", "up to there"),
    utc: flag("utc", "times in UTC"),
    mermaid: flag("mermaid", "print a sequence diagram for Mermaid"),
    live: flag("live", "go on with what is decided from now on, until interrupted"),
    pcap: Flag.String("pcap").pipe(
      Flag.withMetavar("OUT"),
      Flag.withDescription("write a capture file, for Wireshark and the like; it must not exist"),
      Flag.optional,
    ),
    what: Argument.String("FILE|URI").pipe(
      Argument.withDescription("a case, or whose history in the store of a server"),
    ),
    stream: Argument.String("URI").pipe(
      Argument.optional,
      Argument.withDescription("with FILE: only this one of it"),
    ),
  },
  onDemand(async () => (await import("./run/ladder.ts")).drawLadder),
).pipe(Command.withDescription("Draw the SIP messages that a log tells of, or write them as a capture file"))
