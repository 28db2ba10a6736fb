/**
 * Builds what the package ships into `dist`: the modules of the library with their types, the bundle of the command, and
 * its man pages.
 */
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { makeBundle } from "./bundle.ts"
import { writeManPages } from "./man.ts"

const checkout = join(import.meta.dirname, "..")
const dist = join(checkout, "dist")

rmSync(dist, { recursive: true, force: true })
execFileSync(join(checkout, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], {
  cwd: checkout,
  stdio: "inherit",
})
await makeBundle(join(dist, "command"))
await writeManPages(join(dist, "man"))
