/**
 * PostgreSQL in this process (PGlite) behind the same client as a real server: `dev`, tests, a single small node.
 *
 * What it promises: a commit is written to its log file before it is answered, so whatever kills the process, and only
 * that, takes nothing away. What it does not: nothing is forced to the disk (it runs without `fsync`), so a machine that
 * stops may lose what was acknowledged or the whole database; and it has one session, so statements queue and each
 * blocks the event loop while it runs. Two processes on one folder would destroy each other's data; the lock file
 * prevents that.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { PgClient } from "@effect/sql-pg"
import { PGlite } from "@electric-sql/pglite"
import { Data, Effect } from "effect"
import { sessionSettings } from "./event-store.ts"
import { PrivateFiles } from "./private-files.ts"
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

/**
 * @param folder where the database lives, for its owner alone; null: in memory
 * @param onNarrowed told in a line when an earlier version, or anybody, had left it open to other accounts; null: it is opened to
 *   be looked at, and left as it is
 */
export const embeddedClient = (
  folder: string | null,
  onNarrowed: ((line: string) => Effect.Effect<void>) | null = Effect.logWarning,
) =>
  PgClient.layerFrom(
    Effect.gen(function* () {
      const path = folder === null ? null : yield* claim(folder, onNarrowed)
      if (folder !== null && path !== null) yield* lockFolder(folder, path)
      const database = yield* Effect.acquireRelease(
        Effect.tryPromise({
          try: () => (path === null ? PGlite.create() : openDatabase(path)),
          catch: (cause) => new DataFolderUnusable({ folder: folder ?? "in memory", cause }),
        }),
        (open) => Effect.promise(() => open.close()),
      )
      const settings = Object.entries(sessionSettings).map(([name, value]) => `SET ${name} = ${value};`)
      yield* Effect.promise(() => database.exec(settings.join("")))
      return yield* PgClient.makeClient({
        stream: () => wireTo(database),
        username: "postgres",
        database: "postgres",
        multiplex: true,
      })
    }),
  )

/**
 * Opens the database in a folder, or makes one.
 *
 * A database is made file by file, and one with files missing cannot be opened, or worse, can. So a mark says that it is
 * being made; where that still stands, nothing was ever stored, and it is made again.
 */
const openDatabase = async (folder: string): Promise<PGlite> => {
  const data = join(folder, entries.database)
  const mark = join(folder, entries.mark)
  if (existsSync(mark)) rmSync(data, { recursive: true, force: true })
  if (!existsSync(data)) {
    writeFileSync(mark, "the database in pg is being made\n", { mode: 0o600 })
    mkdirSync(data, { mode: 0o700 })
  }
  const database = await PGlite.create({ fs: new PrivateFiles(data) })
  rmSync(mark, { force: true })
  return database
}

/** The database's wire protocol as a stream. Whatever arrives while a statement runs goes on in one piece after it. */
const wireTo = (database: PGlite): Duplex => {
  const terminate = 0x58
  let pending: Uint8Array[] = []
  let running = false

  const run = async (stream: Duplex): Promise<void> => {
    while (pending.length > 0) {
      // sockets and timers get their turn between statements
      await new Promise((resolve) => setImmediate(resolve))
      const message = Buffer.concat(pending)
      pending = []
      if (message[0] === terminate) return
      await database.execProtocolRawStream(message, {
        syncToFs: true,
        onRawData: (answer) => void stream.push(Buffer.from(answer)),
      })
    }
  }

  const stream: Duplex = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      pending.push(chunk)
      if (!running) {
        running = true
        run(stream)
          .catch((cause: unknown) =>
            stream.destroy(cause instanceof Error ? cause : new Error(String(cause))),
          )
          .finally(() => {
            running = false
          })
      }
      done()
    },
    final(done) {
      stream.push(null)
      done()
    },
  })
  return stream
}

const narrowedText = ({ mode, count, isOuter }: Narrowed): string =>
  isOuter
    ? `other accounts could enter it (mode ${mode}; ${count} of the files and folders in it were wide as well): narrowed to its owner`
    : `${count} of the files and folders in it had modes for other accounts: narrowed to their owner`

const claim = Effect.fnUntraced(function* (
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

const lockFolder = (folder: string, path: string) =>
  Effect.acquireRelease(
    Effect.suspend((): Effect.Effect<string, DataFolderInUse | DataFolderUnusable> => {
      const file = join(path, entries.lock)
      for (let attempt = 0; attempt < 3; attempt++) {
        try {
          writeFileSync(file, `${process.pid} ${beginningOf(process.pid) ?? ""}\n`, {
            flag: "wx",
            mode: 0o600,
          })
          return Effect.succeed(file)
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== "EEXIST") {
            return Effect.fail(new DataFolderUnusable({ folder, cause }))
          }
        }
        const pid = livingOwner(file)
        if (pid !== null) return Effect.fail(new DataFolderInUse({ folder, pid }))
        // its owner was killed
        rmSync(file, { force: true })
      }
      return Effect.fail(new DataFolderUnusable({ folder, cause: new Error("cannot write the lock file") }))
    }),
    (file) => Effect.sync(() => rmSync(file, { force: true })),
  )

/**
 * The process that a lock file names, if it still lives. Numbers come again, after a restart of the machine and at once
 * in a container, so where the system tells when a process began, that must be the same as well.
 */
const livingOwner = (file: string): number | null => {
  let text = ""
  try {
    text = readFileSync(file, "utf8")
  } catch {
    return null
  }
  const [number = "", began = ""] = text.trim().split(" ")
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

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // a process of another user is alive, too
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}
