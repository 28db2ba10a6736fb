/**
 * Bundles the command, `src/app/main.ts` with all that it imports, into a folder: `node build/bundle.ts FOLDER`.
 *
 * One module for each part that is loaded on demand, so that a command loads only its own. CommonJS: an ES module that
 * imports `node:http` has every getter of it called, one of which loads a whole HTTP client.
 * Beside the code: the texts that are ready (`texts.ts`) and the licences of what is bundled.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
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

/** Written beside its place and moved there whole: others may do so at the same time. */
export const makeBundle = async (folder: string): Promise<void> => {
  const own = `${folder}.${process.pid}`
  mkdirSync(own, { recursive: true })
  const [{ readyTexts }] = await Promise.all([import("./texts.ts"), bundleInto(folder, own)])
  mkdirSync(join(own, "texts"))
  for (const [args, text] of await readyTexts())
    writeFileSync(join(own, "texts", `${args.join("_")}.txt`), text)
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
