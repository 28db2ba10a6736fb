/**
 * The account that the private server runs under.
 *
 * PostgreSQL refuses root, so a program that runs as root starts it under an account of its own, which then owns the
 * database's files and nothing else; `initdb` refuses a user id that the system's list of accounts does not know.
 */
import { execFileSync } from "node:child_process"
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"

export interface Account {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

const accountsFile = "/etc/passwd"

const entries = (): readonly Account[] => {
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

const named = (name: string): Account | null => {
  const entry = entries().find((account) => account.name === name && account.uid !== 0)
  return entry ?? null
}

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
  if (owner !== null && owner !== 0) return entries().find(({ uid }) => uid === owner) ?? null
  const known = named("presently")
  if (known !== null) return known
  for (const [command, args] of makers) {
    try {
      execFileSync(command, args, { stdio: "ignore" })
    } catch {
      continue
    }
    const made = named("presently")
    if (made !== null) return made
  }
  return named("postgres")
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
 * @param folder for files that the disguise needs
 * @returns null: the system does not know the user id, and nothing helps
 */
export const disguiseFor = (uid: number, folder: string): Disguise | null => {
  const accounts = entries()
  if (accounts.some((account) => account.uid === uid) || isResolved(uid)) return nothing
  const library = wrapper()
  if (library !== null) {
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

/** Whether this process may write to a folder: a read-only file system refuses root as well. */
export const mayWrite = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
