/**
 * Runs a program as people run it: without what `npm test` says of the package that it runs in.
 */
import { execFile, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { compileCache } from "./compile-cache.ts"
import { ofTests } from "./reaper.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Without the variables that `npm test` sets for the package in which it runs. */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_(?!config_)|npm_config_local_prefix$|PRESENTLY_|NODE_OPTIONS$)/.test(name),
    ),
  ),
  ...compileCache,
})

export const execute = (cwd: string, command: string, args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      { cwd, env: environment(), maxBuffer: 1e8 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null
        resolve({
          code,
          stdout,
          stderr: error === null || code !== null ? stderr : `${error.message}\n${stderr}`,
        })
      },
    )
    ofTests(child)
  })

export interface Started {
  readonly process: ChildProcess
  /** Everything on standard output and standard error so far. */
  readonly said: () => string
}

/** Starts a program that does not end by itself. */
export const start = (cwd: string, command: string, args: readonly string[]): Started => {
  const child = ofTests(spawn(command, args, { cwd, env: environment(), stdio: ["ignore", "pipe", "pipe"] }))
  let said = ""
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text))
  return { process: child, said: () => said }
}
