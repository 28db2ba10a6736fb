/**
 * A server to be measured: `presently serve` of some checkout in a process of its own, open to everybody, without pacing.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

export interface MeasuredServer {
  readonly port: number
  readonly pid: number
  /** Milliseconds from the start of the process to `ready`. */
  readonly readyAfter: number
  readonly stop: () => Promise<void>
}

const logFlags = (log: string | { readonly data: string } | null): readonly string[] => {
  if (log === null) return ["--memory"]
  return typeof log === "string" ? ["--database-url", log] : ["--data", log.data]
}

/**
 * @param folder the checkout
 * @param log where its log is: the URL of a database, or a data folder; null: in memory
 */
export const startServer = async (
  folder: string,
  log: string | { readonly data: string } | null,
  flags: readonly string[] = [],
): Promise<MeasuredServer> => {
  const start = performance.now()
  const built = join(folder, "bin/presently.js")
  const child = spawn(
    process.execPath,
    [
      existsSync(built) ? built : join(folder, "src/app/main.ts"),
      "serve",
      ...logFlags(log),
      "--insecure-no-auth",
      "--listen",
      "udp:127.0.0.1:0",
      "--admin",
      "off",
      "--set",
      "notify_min_interval=0",
      "--set",
      "notify_targets=127.0.0.1",
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  const port = await new Promise<number>((resolve, reject) => {
    let said = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk
      const listening = /udp:127\.0\.0\.1:(\d+)/.exec(said)
      if (listening !== null && /ready in/.test(said)) resolve(Number(listening[1]))
    })
    child.once("exit", () => {
      reject(new Error(`the server of ${folder} did not start: ${said}`))
    })
  })
  return {
    port,
    pid: child.pid!,
    readyAfter: performance.now() - start,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGTERM")
      await ended
    },
  }
}
