/**
 * What a server is made of before anything is opened: its configuration, and everything derived from it.
 */
import { Context, Effect } from "effect"
import type { Duration } from "effect"
import { allowEveryone, askTheRules } from "../../domain/presentity/context.ts"
import type { Authorize, Limits } from "../../domain/presentity/context.ts"
import type { ClockKeeper } from "../clock/clock-keeper.ts"
import { adviceText } from "../config/advice.ts"
import type { Config, ConfigInvalid } from "../config/config.ts"
import { asksRules, limitsOf } from "../config/limits.ts"
import { resolveConfig } from "../config/resolve-config.ts"
import { PackageFault } from "../extensions/package-fault.ts"
import type { Carried } from "../telemetry/carried.ts"
import type { LogLevels } from "../telemetry/log-levels.ts"

export interface StartOptions {
  readonly levels: LogLevels
  /** How long a stop may take to decide, answer and write what is under way. */
  readonly stopWithin: Duration.Input
  /** The configuration as given at the time of a reload. */
  readonly reread: Effect.Effect<Config, ConfigInvalid>
  /** Who has the log, as other programs are told. */
  readonly program: string
  /** What a process counts for its whole life, when it starts one server after another. */
  readonly carried: Carried
}

type Resolved = Effect.Success<ReturnType<typeof resolveConfig>>

/** What decisions depend on, whoever asks for them. */
export interface Circumstances {
  readonly packages: Resolved["packages"]
  readonly limits: Limits
  readonly authorize: Authorize
}

export class ServerSettings extends Context.Service<
  ServerSettings,
  StartOptions &
    Resolved & {
      /** As given: a module that it names is not loaded there. */
      readonly given: Config
      readonly circumstances: Circumstances
      /** Null: a program provides the time. */
      readonly keeper: ClockKeeper | null
      /** Writes a line into the server's log, from where no effect can be run. */
      readonly say: (line: Effect.Effect<void>) => void
    }
>()("presently/ServerSettings") {}

/** Fails with every error in the configuration; logs advice about settings that cannot be what was meant. */
export const resolveSettings = Effect.fnUntraced(function* (
  given: Config,
  options: StartOptions,
  keeper: ClockKeeper | null,
) {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const say = (line: Effect.Effect<void>): void => void run(line)
  const resolved = yield* resolveConfig(given, (line) => say(Effect.logError(line)))
  for (const advice of resolved.advice) yield* Effect.logWarning(adviceText(advice))
  const { config } = resolved
  const circumstances: Circumstances = {
    packages: resolved.packages,
    limits: limitsOf(config),
    authorize: asksRules(config) ? askTheRules : allowEveryone,
  }
  return ServerSettings.of({ ...options, ...resolved, given, circumstances, keeper, say })
})

/** A fault in an event package of your own, or a defect of presently itself, with its stack. */
export const defectLine = (where: string, what: string, defect: unknown): Effect.Effect<void> => {
  if (defect instanceof PackageFault)
    return Effect.logError(
      `${what} of ${where} failed: ${defect.message}: its requests get 500, all others go on`,
    )
  const stack = defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)
  return Effect.logError(`a defect of presently: ${what} of ${where} failed; please report it`, stack)
}
