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
import { devFolder, noteIn } from "../../server-note.ts"
import { hasDevFolder } from "../log-place.ts"
import type { ServerFlags } from "../server-flags.ts"
import { configOf, hasStore, refusals } from "./server-config.ts"
import { devDefaults } from "./server.ts"

export class NotWell extends Data.TaggedError("NotWell")<{ readonly count: number }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "thing is" : "things are"} bad; see above`
  }
}

/** The server that flags, environment and file describe; where they name no log, the one of `presently dev` in this folder. */
const patientOf = Effect.fnUntraced(function* (input: ServerFlags, file: string | null) {
  const config = yield* configOf(input, {}, "serve")
  if (hasStore(config) || !hasDevFolder()) {
    const patient: Patient = { config, configFile: file, refused: refusals(config, "serve") }
    return patient
  }
  const note = noteIn(devFolder)
  const there: ServerFlags = {
    ...input,
    ...(note === null || input.listen.length > 0 ? {} : { listen: note.listen }),
    ...(note === null || input.admin.length > 0 ? {} : { admin: [note.admin ?? "off"] }),
  }
  const dev = yield* configOf(there, devDefaults, "dev")
  const patient: Patient = { config: dev, configFile: file, refused: refusals(dev, "dev") }
  return patient
})

export const examine = Effect.fn(function* ({ json, ...input }: ServerFlags & { readonly json: boolean }) {
  const file = input.config.at(-1) ?? process.env["PRESENTLY_CONFIG"] ?? null
  const checks: readonly Check[] = yield* patientOf(input, file).pipe(
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
