/**
 * Settings, read for a command.
 */
import { Effect } from "effect"
import { ConfigInvalid, readConfig } from "../../config/config.ts"
import type { Config } from "../../config/config.ts"
import type { Given } from "../../config/gather.ts"

export interface GivenToCommand extends Pick<Given, "flags" | "set" | "defaults"> {
  /** The configuration file: the last --config, else PRESENTLY_CONFIG from the environment. */
  readonly file: readonly string[]
}

export const readSettings = ({ file, ...given }: GivenToCommand): Effect.Effect<Config, ConfigInvalid> =>
  Effect.try({
    try: () =>
      readConfig({
        ...given,
        env: process.env,
        file: file.at(-1) ?? process.env["PRESENTLY_CONFIG"] ?? null,
      }),
    catch: (cause) =>
      cause instanceof ConfigInvalid ? cause : new ConfigInvalid({ faults: [String(cause)] }),
  })
