/**
 * The command line as its users have it: a process, its output, its exit code.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { format } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit } from "effect"
import { CliError, Command } from "effect/cli"
import type { TestContext } from "vitest"
import { exitCodeOf, lineOf } from "../../../src/app/cli/exit.ts"
import { commandFile } from "../../support/command-file.ts"
import { compileCache } from "../../support/compile-cache.ts"
import { patienceMillis } from "../../support/condition.ts"
import { ofTests } from "../../support/reaper.ts"

const bundle = commandFile()

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number | undefined
  /** Everything said so far. */
  readonly stdout: () => string
  /** Waits until standard output holds it; fails when the process ends without. */
  readonly says: (text: string | RegExp) => Promise<string>
  /** Closes our end of its standard output. */
  readonly stopReading: () => void
  readonly signal: (name: "SIGTERM" | "SIGINT" | "SIGKILL") => void
  readonly ended: Promise<Ended>
}

export interface RunOptions {
  readonly input?: string
  /** The file that is run; absent: the bundle of the command (`support/command-file.ts`). */
  readonly main?: string
  readonly env?: Readonly<Record<string, string>>
  /** The working folder; absent: that of the tests. */
  readonly cwd?: string
}

/** Processes share few cores: a test may wait long for its turn. */
export const patient = { timeout: 2 * patienceMillis }

/** Starts `presently` with these arguments in an environment without settings. */
export const start = (
  args: readonly string[],
  { input = "", main = bundle, env = {}, cwd }: RunOptions = {},
): Running => {
  const clean = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("PRESENTLY_") && name !== "DATABASE_URL" && name !== "NODE_OPTIONS",
  )
  const child = ofTests(
    spawn(process.execPath, [main, ...args], {
      env: { ...Object.fromEntries(clean), ...compileCache, PRESENTLY_WRITER_LEASE: "30", ...env },
      stdio: "pipe",
      ...(cwd === undefined ? {} : { cwd }),
    }),
  )
  let stdout = ""
  let stderr = ""
  let isOver = false
  let wake = (): void => {}
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    wake()
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  child.stdin.on("error", () => {})
  child.stdin.end(input)
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => {
      isOver = true
      wake()
      resolve({ code, stdout, stderr })
    })
  })
  const has = (text: string | RegExp): boolean =>
    typeof text === "string" ? stdout.includes(text) : text.test(stdout)
  return {
    pid: child.pid,
    stdout: () => stdout,
    says: async (text) => {
      const until = performance.now() + patienceMillis
      while (!has(text)) {
        const left = until - performance.now()
        if (isOver || left <= 0) throw new Error(`never said ${text}; said:\n${stdout}\n${stderr}`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return stdout
    },
    stopReading: () => void child.stdout.destroy(),
    signal: (name) => child.kill(name),
    ended,
  }
}

export const run = (args: readonly string[], options?: RunOptions): Promise<Ended> =>
  start(args, options).ended

/**
 * Runs `presently` with these arguments in this process: what it prints and how it ends, at a tenth of what a process costs.
 * For commands that end by themselves and take nothing from standard input; what is said of processes needs `run`.
 */
export const runHere = async (args: readonly string[]): Promise<Ended> => {
  const { presently } = await import("../../../src/app/cli/commands.ts")
  const { version } = await import("../../../src/app/version.ts")
  const said = { stdout: "", stderr: "" }
  const printing =
    (to: keyof typeof said) =>
    (...parts: readonly unknown[]): void => {
      said[to] += `${format(...parts)}\n`
    }
  const [out, err] = [printing("stdout"), printing("stderr")]
  const console = Object.assign(Object.create(globalThis.console) as Console.Console, {
    log: out,
    info: out,
    debug: out,
    error: err,
    warn: err,
  })
  const exit = await Effect.runPromiseExit(
    Command.runWith(presently, { version })(args).pipe(
      Effect.provideService(Console.Console, console),
      Effect.provide(NodeServices.layer),
    ),
  )
  if (Exit.isSuccess(exit)) return { code: 0, ...said }
  const error = Cause.squash(exit.cause)
  if (!Cause.hasInterruptsOnly(exit.cause) && !CliError.isCliError(error)) err(lineOf(error))
  return { code: exitCodeOf(exit.cause), ...said }
}

export interface DevServer {
  /** `127.0.0.1:40123`, for `--to`. */
  readonly to: string
  readonly process: Running
  readonly stop: () => Promise<Ended>
}

/** `presently dev --memory` on free ports, ready. */
export const startDev = async (args: readonly string[] = []): Promise<DevServer> => {
  const listen = ["--listen", "udp:127.0.0.1:0", "--listen", "tcp:127.0.0.1:0", "--admin", "off"]
  const dev = start(["dev", "--memory", ...listen, ...args])
  const said = await dev.says(/ready in [\d.]+ s\n/)
  return {
    to: /udp:(127\.0\.0\.1:\d+)/.exec(said)?.[1] ?? "",
    process: dev,
    stop: () => {
      dev.signal("SIGTERM")
      return dev.ended
    },
  }
}

/** `presently serve --memory` on free ports, ready, and its management port. */
export const startMemory = async (
  args: readonly string[] = [],
): Promise<{ readonly server: Running; readonly admin: string }> => {
  const listen = ["--listen", "udp:127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "log=json"]
  const server = start(["serve", "--memory", ...listen, ...args])
  const said = await server.says(/ready in \d/)
  return { server, admin: /http:\/\/(127\.0\.0\.1:\d+)/.exec(said)?.[1] ?? "" }
}

/** A file that is gone after the test. */
export const fileOf = ({ onTestFinished }: TestContext, name: string, text: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-cli-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}
