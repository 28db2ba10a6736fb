/**
 * `presently doctor`: what is wrong here, and what to do about it.
 */
import { Console, Data, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { ConfigInvalid } from "../config/config.ts"
import type { Check } from "../doctor/check.ts"
import type { Patient } from "../doctor/run-doctor.ts"
import { exitCodes } from "../exit-codes.ts"
import { configOf, refusals, serverFlags } from "./server-flags.ts"

class NotWell extends Data.TaggedError("NotWell")<{ readonly count: number }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "thing is" : "things are"} bad; see above`
  }
}

export const doctor = Command.make(
  "doctor",
  {
    ...serverFlags,
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("one JSON object a line")),
  },
  Effect.fn(function* ({ json, ...input }) {
    // Loaded when it is needed, as in run.ts.
    const { checkJson, checkText } = yield* Effect.promise(() => import("../doctor/check.ts"))
    const { faultCheck, runDoctor } = yield* Effect.promise(() => import("../doctor/run-doctor.ts"))
    const file = input.config.at(-1) ?? process.env["PRESENTLY_CONFIG"] ?? null
    const checks: readonly Check[] = yield* configOf(input, {}, "serve").pipe(
      Effect.map((config): Patient => ({ config, configFile: file, refused: refusals(config, "serve") })),
      Effect.flatMap(runDoctor),
      Effect.catchIf(
        (error) => error instanceof ConfigInvalid,
        ({ faults }) => Effect.succeed(faults.map(faultCheck)),
      ),
    )
    yield* Console.log(checks.map(json ? checkJson : checkText).join("\n"))
    const count = checks.filter(({ status }) => status === "bad").length
    if (count > 0) return yield* new NotWell({ count })
  }),
).pipe(
  Command.withDescription(
    "Look at settings, sockets, store, tables and machine, and say what to do; changes nothing",
  ),
)
