/**
 * Prints how to open the database of a log with psql.
 */
import { realpathSync } from "node:fs"
import { Console, Effect } from "effect"
import { runningIn } from "../../../adapters/store/private-server/server.ts"
import { siteIn } from "../../../adapters/store/private-server/site.ts"
import { masked } from "../../config/masked-url.ts"
import { openStore } from "../../open-store.ts"
import type { AdminInput } from "../admin-call.ts"
import { placeConfig } from "../log-place.ts"
import type { StoreFlags } from "../store-flags.ts"

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** @param run the folder of the socket */
const lineFor = (run: string): string =>
  `psql ${quoted(`postgresql://presently@/postgres?host=${encodeURIComponent(run)}`)}`

export const printPsql = Effect.fn(function* (input: StoreFlags & AdminInput) {
  const config = yield* placeConfig(input)
  if (config.database_url !== null) {
    return yield* Console.log(`psql ${quoted(masked(config.database_url).replace("***@", ""))}`)
  }
  const folder = config.data
  const running = folder === null ? null : runningIn(siteIn(folder, real(folder)))
  if (running !== null) return yield* Console.log(lineFor(running))
  // says what is wrong, if anything is
  yield* openStore(config, "psql")
  const started = folder === null ? null : runningIn(siteIn(folder, real(folder)))
  if (started === null)
    return yield* Console.error("presently: it is kept within a process, where psql cannot go")
  yield* Console.log(lineFor(started))
  yield* Console.error(
    "presently: the database runs as long as this command, or whatever else uses it; Ctrl-C ends it",
  )
  return yield* Effect.never
}, Effect.scoped)

const real = (folder: string): string => {
  try {
    return realpathSync(folder)
  } catch {
    return folder
  }
}
