/**
 * The licences of packages whose code is in a bundle, which has to carry them.
 */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"

/** The folder of the package that a module belongs to; null: it is our own. */
const packageFolder = (module: string): string | null =>
  /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(module)?.[1] ?? null

/**
 * @param modules paths
 * @throws Error when a package has neither text nor name of a licence
 */
export const licencesOf = (modules: readonly string[]): string => {
  const folders = new Set(modules.map(packageFolder).filter((folder) => folder !== null))
  const entries = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      readonly name: string
      readonly version: string
      readonly license?: string
    }
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
    if (file === undefined && license === undefined) throw new Error(`${name} names no licence`)
    const text = file === undefined ? `${license}\n` : readFileSync(join(folder, file), "utf8")
    return `${name} ${version}\n\n${text.trim()}\n`
  })
  return entries.join(`\n${"-".repeat(80)}\n\n`)
}
