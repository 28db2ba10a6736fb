/**
 * A disguise for user ids that the system's list of accounts does not know, as containers may have: `initdb` refuses these.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { knownAccounts } from "../postgres/system-accounts.ts"

/** What has `initdb` run under a user id that the system does not know. */
export interface Disguise {
  readonly env: Readonly<Record<string, string>>
  /** What stands before the command. */
  readonly before: readonly string[]
}

const nothing: Disguise = { env: {}, before: [] }

/** The library that answers with entries of a file of one's own: https://cwrap.org/nss_wrapper.html */
const wrapper = (): string | null => {
  const folders = ["/usr/lib64", "/usr/lib", "/usr/local/lib"]
  for (const folder of folders) {
    if (!existsSync(folder)) continue
    const triplets = readdirSync(folder).filter((name) => name.endsWith("-linux-gnu"))
    for (const place of ["", ...triplets]) {
      const file = join(folder, place, "libnss_wrapper.so")
      if (existsSync(file)) return file
    }
  }
  return null
}

/** Whether a command ends without a fault. */
const works = (command: string, args: readonly string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/**
 * @param uid of this process
 * @param folder made for files that the disguise needs
 * @returns null: the system does not know the user id, and nothing helps
 */
export const disguiseFor = (uid: number, folder: string): Disguise | null => {
  const accounts = knownAccounts()
  if (accounts.some((account) => account.uid === uid) || isResolved(uid)) return nothing
  const library = wrapper()
  if (library !== null) {
    mkdirSync(folder, { mode: 0o700 })
    const passwd = join(folder, "passwd")
    const group = join(folder, "group")
    const gid = process.getgid?.() ?? uid
    writeFileSync(passwd, `presently:x:${uid}:${gid}::/nonexistent:/bin/sh\n`, { mode: 0o600 })
    writeFileSync(group, `presently:x:${gid}:\n`, { mode: 0o600 })
    return { env: { LD_PRELOAD: library, NSS_WRAPPER_PASSWD: passwd, NSS_WRAPPER_GROUP: group }, before: [] }
  }
  // a name space in which the same account has another number: files still belong to the number outside
  const other = accounts.find((account) => account.uid > 0 && account.uid !== uid)
  if (other === undefined) return null
  const before = ["unshare", "--user", `--map-user=${other.uid}`, `--map-group=${other.gid}`, "--"]
  return works(before[0]!, [...before.slice(1), "true"]) ? { env: {}, before } : null
}

/** Whether another list than the file knows it: LDAP and the like. */
const isResolved = (uid: number): boolean => works("getent", ["passwd", String(uid)])
