/**
 * `presently compact`: drops now what is older than the setting `retention` allows to keep.
 */
import { Command } from "effect/cli"
import { onDemand } from "./on-demand.ts"
import { flag, storeFlags } from "./store-flags.ts"

export const compactCommand = Command.make(
  "compact",
  {
    ...storeFlags,
    json: flag("json", "what was dropped as one JSON object"),
    yes: flag(
      "yes",
      "drop all that is due: however large a share of the log it is, and though nothing confirms the clock",
    ),
  },
  onDemand(async () => (await import("./run/compact.ts")).compact),
).pipe(
  Command.withDescription(
    "Drop from the log what is older than retention allows; the server does it once a day by itself",
  ),
)
