/**
 * Examines this machine and its server, and prints the findings.
 */
import { Console, Data, Effect, Option } from "effect"
import { holdsDatabase } from "../../../adapters/store/private-server/site.ts"
import { ConfigInvalid } from "../../config/config.ts"
import { checkJson, checkText } from "../../doctor/check.ts"
import type { Check } from "../../doctor/check.ts"
import { faultCheck, runDoctor } from "../../doctor/run-doctor.ts"
import type { Patient } from "../../doctor/run-doctor.ts"
import { exitCodes } from "../../exit-codes.ts"
import { noteIn } from "../../server-note.ts"
import { askServer, devDatabase } from "../log-place.ts"
import type { ServerFlags } from "../server-flags.ts"
import { configOf, hasStore, refusals } from "./server-config.ts"
import { devDefaults } from "./server.ts"

export class NotWell extends Data.TaggedError("NotWell")<{ readonly count: number }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "thing is" : "things are"} bad; see above`
  }
}

/**
 * The server that flags, environment and file describe. Where they name no log, it is that of the server named by --admin, else
 * that of `presently dev` in this folder.
 */
const patientOf = Effect.fnUntraced(function* (input: ServerFlags, file: string | null) {
  const config = yield* configOf(input, {}, "serve")
  const own: Patient = { config, configFile: file, refused: refusals(config, "serve") }
  if (hasStore(config)) return own
  const there = yield* input.admin.length > 0 ? asked(input) : inDevFolder(input)
  if (there === null) return own
  const dev = yield* configOf(there, devDefaults, "dev")
  const patient: Patient = { config: dev, configFile: file, refused: refusals(dev, "dev") }
  return patient
})

const inDevFolder = (input: ServerFlags) =>
  Effect.map(devDatabase, (folder): ServerFlags | null => {
    if (folder === null) return null
    const note = noteIn(folder)
    return note === null
      ? input
      : { ...input, listen: orElse(input.listen, note.listen), admin: [note.admin ?? "off"] }
  })

/** Null: it does not say. */
const asked = (input: ServerFlags) =>
  askServer({ admin: input.admin.at(-1) ?? "", token: Option.none() }).pipe(
    Effect.map(({ log, sip }): ServerFlags | null =>
      log?.data != null && holdsDatabase(log.data)
        ? { ...input, data: [log.data], listen: orElse(input.listen, sip) }
        : null,
    ),
    Effect.catch(() => Effect.succeed(null)),
  )

const orElse = (given: readonly string[], found: readonly string[]): readonly string[] =>
  given.length > 0 ? given : found

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
