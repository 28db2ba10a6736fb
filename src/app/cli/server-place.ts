/**
 * Where a running server listens, as the flags of a command that talks to it say: its data folder, in which it leaves a note, or
 * its configuration file.
 */
import { Effect } from "effect"
import type { Config } from "../config/config.ts"
import { hostPort } from "../config/host-port.ts"
import type { ServerNote } from "../server-note.ts"
import { repeated, storeConfig } from "./store-flags.ts"

export const placeFlags = {
  config: repeated("config", "FILE", "the server's configuration file, which says where it listens"),
  data: repeated("data", "DIR", "the data folder of a running server on this machine"),
}

export interface ServerPlace {
  readonly config: readonly string[]
  readonly data: readonly string[]
}

const loadNotes = Effect.promise(() => import("../server-note.ts"))

/** The server that runs on a data folder; null: none does. */
const noteOn = (folder: string) => Effect.map(loadNotes, ({ noteIn }) => noteIn(folder))

/** The server of `presently dev` in this folder; null: none runs here. */
export const noteHere = Effect.map(loadNotes, ({ devFolder, noteIn }) => noteIn(devFolder))

/**
 * The server that the flags name. A port that the system chose is in no configuration: where a file names a data folder, the
 * note in it counts.
 *
 * @returns null: no server runs on the folder that the flags name
 */
export const serverAt = Effect.fnUntraced(function* ({ config: files, data }: ServerPlace) {
  const folder = data.at(-1)
  if (folder !== undefined) return yield* noteOn(folder)
  const config: Config = yield* storeConfig({ config: files, data: [], databaseUrl: [], set: [] })
  const isFolder = config.data !== null && config.database_url === null && !config.memory
  const note = isFolder ? yield* noteOn(config.data!) : null
  const { admin, listen } = config
  const written: ServerNote = {
    admin: admin === null ? null : hostPort(admin.host, admin.port),
    listen: listen.map(({ transport, host, port }) => `${transport}:${hostPort(host, port)}`),
  }
  return note ?? written
})

/** Whether the flags name a server. */
export const isPlace = ({ config = [], data = [] }: Partial<ServerPlace>): boolean =>
  config.length > 0 || data.length > 0

/** The flags as they were given, for messages. */
export const placeText = ({ config, data }: ServerPlace): string =>
  data.length > 0 ? `--data ${data.at(-1)}` : `--config ${config.at(-1)}`
