/**
 * Folders with a new embedded database. Making one costs two seconds of processor time, one within the process four; copying
 * one costs a tenth of a second.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Effect } from "effect"
import { fingerprint, madeOnce } from "./made-once.ts"
import { startPresence } from "./server.ts"

/** What another account has made cannot be read. */
const account = process.getuid?.() ?? 0

/** Puts the database of a private server into a folder, which is created if missing, and returns the folder. */
export const emptyEmbedded = async (folder: string): Promise<string> => {
  const key = `${fingerprint(["src", "migrations"])}-${account}`
  const from = await madeOnce("presently-embedded", key, async (made) => {
    mkdirSync(made, { mode: 0o700 })
    const server = await startPresence({ memory: false, data: made })
    await server.stop()
  })
  return copied(join(from, "postgres"), folder)
}

/** Puts a database within the process into a folder, as an earlier version kept it, with nothing in it yet. */
export const emptyWithin = async (folder: string): Promise<string> => {
  const manifest = createRequire(import.meta.url)
    .resolve("@electric-sql/pglite")
    .replace(/dist\/.*/, "package.json")
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }
  const from = await madeOnce("presently-within", `${version}-${account}`, async (made) => {
    const { embeddedClient } = await import("../../src/adapters/store/postgres/embedded.ts")
    const { PgClient } = await import("@effect/sql-pg")
    mkdirSync(made, { mode: 0o700 })
    const once = Effect.flatMap(PgClient.PgClient, (sql) => sql`SELECT 1`)
    await Effect.runPromise(Effect.provide(once, embeddedClient(made)))
  })
  return copied(join(from, "pg"), folder)
}

const copied = (from: string, folder: string): string => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  execFileSync("cp", ["-a", from, folder])
  return folder
}
