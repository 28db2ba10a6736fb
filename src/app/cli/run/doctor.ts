/**
 * Examines this machine and its server, and prints the findings.
 */
import { Console, Data, Effect } from "effect"
import { ConfigInvalid } from "../../config/config.ts"
import { checkJson, checkText } from "../../doctor/check.ts"
import type { Check } from "../../doctor/check.ts"
import { faultCheck, runDoctor } from "../../doctor/run-doctor.ts"
import type { Patient } from "../../doctor/run-doctor.ts"
import { exitCodes } from "../../exit-codes.ts"
import type { ServerFlags } from "../server-flags.ts"
import { configOf, refusals } from "./server-config.ts"

export class NotWell extends Data.TaggedError("NotWell")<{ readonly count: number }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "thing is" : "things are"} bad; see above`
  }
}

export const examine = Effect.fn(function* ({ json, ...input }: ServerFlags & { readonly json: boolean }) {
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
})
