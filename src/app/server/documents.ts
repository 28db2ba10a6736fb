/**
 * Authorization documents and hard state from the sources named by the settings.
 */
import { Context, Effect, Layer } from "effect"
import type { SipHandler } from "../../ports/sip-transport.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import { makeDocumentPoller } from "../node/document-poller.ts"
import type { Follower } from "../node/documents/source.ts"
import { hardStateSourceOf, presenceHardState } from "../node/hard-state-source.ts"
import { rulesKindOf, rulesSourceOf } from "../node/rules-source.ts"
import { makeOwnRules } from "./own-rules.ts"
import type { RulesQueue } from "./own-rules.ts"
import { DocumentSources, PumpService } from "./pump.ts"
import { ServerSettings } from "./settings.ts"
import { StorageService } from "./storage.ts"

export class Documents extends Context.Service<
  Documents,
  {
    readonly rules: Follower
    readonly hardState: Follower
    /** The handler of SIP requests, which first asks for rules where a function gives them. */
    readonly asking: (handler: SipHandler) => SipHandler
    /** Answers 503 to the SUBSCRIBEs that still wait for rules. */
    readonly stopAsking: Effect.Effect<void>
    readonly queue: () => RulesQueue
  }
>()("presently/Documents") {}

export const layerDocuments: Layer.Layer<
  Documents,
  never,
  ServerSettings | StorageService | PumpService | DocumentSources
> = Layer.effect(
  Documents,
  Effect.gen(function* () {
    const { config, circumstances } = yield* ServerSettings
    const { packages } = circumstances
    const { xcap } = yield* StorageService
    const pump = yield* PumpService
    const sources = yield* DocumentSources
    const given = loadedExtensions(config)?.rules
    const own = given === undefined ? null : yield* makeOwnRules(given, config, circumstances, pump)
    const rules =
      own ??
      makeDocumentPoller(
        rulesSourceOf(config, packages, xcap),
        rulesKindOf(config, packages),
        pump,
        config.rules_wait,
      )
    const hardState = makeDocumentPoller(
      hardStateSourceOf(config, xcap),
      presenceHardState,
      pump,
      config.rules_wait,
    )
    sources.add(rules)
    sources.add(hardState)
    return {
      rules,
      hardState,
      asking: own?.asking ?? ((handler) => handler),
      stopAsking: own?.stop ?? Effect.void,
      queue: own?.queue ?? (() => ({ waiting: 0, refused: 0 })),
    }
  }),
)
