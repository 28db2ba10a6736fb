/**
 * What `npm run build` makes, once for all tests that need it, and again only when something has changed.
 *
 * It is built in a folder that has no more than what the Dockerfile gives to its stage `build`: other tests run in the
 * checkout, and a file that is missing there is missing here.
 */
import { createHash } from "node:crypto"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { holds } from "./condition.ts"
import { readCopy, readDockerfile } from "./dockerfile.ts"
import { execute } from "./execute.ts"

const checkout = join(import.meta.dirname, "../..")
const kept = join(checkout, "node_modules/.cache/presently-package")

/** Names of files and folders that the image is built from. */
const builtFrom = (): readonly string[] =>
  readDockerfile(readFileSync(join(checkout, "Dockerfile"), "utf8"))
    .filter(({ name }) => name === "build")
    .flatMap(({ instructions }) => instructions)
    .filter(({ name }) => name === "COPY")
    .flatMap(({ text }) => readCopy(text).sources)

const fingerprint = (names: readonly string[]): string => {
  const hash = createHash("sha256")
  const add = (path: string): void => {
    const stat = statSync(path)
    if (stat.isDirectory()) for (const name of readdirSync(path)) add(join(path, name))
    else hash.update(`${path} ${stat.mtimeMs} ${stat.size}\n`)
  }
  for (const name of names) add(join(checkout, name))
  return hash.digest("hex").slice(0, 16)
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Left behind by a run that was killed. */
const isGivenUp = (lock: string): boolean => {
  try {
    return !isAlive(Number(readFileSync(lock, "utf8")))
  } catch {
    return false
  }
}

/** Whether it is this caller that has to do it; another one may be doing it, in this process or in another. */
const takes = (lock: string): boolean => {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" })
    return true
  } catch {
    if (isGivenUp(lock)) rmSync(lock, { force: true })
    return false
  }
}

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
    for (const old of readdirSync(kept)) {
      const path = join(kept, old)
      if (Date.now() - statSync(path).mtimeMs > 86_400_000) rmSync(path, { recursive: true, force: true })
    }
    cpSync(join(own, "dist"), `${folder}.copy`, { recursive: true })
    renameSync(`${folder}.copy`, folder)
  } finally {
    rmSync(own, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @returns the path of `dist`, which must be left as it is */
export const builtPackage = async (): Promise<string> => {
  const names = builtFrom()
  const folder = join(kept, fingerprint(names))
  const lock = `${folder}.lock`
  mkdirSync(kept, { recursive: true })
  await holds("the package is built", async () => {
    if (existsSync(folder)) return true
    if (!takes(lock)) return false
    try {
      if (!existsSync(folder)) await build(names, folder)
      return true
    } finally {
      rmSync(lock, { force: true })
    }
  })
  return folder
}
