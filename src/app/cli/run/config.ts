/**
 * Prints, checks and writes settings, and converts the script of another server.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { Console, Data, Effect, Option } from "effect"
import { LocalFailure } from "../../client/failures.ts"
import { adviceText } from "../../config/advice.ts"
import { ConfigInvalid } from "../../config/config.ts"
import type { Config } from "../../config/config.ts"
import { importOpensips } from "../../config/opensips-config.ts"
import { effectiveSettings, printConfig, shownValue, writeConfigFile } from "../../config/text.ts"
import { exitCodes } from "../../exit-codes.ts"
import { narrowOutput } from "../secret-output.ts"
import type { ServerFlags } from "../server-flags.ts"
import { configOf, hasStore, refusals } from "./server-config.ts"

/** A finding, not a failure: the file was written. */
export class NotAllMapped extends Data.TaggedError("NotAllMapped")<{ readonly count: number }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "thing has" : "things have"} no counterpart here; see above`
  }
}

export const printSettings = Effect.fn(function* ({
  json,
  ...input
}: ServerFlags & { readonly json: boolean }) {
  const config = yield* configOf(input, {})
  const lines = effectiveSettings(config).map((setting) =>
    JSON.stringify({ v: 1, name: setting.name, value: shownValue(setting), source: setting.source }),
  )
  yield* Console.log(json ? lines.join("\n") : printConfig(config))
})

export const checkSettings = Effect.fn(function* (input: ServerFlags) {
  const { config, advice } = yield* checked(input)
  for (const notice of [...config.notices, ...config.advice, ...advice])
    yield* Console.error(`presently: ${notice}`)
  yield* Console.log("the configuration is good")
})

/** Fails with every error that can be found without opening a socket or a database. */
const checked = Effect.fnUntraced(function* (
  input: ServerFlags,
  adjust: ((config: Config) => Config) | null = null,
) {
  const given = yield* configOf(input, {}, adjust === null ? "serve" : null)
  const config = adjust === null ? given : adjust(given)
  // Loaded only when needed.
  const { resolveConfig: preparations } = yield* Effect.promise(
    () => import("../../config/resolve-config.ts"),
  )
  const prepared = yield* Effect.result(preparations(config, () => {}))
  const faults = [
    ...refusals(prepared._tag === "Success" ? prepared.success.config : config, "serve"),
    ...(prepared._tag === "Failure" ? prepared.failure.faults : []),
  ]
  if (faults.length > 0) return yield* new ConfigInvalid({ faults })
  return { config, advice: prepared._tag === "Success" ? prepared.success.advice.map(adviceText) : [] }
})

/** Where a server keeps its log when no setting says so. */
const withStore = (config: Config): Config =>
  hasStore(config) ? config : { ...config, data: "data", sources: { ...config.sources, data: "init" } }

export const writeSettings = Effect.fn(function* ({
  file,
  ...input
}: ServerFlags & { readonly file: Option.Option<string> }) {
  const { config } = yield* checked(input, withStore)
  const chosen = effectiveSettings(config).filter(
    ({ name, source }) =>
      source !== "default" &&
      !source.startsWith("env ") &&
      // reported under the name under which it was given
      !(name === "database_url" && config.db_url !== null && source === config.sources.db_url),
  )
  const hasSecret = chosen.some(({ isSecret, value }) => isSecret && value !== null)
  const path = Option.getOrElse(file, () => "presently.yaml")
  yield* write(
    path,
    writeConfigFile(new Map(chosen.map((setting) => [setting.name, setting.value]))),
    hasSecret,
  )
  yield* Console.log(`${path} is written; start with: presently serve --config ${path}`)
})

/** @param isSecret whether only its owner may read the file */
const write = (path: string, text: string, isSecret: boolean) =>
  Effect.try({
    try: () => writeFileSync(path, text, { flag: "wx", mode: isSecret ? 0o600 : 0o644 }),
    catch: (cause) =>
      (cause as NodeJS.ErrnoException).code === "EEXIST"
        ? new LocalFailure({ what: `${path} is there already`, cause: "name another file, or remove it" })
        : new LocalFailure({ what: `${path} cannot be written`, cause }),
  })

export const importScript = Effect.fn(function* ({
  source,
  output,
}: {
  readonly source: string
  readonly output: Option.Option<string>
}) {
  const script = yield* Effect.try({
    try: () => readFileSync(source, "utf8"),
    catch: (cause) => new LocalFailure({ what: `${source} cannot be read`, cause }),
  })
  const { text, missed, hasSecret } = importOpensips(script, source)
  if (Option.isSome(output)) yield* write(output.value, text, hasSecret)
  else {
    const advice = hasSecret ? narrowOutput() : null
    if (advice !== null) yield* Console.error(`presently: ${advice}`)
    yield* Console.log(text.trimEnd())
  }
  for (const { line, what } of missed) yield* Console.error(`${source}:${line}: ${what}`)
  if (missed.length > 0) return yield* new NotAllMapped({ count: missed.length })
})
