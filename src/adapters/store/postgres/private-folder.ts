/**
 * The folder of the embedded database is its owner's alone: folders 0700, files 0600, whatever the umask.
 *
 * What is made new is made so. What an earlier version left wider is narrowed, from the outside in, so that nobody can
 * put anything in the way meanwhile; where that cannot be done, or would not help, the folder is refused.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from "node:fs"
import type { Stats } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Data } from "effect"
import { serverAccounts } from "./system-accounts.ts"

/** What presently keeps in the folder of a database within the process. */
export const entries = { database: "pg", mark: "pg.unfinished", lock: "presently.pid" } as const

/** The same of a database with a server of its own. */
export const serverEntries = {
  /** PostgreSQL's data folder. */
  cluster: "postgres",
  /** There while that is being made. */
  mark: "postgres.unfinished",
  /** There while that is being made for a user id that the system does not know. */
  scratch: "postgres.scratch",
  /** The server's socket, and who uses it. */
  run: "run",
  log: "postgres.log",
  /** Where the presently that runs on it listens. */
  note: "server.json",
  /** There while a process starts the server. */
  lock: "starting.pid",
  /** The database within the process that an earlier version kept, after it was taken over. */
  earlier: "pg.before",
  /** There while that is copied. */
  takingOver: "taking-over",
  /** Links that a package of PostgreSQL's programs lacks, and that could not be made in it. */
  libraries: "libraries",
} as const

/** And what a fresh file system has by itself. */
const ours: ReadonlySet<string> = new Set([
  ...Object.values(entries),
  ...Object.values(serverEntries),
  // accounts that `presently dev --lan` keeps beside the database
  "phones",
  "lost+found",
])

/** What `tryLock` (`folder-claim.ts`) leaves when it is killed: `starting.pid.1234.1`. */
const isLockInMaking = (name: string): boolean =>
  [entries.lock, serverEntries.lock].some((lock) => name.startsWith(`${lock}.`))

/** What of a mode is for other accounts. */
export const beyondOwner = 0o077
const writableByEveryone = 0o002
const sticky = 0o1000

/** Other accounts of this machine could read or change the database, and this process cannot prevent it. */
export class DataFolderExposed extends Data.TaggedError("DataFolderExposed")<{
  readonly folder: string
  /** What is wrong, and what to do about it. */
  readonly why: string
}> {
  /** Like any setting that is wrong: to start again changes nothing. */
  readonly exitCode = 78
  override get message(): string {
    return `data = ${this.folder}: ${this.why}`
  }
}

/** How the folder stands, without changing anything. */
export type FolderState =
  | { readonly _tag: "Absent" | "Private" }
  /** It will be narrowed. */
  | ({ readonly _tag: "Wide" } & Narrowed)
  | { readonly _tag: "Exposed"; readonly why: string }

/** What had to be narrowed. */
export interface Narrowed {
  /** The folder's mode before, in octal. */
  readonly mode: string
  /** The folder itself could be entered. */
  readonly isOuter: boolean
  /** Files and folders in it. */
  readonly count: number
}

/** Null where accounts have no numbers: there modes say nothing, and nothing is checked. */
const account = (): number | null => process.getuid?.() ?? null

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0")

const refuse = (folder: string, why: string): never => {
  throw new DataFolderExposed({ folder, why })
}

/**
 * Makes the folder where it is missing, and narrows it and what is in it to its owner.
 *
 * @returns where it really is, and what had to be narrowed; null: nothing
 * @throws DataFolderExposed when it cannot be narrowed or others could replace it; what the system says otherwise
 */
export const claimFolder = (
  folder: string,
): { readonly path: string; readonly narrowed: Narrowed | null } => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = realpathSync(folder)
  const me = account()
  if (me === null) return { path, narrowed: null }
  checkWay(folder, path, me)
  // whoever may not open it is told whose it is
  checkOwner(folder, path, statSync(path), me)
  // by its descriptor, so that what was looked at is what is changed
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  let mode: number
  try {
    const before = fstatSync(descriptor)
    mode = before.mode
    checkOwner(folder, path, before, me)
    if ((mode & beyondOwner) !== 0) {
      checkContent(folder, path, mode)
      fchmodSync(descriptor, 0o700)
      if ((fstatSync(descriptor).mode & beyondOwner) !== 0) {
        refuse(
          folder,
          "its file system keeps no modes, so every account can read it: give a folder on one that does",
        )
      }
    }
  } finally {
    closeSync(descriptor)
  }
  // from here on nobody else comes in
  let count = 0
  const narrow = (file: string, { mode: wide }: Stats, isFolder: boolean): void => {
    chmodSync(file, wide & (isFolder ? 0o700 : 0o600))
    count++
  }
  walk(folder, path, me, narrow)
  const isOuter = (mode & beyondOwner) !== 0
  return { path, narrowed: isOuter || count > 0 ? { mode: octal(mode), isOuter, count } : null }
}

