/**
 * The private server of a data folder: PostgreSQL, started by the first program that opens the folder, used by all that
 * come while it runs, stopped when the last of them is gone, and started again when it has died.
 *
 * It listens on a Unix socket only, in a folder of mode 0700, and is as durable as any: fsync and synchronous_commit are on.
 */
import {
  closeSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Schedule } from "effect"
import {
  DataFolderInUse,
  DataFolderUnusable,
  isAlive,
  livingOwner,
  ownerText,
  tryLock,
} from "../postgres/folder-claim.ts"
import { entries, serverEntries } from "../postgres/private-folder.ts"
import type { Account } from "../postgres/system-accounts.ts"
import { redirect } from "../writer/sockets.ts"
import { mayWrite } from "./account.ts"
import { answers, holdPipe, isGuarded, placeOf, postmasterIn, startGuard } from "./guard.ts"
import type { Guard } from "./guard.ts"
import { clearLeftovers, stopMillis, until } from "./leftovers.ts"
import { forceFolder, makeCluster, programsFor, reachable, serverAccount } from "./make-cluster.ts"
import type { Programs } from "./programs.ts"
import { checkOwner, hasEarlier, majorOf, prepareRun, runFolders, unusable, urlIn } from "./site.ts"
import type { Site } from "./site.ts"

export interface PrivateServer {
  readonly url: string
  /** The folder of its socket. */
  readonly run: string
}

export interface ServerOptions {
  /** The folder of PostgreSQL's programs; null: wherever they are. */
  readonly programs: string | null
  /** Told in a line what happens to the server. */
  readonly onEvent: (line: string) => Effect.Effect<void>
  /** Copies what an earlier version kept within the process into the new database. */
  readonly takeOver: (site: Site, url: string) => Promise<void>
  /** How long a server may take to be ready, its recovery included, milliseconds. */
  readonly readyMillis: number
}

/** A wait that ends: when it is not wanted any more, or when it has taken too long. */
interface Patience {
  readonly signal: AbortSignal
  readonly readyMillis: number
}

/** How a server is held: it runs as long as anybody does. */
interface Holding {
  readonly run: string
  /** Null: somebody else started it. */
  readonly guard: Guard | null
  /** The descriptor of the named pipe; null: the guard's input is held. */
  readonly pipe: number | null
  /** Names this process among those that use the server. */
  readonly holder: string
}

const pollMillis = 10
/** How often a program that uses a server looks whether it is still there. */
const watchMillis = 500
/** How long another process may be starting it. */
const patienceMillis = 120_000

let holders = 0

const register = (run: string): string => {
  const file = join(run, `user.${process.pid}.${++holders}`)
  try {
    // the folder may be another account's: a link that it put there is not followed
    rmSync(file, { force: true })
    writeFileSync(file, ownerText(), { flag: "wx", mode: 0o600 })
  } catch {
    // it is only there so that the last one waits for the end
  }
  return file
}

const unregister = (holder: string): void => {
  try {
    rmSync(holder, { force: true })
  } catch {
    // its folder is no folder any more
  }
}

/** Whether another living process, or another user of the server in this one, is registered. Killed ones are struck off. */
const isShared = (run: string): boolean => {
  let count = 0
  try {
    for (const name of readdirSync(run).filter((entry) => entry.startsWith("user."))) {
      if (livingOwner(join(run, name)) === null) rmSync(join(run, name), { force: true })
      else count++
    }
  } catch {
    return false
  }
  return count > 0
}

const notReady = (site: Site, { readyMillis }: Patience): DataFolderUnusable =>
  unusable(site, `its server is not ready after ${Math.round(readyMillis / 1000)} s; see ${site.log}`)

/** Uses the server that runs already. @returns null: none does */
const joinServer = async (site: Site, patience: Patience): Promise<Holding | null> => {
  const end = performance.now() + patience.readyMillis
  for (const run of runFolders(site)) {
    const pipe = holdPipe(run)
    if (pipe === null) continue
    const holder = register(run)
    let isKept = false
    try {
      for (;;) {
        const isReady = postmasterIn(site.data)?.isReady === true && !existsSync(site.mark)
        isKept = isReady && (await answers(run))
        if (isKept) return { run, guard: null, pipe, holder }
        if (!isGuarded(run)) break
        if (performance.now() > end) throw notReady(site, patience)
        await sleep(pollMillis, undefined, { signal: patience.signal })
      }
    } finally {
      if (!isKept) {
        unregister(holder)
        closeSync(pipe)
      }
    }
  }
  return null
}

