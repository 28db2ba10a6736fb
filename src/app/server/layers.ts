/**
 * All services of a server, each built from those below it.
 */
import { Effect, Layer } from "effect"
import type { Storage } from "../node/storage.ts"
import { layerDocuments } from "./documents.ts"
import { layerFeed, layerOutageLog, layerProjector, layerSharingTags } from "./followers.ts"
import { layerAdmin, layerOperations } from "./operations.ts"
import { Progress } from "./progress.ts"
import { ActiveTags, DocumentSources, layerPump } from "./pump.ts"
import { layerReload } from "./reload.ts"
import { ServerSettings, defectLine } from "./settings.ts"
import { layerServerSip } from "./sip.ts"
import { layerOpened } from "./storage.ts"
import { RequestTracing, layerMetrics, layerTracing } from "./telemetry.ts"
import { layerUpkeep, layerWebhooks } from "./upkeep.ts"

const layerServerPump = Layer.unwrap(
  Effect.gen(function* () {
    const { circumstances, say } = yield* ServerSettings
    const { tracing } = yield* RequestTracing
    return layerPump({
      ...circumstances,
      tracing,
      onDefect: (presentity, command, defect) => say(defectLine(presentity, command, defect)),
    })
  }),
)

/** Built anew for each server: nothing is shared with another server in the same process. */
export const layerServer = (settings: ServerSettings["Service"], storage: Storage) =>
  layerAdmin.pipe(
    Layer.provideMerge(layerOperations),
    Layer.provideMerge(layerMetrics),
    Layer.provideMerge(Layer.mergeAll(layerUpkeep, layerWebhooks)),
    Layer.provideMerge(
      Layer.mergeAll(
        layerProjector(Math.max(0, settings.config.db_update_period), settings.config.db_update_decisions),
        layerFeed,
        layerSharingTags,
        layerDocuments,
        layerOutageLog(storage.name, settings.say),
      ),
    ),
    Layer.provideMerge(layerServerPump),
    Layer.provideMerge(layerServerSip),
    Layer.provideMerge(layerReload),
    Layer.provideMerge(Layer.mergeAll(layerTracing, ActiveTags.layer, DocumentSources.layer, Progress.layer)),
    Layer.provideMerge(Layer.mergeAll(Layer.succeed(ServerSettings, settings), layerOpened(storage))),
  )