/** What `claimFolder` would find. */
export const folderState = (folder: string): FolderState => {
  const me = account()
  try {
    const found = lstatOf(folder)
    if (found === null) {
      if (me !== null) checkWay(folder, resolve(folder), me)
      return { _tag: "Absent" }
    }
    if (me === null) return { _tag: "Private" }
    const path = realpathSync(folder)
    checkWay(folder, path, me)
    const status = statSync(path)
    checkOwner(folder, path, status, me)
    const isWide = (status.mode & beyondOwner) !== 0
    if (isWide) checkContent(folder, path, status.mode)
    let count = 0
    walk(folder, path, me, () => void count++)
    return isWide || count > 0
      ? { _tag: "Wide", mode: octal(status.mode), isOuter: isWide, count }
      : { _tag: "Private" }
  } catch (cause) {
    if (cause instanceof DataFolderExposed) return { _tag: "Exposed", why: cause.why }
    throw cause
  }
}

/** Nobody may put another folder, or a link to one, where this one is looked for. */
const checkWay = (folder: string, path: string, me: number): void => {
  for (const end of new Set([resolve(folder), path])) {
    for (let at = end; ; at = dirname(at)) {
      const status = lstatOf(at)
      if (status !== null && status.isSymbolicLink() && status.uid !== 0 && status.uid !== me) {
        refuse(
          folder,
          `${at} is a link that belongs to account ${status.uid}, which can have it lead elsewhere: name the folder itself`,
        )
      }
      const isOpen =
        at !== end &&
        status !== null &&
        status.isDirectory() &&
        (status.mode & writableByEveryone) !== 0 &&
        (status.mode & sticky) === 0
      if (isOpen) {
        refuse(
          folder,
          `every account can replace it, since ${at} has mode ${octal(status.mode)}: chmod o-w ${at}, or give another folder`,
        )
      }
      if (dirname(at) === at) break
    }
  }
}

const checkOwner = (folder: string, path: string, { uid }: Stats, me: number): void => {
  if (uid === me) return
  refuse(
    folder,
    `${path} belongs to account ${uid}, which can read what this process, of account ${me}, writes there: ` +
      `run as account ${uid}, or chown -R ${me} ${path}, or give another folder`,
  )
}

/** A folder that holds more than the database is not ours to close: it may be /tmp, or somebody's home. */
const checkContent = (folder: string, path: string, mode: number): void => {
  const other = readdirSync(path).find((name) => !ours.has(name) && !isLockInMaking(name))
  if (other === undefined) return
  refuse(
    folder,
    `other accounts can read it (mode ${octal(mode)}), and it holds other things than the database, such as ${other}: ` +
      `chmod 700 ${path}, or give a folder of its own`,
  )
}

/** Each entry of ours that is wider than its owner, outer ones first. */
const walk = (
  folder: string,
  path: string,
  me: number,
  onWide: (file: string, status: Stats, isFolder: boolean) => void,
): void => {
  const visit = (file: string): void => {
    const status = lstatOf(file)
    if (status === null) return
    if (status.isSymbolicLink()) {
      refuse(folder, `${file} is a link out of it: put the files themselves there, or give another folder`)
    }
    if (status.uid !== me) {
      refuse(
        folder,
        `${file} belongs to account ${status.uid}, and this process is of account ${me}: chown -R ${me} ${path}`,
      )
    }
    const isFolder = status.isDirectory()
    if ((status.mode & beyondOwner) !== 0) onWide(file, status, isFolder)
    if (isFolder) for (const name of readdirSync(file)) visit(join(file, name))
  }
  for (const name of Object.values(entries)) visit(join(path, name))
  // these close their own content, and may belong to the account of the server
  for (const name of [serverEntries.cluster, serverEntries.run]) {
    const file = join(path, name)
    const status = lstatOf(file)
    if (status === null) continue
    if (status.isSymbolicLink())
      refuse(
        folder,
        `${file} is a link out of it: move the whole folder to where there is room, and give that one, or a link to it`,
      )
    if (status.uid !== me && !(me === 0 && serverAccounts().some(({ uid }) => uid === status.uid)))
      refuseOwner(folder, file, status, me)
    if ((status.mode & beyondOwner) !== 0) onWide(file, status, status.isDirectory())
  }
}

const refuseOwner = (folder: string, file: string, { uid }: Stats, me: number): never =>
  refuse(
    folder,
    `${file} belongs to account ${uid}, and this process is of account ${me}: ` +
      `run as account ${uid}, or chown -R ${me} ${folder}`,
  )

/** Null: nothing is there. A running database takes files away meanwhile. */
const lstatOf = (file: string): Stats | null => lstatSync(file, { throwIfNoEntry: false }) ?? null
