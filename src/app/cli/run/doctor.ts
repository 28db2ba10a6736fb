/**
 * Examines this machine and its server, and prints the findings.
 */
import { resolve } from "node:path"
import { Console, Data, Effect } from "effect"
import type { Option } from "effect"
import { holdsDatabase } from "../../../adapters/store/private-server/site.ts"
import { ConfigInvalid } from "../../config/config.ts"
import type { Config } from "../../config/config.ts"
import { isDescribed } from "../../config/described.ts"
import { hostPort } from "../../config/host-port.ts"
import { checkJson, checkText } from "../../doctor/check.ts"
import type { Check } from "../../doctor/check.ts"
import { answerMillis, faultCheck, runDoctor } from "../../doctor/run-doctor.ts"
import type { Patient } from "../../doctor/run-doctor.ts"
import type { Known } from "../../doctor/running.ts"
import { exitCodes } from "../../exit-codes.ts"
import { noteIn } from "../../server-note.ts"
import { ServerSaidNo } from "../admin-call.ts"
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

interface DoctorInput extends ServerFlags {
  readonly token: Option.Option<string>
}

/**
 * The server that flags, environment and file describe. Where they say no more than where it or its log is, and it runs, it is
 * asked for the rest. Where they name no log, it is that of the server named by --admin, else that of `presently dev` in this folder.
 */
const patientOf = Effect.fnUntraced(function* (input: DoctorInput, configFile: string | null) {
  const config = yield* configOf(input, {}, "serve")
  const hasOwn = hasStore(config)
  const named = input.admin.length > 0
  const here = hasOwn || named ? null : yield* devDatabase
  const found = yield* findServer(input, config, here)
  const own: Patient = { config, configFile, refused: refusals(config, "serve"), running: null }
  if (found === null && here === null) return own
  const data = hasOwn ? null : here === null ? dataOf(found) : here
  const there: ServerFlags = {
    ...input,
    listen: orElse(input.listen, found?.listen ?? []),
    admin: found === null ? input.admin : [found.admin],
    data: data === null ? input.data : [data],
  }
  const isDev = !hasOwn
  const whole = yield* configOf(there, isDev ? { ...devDefaults, data } : {}, isDev ? "dev" : "serve")
  const running = found === null || isDescribed(config) ? null : found.known
  const patient: Patient = {
    config: whole,
    configFile,
    // what runs was not refused
    refused: running === null ? refusals(whole, isDev ? "dev" : "serve") : [],
    running,
  }
  return patient
})

interface Found {
  /** As a value of the setting. */
  readonly admin: string
  readonly listen: readonly string[]
  readonly known: Known
}

/** The server that runs where the flags say, and what it says of itself; null: none runs there, as far as anybody knows. */
const findServer = Effect.fnUntraced(function* (input: DoctorInput, config: Config, here: string | null) {
  const folder = here ?? (config.database_url === null && !config.memory ? config.data : null)
  const note = folder === null ? null : noteIn(folder)
  const isGiven = config.sources.admin !== "default"
  const port = config.admin === null ? null : hostPort(config.admin.host, config.admin.port)
  const admin = isGiven || note === null ? port : note.admin
  if (note === null && admin === null) return null
  const found = (known: Known, sip: readonly string[]): Found => ({
    admin: admin ?? "off",
    listen: note?.listen ?? sip,
    known,
  })
  if (admin === null) return found({ _tag: "Silent", why: "the server has no management port" }, [])
  const asked = yield* Effect.result(
    askServer({ admin, token: input.token }).pipe(
      Effect.timeoutOrElse({
        duration: answerMillis,
        orElse: () => new ServerSaidNo({ why: `${admin} does not answer`, exitCode: exitCodes.unavailable }),
      }),
    ),
  )
  if (asked._tag === "Success") {
    const server = asked.success
    const isOther = note === null && !isGiven && folder !== null && server.log?.data !== resolve(folder)
    return isOther ? null : found({ _tag: "Says", server }, server.sip)
  }
  const refused = asked.failure
  const answers =
    refused instanceof ServerSaidNo &&
    (refused.exitCode === exitCodes.notAllowed || refused.exitCode === exitCodes.refused)
  return note === null && !answers ? null : found({ _tag: "Silent", why: refused.message }, [])
})

/** The folder of its log, if that is here; null: it is not, or it does not say. */
const dataOf = (found: Found | null): string | null => {
  const data = found?.known._tag === "Says" ? found.known.server.log?.data : null
  return data != null && holdsDatabase(data) ? data : null
}

const orElse = (given: readonly string[], found: readonly string[]): readonly string[] =>
  given.length > 0 ? given : found

export const examine = Effect.fn(function* ({ json, ...input }: DoctorInput & { readonly json: boolean }) {
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
