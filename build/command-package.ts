/**
 * Packs the command alone: `node build/command-package.ts [FOLDER]` writes `presently-command-VERSION.tgz` there.
 *
 * The package `presently` is a library as well, and brings what that needs. All of it that the command needs is in its
 * bundle, so that this package depends on what a bundle cannot hold: programs and files that are looked up in a folder.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { isBundled } from "./outside.ts"

type Names = Readonly<Record<string, unknown>>

interface Manifest {
  readonly version: string
  readonly dependencies: Names
  readonly optionalDependencies?: Names
  readonly peerDependencies: Names
  readonly peerDependenciesMeta: Names
}

const checkout = join(import.meta.dirname, "..")
const files = ["bin", "dist/command", "dist/man", "migrations"]
const documents = ["README.md", "LICENSE", "CHANGELOG.md"]

const notBundled = (names: Names = {}): Names =>
  Object.fromEntries(Object.entries(names).filter(([name]) => !isBundled(name)))

/** Of the package's manifest, what holds for the command. */
const manifestOf = (all: Manifest & Names): Names => {
  const { version, license, engines, bin, man } = all
  return {
    name: "presently-command",
    version,
    description: "SIP presence server with an auditable history: the command alone",
    license,
    bin,
    man,
    files: [...files, "!bin/checkout-bundle.js", "CHANGELOG.md"],
    engines,
    dependencies: notBundled(all.dependencies),
    optionalDependencies: notBundled(all.optionalDependencies),
    peerDependencies: notBundled(all.peerDependencies),
    peerDependenciesMeta: notBundled(all.peerDependenciesMeta),
  }
}

export const packCommand = (folder: string): void => {
  const stage = mkdtempSync(join(tmpdir(), "presently-command-"))
  try {
    for (const name of [...files, ...documents]) {
      cpSync(join(checkout, name), join(stage, name), { recursive: true })
    }
    const manifest = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as Manifest & Names
    writeFileSync(join(stage, "package.json"), JSON.stringify(manifestOf(manifest), null, 2))
    execFileSync("npm", ["pack", "--pack-destination", folder], { cwd: stage, stdio: "inherit" })
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

if (import.meta.main) packCommand(resolve(process.argv[2] ?? "."))
