/**
 * The command as tests start it: `bin/presently.js`, which runs a bundle of the sources, as the package's does.
 *
 * From the bundle a start costs a third of what it costs from some 900 modules whose types have to be taken away, and tests
 * start the command hundreds of times. What ships is tested by `package.e2e.test.ts`.
 */
import { execFileSync } from "node:child_process"
import { join } from "node:path"

const command = join(import.meta.dirname, "../../bin/presently.js")
let isMade = false

/** The path of the command. The first call of all makes the bundle, which may take ten seconds. */
export const commandFile = (): string => {
  if (!isMade) execFileSync(process.execPath, [command, "--version"], { stdio: "ignore" })
  isMade = true
  return command
}
