/**
 * Whatever tests start ends with them, even if they are killed: processes, database servers, temporary folders.
 *
 * A separate process receives a list through a pipe. The pipe closes when the process or thread that runs the tests
 * ends, for whatever reason; then everything on the list that still exists is killed and removed.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { join } from "node:path"
import { beginningOf } from "./reap.ts"
import type { Charge } from "./reap.ts"

let reaper: ChildProcess | null = null
let charges = 0

const tell = (line: object): void => {
  if (reaper === null) {
    reaper = spawn(process.execPath, [join(import.meta.dirname, "reap.ts")], {
      stdio: ["pipe", "ignore", "ignore"],
      // an interrupt from the keyboard goes to the whole process group
      detached: true,
    })
    reaper.stdin!.on("error", () => {})
    reaper.unref()
    const pipe = reaper.stdin as unknown as { readonly unref: () => void }
    pipe.unref()
  }
  reaper.stdin!.write(`${JSON.stringify(line)}\n`)
}

/**
 * Registers something to be stopped when the tests end.
 *
 * @returns to be called when it has ended already
 */
export const endWithTests = (charge: Charge): (() => void) => {
  const id = ++charges
  const began = charge.kind === "process" || charge.kind === "group" ? beginningOf(charge.pid) : null
  tell({ id, began, ...charge })
  return () => tell({ id, kind: "done" })
}

/** Registers a process to be stopped when the tests end. */
export const ofTests = <P extends ChildProcess>(started: P, kind: "process" | "group" = "process"): P => {
  if (started.pid === undefined) return started
  const isOver = endWithTests({ kind, pid: started.pid })
  started.once("exit", isOver)
  return started
}
