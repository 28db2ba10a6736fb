/**
 * Bundles sources for a browser, and runs them in one.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "vite"
import { ofTests } from "./reaper.ts"

const browsers = ["chromium", "chromium-headless-shell", "google-chrome"]

/** The command of an installed Chromium; undefined: none is installed. */
export const chromium = browsers.find((name) => spawnSync("which", [name]).status === 0)

export const installBrowser = `no Chromium here: install one of ${browsers.join(", ")}`

export interface Bundle {
  /** One minified script. */
  readonly code: string
  /** Modules of Node that it imports. */
  readonly ofNode: readonly string[]
}

/** @param entry the text of a module whose imports are absolute paths */
export const bundled = async (entry: string): Promise<Bundle> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-page-"))
  try {
    const input = join(folder, "entry.ts")
    writeFileSync(input, entry)
    const ofNode: string[] = []
    const built = await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      // a page opened from disk may not load modules
      build: { write: false, rolldownOptions: { input, output: { format: "iife" } } },
      plugins: [
        {
          name: "what-is-of-node",
          enforce: "pre",
          resolveId: (id) => {
            if (isBuiltin(id)) ofNode.push(id)
          },
        },
      ],
    })
    const [chunk, ...rest] = [built].flat().flatMap((output) => ("output" in output ? output.output : []))
    if (chunk?.type !== "chunk" || rest.length > 0) throw new Error("it is not one script")
    return { code: chunk.code, ofNode }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Runs a script on an empty page, and returns the text that it left there. */
export const textInBrowser = async (code: string): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-page-"))
  try {
    const report = `addEventListener("error", ({ message }) => (document.body.textContent = message))`
    writeFileSync(join(folder, "page.js"), code)
    writeFileSync(
      join(folder, "page.html"),
      `<!doctype html><meta charset="utf-8"><body><script>${report}</script><script src="page.js"></script>`,
    )
    const page = pathToFileURL(join(folder, "page.html")).href
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${folder}/profile`]
    const child = ofTests(spawn(chromium!, [...flags, "--dump-dom", page], { stdio: "pipe" }))
    let [stdout, complaints] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (complaints += text))
    await new Promise((resolve) => child.on("close", resolve))
    const [, text] = /<body>([\s\S]*)<\/body>/.exec(stdout) ?? []
    if (text === undefined || text === "") throw new Error(`nothing is on the page: ${stdout}\n${complaints}`)
    return text
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
