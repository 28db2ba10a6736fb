// Where V8 keeps compiled code between starts. What is read from there is run: so never a folder that others may write,
// such as the default one in /tmp.
const { lstatSync, mkdirSync } = require("node:fs")
const { enableCompileCache } = require("node:module")
const { delimiter, join } = require("node:path")

const isOurs = (folder) => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { uid, mode } = lstatSync(folder)
    return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
  } catch {
    return false
  }
}

/**
 * NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE go before all others. CACHE_DIRECTORY is what systemd gives a unit
 * with CacheDirectory=.
 *
 * @param beside a folder that may hold it; null: there is none
 */
exports.enableCompileCache = (beside) => {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE, ...env } = process.env
  if (NODE_COMPILE_CACHE || NODE_DISABLE_COMPILE_CACHE) return
  const home = env.XDG_CACHE_HOME || env.LOCALAPPDATA || (env.HOME && join(env.HOME, ".cache"))
  const folders = [
    beside && join(beside, "compiled"),
    env.CACHE_DIRECTORY && join(env.CACHE_DIRECTORY.split(delimiter)[0], "compiled"),
    home && join(home, "presently"),
  ]
  const folder = folders.find((path) => path && isOurs(path))
  if (folder !== undefined) enableCompileCache(folder)
}
