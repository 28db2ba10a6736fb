/**
 * Small programs of the system that a private server needs, and which a search path may lack.
 */
import { execFile, execFileSync } from "node:child_process"
import { promisify } from "node:util"

const execute = promisify(execFile)

/** A program is not there: no other folder or file helps. */
export class ToolMissing extends Error {
  constructor(command: string) {
    super(
      `the program ${command} is not in the search path (PATH = ${process.env["PATH"] ?? ""}): it is part of GNU coreutils and of BusyBox`,
    )
  }
}

type Tool = "cp" | "chmod" | "mkfifo"

/** Runs one to its end. @throws Error with one line: that it is missing, or what it says */
export const runTool = (command: Tool, args: readonly string[]): void => {
  try {
    // the folder that this process was started in may be gone
    execFileSync(command, args, { cwd: "/", stdio: ["ignore", "ignore", "pipe"] })
  } catch (cause) {
    throw faultOf(command, cause)
  }
}

/** The same for what may take long. @param signal ends it */
export const runLongTool = async (
  command: Tool,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> => {
  try {
    await execute(command, [...args], { cwd: "/", signal })
  } catch (cause) {
    throw faultOf(command, cause)
  }
}

const faultOf = (command: Tool, cause: unknown): unknown => {
  const { code, stderr } = cause as { readonly code?: unknown; readonly stderr?: Buffer | string | null }
  if (code === "ENOENT") return new ToolMissing(command)
  const [line = ""] = stderr?.toString().trim().split("\n") ?? []
  return line === "" ? cause : new Error(line, { cause })
}
