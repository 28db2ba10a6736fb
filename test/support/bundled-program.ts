/**
 * Programs of the tests, bundled with the sources that they import: they start in a third of the processor time, also under accounts
 * that keep no compiled code.
 */
import { mkdirSync } from "node:fs"
import { basename, dirname, join, relative } from "node:path"
import { rolldown } from "rolldown"
import { isBundled } from "../../build/outside.ts"
import { checkout, fingerprint, madeOnce } from "./made-once.ts"

/**
 * Its sources look for their files in the checkout, or where PRESENTLY_TEST_CHECKOUT says.
 *
 * @returns the path of the bundle of a program in this folder
 */
export const bundledProgram = async (name: string): Promise<string> => {
  const key = fingerprint(["src", "build", "package-lock.json", "test/support"])
  const folder = await madeOnce(`presently-${basename(name, ".ts")}`, key, async (made) => {
    const bundle = await rolldown({
      input: join(import.meta.dirname, name),
      platform: "node",
      external: (imported) => !isBundled(imported),
      onLog: () => {},
      plugins: [
        {
          name: "places of sources",
          transform: (code, id) =>
            id.startsWith(checkout) && !id.includes("node_modules")
              ? code.replaceAll("import.meta.dirname", placeOf(dirname(id)))
              : null,
        },
      ],
    })
    mkdirSync(made)
    await bundle.write({ dir: made, format: "cjs", entryFileNames: "main.cjs", chunkFileNames: "[name].cjs" })
  })
  return join(folder, "main.cjs")
}

const placeOf = (folder: string): string =>
  `require("node:path").join(process.env.PRESENTLY_TEST_CHECKOUT ?? ${JSON.stringify(checkout)}, ` +
  `${JSON.stringify(relative(checkout, folder))})`
