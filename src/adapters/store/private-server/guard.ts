/**
 * The small shell between a program and its private server, so that the server never outlives those who use it.
 *
 * It runs in a session of its own, so no signal to the group of the program reaches it. Whoever uses the server holds the
 * writing end of a pipe: the program that started it that of its input, everybody else that of a named pipe. The kernel
 * closes these whatever ends their holders. When nobody holds one any more, the guard has the server stop. It ends with
 * the server, with its exit code.
 *
 * Signals that a service manager sends to all processes of a unit are ignored: the program is told to stop as well, and
 * still needs its database for that.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
} from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import type { Account } from "../postgres/system-accounts.ts"

/** What the guard runs: `$1` the program, `$2` the named pipe, then the program's arguments. */
const script = `
trap '' HUP INT TERM
program=$1 pipe=$2
shift 2
exec 3<&0 5<>"$pipe" 4<"$pipe" 5>&-
"$program" "$@" </dev/null 3<&- 4<&- &
server=$!
(
  while read -r _ <&3; do :; done
  while read -r _ <&4; do :; done
  rm -f "$pipe"
  while read -r _ <&4; do :; done
  # one that has only been started ignores it until its own handlers are there
  while kill -INT "$server" 2>/dev/null; do
    # it may outlive us for this second, and keeps nothing open
    sleep 1 </dev/null >/dev/null 2>&1 3<&- 4<&- 7<&- 8<&-
  done
) &
watch=$!
exec 3<&- 4<&- </dev/null
wait "$server"
code=$?
rm -f "$pipe"
kill -KILL "$watch" 2>/dev/null
exit "$code"
`

/** Where a folder is for the server: its own path, or a descriptor that it inherits where it may not walk to the path. */
export interface Place {
  readonly path: string
  /** As the server names it. */
  readonly named: string
}

/** Descriptors that the server inherits for folders that it cannot walk to. */
const inherited = { data: 7, run: 8 } as const

export const placeOf = (path: string, isReached: boolean, which: keyof typeof inherited): Place => ({
  path,
  named: isReached ? path : `/proc/self/fd/${inherited[which]}`,
})

/** Options for `spawn` of a process that works in these folders, under an account of its own if need be. */
export const spawnOptions = (
  { data, run }: { readonly data: Place; readonly run: Place | null },
  account: Account | null,
) => {
  const descriptors: number[] = []
  const opened = (place: Place | null): number | "ignore" => {
    if (place === null || place.named === place.path) return "ignore"
    const descriptor = openSync(place.path, constants.O_RDONLY | constants.O_DIRECTORY)
    descriptors.push(descriptor)
    return descriptor
  }
  return {
    more: ["ignore", "ignore", "ignore", "ignore", opened(data), opened(run)] as const,
    identity: account === null ? {} : { uid: account.uid, gid: account.gid },
    close: (): void => {
      for (const descriptor of descriptors) closeSync(descriptor)
    },
  }
}

export const pipeName = "in-use"
/** As PostgreSQL calls it on its usual port. */
export const socketName = ".s.PGSQL.5432"
/** Said to the server on its command line, so that it is known as one that presently started. */
const mark = "presently-private"

/**
 * Large enough for the connections of a server and of commands beside it, small enough for a phone's worth of memory. Its log says
 * nothing of what is stored.
 */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: "",
  port: "5432",
  unix_socket_permissions: "0700",
  cluster_name: mark,
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "32MB",
  max_connections: "50",
  max_wal_size: "256MB",
  max_wal_senders: "2",
  max_worker_processes: "4",
  max_logical_replication_workers: "0",
  max_parallel_workers: "2",
  huge_pages: "off",
  jit: "off",
  log_destination: "stderr",
  logging_collector: "off",
  log_error_verbosity: "terse",
  log_min_error_statement: "panic",
  lc_messages: "C",
}

export interface Guard {
  readonly child: ChildProcess
  /** The exit code of the server; null: the guard was killed. */
  readonly ended: Promise<number | null>
  /** Lets go of the server, which stops unless somebody else uses it. */
  readonly release: () => void
}

