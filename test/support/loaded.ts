/**
 * Runs the tests several times on a busy machine:
 *
 *     npm run test:loaded -- --load 4 --runs 5 [arguments of vitest]
 *
 * `--load` is the number of processes that only compute, beside the tests. Reports for each run whether it passed and
 * how long it took, with the output of a failed run; exits with 1 if one failed.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { ofTests } from "./reaper.ts"

interface Ran {
  readonly code: number | null
  readonly output: string
}

const runOnce = (args: readonly string[]): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const vitest = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs")
    const child = ofTests(
      spawn(process.execPath, [vitest, "run", "--reporter=dot", ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, NO_COLOR: "1" },
      }),
    )
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, output }))
  })

/** Starts processes that compute until they are stopped, or this process ends. */
export const startLoad = (count: number): (() => void) => {
  const busy = Array.from({ length: count }, () =>
    ofTests(spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" })),
  )
  return () => {
    for (const child of busy) child.kill("SIGKILL")
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    options: { load: { type: "string", default: "4" }, runs: { type: "string", default: "5" } },
    allowPositionals: true,
  })
  const [load, runs] = [Number(values.load), Number(values.runs)]
  if (!Number.isInteger(load) || load < 0)
    throw new Error(`--load ${values.load}: expected a number of processes`)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: expected a number of runs`)
  const stop = startLoad(load)
  let failed = 0
  try {
    for (let run = 1; run <= runs; run++) {
      const began = Date.now()
      const { code, output } = await runOnce(positionals)
      const minutes = ((Date.now() - began) / 60_000).toFixed(1)
      const summary =
        output
          .match(/^ *(?:Tests|Test Files) .*$/gm)
          ?.map((line) => line.trim())
          .join(", ") ?? ""
      console.log(
        `run ${run} of ${runs}, load ${load}: ${code === 0 ? "passed" : "FAILED"} in ${minutes} min; ${summary}`,
      )
      if (code === 0) continue
      failed++
      console.log(output)
    }
  } finally {
    stop()
  }
  process.exitCode = failed === 0 ? 0 : 1
}
