/**
 * The private server of a data folder: PostgreSQL, started by the first program that opens the folder, used by all that
 * come while it runs, stopped when the last of them is gone, and started again when it has died.
 *
 * It listens on a Unix socket only, in a folder of mode 0700, and is as durable as any: fsync and synchronous_commit are on.
 */
import { closeSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
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
import { mayWrite } from "./account.ts"
import {
  answers,
  holdPipe,
  isGuarded,
  isOurServer,
  placeOf,
  postmasterIn,
  processesIn,
  startGuard,
} from "./guard.ts"
import type { Guard } from "./guard.ts"
import { forceFolder, makeCluster, programsFor, reachable, serverAccount } from "./make-cluster.ts"
import { makePatience, pollMillis } from "./patience.ts"
import type { Patience } from "./patience.ts"
import { isPassing, reasonIn } from "./server-log.ts"
import {
  checkOwner,
  hasEarlier,
  isWithinFolder,
  majorOf,
  prepareRun,
  runFolders,
  unusable,
  urlIn,
} from "./site.ts"
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

/** How often a program that uses a server looks whether it is still there. */
const watchMillis = 500
/** How long a server may take to stop in order, before it is told to stop at once. */
const stopMillis = 30_000

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

/** Uses the server that runs already. @returns null: none does */
const joinServer = async (site: Site, patience: Patience): Promise<Holding | null> => {
  for (const run of runFolders(site)) {
    const pipe = holdPipe(run)
    if (pipe === null) continue
    const holder = register(run)
    let isOurs = false
    try {
      for (;;) {
        const isReady = postmasterIn(site.data)?.isReady === true && !existsSync(site.mark)
        isOurs = isReady && (await answers(run))
        if (isOurs) return { run, guard: null, pipe, holder }
        if (!isGuarded(run)) break
        await patience.wait()
      }
    } finally {
      if (!isOurs) {
        rmSync(holder, { force: true })
        closeSync(pipe)
      }
    }
  }
  return null
}

const until = async (condition: () => boolean, millis: number): Promise<boolean> => {
  for (const end = performance.now() + millis; performance.now() < end; await sleep(pollMillis)) {
    if (condition()) return true
  }
  return condition()
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended
  }
}

/**
 * Ends what is left of an earlier server: one whose guard was killed, or processes of a killed one that have not noticed.
 *
 * Another process may have got the number of a killed server; a server that somebody else started is left alone.
 */
const clearLeftovers = async ({ folder, data }: Site): Promise<void> => {
  const found = postmasterIn(data)
  if (found === null) return
  const { pid } = found
  const isThere = (): boolean => isAlive(pid) && (processesIn(data)?.includes(pid) ?? true)
  if (isThere()) {
    if (!isOurServer(data, pid)) throw new DataFolderInUse({ folder, pid })
    signal(pid, "SIGINT")
    if (!(await until(() => !isThere(), stopMillis))) {
      signal(pid, "SIGQUIT")
      if (!(await until(() => !isThere(), stopMillis))) throw new DataFolderInUse({ folder, pid })
    }
  }
  const areGone = (): boolean => (processesIn(data)?.length ?? 0) === 0
  if (!(await until(areGone, stopMillis / 3))) {
    for (const left of processesIn(data) ?? []) signal(left, "SIGKILL")
    await until(areGone, stopMillis)
  }
  if (!isAlive(pid) || processesIn(data) !== null) rmSync(join(data, "postmaster.pid"), { force: true })
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

const logMax = 1_000_000

/** Starts the server of a database that is there. @returns null: something of an earlier one is still in the way */
const launch = async (
  site: Site,
  program: string,
  libraries: string | null,
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
    program,
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
  for (;;) {
    if (postmasterIn(site.data)?.isReady === true) return { run, guard, pipe: null, holder: register(run) }
    if (hasEnded) {
      const why = reasonIn(site.log, from).replaceAll(data.named, data.path).replaceAll(place.named, run)
      if (isPassing(why)) return null
      throw unusable(site, `its server does not start: ${why}`)
    }
    try {
      await patience.wait("own")
    } catch (cause) {
      guard.release()
      throw cause
    }
  }
}

/** With the lock of the folder: makes the database if there is none, and starts its server. */
const startServer = async (
  site: Site,
  { programs: setting, takeOver }: ServerOptions,
  patience: Patience,
): Promise<Holding | null> => {
  await clearLeftovers(site)
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
  const holding = await launch(site, join(programs.bin, "postgres"), programs.libraries, account, patience)
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

/** Uses the server that runs, or starts it. @param signal aborts the wait for another process, or for a server that does not answer */
const hold = async (
  site: Site,
  options: ServerOptions,
  onEvent: (line: string) => void,
  signal: AbortSignal,
): Promise<Holding> => {
  for (const patience = makePatience(site, onEvent, signal); ; await patience.wait()) {
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
  }
}

/** Lets go of the server, and waits for its end if nobody else uses it. */
const release = async (site: Site, { run, guard, pipe, holder }: Holding): Promise<void> => {
  rmSync(holder, { force: true })
  guard?.release()
  if (pipe !== null) closeSync(pipe)
  if (isShared(run)) return
  const pid = postmasterIn(site.data)?.pid ?? null
  await until(() => !isGuarded(run) && (pid === null || !isAlive(pid)), stopMillis)
  // nobody else would ever remove what is not in the data folder
  if (!isWithinFolder(site, run) && !isGuarded(run)) rmSync(run, { recursive: true, force: true })
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
  const runFork = Effect.runForkWith(yield* Effect.context())
  const onEvent = (line: string) => void runFork(options.onEvent(line))
  const held = Effect.tryPromise({
    try: async (signal) => {
      const taken = await hold(site, options, onEvent, signal)
      // nobody waits for it any more
      if (signal.aborted) await release(site, taken)
      return taken
    },
    catch: (cause) => fault(site, cause),
  })
  let holding: Holding = yield* Effect.acquireRelease(
    held,
    () => Effect.promise(() => release(site, holding)),
    {
      interruptible: true,
    },
  )
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
        rmSync(holding.holder, { force: true })
        if (holding.pipe !== null) closeSync(holding.pipe)
        holding.guard?.release()
        holding = next
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
  const server: PrivateServer = { url: urlIn(holding.run), run: holding.run }
  return server
})

/** The socket folder of the server that runs in a data folder; null: none does. */
export const runningIn = (site: Site): string | null => runFolders(site).find(isGuarded) ?? null
