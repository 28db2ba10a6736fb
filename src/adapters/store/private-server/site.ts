/**
 * A data folder with a private server: what lies where in it, and what the server may be called.
 */
import { createHash } from "node:crypto"
import {
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs"
import { isAbsolute, join } from "node:path"
import { DataFolderUnusable } from "../postgres/folder-claim.ts"
import { beyondOwner, entries, serverEntries } from "../postgres/private-folder.ts"
import type { Account } from "../postgres/system-accounts.ts"
import { denialOf, isRoot } from "./account.ts"
import { pipeName, socketName } from "./guard.ts"
import { ToolMissing, runTool } from "./tools.ts"

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

/**
 * Whether other accounts can enter the database: PostgreSQL does not open such a one, and a start narrows it. One that a link leads
 * to is refused instead (`private-folder.ts`).
 */
export const isClusterWide = (folder: string): boolean => {
  const status = lstatSync(siteIn(folder, folder).data, { throwIfNoEntry: false })
  return status?.isDirectory() === true && (status.mode & beyondOwner) !== 0
}

/** What of a mode keeps PostgreSQL from opening a database; a group may read it. */
const beyondGroup = 0o027

/** @throws DataFolderUnusable when PostgreSQL would not open a database because of its mode, which commands that read do not narrow */
export const requireNarrow = (site: Site): void => {
  const { mode } = statSync(site.data)
  if ((mode & beyondGroup) === 0) return
  const octal = (mode & 0o7777).toString(8).padStart(4, "0")
  throw unusable(
    site,
    `other accounts can enter ${site.data} (mode ${octal}), and PostgreSQL does not open it: the next start of a server ` +
      `narrows it; chmod -R go= ${site.data} does so at once`,
  )
}

/** @throws DataFolderUnusable unless a folder of a site can be written to, with what can be done */
export const requireWritable = (site: Site, folder: string): void => {
  const code = denialOf(folder)
  if (code === null) return
  if (code === "ENOENT" || code === "ENOTDIR")
    throw unusable(site, `${folder} is not there any more: it was moved or removed`)
  const reasons: Readonly<Record<string, string>> = {
    EROFS: "its file system is read-only",
    EACCES: `its mode or its owner does not allow it (chmod u+w ${folder}, as its owner)`,
  }
  const copy = holdsDatabase(site.path)
    ? `; even to be read, a database is written to: copy it (cp -a ${site.path} COPY), and give --data COPY`
    : ""
  throw unusable(site, `nothing can be written to ${folder}: ${reasons[code] ?? code}${copy}`)
}

/** What a path of a socket may have at most, in octets: 108 with the zero at its end (Linux, unix(7)); 104 elsewhere. */
const socketPathMax = process.platform === "linux" ? 107 : 103

const socketIn = (run: string): string => join(run, socketName)

const isShort = (run: string): boolean => Buffer.byteLength(socketIn(run)) <= socketPathMax

/** The folder for the server's socket and pipe within the data folder. */
const innerRun = ({ path }: Site): string => join(path, serverEntries.run)

/** Whether that is it, which stays when the server is gone. */
export const isInner = (site: Site, run: string): boolean => run === innerRun(site)

/**
 * Where the server's socket and pipe are looked for: in the data folder, or where that will not do, because its path is too long
 * or its file system has neither, in a folder of the account's own for such things, else under /tmp. Whatever TMPDIR says:
 * everybody has to find it.
 *
 * @param folders of the account, for what runs
 */
const possibleRunFolders = (site: Site, folders: readonly (string | undefined)[]): readonly string[] => {
  const digest = createHash("sha256").update(site.path).digest("hex").slice(0, 16)
  const outer = [...folders.filter((folder) => isOwnFolder(folder)), "/tmp"]
  return [...new Set([innerRun(site), ...outer.map((folder) => join(folder, `presently-${digest}`))])].filter(
    isShort,
  )
}

/** Where this account's are made, if it says so: https://specifications.freedesktop.org/basedir-spec/latest/ */
const runtimeFolder = (): string | undefined => process.env["XDG_RUNTIME_DIR"]

/** Where those of a session are, also for programs of the account outside of it. */
const sessionFolder = (): string => `/run/user/${process.getuid?.()}`

const isOwnFolder = (folder: string | undefined): folder is string => {
  if (folder === undefined || !isAbsolute(folder)) return false
  const status = statSync(folder, { throwIfNoEntry: false })
  return (
    status?.isDirectory() === true && status.uid === process.getuid?.() && (status.mode & beyondOwner) === 0
  )
}

/** Folders in which a server of this data folder would listen, whether or not they are there. */
export const possibleRuns = (site: Site): readonly string[] =>
  possibleRunFolders(site, [runtimeFolder(), sessionFolder()])

/** Folders in which a server of this data folder may be listening. */
export const runFolders = (site: Site): readonly string[] =>
  possibleRuns(site).filter((run) => isTrusted(site, run))

/**
 * Under /tmp every account can make a folder with the expected name and have a server of its own listen there, and so in a data
 * folder that was open to others. Only the account of this process and the one that the database belongs to are trusted.
 */
const isTrusted = (site: Site, run: string): boolean => {
  const status = lstatSync(run, { throwIfNoEntry: false })
  if (status === undefined || !status.isDirectory()) return false
  if ((status.mode & (isInner(site, run) ? writableByOthers : beyondOwner)) !== 0) return false
  return [process.getuid?.(), statSync(site.data, { throwIfNoEntry: false })?.uid].includes(status.uid)
}

const writableByOthers = 0o022

/** A connection string for the socket in such a folder, with the port in it whatever PGPORT says. */
export const urlIn = (run: string): string =>
  `postgres://presently@localhost:5432/postgres?host=${encodeURIComponent(run)}`

/** Makes the folder for the socket with the pipe in it, for an account; the first that will do. */
export const prepareRun = (site: Site, account: Account | null): string => {
  let why = ""
  for (const run of possibleRunFolders(site, [runtimeFolder()])) {
    try {
      mkdirSync(run, { mode: 0o700, recursive: true })
      checkRun(run, account)
      // the account could have put a link in the place of either
      if (account !== null) lchownSync(run, account.uid, account.gid)
      for (const name of readdirSync(run)) if (name.startsWith(".s.PGSQL")) rmSync(join(run, name))
      rmSync(join(run, pipeName), { force: true })
      runTool("mkfifo", ["-m", "600", join(run, pipeName)])
      if (account !== null) lchownSync(join(run, pipeName), account.uid, account.gid)
      return run
    } catch (cause) {
      why = (cause as Error).message
      if (cause instanceof ToolMissing) throw unusable(site, why)
    }
  }
  throw unusable(site, `there is no place for the database's socket: ${why}`)
}

/** @throws Error with what is wrong with a folder for the socket, and what can be done */
const checkRun = (run: string, account: Account | null): void => {
  const status = lstatSync(run)
  const me = process.getuid?.() ?? status.uid
  if (!status.isDirectory()) throw new Error(`${run} is no folder: remove it`)
  if (![me, account?.uid].includes(status.uid)) {
    const max = socketPathMax - Buffer.byteLength(socketIn(serverEntries.run)) - 1
    const fix =
      `give a data folder with a path of at most ${max} octets, on a file system that has sockets, or set XDG_RUNTIME_DIR to ` +
      `a folder of this account with mode 0700; to remove ${run} takes that account, or root`
    throw new Error(`${run} belongs to account ${status.uid}: ${isRoot() ? "remove it" : fix}`)
  }
  if ((status.mode & beyondOwner) !== 0) throw new Error(`${run} is open to other accounts: remove it`)
}

/** The database has to belong to whoever its server runs as. */
export const checkOwner = (site: Site, account: Account | null): void => {
  const { uid } = statSync(site.data)
  const owner = account?.uid ?? process.getuid?.()
  if (owner === undefined || uid === owner) return
  const real = realpathSync(site.data)
  const fix = isRoot()
    ? `chown -R ${owner} ${real}`
    : `run as account ${uid}, or chown -R ${owner} ${site.path}${real === site.data ? "" : ` ${real}`}`
  throw unusable(
    site,
    `${site.data} belongs to account ${uid}, and its server would run as account ${owner}: ${fix}`,
  )
}
