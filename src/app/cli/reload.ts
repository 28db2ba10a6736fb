/**
 * `presently reload`: has a running server read users, tokens, rules and the log level again, as SIGHUP does.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { askAdmin, liveFlags } from "./admin-call.ts"

export const reloadCommand = Command.make(
  "reload",
  liveFlags,
  Effect.fn(function* (input) {
    const { changes, restart } = JSON.parse(yield* askAdmin("POST", input, "/v1/reload", null)) as {
      readonly changes: readonly string[]
      readonly restart: readonly string[]
    }
    if (changes.length > 0) yield* Console.log(changes.join(", "))
    else if (restart.length === 0) yield* Console.log("nothing has changed")
    if (restart.length > 0)
      yield* Console.log(`changed, and in force after a restart only: ${restart.join(", ")}`)
  }),
).pipe(
  Command.withDescription(
    "Have a running server read users, tokens, rules and log level again, as on SIGHUP",
  ),
)
