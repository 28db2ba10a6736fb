/**
 * PostgreSQL in this process (PGlite) behind the same client as a real server, where no server can be started: the optional
 * package `@electric-sql/pglite`.
 *
 * What it promises: a commit is written to its log file before it is answered, so whatever kills the process, and only
 * that, takes nothing away. What it does not: nothing is forced to the disk (it runs without `fsync`), so a machine that
 * stops may lose what was acknowledged or the whole database; and it has one session, so statements queue and each
 * blocks the event loop while it runs. Two processes on one folder would destroy each other's data; the lock file
 * prevents that.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { PgClient } from "@effect/sql-pg"
import { PGlite } from "@electric-sql/pglite"
import { Effect } from "effect"
import { sessionSettings } from "./event-store.ts"
import { DataFolderUnusable, claim, lockFolder } from "./folder-claim.ts"
import { PrivateFiles } from "./private-files.ts"
import { entries } from "./private-folder.ts"

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
