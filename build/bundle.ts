/**
 * Bundles the command, `src/app/main.ts` with all that it imports, into a folder: `node build/bundle.ts FOLDER`.
 *
 * One module for each part that is loaded on demand, so that a command loads only its own. CommonJS: an ES module that
 * imports `node:http` has every getter of it called, one of which loads a whole HTTP client.
 * Beside the code: the texts that are ready (`texts.ts`) and the licences of what is bundled.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { rolldown } from "rolldown"
import { licencesOf } from "./licences.ts"
import { isBundled } from "./outside.ts"

const checkout = join(import.meta.dirname, "..")
const sources = join(checkout, "src")

const bundleInto = async (folder: string, own: string): Promise<void> => {
  const bundle = await rolldown({
    input: { main: join(sources, "app/main.ts") },
    platform: "node",
    external: (name) => !isBundled(name),
    onLog: (level, { code }, log) => {
      // of branches that are for browsers and other modules
      if (level === "warn" && code !== "EMPTY_IMPORT_META" && code !== "CIRCULAR_DEPENDENCY")
        log(level, code ?? "")
    },
    plugins: [
      {
        name: "places of sources",
        transform: (code, id) => {
          if (!id.startsWith(sources) || !code.includes("import.meta.dirname")) return null
          const place = JSON.stringify(relative(folder, dirname(id)))
          return code.replaceAll("import.meta.dirname", `require("node:path").join(__dirname, ${place})`)
        },
      },
    ],
  })
  const { output } = await bundle.write({
    dir: own,
    format: "cjs",
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name]-[hash].cjs",
    comments: false,
    // names stay, for the stack of a defect
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  })
  const modules = output.flatMap((part) => (part.type === "chunk" ? part.moduleIds : []))
  writeFileSync(join(own, "LICENCES.txt"), licencesOf(modules))
}

const dayMillis = 86_400_000

/** Old bundles of a checkout, but for the newest few: a server that runs for months may still load parts of one. */
const removeOld = (kept: string): void => {
  const bundles = readdirSync(kept).map((name) => {
    const path = join(kept, name)
    // gone meanwhile: somebody else's, moved to its place
    return { path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now() }
  })
  for (const { path, at } of bundles.sort((a, b) => b.at - a.at).slice(4)) {
    if (Date.now() - at > dayMillis) rmSync(path, { recursive: true, force: true })
  }
}

/** Written beside its place and moved there whole: whoever else does so at the same time does no harm. */
export const makeBundle = async (folder: string): Promise<void> => {
  const kept = dirname(folder)
  const own = `${folder}.${process.pid}`
  mkdirSync(own, { recursive: true })
  const [{ readyTexts }] = await Promise.all([import("./texts.ts"), bundleInto(folder, own)])
  mkdirSync(join(own, "texts"))
  for (const [args, text] of await readyTexts())
    writeFileSync(join(own, "texts", `${args.join("_")}.txt`), text)
  if (basename(kept) === "presently-command") removeOld(kept)
  // what a cleaner of caches has left of one
  if (!existsSync(join(folder, "main.cjs"))) rmSync(folder, { recursive: true, force: true })
  try {
    renameSync(own, folder)
  } catch (cause) {
    rmSync(own, { recursive: true, force: true })
    // somebody was faster
    if (!existsSync(folder)) throw cause
  }
}

const [folder] = process.argv.slice(2)
if (import.meta.main && folder !== undefined) await makeBundle(resolve(folder))
