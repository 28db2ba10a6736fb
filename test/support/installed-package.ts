/**
 * The package as users get it: packed from a copy of this checkout, and installed into an empty project.
 */
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compileCache } from "./compile-cache.ts"
import { ofTests } from "./reaper.ts"

const checkout = join(import.meta.dirname, "../..")

/** Everything that packing reads; built in a copy, because other tests run in the checkout. */
const packed = [
  "package.json",
  "build",
  "tsconfig.json",
  "tsconfig.build.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "bin",
  "src",
  "migrations",
]

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface InstalledPackage {
  readonly tarball: string
  /** Paths in the tarball. */
  readonly files: readonly string[]
  readonly unpackedBytes: number
  /** The project that depends on it, with the files of `test/consumer`, and `examples` in a folder. */
  readonly project: string
  /** Runs a program in the project. */
  readonly run: (command: string, ...args: readonly string[]) => Promise<Ended>
  readonly remove: () => void
}

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
    symlinkSync(join(checkout, "node_modules"), join(copy, "node_modules"), "dir")
    // left behind by an older build
    mkdirSync(join(copy, "dist"))
    writeFileSync(join(copy, "dist/stale.js"), "")
    const report = await npm(copy, "pack", "--json", "--pack-destination", folder)
    const { filename, unpackedSize, files } = reportOf(report)
    const tarball = join(folder, filename)
    cpSync(join(checkout, "test/consumer"), project, { recursive: true })
    cpSync(join(checkout, "examples"), join(project, "examples"), { recursive: true })
    writeFileSync(join(project, "package.json"), `{ "name": "consumer", "private": true, "type": "module" }`)
    await npm(project, "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", tarball)
    return {
      tarball,
      files: files.map(({ path }) => path),
      unpackedBytes: unpackedSize,
      project,
      run: (command, ...args) => execute(project, command, args),
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

const npm = async (folder: string, ...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await execute(folder, "npm", args)
  if (code !== 0) throw new Error(`npm ${args[0]} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout
}

const execute = (cwd: string, command: string, args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    // without the variables that `npm test` sets for the package in which it runs
    const env = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^(?:npm_(?!config_)|npm_config_local_prefix$|PRESENTLY_|NODE_OPTIONS$)/.test(name),
      ),
    )
    const child = execFile(
      command,
      args,
      { cwd, env: { ...env, ...compileCache }, maxBuffer: 1e8 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null
        resolve({
          code,
          stdout,
          stderr: error === null || code !== null ? stderr : `${error.message}\n${stderr}`,
        })
      },
    )
    ofTests(child)
  })
