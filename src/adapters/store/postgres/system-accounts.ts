/**
 * The accounts of this machine, and which of them a database of root's may belong to: PostgreSQL itself does not run as root.
 */
import { readFileSync } from "node:fs"

export interface Account {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

const accountsFile = "/etc/passwd"

/** The accounts that the system's file lists; another list (LDAP and the like) may know more. */
export const knownAccounts = (): readonly Account[] => {
  try {
    return readFileSync(accountsFile, "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .filter((fields) => fields.length >= 7)
      .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
  } catch {
    return []
  }
}

/** In the order in which they are preferred. */
const serverNames = ["presently", "postgres"] as const

export const accountNamed = (name: (typeof serverNames)[number]): Account | null =>
  knownAccounts().find((account) => account.name === name && account.uid !== 0) ?? null

/** Accounts that a database of root's may belong to. */
export const serverAccounts = (): readonly Account[] =>
  serverNames.flatMap((name) => accountNamed(name) ?? [])
