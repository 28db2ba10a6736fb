/**
 * Prints how to open the database of a log with psql.
 */
import { existsSync, realpathSync } from "node:fs"
import { Console, Effect } from "effect"
import { runningIn } from "../../../adapters/store/private-server/server.ts"
import { siteIn } from "../../../adapters/store/private-server/site.ts"
import { withoutPassword } from "../../config/masked-url.ts"
import { StoreUnusable, openStore } from "../../open-store.ts"
import { shellWord } from "../../shell-word.ts"
import type { AdminInput } from "../admin-call.ts"
import { placeConfig } from "../log-place.ts"
import type { StoreFlags } from "../store-flags.ts"

/** @param run the folder of the socket */
const lineFor = (run: string): string =>
  `psql ${shellWord(`postgresql://presently@/postgres?host=${encodeURIComponent(run)}&port=5432`)}`

/** The socket folder of the server that runs in a data folder; null: none does. */
const socketFolderIn = (folder: string): string | null =>
  existsSync(folder) ? runningIn(siteIn(folder, realpathSync(folder))) : null

export const printPsql = Effect.fn(function* ({
  create,
  ...input
}: StoreFlags & AdminInput & { readonly create: boolean }) {
  const config = yield* placeConfig(input)
  if (config.database_url !== null)
    return yield* Console.log(`psql ${shellWord(withoutPassword(config.database_url))}`)
  const running = config.data === null ? null : socketFolderIn(config.data)
  if (running !== null) return yield* Console.log(lineFor(running))
  // says what is wrong, if anything is
  const { name } = yield* openStore(config, "psql", false, create)
  const started = config.data === null ? null : socketFolderIn(config.data)
  if (started === null) {
    return yield* new StoreUnusable({
      store: name,
      why: "it is kept within this process, where psql cannot connect",
    })
  }
  yield* Console.log(lineFor(started))
  yield* Console.error(
    "presently: the database runs as long as this command, or whatever else uses it; Ctrl-C ends it",
  )
  return yield* Effect.never
}, Effect.scoped)
