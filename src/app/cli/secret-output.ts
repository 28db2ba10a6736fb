/**
 * Secrets on standard output: a file that the shell has just created for them is made readable for its owner only.
 */
import { fchmodSync, fstatSync } from "node:fs"
import type { Stats } from "node:fs"

/** The permission bits for all other accounts. */
const permissionsOfOthers = 0o007

/**
 * To be called before a secret is written to standard output. An empty file was created by the shell, for `>` or `>>`, with its
 * umask: the mode is narrowed to the owner. The mode of a file that has content was chosen by somebody, and is kept.
 *
 * @returns a warning for standard error; null: none
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

/** Null: standard output is closed. */
const statusOf = (descriptor: number): Stats | null => {
  try {
    return fstatSync(descriptor)
  } catch {
    return null
  }
}
