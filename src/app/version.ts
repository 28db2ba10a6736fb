/**
 * The version in package.json; `src/app` and `dist/app` are equally deep in the package.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
  readonly version: string
}

export const version: string = manifest.version