/** The server's own reason for not starting. */
const reasonIn = (log: string, from: number): string => {
  const lines = readFileSync(log)
    .subarray(from)
    .toString("utf8")
    .split("\n")
    .filter((line) => /(?:FATAL|PANIC|ERROR): /.test(line))
  const last = lines.at(-1)?.replace(/^.*?(?:FATAL|PANIC|ERROR): +/, "")
  return last ?? `it did not start; see ${log}`
}

const isPassing = (why: string): boolean =>
  /pre-existing shared memory block|lock file .* already exists/.test(why)

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

const logMax = 1_000_000

/** Starts the server of a database that is there. @returns null: something of an earlier one is still in the way */
const launch = async (
  site: Site,
  { bin, libraries }: Programs,
  account: Account | null,
  patience: Patience,
): Promise<Holding | null> => {
  const run = prepareRun(site, account)
  if (sizeOf(site.log) > logMax) rmSync(site.log, { force: true })
  const from = sizeOf(site.log)
  const isReached = account === null
  const data = placeOf(site.data, isReached, "data")
  const place = placeOf(run, isReached, "run")
  const guard = startGuard({
    program: join(bin, "postgres"),
    data,
    run: place,
    account,
    libraries,
    logFile: site.log,
  })
  let hasEnded = false
  void guard.ended.then(() => {
    hasEnded = true
  })
  const end = performance.now() + patience.readyMillis
  try {
    for (;;) {
      if (postmasterIn(site.data)?.isReady === true) return { run, guard, pipe: null, holder: register(run) }
      if (hasEnded) break
      if (performance.now() > end) throw notReady(site, patience)
      await sleep(pollMillis, undefined, { signal: patience.signal })
    }
  } catch (cause) {
    guard.release()
    throw cause
  }
  const why = reasonIn(site.log, from).replaceAll(data.named, data.path).replaceAll(place.named, run)
  if (isPassing(why)) return null
  throw unusable(site, `its server does not start: ${why}`)
}

/** With the lock of the folder: makes the database if there is none, and starts its server. */
const startServer = async (
  site: Site,
  { programs: setting, takeOver }: ServerOptions,
  patience: Patience,
): Promise<Holding | null> => {
  await clearLeftovers(site, patience)
  const earlierOwner = livingOwner(join(site.path, entries.lock))
  if (earlierOwner !== null) throw new DataFolderInUse({ folder: site.folder, pid: earlierOwner })
  const isNew = majorOf(site) === null
  const account = serverAccount(site, isNew ? null : statSync(site.data).uid)
  const programs = reachable(site, await programsFor(site, setting), account)
  if (isNew) await makeCluster(site, programs, account)
  else if (!mayWrite(site.data))
    throw unusable(
      site,
      `nothing can be written to ${site.data}: its file system is read-only, or it is another account's`,
    )
  checkOwner(site, account)
  const holding = await launch(site, programs, account, patience)
  if (holding === null || !isNew) return holding
  try {
    if (hasEarlier(site)) {
      await takeOver(site, urlIn(holding.run))
      forceFolder(site.path)
      renameSync(site.earlier, join(site.path, serverEntries.earlier))
      // a version that knows of no server finds no empty place to begin a new log in
      writeFileSync(
        site.earlier,
        `the log that was kept here is in ${serverEntries.cluster} now; as it was before: ${serverEntries.earlier}\n`,
        { mode: 0o600 },
      )
    }
    // whatever the mark says has to be true after a power cut
    forceFolder(site.path)
    rmSync(site.mark, { force: true })
    forceFolder(site.path)
    return holding
  } catch (cause) {
    await release(site, holding)
    throw cause
  }
}

