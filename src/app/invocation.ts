/**
 * How this command can be run again from the user's shell, for messages that say what to type.
 */
import { existsSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { shellWord } from "./shell-word.ts"

/**
 * @param script the path of the program, as Node was given it
 * @param env of this process
 */
export const invocationOf = (script: string, env: NodeJS.ProcessEnv): string => {
  // set by npm and npx, which find the command where it is not on the user's own path
  if (env["npm_command"] !== undefined || isCheckout(script)) return "npx presently"
  const folders = (env["PATH"] ?? "").split(delimiter)
  return folders.includes(dirname(script)) ? "presently" : shellWord(script)
}

const isCheckout = (script: string): boolean => existsSync(join(dirname(script), "../src/app/main.ts"))

export const invocation = (): string => invocationOf(process.argv[1] ?? "", process.env)