export interface GuardOptions {
  readonly program: string
  readonly data: Place
  readonly run: Place
  readonly account: Account | null
  readonly libraries: string | null
  /** Where the server's own log goes. */
  readonly logFile: string
}

/** Starts a server and its guard. The named pipe is there already. */
export const startGuard = ({ program, data, run, account, libraries, logFile }: GuardOptions): Guard => {
  const log = openSync(logFile, "a", 0o600)
  const { more, identity, close } = spawnOptions({ data, run }, account)
  const options = Object.entries({ ...settings, unix_socket_directories: run.named }).flatMap(
    ([name, value]) => ["-c", `${name}=${value}`],
  )
  const child = spawn(
    "/bin/sh",
    ["-c", script, "presently-guard", program, join(run.named, pipeName), "-D", data.named, ...options],
    {
      cwd: "/",
      detached: true,
      env: serverEnvironment(libraries),
      stdio: ["pipe", log, log, ...more],
      ...identity,
    },
  )
  closeSync(log)
  close()
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code))
    child.once("error", () => resolve(null))
  })
  child.stdin?.on("error", () => {})
  child.unref()
  ;(child.stdin as unknown as { readonly unref?: () => void } | null)?.unref?.()
  return { child, ended, release: () => void child.stdin?.destroy() }
}

/** Nothing of a user's that PostgreSQL would heed. */
export const serverEnvironment = (libraries: string | null): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  LC_ALL: "C",
  ...(libraries === null ? {} : { LD_LIBRARY_PATH: libraries }),
})

/**
 * Holds the named pipe of a server that somebody else started.
 *
 * @returns the descriptor; null: no guard reads it
 */
export const holdPipe = (run: string): number | null => {
  try {
    return openSync(join(run, pipeName), constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}

export const isGuarded = (run: string): boolean => {
  const descriptor = holdPipe(run)
  if (descriptor !== null) closeSync(descriptor)
  return descriptor !== null
}

/** What `postmaster.pid` says. */
export interface Postmaster {
  readonly pid: number
  readonly isReady: boolean
}

/** Null: no server has been started here, or the last one stopped in order. */
export const postmasterIn = (data: string): Postmaster | null => {
  try {
    const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")
    const pid = Number.parseInt(lines[0] ?? "", 10)
    return Number.isInteger(pid) && pid > 0 ? { pid, isReady: lines[7]?.trim() === "ready" } : null
  } catch {
    return null
  }
}

/** Whether presently started a server: its command line says so, or what it left in its folder. */
export const isOurServer = (data: string, pid: number): boolean => {
  for (const file of [`/proc/${pid}/cmdline`, join(data, "postmaster.opts")]) {
    try {
      return readFileSync(file, "utf8").includes(`cluster_name=${mark}`)
    } catch {
      // where there is no /proc
    }
  }
  return false
}

/** Asks whether the server would encrypt, which is answered by a process that it makes for the connection; closing after that is no fault. */
const encryptionRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** How long an answer may take before it is asked for again. */
const answerMillis = 1_000

/**
 * Whether the server serves connections. That one can be made says too little: a server that is being killed has its socket for a
 * moment longer, and one that was killed leaves its name.
 */
export const answers = (run: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(join(run, socketName), () => socket.write(encryptionRequest))
    const end = (isServed: boolean): void => {
      socket.destroy()
      resolve(isServed)
    }
    socket.setTimeout(answerMillis, () => end(false))
    socket.once("data", () => end(true))
    socket.once("error", () => end(false))
    socket.once("close", () => end(false))
  })

/**
 * Processes that work in a data folder: the server, or what a killed one has left behind for a moment. Null where the
 * system does not say.
 */
export const processesIn = (data: string): readonly number[] | null => {
  let names: readonly string[]
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name))
  } catch {
    return null
  }
  const folder = realpathSync(data)
  return names.map(Number).filter((pid) => {
    try {
      return pid !== process.pid && readlinkSync(`/proc/${pid}/cwd`) === folder
    } catch {
      return false
    }
  })
}
