/**
 * The command as tests start it: all of `src/app/main.ts` with what it imports, bundled into a few files.
 *
 * A start from the sources loads some 900 modules and takes their types away; tests start the command hundreds of times, and
 * from the bundle a start costs a third. It is made when the first test asks for it and whenever a source has changed.
 * What ships is tested by `package.e2e.test.ts`, `npm start` from the sources by `npm-start.e2e.test.ts`.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"

const checkout = join(import.meta.dirname, "../..")
const kept = join(checkout, "node_modules/.cache/presently-command")

/** The path of the bundle's entry. The first call of all may take ten seconds. */
export const commandFile = (): string => {
  const folder = join(kept, fingerprint())
  const file = join(folder, "main.js")
  if (!existsSync(file)) {
    execFileSync(process.execPath, [import.meta.filename, folder], { stdio: ["ignore", "ignore", "inherit"] })
  }
  return file
}

/** Changes with every source and every installed package. */
const fingerprint = (): string => {
  const hash = createHash("sha256")
  const add = (path: string): void => {
    const { mtimeMs, size } = statSync(path)
    hash.update(`${path} ${mtimeMs} ${size}\n`)
  }
  for (const entry of readdirSync(join(checkout, "src"), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) add(join(entry.parentPath, entry.name))
  }
  for (const file of ["package-lock.json", "package.json", "test/support/command-file.ts"])
    add(join(checkout, file))
  return hash.digest("hex").slice(0, 16)
}

/** Bundles into the folder; whoever else does so at the same time does no harm. */
const bundleInto = async (folder: string): Promise<void> => {
  const own = `${folder}.${process.pid}`
  mkdirSync(own, { recursive: true })
  const bundle = await rolldown({
    input: { main: join(checkout, "src/app/main.ts") },
    platform: "node",
    // looks for its own files beside itself
    external: /^@electric-sql\//,
    onLog: () => {},
    plugins: [
      {
        name: "places of sources",
        transform: (code, id) =>
          id.startsWith(join(checkout, "src"))
            ? code.replaceAll("import.meta.dirname", JSON.stringify(join(id, "..")))
            : null,
      },
    ],
  })
  await bundle.write({ dir: own, format: "esm", chunkFileNames: "[name]-[hash].js" })
  for (const old of existsSync(kept) ? readdirSync(kept) : []) {
    const path = join(kept, old)
    if (!old.includes(".") && path !== folder && Date.now() - statSync(path).mtimeMs > 86_400_000) {
      rmSync(path, { recursive: true, force: true })
    }
  }
  try {
    renameSync(own, folder)
  } catch {
    // somebody was faster
    rmSync(own, { recursive: true, force: true })
  }
}

const [folder] = process.argv.slice(2)
if (import.meta.main && folder !== undefined) await bundleInto(folder)
