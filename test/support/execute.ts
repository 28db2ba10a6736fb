/**
 * Runs a program as people run it: without what `npm test` says of the package that it runs in.
 */
import { execFile } from "node:child_process"
import { compileCache } from "./compile-cache.ts"
import { ofTests } from "./reaper.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export const execute = (cwd: string, command: string, args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    // without the variables that `npm test` sets for the package in which it runs
    const env = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^(?:npm_(?!config_)|npm_config_local_prefix$|PRESENTLY_|NODE_OPTIONS$)/.test(name),
      ),
    )
    const child = execFile(
      command,
      args,
      { cwd, env: { ...env, ...compileCache }, maxBuffer: 1e8 },
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
