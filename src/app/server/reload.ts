/**
 * Users, tokens and policies, and how they are read again while the server runs.
 */
import { Context, Effect, Layer } from "effect"
import type { ConfigInvalid } from "../config/config.ts"
import { readTokens } from "../config/tokens.ts"
import { makeReloader } from "../node/reload.ts"
import type { Reloader } from "../node/reload.ts"
import { watchFiles } from "../node/watched-files.ts"
import { DocumentSources } from "./pump.ts"
import { ServerSettings } from "./settings.ts"

export class Reload extends Context.Service<Reload, Reloader>()("presently/Reload") {}

export const layerReload: Layer.Layer<Reload, ConfigInvalid, ServerSettings | DocumentSources> = Layer.effect(
  Reload,
  Effect.gen(function* () {
    const { given, config, users, tls, levels, reread } = yield* ServerSettings
    const sources = yield* DocumentSources
    const tokens =
      config.admin === null || config.admin_tokens_file === null
        ? null
        : yield* readTokens(config.admin_tokens_file)
    const reloader = yield* makeReloader({
      config: given,
      users,
      tls,
      tokens,
      levels,
      reread,
      poll: sources.poll,
    })
    const { files, reload } = reloader
    if (config.reload_check_interval > 0)
      // a refusal is in the log, with its reasons
      yield* Effect.forkScoped(watchFiles(files, config.reload_check_interval, Effect.ignore(reload)))
    return reloader
  }),
)
