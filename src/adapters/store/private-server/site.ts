/**
 * A data folder with a private server: what lies where in it, and what the server may be called.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs"
import { join } from "node:path"
import { DataFolderUnusable } from "../postgres/folder-claim.ts"
import { beyondOwner, entries, serverEntries } from "../postgres/private-folder.ts"
import type { Account } from "../postgres/system-accounts.ts"
import { isRoot } from "./account.ts"
import { pipeName, socketName } from "./guard.ts"

export interface Site {
  /** As the user names it, for messages. */
  readonly folder: string
  /** Where it really is. */
  readonly path: string
  /** PostgreSQL's data folder. */
  readonly data: string
  readonly mark: string
  readonly lock: string
  readonly log: string
  /** The database within the process, as an earlier version kept it. */
  readonly earlier: string
}

export const siteIn = (folder: string, path: string): Site => ({
  folder,
  path,
  data: join(path, serverEntries.cluster),
  mark: join(path, serverEntries.mark),
  lock: join(path, serverEntries.lock),
  log: join(path, serverEntries.log),
  earlier: join(path, entries.database),
})

export const unusable = ({ folder }: Pick<Site, "folder">, why: string): DataFolderUnusable =>
  new DataFolderUnusable({ folder, cause: new Error(why) })

/** The major version that the database was made by; null: there is none, or it was never finished. */
export const majorOf = ({ data, mark }: Site): number | null => {
  if (existsSync(mark)) return null
  try {
    const major = Number.parseInt(readFileSync(join(data, "PG_VERSION"), "utf8"), 10)
    return Number.isNaN(major) ? null : major
  } catch {
    return null
  }
}

/** Whether a database within the process is there that has not been taken over. */
export const hasEarlier = ({ earlier, path }: Site): boolean =>
  !existsSync(join(path, entries.mark)) && existsSync(join(earlier, "PG_VERSION"))

/** Whether a data folder holds a database of either kind. */
export const holdsDatabase = (folder: string): boolean => {
  const site = siteIn(folder, folder)
  return majorOf(site) !== null || existsSync(join(site.earlier, "PG_VERSION"))
}

/** Whether a database is being made there, or was never finished. */
export const isUnfinished = (folder: string): boolean =>
  existsSync(join(folder, serverEntries.mark)) || existsSync(join(folder, entries.mark))

/** Whether other accounts can enter the database: PostgreSQL does not open such a one. */
export const isClusterWide = (folder: string): boolean =>
  ((statSync(siteIn(folder, folder).data, { throwIfNoEntry: false })?.mode ?? 0) & beyondOwner) !== 0

/** What a path of a socket may have at most, in octets: 108 with the zero at its end (Linux, unix(7)); 104 elsewhere. */
const socketPathMax = process.platform === "linux" ? 107 : 103

const socketIn = (run: string): string => join(run, socketName)

const isShort = (run: string): boolean => Buffer.byteLength(socketIn(run)) <= socketPathMax

/**
 * Where the server's socket and pipe may be: in the data folder, or where that will not do, because its path is too long
 * or its file system has neither, in a folder for it under /tmp, whatever TMPDIR says: everybody has to find it.
 */
export const possibleRunFolders = ({ path }: Site): readonly string[] => {
  const digest = createHash("sha256").update(path).digest("hex").slice(0, 16)
  return [join(path, serverEntries.run), join("/tmp", `presently-${digest}`)].filter(isShort)
}

/** Folders in which a server of this data folder may be listening. */
export const runFolders = (site: Site): readonly string[] =>
  possibleRunFolders(site).filter((run) => isWithinFolder(site, run) || isTrusted(site, run))

/** Whether a socket folder is in the data folder itself, which only its owner can enter. */
export const isWithinFolder = ({ path }: Site, run: string): boolean => run === join(path, serverEntries.run)

/**
 * Under /tmp every account can make a folder with the expected name and have a server of its own listen there. Only the
 * account of this process and the one that the database belongs to are trusted.
 */
const isTrusted = ({ data }: Site, run: string): boolean => {
  const status = lstatSync(run, { throwIfNoEntry: false })
  if (status === undefined || !status.isDirectory() || (status.mode & beyondOwner) !== 0) return false
  return [process.getuid?.(), statSync(data, { throwIfNoEntry: false })?.uid].includes(status.uid)
}

/** A connection string for the socket in such a folder. */
export const urlIn = (run: string): string =>
  `postgres://presently@localhost/postgres?host=${encodeURIComponent(run)}`

/** Makes the folder for the socket with the pipe in it, for an account; the first that will do. */
export const prepareRun = (site: Site, account: Account | null): string => {
  let why = ""
  for (const run of possibleRunFolders(site)) {
    try {
      mkdirSync(run, { mode: 0o700, recursive: true })
      const status = lstatSync(run)
      const owner = account?.uid ?? process.getuid?.() ?? status.uid
      const me = process.getuid?.() ?? status.uid
      if (!status.isDirectory() || (status.uid !== owner && status.uid !== me)) {
        throw new Error(`${run} belongs to account ${status.uid}: remove it`)
      }
      if ((status.mode & beyondOwner) !== 0) throw new Error(`${run} is open to other accounts: remove it`)
      // the account could have put a link in the place of either
      if (account !== null) lchownSync(run, account.uid, account.gid)
      for (const name of readdirSync(run)) if (name.startsWith(".s.PGSQL")) rmSync(join(run, name))
      rmSync(join(run, pipeName), { force: true })
      execFileSync("mkfifo", ["-m", "600", join(run, pipeName)], { stdio: ["ignore", "ignore", "pipe"] })
      if (account !== null) lchownSync(join(run, pipeName), account.uid, account.gid)
      return run
    } catch (cause) {
      const { stderr } = cause as { readonly stderr?: Buffer }
      why = stderr?.toString().trim() || (cause as Error).message
    }
  }
  throw unusable(site, `there is no place for the database's socket: ${why}`)
}

/** The database has to belong to whoever its server runs as. */
export const checkOwner = (site: Site, account: Account | null): void => {
  const { uid } = statSync(site.data)
  const owner = account?.uid ?? process.getuid?.()
  if (owner === undefined || uid === owner) return
  const fix = isRoot()
    ? `chown -R ${owner} ${site.data}`
    : `run as account ${uid}, or chown -R ${owner} ${site.path}`
  throw unusable(
    site,
    `${site.data} belongs to account ${uid}, and its server would run as account ${owner}: ${fix}`,
  )
}
