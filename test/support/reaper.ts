/**
 * What tests start ends with them, also when they are killed: processes, database servers, temporary folders.
 *
 * A process of its own hears on a pipe what there is. The pipe ends with the process, or thread, that runs the tests,
 * whatever ended that: then everything is killed and removed that is still there.
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
      // an interrupt from the keyboard is for the whole group of processes
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
 * Has something ended when the tests end.
 *
 * @returns to be called when it has ended already
 */
export const endWithTests = (charge: Charge): (() => void) => {
  const id = ++charges
  const began = charge.kind === "process" || charge.kind === "group" ? beginningOf(charge.pid) : null
  tell({ id, began, ...charge })
  return () => tell({ id, kind: "done" })
}

/** Has a process end with the tests. */
export const ofTests = <P extends ChildProcess>(started: P, kind: "process" | "group" = "process"): P => {
  if (started.pid === undefined) return started
  const isOver = endWithTests({ kind, pid: started.pid })
  started.once("exit", isOver)
  return started
}
