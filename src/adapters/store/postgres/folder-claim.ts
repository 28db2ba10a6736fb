/**
 * Taking the folder of an embedded database for this process: its permissions, and the lock that one process at a time has.
 */
import { linkSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Data, Effect } from "effect"
import { DataFolderExposed, claimFolder, entries, folderState } from "./private-folder.ts"
import type { Narrowed } from "./private-folder.ts"

/** Another process works on the folder. */
export class DataFolderInUse extends Data.TaggedError("DataFolderInUse")<{
  readonly folder: string
  readonly pid: number
}> {
  override get message(): string {
    return `the data folder ${this.folder} is in use by process ${this.pid}: stop it, or give another --data`
  }
}

/** The folder cannot be made, or what is in it cannot be opened. */
export class DataFolderUnusable extends Data.TaggedError("DataFolderUnusable")<{
  readonly folder: string
  readonly cause: unknown
}> {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `the data folder ${this.folder} cannot be used: ${why}`
  }
}

const narrowedText = ({ mode, count, isOuter }: Narrowed): string =>
  isOuter
    ? `other accounts could enter it (mode ${mode}; ${count} of the files and folders in it were wide as well): narrowed to its owner`
    : `${count} of the files and folders in it had modes for other accounts: narrowed to their owner`

/**
 * @param onNarrowed told in a line what was narrowed; null: the folder is looked at, and left as it is
 * @returns where it really is
 */
export const claim = Effect.fnUntraced(function* (
  folder: string,
  onNarrowed: ((line: string) => Effect.Effect<void>) | null,
) {
  if (onNarrowed === null) return yield* looked(folder)
  const { path, narrowed } = yield* Effect.try({
    try: () => claimFolder(folder),
    catch: (cause) =>
      cause instanceof DataFolderExposed ? cause : new DataFolderUnusable({ folder, cause }),
  })
  if (narrowed !== null) yield* onNarrowed(`data = ${folder}: ${narrowedText(narrowed)}`)
  return path
})

/** The same without changing it. */
const looked = (folder: string) =>
  Effect.try({
    try: () => {
      const state = folderState(folder)
      if (state._tag === "Exposed") throw new DataFolderExposed({ folder, why: state.why })
      return realpathSync(folder)
    },
    catch: (cause) =>
      cause instanceof DataFolderExposed ? cause : new DataFolderUnusable({ folder, cause }),
  })

/** The folder is this process's until the scope ends. */
export const lockFolder = (folder: string, path: string) =>
  Effect.acquireRelease(
    Effect.suspend((): Effect.Effect<() => void, DataFolderInUse | DataFolderUnusable> => {
      try {
        const file = join(path, entries.lock)
        const release = tryLock(file)
        if (release !== null) return Effect.succeed(release)
        return Effect.fail(new DataFolderInUse({ folder, pid: livingOwner(file) ?? 0 }))
      } catch (cause) {
        return Effect.fail(new DataFolderUnusable({ folder, cause }))
      }
    }),
    (release) => Effect.sync(release),
  )

let locks = 0

/**
 * Makes a lock file that names this process, unless a living process has it. It appears whole, so that nobody takes one
 * that is being written for that of a dead process.
 *
 * @returns what removes it; null: a living process has it
 * @throws what the system says when the file cannot be made
 */
export const tryLock = (file: string): (() => void) | null => {
  const own = `${file}.${process.pid}.${++locks}`
  writeFileSync(own, ownerText(), { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        linkSync(own, file)
        return () => rmSync(file, { force: true })
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
      }
      if (livingOwner(file) !== null) return null
      // its owner was killed; whoever else found that out may have put its own there meanwhile
      const stale = `${own}.stale`
      try {
        renameSync(file, stale)
      } catch {
        continue
      }
      if (livingOwner(stale) === null) rmSync(stale, { force: true })
      else renameSync(stale, file)
    }
    return null
  } finally {
    rmSync(own, { force: true })
  }
}

/** What names this process in a file. */
export const ownerText = (): string => `${process.pid} ${beginningOf(process.pid) ?? ""}\n`

/**
 * The process that a lock file names, if it still lives. Numbers come again, after a restart of the machine and at once
 * in a container, so where the system tells when a process began, that must be the same as well.
 */
export const livingOwner = (file: string): number | null => {
  let text = ""
  try {
    text = readFileSync(file, "utf8")
  } catch {
    return null
  }
  // further lines are for readers of the file
  const [number = "", began = ""] = text.split("\n", 1)[0]!.trim().split(" ")
  const pid = Number.parseInt(number, 10)
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null
  return began === "" || began === (beginningOf(pid) ?? began) ? pid : null
}

/** Clock ticks from the start of the machine to that of a process; null where there is no /proc. */
const beginningOf = (pid: number): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // the second field, a name in parentheses, may hold spaces; this is the 22nd
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null
  } catch {
    return null
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // a process of another user is alive, too
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}
