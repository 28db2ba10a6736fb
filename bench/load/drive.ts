/**
 * Runs `driver.ts` in a process of its own, so that the work of the phones is not taken for the server's.
 */
import { fork } from "node:child_process"
import { join } from "node:path"
import type { Figures } from "./driver.ts"

/**
 * @param run sets apart users of several workloads on one server
 * @param pids processes whose processor time is counted, with that of their children, separated by commas
 */
export const drive = (
  port: number,
  workload: string,
  run: string,
  seconds: string,
  pids: string,
): Promise<Figures[]> =>
  new Promise((resolve, reject) => {
    const driver = fork(join(import.meta.dirname, "driver.ts"), [`${port}`, workload, run, seconds, pids], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    })
    let said = ""
    driver.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk
    })
    driver.once("close", (code) => {
      if (code !== 0) return reject(new Error(`the driver of ${workload} failed`))
      const lines = said.trim().split("\n")
      resolve(lines.map((line) => JSON.parse(line) as Figures))
    })
  })
