/**
 * What `npm run build` makes, once for all tests that need it, and again only when something has changed.
 *
 * It is built in a folder that has no more than what the Dockerfile gives to its stage `build`: other tests run in the
 * checkout, and a file that is missing there is missing here.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { readCopy, readDockerfile } from "./dockerfile.ts"
import { execute } from "./execute.ts"
import { checkout, fingerprint, madeOnce } from "./made-once.ts"

/** Names of files and folders that the image is built from. */
const builtFrom = (): readonly string[] =>
  readDockerfile(readFileSync(join(checkout, "Dockerfile"), "utf8"))
    .filter(({ name }) => name === "build")
    .flatMap(({ instructions }) => instructions)
    .filter(({ name }) => name === "COPY")
    .flatMap(({ text }) => readCopy(text).sources)

/** In a temporary folder, because Node takes no types away from files in `node_modules`. */
const build = async (names: readonly string[], folder: string): Promise<void> => {
  const own = mkdtempSync(join(tmpdir(), "presently-build-"))
  try {
    for (const name of names) cpSync(join(checkout, name), join(own, basename(name)), { recursive: true })
    symlinkSync(join(checkout, "node_modules"), join(own, "node_modules"), "dir")
    // left behind by an older build
    mkdirSync(join(own, "dist"))
    writeFileSync(join(own, "dist/stale.js"), "")
    const { code, stdout, stderr } = await execute(own, "npm", ["run", "build"])
    if (code !== 0) throw new Error(`npm run build ended with ${code}:\n${stdout}\n${stderr}`)
    cpSync(join(own, "dist"), folder, { recursive: true })
  } finally {
    rmSync(own, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @returns the path of `dist`, which must be left as it is */
export const builtPackage = (): Promise<string> => {
  const names = builtFrom()
  return madeOnce("presently-package", fingerprint(names), (folder) => build(names, folder))
}
