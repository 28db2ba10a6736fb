/**
 * A PostgreSQL server for the tests: a private cluster in a temporary folder on a free port, started and stopped by its
 * user, or one shared by all files of a thread. Null if the machine has no PostgreSQL binaries.
 */
import { execFileSync } from "node:child_process"
import { appendFileSync, chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverEnvironment } from "../../src/adapters/store/private-server/guard.ts"
import { reachable, serverAccount } from "../../src/adapters/store/private-server/make-cluster.ts"
import { findPrograms } from "../../src/adapters/store/private-server/programs.ts"
import { siteIn } from "../../src/adapters/store/private-server/site.ts"
import { madeOnce } from "./made-once.ts"
import { endWithTests } from "./reaper.ts"

export interface SharedPostgres {
  readonly port: number
  /** URL of a fresh, empty database. */
  readonly database: () => string
  /** To be called when it is no longer needed; a shared one is stopped with the tests. */
  readonly remove: () => void
}

export interface PostgresCluster extends SharedPostgres {
  /** The folder with all its files. */
  readonly data: string
  readonly start: () => void
  /** `immediate` is like kill -9 for all of it: no checkpoint, recovery at the next start. */
  readonly stop: (mode: "fast" | "immediate") => void
  /** Stops it and removes its files. */
  readonly remove: () => void
  readonly pid: () => number
}

/** The one of this thread: modules are loaded once for all files. */
let ofThread: ReturnType<typeof startPostgres> | null = null

/**
 * The server shared by all files of a thread, for tests that need databases but neither stop the server nor read its
 * files nor create accounts. Starting one costs a second and a half of processor time.
 */
export const sharedPostgres = async (): Promise<SharedPostgres | null> => {
  const cluster = await (ofThread ??= startPostgres(false))
  // dropping a database takes a checkpoint: they are removed all at once, with the server
  return cluster === null ? null : { port: cluster.port, database: cluster.database, remove: () => {} }
}

/** Where links go that the npm package lacks, when it may not be written to. */
const libraries = join(tmpdir(), "presently-libraries")

const makeDatabase = join(import.meta.dirname, "make-database.ts")

const found = (await findPrograms(null, null, libraries)).programs

/** The folder with initdb and postgres: those that presently itself would start; null: there is none. */
export const postgresBinaries = (): string | null => found?.bin ?? null

/** @param isForced false: nothing is forced to the disk, for tests that are not about a database that ends under load */
export const startPostgres = async (isForced = true): Promise<PostgresCluster | null> => {
  if (found === null) return null
  const folder = mkdtempSync(join(tmpdir(), "presently-pg-"))
  const data = join(folder, "data")
  // initdb refuses to run as root
  const site = siteIn(folder, folder)
  const account = serverAccount(site, null)
  if (account !== null) chownSync(folder, account.uid, account.gid)
  chmodSync(folder, 0o755)
  const { bin: binaries, libraries: linked } = reachable(site, found, account)
  const env = { ...process.env, ...serverEnvironment(linked) }
  const run = (name: string, ...args: string[]): string =>
    execFileSync(join(binaries, name), args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      env,
      ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
    })
  const isOver = endWithTests({ kind: "postgres", data })
  const initialized = ["-U", "postgres", "-A", "trust", "--no-instructions", "-E", "UTF8", "--locale=C"]
  const key = `${found.release}-${account?.uid ?? process.getuid?.() ?? 0}`
  const template = await madeOnce("presently-cluster", key, (made) => {
    run("initdb", "-N", "-D", data, ...initialized)
    execFileSync("cp", ["-a", data, made])
  })
  // its maker has it there already
  if (!existsSync(data)) execFileSync("cp", ["-a", template, data])
  const configure = (port: number): void => {
    appendFileSync(
      join(data, "postgresql.conf"),
      `\nport = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = ${isForced ? "on" : "off"}\nmax_connections = 200\n`,
    )
  }
  const start = (): void => {
    execFileSync(
      join(binaries, "pg_ctl"),
      ["-D", data, "-l", join(folder, "log"), "-w", "-t", "180", "start"],
      {
        cwd: folder,
        stdio: "ignore",
        env,
        ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
      },
    )
  }
  const stop = (mode: "fast" | "immediate"): void => {
    run("pg_ctl", "-D", data, "-m", mode, "-w", "stop")
  }
  let port = await freePort()
  for (let attempt = 1; ; attempt++) {
    configure(port)
    try {
      start()
      break
    } catch (cause) {
      // another process took the port meanwhile
      if (attempt === 5) throw cause
      port = await freePort()
    }
  }
  let databases = 0
  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`
  return {
    port,
    data,
    database: () => {
      const name = `test_${process.pid}_${++databases}`
      // the npm package has no createdb
      if (existsSync(join(binaries, "createdb")))
        run("createdb", "-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", name)
      else execFileSync(process.execPath, [makeDatabase, urlOf("postgres"), name], { stdio: "pipe" })
      return urlOf(name)
    },
    start,
    stop,
    remove: () => {
      try {
        stop("immediate")
      } catch {
        // stopped already
      }
      rmSync(folder, { recursive: true, force: true })
      isOver()
    },
    pid: () => Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]),
  }
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
