/**
 * Programs that use the private server of a data folder, as processes of their own that can be killed.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Logger } from "effect"
import type { TestContext } from "vitest"
import { layerEmbedded } from "../../src/adapters/store/layers.ts"
import type { EmbeddedOptions } from "../../src/adapters/store/layers.ts"
import { newProgramName } from "../../src/adapters/store/postgres/connections.ts"
import { bundledProgram } from "./bundled-program.ts"
import { holds } from "./condition.ts"
import { endWithTests, ofTests } from "./reaper.ts"

interface DataFolderOptions {
  /** Null: this process's own account. */
  readonly owner?: { readonly uid: number; readonly gid: number } | null
  /** Of the folder above it: with 0755 every account can walk to it. */
  readonly outerMode?: number
  /** Whether a server that still runs at the end is killed; otherwise its own end is waited for. */
  readonly isKilled?: boolean
}

/** An empty data folder, in a folder of its own, that is removed when the test has ended and its server with it. */
export const dataFolder = (
  { onTestFinished }: TestContext,
  { owner = null, outerMode = 0o755, isKilled = true }: DataFolderOptions = {},
): string => {
  const outer = mkdtempSync(join(tmpdir(), "presently-private-"))
  const isOver = endWithTests({ kind: "folder", path: outer })
  chmodSync(outer, outerMode)
  const folder = join(outer, "data")
  mkdirSync(folder, { mode: 0o700 })
  if (owner !== null) chownSync(folder, owner.uid, owner.gid)
  onTestFinished(async () => {
    if (isKilled) for (const { pid } of processesOf(folder)) killIfThere(pid)
    await serverEnds(folder)
    rmSync(outer, { recursive: true, force: true })
    isOver()
  })
  return folder
}

/** Waits until nothing of a folder's server is there any more. */
export const serverEnds = (folder: string) =>
  holds("the server has ended", () => processesOf(folder).length === 0)

/** Kills a process that may have ended by itself meanwhile. */
export const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause
  }
}

/** Opens the folder in this process, does one thing, and closes it. */
export const inFolder = <A>(
  folder: string,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, unknown>,
  options: Partial<EmbeddedOptions> = {},
): Promise<A> =>
  Effect.runPromise(
    PgClient.PgClient.pipe(
      Effect.flatMap(use),
      Effect.provide(layerEmbedded(folder, { application: newProgramName("test"), ...options })),
      Effect.provide(Logger.layer([])),
    ),
  )

/** The line that opening the folder fails with. */
export const refusalOf = async (folder: string, options: Partial<EmbeddedOptions> = {}): Promise<string> => {
  try {
    await inFolder(folder, (sql) => sql`SELECT 1`, options)
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
  return "opened"
}

export interface User {
  readonly process: ChildProcess
  /** Runs a statement and gives its rows, or its error. */
  readonly ask: (statement: string) => Promise<unknown>
  /** Has it end in order. */
  readonly stop: () => Promise<void>
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>
}

export interface UserOptions {
  /** Under another account, by root. */
  readonly account?: { readonly uid: number; readonly gid: number }
  readonly env?: NodeJS.ProcessEnv
  /** A folder with the program's bundle in `program`, and beside it what it needs, instead of this checkout. */
  readonly installed?: string
  readonly programs?: string
  /** What stands before the command. */
  readonly before?: readonly string[]
}

/** Starts a program that opens the folder. @throws Error with what it said when it could not */
export const userOf = async (folder: string, options: UserOptions = {}): Promise<User> => {
  const [command, ...args] = [
    ...(options.before ?? []),
    process.execPath,
    options.installed === undefined
      ? await bundledProgram("private-server-user.ts")
      : join(options.installed, "program/main.cjs"),
    folder,
    options.programs ?? "",
  ]
  const place = options.installed === undefined ? {} : { PRESENTLY_TEST_CHECKOUT: options.installed }
  const child = ofTests(
    spawn(command!, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      cwd: "/",
      env: { ...process.env, NODE_COMPILE_CACHE: "", ...place, ...options.env },
      ...options.account,
    }),
    "group",
  )
  let said = ""
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
  let buffered = ""
  const waiting: ((line: string | null) => void)[] = []
  const lines: string[] = []
  child.stdout.on("data", (chunk: Buffer) => {
    buffered += chunk.toString()
    for (let end = buffered.indexOf("\n"); end >= 0; end = buffered.indexOf("\n")) {
      const line = buffered.slice(0, end)
      buffered = buffered.slice(end + 1)
      const next = waiting.shift()
      if (next === undefined) lines.push(line)
      else next(line)
    }
  })
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      resolve()
      for (const next of waiting.splice(0)) next(null)
    })
  })
  const line = (): Promise<string | null> => {
    const known = lines.shift()
    if (known !== undefined) return Promise.resolve(known)
    return child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve(null)
      : new Promise((resolve) => void waiting.push(resolve))
  }
  if ((await line()) !== "ready") {
    await ended
    throw new Error(said.trim())
  }
  return {
    process: child,
    ask: async (statement) => {
      child.stdin.write(`${JSON.stringify(statement)}\n`)
      const answer = await line()
      return answer === null ? null : JSON.parse(answer)
    },
    stop: async () => {
      child.stdin.end()
      await ended
    },
    kill: async (signal = "SIGKILL") => {
      child.kill(signal)
      await ended
    },
  }
}

/** What a statement answers; a pool may have failures to hand out first, of a time when the server was away. */
export const rowsAgain = (user: User, statement = "SELECT n FROM kept") =>
  holds("the database answers again", async () => {
    const answer = await user.ask(statement)
    return Array.isArray(answer) ? (answer as readonly { n: number }[]) : null
  })

/** Processes of the server of a folder, and its guards. */
export const processesOf = (
  folder: string,
): readonly { readonly pid: number; readonly kind: "guard" | "server" }[] => {
  const data = existsSync(folder) ? join(realpathSync(folder), "postgres") : folder
  const run = join(data, "..", "run")
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): { pid: number; kind: "guard" | "server" }[] => {
      try {
        const pid = Number(name)
        if (readlinkSync(`/proc/${name}/cwd`) === data) return [{ pid, kind: "server" }]
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8")
        if (!command.includes("presently-guard")) return []
        const isOurs =
          command.includes(`${data}\0`) ||
          readdirSync(`/proc/${name}/fd`).some((fd) => {
            try {
              return [data, run].includes(readlinkSync(`/proc/${name}/fd/${fd}`))
            } catch {
              return false
            }
          })
        return isOurs ? [{ pid, kind: "guard" }] : []
      } catch {
        return []
      }
    })
}

/** The postmaster; null: none has been started. */
export const postmasterOf = (folder: string): number | null => {
  try {
    return Number(readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n")[0])
  } catch {
    return null
  }
}
