/**
 * What many tests need and takes long to make: it is made once for all of them, in whatever thread or process they run, kept under
 * `node_modules/.cache`, and made again only when what it is made of has changed.
 */
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { holds } from "./condition.ts"

export const checkout = join(import.meta.dirname, "../..")
const cache = join(checkout, "node_modules/.cache")
const dayMillis = 86_400_000

/** Changes with each of these files and folders of the checkout. */
export const fingerprint = (names: readonly string[]): string => {
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

const removeOld = (kept: string): void => {
  for (const old of readdirSync(kept)) {
    const path = join(kept, old)
    // another process may have removed it
    const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
    if (Date.now() - at > dayMillis) rmSync(path, { recursive: true, force: true })
  }
}

/**
 * @param kind names a folder below the cache
 * @param key what it is made of: another key is another thing
 * @param make makes it, in a folder that does not exist yet
 * @returns its path; it must be left as it is
 */
export const madeOnce = async (
  kind: string,
  key: string,
  make: (folder: string) => Promise<void> | void,
): Promise<string> => {
  const kept = join(cache, kind)
  const folder = join(kept, key)
  const lock = `${folder}.lock`
  mkdirSync(kept, { recursive: true })
  await holds(`there is ${kind}`, async () => {
    if (existsSync(folder)) return true
    if (!takes(lock)) return false
    try {
      if (existsSync(folder)) return true
      removeOld(kept)
      // of one who was killed meanwhile
      const unfinished = `${folder}.unfinished`
      rmSync(unfinished, { recursive: true, force: true })
      await make(unfinished)
      renameSync(unfinished, folder)
      return true
    } finally {
      rmSync(lock, { force: true })
    }
  })
  return folder
}
