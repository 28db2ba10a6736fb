// The bundle of a checkout: made by `npm ci`, and on use whenever a source has changed, so that there is no step of building
// to forget. Installed packages have theirs in dist.
const { execFileSync } = require("node:child_process")
const { createHash } = require("node:crypto")
const { existsSync, mkdirSync, readdirSync, rmSync, statSync } = require("node:fs")
const { join } = require("node:path")

const checkout = join(__dirname, "..")
const kept = join(checkout, "node_modules/.cache/presently-command")
const read = ["src", "build", "package.json", "package-lock.json"]

/** Changes with every source and every installed package. */
const fingerprint = () => {
  const hash = createHash("sha256")
  const add = (path) => {
    const { mtimeMs, size } = statSync(path)
    hash.update(`${path} ${mtimeMs} ${size}\n`)
  }
  const addAll = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) addAll(path)
      else add(path)
    }
  }
  for (const name of read) {
    const path = join(checkout, name)
    if (statSync(path).isDirectory()) addAll(path)
    else add(path)
  }
  return hash.digest("hex").slice(0, 16)
}

const dayMillis = 86_400_000

/** Old bundles but for the newest few: a server that runs for months may still load parts of one. */
const removeOld = () => {
  const bundles = readdirSync(kept).map((name) => {
    const path = join(kept, name)
    // gone meanwhile: another process has moved its own to its place
    return { path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now() }
  })
  for (const { path, at } of bundles.sort((a, b) => b.at - a.at).slice(4)) {
    if (Date.now() - at > dayMillis) rmSync(path, { recursive: true, force: true })
  }
}

/** Null: it cannot be made here, because development dependencies are missing or nothing may be written; run the sources then. */
exports.bundleFolder = () => {
  try {
    const folder = join(kept, fingerprint())
    // a cleaner of caches may leave the folder
    if (existsSync(join(folder, "main.cjs"))) return folder
    // without development dependencies there is nothing to make it with
    if (!existsSync(join(checkout, "node_modules/rolldown"))) return null
    mkdirSync(kept, { recursive: true })
    execFileSync(process.execPath, [join(checkout, "build/bundle.ts"), folder], { stdio: "ignore" })
    removeOld()
    return folder
  } catch {
    return null
  }
}

// `npm ci` runs this file. Where no bundle can be made it is no failure: the sources run.
if (require.main === module) exports.bundleFolder()
