/**
 * Secrets on standard output: a file that the shell has just made for them is its owner's alone.
 */
import { fchmodSync, fstatSync } from "node:fs"
import type { Stats } from "node:fs"

/** For everybody who has an account. */
const permissionsOfOthers = 0o007

/**
 * To be asked before a secret is written to standard output. A file that is still empty was made for it, by `>` or `>>`, with
 * whatever umask the shell has: it is narrowed to its owner. One that holds something has the modes that somebody gave it.
 *
 * @returns what to say on standard error; null: nothing
 */
export const narrowOutput = (descriptor = 1): string | null => {
  const status = statusOf(descriptor)
  if (status === null || !status.isFile() || (status.mode & permissionsOfOthers) === 0) return null
  if (status.size > 0 || status.uid !== process.getuid?.()) {
    return "standard output is a file that every account of this machine can read, and holds secrets from now on: chmod 640 it"
  }
  fchmodSync(descriptor, 0o600)
  return null
}

/** Null: it is closed. */
const statusOf = (descriptor: number): Stats | null => {
  try {
    return fstatSync(descriptor)
  } catch {
    return null
  }
}
