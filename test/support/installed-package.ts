/**
 * The package as users get it: packed from a build of this checkout, and installed into an empty project.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { builtPackage } from "./built-package.ts"
import { execute, start } from "./execute.ts"
import type { Ended, Started } from "./execute.ts"

const checkout = join(import.meta.dirname, "../..")

/** What is packed beside `dist`. */
const packed = ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "bin", "build", "migrations"]

export interface InstalledPackage {
  readonly tarball: string
  /** Paths in the tarball. */
  readonly files: readonly string[]
  readonly unpackedBytes: number
  /** The project that depends on it, with the files of `test/consumer`, and `examples` in a folder. */
  readonly project: string
  /** The text of one of the files. */
  readonly read: (file: string) => string
  /** Installs the package of the command alone, as `npm install --global` does; returns the prefix. */
  readonly installCommand: () => Promise<string>
  /** Runs a program in the project. */
  readonly run: (command: string, ...args: readonly string[]) => Promise<Ended>
  readonly start: (command: string, ...args: readonly string[]) => Started
  readonly remove: () => void
}

const quietly = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]

/** A program from our development dependencies. */
export const tool = (name: string): string => join(checkout, "node_modules/.bin", name)

/**
 * Takes some ten seconds, and needs the npm registry.
 *
 * @throws Error with the output of npm
 */
export const installPackage = async (): Promise<InstalledPackage> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-package-"))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  try {
    const [copy, project] = [join(folder, "checkout"), join(folder, "project")]
    for (const name of packed) cpSync(join(checkout, name), join(copy, name), { recursive: true })
    cpSync(await builtPackage(), join(copy, "dist"), { recursive: true })
    // built already
    const report = await npm(copy, "pack", "--ignore-scripts", "--json", "--pack-destination", folder)
    const { filename, unpackedSize, files } = reportOf(report)
    const tarball = join(folder, filename)
    cpSync(join(checkout, "test/consumer"), project, { recursive: true })
    cpSync(join(checkout, "examples"), join(project, "examples"), { recursive: true })
    writeFileSync(join(project, "package.json"), `{ "name": "consumer", "private": true, "type": "module" }`)
    // half of what npm would unpack; it needs nothing else, and npm checks that its version is the one asked for
    const effect = `file:${join(checkout, "node_modules/effect")}`
    await npm(project, "install", "--omit=optional", ...quietly, tarball, effect)
    return {
      tarball,
      files: files.map(({ path }) => path),
      unpackedBytes: unpackedSize,
      project,
      read: (file) => readFileSync(join(project, "node_modules/presently", file), "utf8"),
      installCommand: async () => {
        good(await execute(copy, process.execPath, ["build/command-package.ts", folder]))
        const prefix = join(folder, "prefix")
        const { version } = JSON.parse(readFileSync(join(copy, "package.json"), "utf8")) as {
          version: string
        }
        const packedCommand = join(folder, `presently-command-${version}.tgz`)
        await npm(
          folder,
          "install",
          "--global",
          "--prefix",
          prefix,
          // leaves out programs for this platform, as --omit=optional does where it is not global
          "--os=aix",
          ...quietly,
          packedCommand,
        )
        return prefix
      },
      run: (command, ...args) => execute(project, command, args),
      start: (command, ...args) => start(project, command, args),
      remove,
    }
  } catch (cause) {
    remove()
    throw cause
  }
}

interface Report {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Standard output also contains the output of the build, before the report. */
const reportOf = (stdout: string): Report => {
  const [report] = JSON.parse(stdout.slice(stdout.search(/^\[/m))) as readonly Report[]
  if (report === undefined) throw new Error(`npm pack reported nothing: ${stdout}`)
  return report
}

const npm = async (folder: string, ...args: readonly string[]): Promise<string> =>
  good(await execute(folder, "npm", args))

const good = ({ code, stdout, stderr }: Ended): string => {
  if (code !== 0) throw new Error(`ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout
}
