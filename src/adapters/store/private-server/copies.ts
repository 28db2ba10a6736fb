/**
 * Copies of PostgreSQL's programs, for an account that cannot go to where they are installed.
 *
 * Each start marks the copy that it uses; what no start has used for a day, and nothing runs from, is removed: after an
 * update of the package, or of presently, the earlier copy would stay for ever.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  utimesSync,
} from "node:fs"
import { join } from "node:path"

/** Where they are. */
const copiesFolder = "/var/lib/presently/programs"

const unfinished = "unfinished-"
const dayMillis = 86_400_000

/**
 * The copy of a folder of programs; a package that was brought up to date is copied again.
 *
 * @param root the folder that holds `bin` and `lib`
 * @param release of the programs
 * @returns the folder of the copy
 */
export const copyOf = (root: string, release: string, folder = copiesFolder): string => {
  const digest = createHash("sha256").update(root).digest("hex").slice(0, 16)
  const copy = join(folder, `${release}-${digest}`)
  if (!isMarked(copy)) make(root, copy, folder)
  removeUnused(folder, copy)
  return copy
}

/** Marks a copy as used now. @returns whether it is there */
const isMarked = (copy: string): boolean => {
  try {
    const now = new Date()
    utimesSync(copy, now, now)
    return true
  } catch {
    return false
  }
}

const make = (root: string, copy: string, folder: string): void => {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const begun = mkdtempSync(join(folder, unfinished))
  try {
    execFileSync("cp", ["-a", `${root}/.`, begun], { stdio: "ignore" })
    execFileSync("chmod", ["-R", "go=rX", begun], { stdio: "ignore" })
    isMarked(begun)
    renameSync(begun, copy)
  } catch (cause) {
    // another data folder's start may have been first
    if (!isMarked(copy)) throw cause
  } finally {
    rmSync(begun, { recursive: true, force: true })
  }
}

const removeUnused = (folder: string, used: string): void => {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const status = lstatSync(path, { throwIfNoEntry: false })
    if (path === used || status === undefined || !status.isDirectory()) continue
    // while it is copied, a folder gets the time of the one that it is a copy of
    const usedAt = name.startsWith(unfinished) ? status.ctimeMs : status.mtimeMs
    if (Date.now() - usedAt > dayMillis && !isRun(path)) rmSync(path, { recursive: true, force: true })
  }
}

/** Whether a program of a folder runs. */
const isRun = (folder: string): boolean =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/exe`).startsWith(`${folder}/`)
      } catch {
        return false
      }
    })
