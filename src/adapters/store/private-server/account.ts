/**
 * The account that the private server runs under.
 *
 * PostgreSQL refuses root, so a program that runs as root starts it under an account of its own, which then owns the
 * database's files and nothing else.
 */
import { execFileSync } from "node:child_process"
import { accessSync, constants, statSync } from "node:fs"
import { dirname } from "node:path"
import { accountNamed, knownAccounts } from "../postgres/system-accounts.ts"
import type { Account } from "../postgres/system-accounts.ts"

/** Commands that make a system account: of shadow, of BusyBox. */
const makers: readonly (readonly [string, readonly string[]])[] = [
  [
    "useradd",
    [
      "--system",
      "--user-group",
      "--no-create-home",
      "--home-dir",
      "/nonexistent",
      "--shell",
      "/usr/sbin/nologin",
      "presently",
    ],
  ],
  ["adduser", ["-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", "presently"]],
]

/**
 * The account for a program that runs as root: `presently`, which is made where that can be done, else `postgres`.
 *
 * @param owner of the database that is there already, which keeps its owner; null: there is none yet
 * @returns null: there is none, and none can be made
 */
export const accountForRoot = (owner: number | null): Account | null => {
  if (owner !== null && owner !== 0) return knownAccounts().find(({ uid }) => uid === owner) ?? null
  const known = accountNamed("presently")
  if (known !== null) return known
  for (const [command, args] of makers) {
    try {
      execFileSync(command, args, { stdio: "ignore" })
    } catch {
      continue
    }
    const made = accountNamed("presently")
    if (made !== null) return made
  }
  return accountNamed("postgres")
}

export const isRoot = (): boolean => process.getuid?.() === 0

/** Whether an account may walk to a folder: every folder above it lets others, its group or its owner through. */
export const canReach = (path: string, { uid, gid }: Account): boolean => {
  for (let at = path; ; at = dirname(at)) {
    const status = statSync(at)
    const bits = status.uid === uid ? 0o100 : status.gid === gid ? 0o010 : 0o001
    if ((status.mode & bits) === 0) return false
    if (dirname(at) === at) return true
  }
}

/** What keeps this process from writing to a folder, as a code of the system; null: nothing. A read-only file system refuses root as well. */
export const denialOf = (folder: string): string | null => {
  try {
    accessSync(folder, constants.W_OK)
    return null
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code ?? String(cause)
  }
}
