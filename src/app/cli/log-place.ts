/**
 * Where the log is that a command reads beside a running server: where its flags or the environment say, else where the server
 * named by --admin keeps it, else in the folder of `presently dev` here.
 */
import { connect } from "node:net"
import { Effect } from "effect"
import type { Config } from "../config/config.ts"
import { parseHostPort } from "../config/host-port.ts"
import type { RunningServer } from "../doctor/running.ts"
import { exitCodes } from "../exit-codes.ts"
import { ServerSaidNo, adminHere, askAdmin, defaultAdmin, isNamed } from "./admin-call.ts"
import type { AdminInput } from "./admin-call.ts"
import { isOfStore, storeConfig } from "./store-flags.ts"
import type { StoreFlags } from "./store-flags.ts"

/** Loaded when a folder is looked at: most commands look at none. */
const folders = Effect.promise(() => import("../../adapters/store/private-server/site.ts"))

/** What `GET /status` says of the log. */
interface LogPlace {
  /** The data folder, as an absolute path on the server's machine; null: it has none. */
  readonly data: string | null
  /** Without user and password; null: none. */
  readonly database: string | null
}

/** What a server says of itself. Absent: it is of an earlier version. */
interface ServerSelf extends RunningServer {
  readonly log?: LogPlace
}

export const askServer = (input: AdminInput) =>
  Effect.flatMap(askAdmin("GET", input, "/status", null), (text) =>
    Effect.try({
      try: () => JSON.parse(text) as ServerSelf,
      catch: () =>
        new ServerSaidNo({ why: "what answers there is no presently", exitCode: exitCodes.unavailable }),
    }),
  )

/** Asks a server where its log is. */
const askLogPlace = Effect.fnUntraced(function* (input: AdminInput) {
  const { log } = yield* askServer(input)
  const { holdsDatabase } = yield* folders
  if (log?.data != null && holdsDatabase(log.data)) return log.data
  const where =
    log?.database != null
      ? `in PostgreSQL at ${log.database}: name it with --database-url`
      : log?.data != null
        ? `in ${log.data}, which is not here, or not this account's: run the command there`
        : "in no database that another program could read"
  return yield* new ServerSaidNo({
    why: `the server at ${input.admin} keeps its log ${where}`,
    exitCode: exitCodes.unavailable,
  })
})

/** The folder of the database of `presently dev` here; null: there is none. */
export const devDatabase = Effect.gen(function* () {
  const { holdsDatabase } = yield* folders
  const { devFolder } = yield* Effect.promise(() => import("../server-note.ts"))
  return holdsDatabase(devFolder) ? devFolder : null
})

/** The settings of the log that is to be read; fails with every error among them. */
export const placeConfig = Effect.fnUntraced(function* (input: StoreFlags & AdminInput) {
  const config: Config = yield* storeConfig(input)
  if (config.database_url !== null || config.data !== null || config.memory) return config
  const folder = yield* isNamed(input.admin) ? askLogPlace(input) : devDatabase
  return folder === null ? config : yield* storeConfig({ ...input, data: [folder] })
})

/**
 * Whether a question is for the log in this folder and not for a server: nobody named either, and nobody answers where a
 * server would be.
 */
export const isForDevFolder = Effect.fnUntraced(function* (input: StoreFlags & AdminInput) {
  if (isOfStore(input) || isNamed(input.admin) || (yield* devDatabase) === null) return false
  if ((yield* adminHere) !== null) return false
  return !(yield* Effect.promise(() => listens(defaultAdmin)))
})

const listens = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(parseHostPort(address)!)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
