/**
 * `presently doctor`: checks the configuration, the machine and the store, and says what to do about each finding.
 */
import { Command, Flag } from "effect/cli"
import { adminFlags } from "./admin-call.ts"
import { onDemand } from "./on-demand.ts"
import { serverFlags } from "./server-flags.ts"

export const doctor = Command.make(
  "doctor",
  {
    ...serverFlags,
    token: adminFlags.token,
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("one JSON object a line")),
  },
  onDemand(async () => (await import("./run/doctor.ts")).examine),
).pipe(
  Command.withDescription(
    "Look at settings, sockets, store, tables and machine, and say what to do; changes nothing",
  ),
)