/** Uses the server that runs, or starts it. */
const hold = async (site: Site, options: ServerOptions, signal: AbortSignal): Promise<Holding> => {
  const patience = { signal, readyMillis: options.readyMillis }
  for (const end = performance.now() + patienceMillis; ; await sleep(pollMillis, undefined, { signal })) {
    const joined = await joinServer(site, patience)
    if (joined !== null) return joined
    if (!mayWrite(site.path))
      throw unusable(
        site,
        "nothing can be written there: its file system is read-only, or it is another account's",
      )
    const unlock = tryLock(site.lock)
    try {
      const started =
        unlock === null || runFolders(site).some(isGuarded)
          ? null
          : await startServer(site, options, patience)
      if (started !== null) return started
    } finally {
      unlock?.()
    }
    if (performance.now() > end) {
      throw new DataFolderInUse({
        folder: site.folder,
        pid: livingOwner(site.lock) ?? postmasterIn(site.data)?.pid ?? 0,
      })
    }
  }
}

/** Lets go of the server, and waits for its end if nobody else uses it. */
const release = async (site: Site, { run, guard, pipe, holder }: Holding): Promise<void> => {
  unregister(holder)
  guard?.release()
  if (pipe !== null) closeSync(pipe)
  if (isShared(run)) return
  const pid = postmasterIn(site.data)?.pid ?? null
  await until(() => !isGuarded(run) && (pid === null || !isAlive(pid)), stopMillis)
  // nobody else would ever remove what is not in the data folder
  if (!run.startsWith(site.path) && !isGuarded(run)) rmSync(run, { recursive: true, force: true })
  if (guard === null) return
  let hasEnded = false
  void guard.ended.then(() => {
    hasEnded = true
  })
  await until(() => hasEnded, 1000)
}

const fault = ({ folder }: Site, cause: unknown) =>
  cause instanceof DataFolderInUse || cause instanceof DataFolderUnusable
    ? cause
    : new DataFolderUnusable({ folder, cause })

/**
 * Has the private server of a data folder run as long as the scope lives. When it dies it is started again, which takes as
 * long as its recovery: until then statements fail as they do when any database is away.
 *
 * Fails with DataFolderInUse, DataFolderUnusable.
 */
export const usePrivateServer = Effect.fnUntraced(function* (site: Site, options: ServerOptions) {
  // interrupted, it ends at once, and lets go of what it has got by then
  const held = Effect.callback<Holding, DataFolderInUse | DataFolderUnusable>((resume) => {
    const abort = new AbortController()
    const settled = hold(site, options, abort.signal).then(
      (got) => (abort.signal.aborted ? release(site, got) : resume(Effect.succeed(got))),
      (cause: unknown) => resume(Effect.fail(fault(site, cause))),
    )
    return Effect.promise(() => {
      abort.abort()
      return settled
    })
  })
  let holding: Holding = yield* Effect.acquireRelease(
    held,
    () => Effect.promise(() => release(site, holding)),
    { interruptible: true },
  )
  const server: PrivateServer = { url: urlIn(holding.run), run: holding.run }
  redirect(server.url, server.url)
  const isGone = Effect.promise(async () => {
    const { run, guard } = holding
    const ended = guard === null ? new Promise<never>(() => {}) : guard.ended
    await Promise.race([ended, sleep(watchMillis, undefined, { ref: false })])
    if (!isGuarded(run)) return true
    // the shell was killed, and the rest of it goes on
    await sleep(watchMillis, undefined, { ref: false })
    return false
  })
  let told = ""
  const again = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(held), (next) =>
      Effect.sync(() => {
        unregister(holding.holder)
        if (holding.pipe !== null) closeSync(holding.pipe)
        holding.guard?.release()
        holding = next
        // its socket may be in another folder than before
        redirect(server.url, urlIn(next.run))
      }),
    ),
  ).pipe(
    Effect.tapError((cause) => {
      if (cause.message === told) return Effect.void
      told = cause.message
      return options.onEvent(cause.message)
    }),
    Effect.retry({ schedule: Schedule.spaced("1 second") }),
  )
  const watching = Effect.gen(function* () {
    for (;;) {
      if (!(yield* isGone)) continue
      yield* options.onEvent(`the database's server in ${site.folder} has ended: it is started again`)
      yield* again
      told = ""
      yield* options.onEvent(`the database's server in ${site.folder} runs again`)
    }
  })
  yield* Effect.forkScoped(watching)
  return server
})

/** The socket folder of the server that runs in a data folder; null: none does. */
export const runningIn = (site: Site): string | null => runFolders(site).find(isGuarded) ?? null
