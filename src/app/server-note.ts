/**
 * What a server on a data folder leaves there for commands on the same machine: where it listens. It counts as long as the
 * process lives.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { livingOwner, ownerText } from "../adapters/store/postgres/folder-claim.ts"
import { serverEntries } from "../adapters/store/postgres/private-folder.ts"

export interface ServerNote {
  /** HOST:PORT of its management port, or https://HOST:PORT; null: it has none. */
  readonly admin: string | null
  /** Addresses as in `listen`. */
  readonly listen: readonly string[]
}

const fileIn = (folder: string): string => join(folder, serverEntries.note)

/** Writes it. @returns what removes it */
export const leaveNote = (folder: string, note: ServerNote): (() => void) => {
  const file = fileIn(folder)
  try {
    writeFileSync(file, `${ownerText()}${JSON.stringify(note)}\n`, { mode: 0o600 })
  } catch {
    // commands have to be told where it is, then
    return () => {}
  }
  return () => rmSync(file, { force: true })
}

/** Null: no server of this version runs on that folder. */
export const noteIn = (folder: string): ServerNote | null => {
  if (livingOwner(fileIn(folder)) === null) return null
  try {
    const [, text = ""] = readFileSync(fileIn(folder), "utf8").split("\n")
    return JSON.parse(text) as ServerNote
  } catch {
    return null
  }
}

/** The folder of the database of `presently dev`, in the folder where that runs. */
export const devFolder = "data/dev"
