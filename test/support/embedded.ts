/**
 * Folders with a new embedded database. Making one costs two seconds of processor time, copying one a tenth of a second.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endWithTests } from "./reaper.ts"
import { startPresence } from "./server.ts"

/** The one of this thread: modules are loaded once for all files. */
let template: Promise<string> | null = null

const makeTemplate = async (): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-template-"))
  endWithTests({ kind: "folder", path: folder })
  const server = await startPresence({ memory: false, data: folder })
  await server.stop()
  return folder
}

/** Puts such a database into a folder, which is created if missing, and returns the folder. */
export const emptyEmbedded = async (folder: string): Promise<string> => {
  const from = await (template ??= makeTemplate())
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  execFileSync("cp", ["-a", join(from, "postgres"), folder])
  return folder
}
