/**
 * Prints how to open the database of a log with psql.
 */
import { existsSync, realpathSync } from "node:fs"
import { Console, Effect } from "effect"
import { runningIn } from "../../../adapters/store/private-server/server.ts"
import { siteIn } from "../../../adapters/store/private-server/site.ts"
import { StoreUnusable, addressOf, openStore } from "../../open-store.ts"
import type { AdminInput } from "../admin-call.ts"
import { placeConfig } from "../log-place.ts"
import type { StoreFlags } from "../store-flags.ts"

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** @param run the folder of the socket */
const lineFor = (run: string): string =>
  `psql ${quoted(`postgresql://presently@/postgres?host=${encodeURIComponent(run)}`)}`

/** The URL without the password, for which psql asks, or finds it where its own settings say. */
const withoutPassword = (text: string): string => {
  if (!URL.canParse(text)) return addressOf(text)
  const url = new URL(text)
  url.password = ""
  for (const name of ["password", "sslpassword"]) url.searchParams.delete(name)
  return url.href
}

export const printPsql = Effect.fn(function* (input: StoreFlags & AdminInput) {
  const config = yield* placeConfig(input)
  if (config.database_url !== null) {
    return yield* Console.log(`psql ${quoted(withoutPassword(config.database_url))}`)
  }
  const running = (): string | null =>
    config.data !== null && existsSync(config.data)
      ? runningIn(siteIn(config.data, realpathSync(config.data)))
      : null
  const present = running()
  if (present !== null) return yield* Console.log(lineFor(present))
  // says what is wrong, if anything is
  const { name } = yield* openStore(config, "psql")
  const started = running()
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
