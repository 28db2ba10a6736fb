/**
 * A command loads what it needs, and nothing of the others: neither server nor stores, and the SIP client only where it sends.
 */
import assert from "node:assert/strict"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { commandFile } from "../../support/command-file.ts"
import { fileOf, patient, run } from "./command.ts"

const checkout = join(import.meta.dirname, "../../..")

/** Writes the address of each module that is asked for to a file. */
const listing = `
import { appendFileSync } from "node:fs"
import { registerHooks } from "node:module"
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    appendFileSync(process.env.MODULES, resolved.url + "\\n")
    return resolved
  },
})`

/** Modules that a command loads: paths in the checkout. */
const loadedBy = async (
  context: TestContext,
  args: readonly string[],
  main = join(checkout, "src/app/main.ts"),
): Promise<readonly string[]> => {
  const hook = fileOf(context, "listing.mjs", listing)
  const modules = join(dirname(hook), "modules.txt")
  writeFileSync(modules, "")
  const NODE_OPTIONS = `--import=${pathToFileURL(hook).href}`
  await run(args, { main, env: { MODULES: modules, NODE_OPTIONS } })
  const paths = readFileSync(modules, "utf8")
    .split("\n")
    .filter((url) => url.startsWith("file:"))
    .map((url) => fileURLToPath(url).slice(checkout.length + 1))
  return [...new Set(paths)]
}

const server = [
  "src/app/server/start-server.ts",
  "src/app/node/",
  "src/app/config/config.ts",
  "src/app/open-store.ts",
  "src/adapters/sip/stack.ts",
  "src/adapters/store/",
  "src/adapters/admin/http.ts",
  "src/domain/engine/",
  "node_modules/@electric-sql/",
  "node_modules/@effect/sql",
  "node_modules/sip/",
  "node_modules/yaml/",
]
const client = ["src/app/client/user-agent.ts", "src/adapters/sip/", "node_modules/fast-xml-parser/"]
/** What the transports are called, which loads none of them, and in which encodings documents may be. */
const small = ["src/adapters/sip/transports/names.ts", "src/encoding/document-text.ts"]
const cases = ["src/explain/case/read.ts", "src/encoding/", "src/domain/presentity/"]
const nobody = ["--admin", "127.0.0.1:1"]

interface Row {
  readonly args: readonly string[]
  readonly with?: string
  readonly without: readonly string[]
}

describe("a command loads what it needs", () => {
  it.for<Row>([
    { args: ["--help"], without: [...server, ...client, ...cases] },
    { args: ["serve", "--help"], without: [...server, ...client, ...cases] },
    { args: ["publish", "--help"], without: [...server, ...client, ...cases] },
    { args: ["history", "sip:a@example.com", ...nobody], without: [...server, ...client, ...cases] },
    {
      args: ["why", "sip:a@example.com", "--watcher", "sip:b@example.com", ...nobody],
      without: [...server, ...client, ...cases],
    },
    {
      args: ["publish", "sip:a@example.com", "--open", "--to", "127.0.0.1:1"],
      with: "src/app/client/user-agent.ts",
      without: [...server, ...cases],
    },
    {
      args: ["replay", "/nowhere.case"],
      with: "src/explain/case/replay.ts",
      without: [...server, ...client.slice(0, 2)],
    },
    {
      args: ["config", "check", "--memory"],
      with: "src/app/config/config.ts",
      without: ["src/app/client/user-agent.ts"],
    },
  ])("presently $args.0 $args.1", patient, async ({ args, with: needed, without }, context) => {
    const loaded = await loadedBy(context, args)
    for (const path of ["src/app/cli/commands.ts", ...(needed === undefined ? [] : [needed])])
      assert.ok(loaded.includes(path), `${path} is not among ${loaded.length} modules`)
    assert.deepEqual(
      loaded.filter((path) => !small.includes(path) && without.some((start) => path.startsWith(start))),
      [],
    )
  })
})

/** Modules of the bundle without the sums in their names, and their octets in all. */
const bundledFor = async (context: TestContext, args: readonly string[]) => {
  const loaded = (await loadedBy(context, args, commandFile())).filter((path) => path.endsWith(".cjs"))
  return {
    names: loaded.map((path) => path.replace(/^.*\//, "").replace(/(?:-[\w-]{8})?\.cjs$/, "")),
    octets: loaded.reduce((sum, path) => sum + statSync(join(checkout, path)).size, 0),
  }
}

describe("the bundled command", () => {
  it.for([
    [["--help"]],
    [["--version"]],
    [["-v"]],
    [["serve", "--help"]],
    [["config", "check", "-h"]],
    [["--completions", "bash"]],
    [["--completions", "zsh"]],
    [["--completions", "fish"]],
  ])("presently $0 loads nothing of it: the text is ready", patient, async ([args = []], context) => {
    assert.deepEqual(await bundledFor(context, args), { names: [], octets: 0 })
  })

  // each octet is read and, without a cache of compiled code, parsed; 1.2 MB are effect and the command line itself
  it.for([
    [["history", "sip:a@example.com", ...nobody]],
    [["why", "sip:a@example.com", "--watcher", "sip:b@example.com", ...nobody]],
    [["rules", "put", "sip:a@example.com", "package.json", ...nobody]],
    [["mi", "refreshWatchers", ...nobody]],
    [["publish", "sip:a@example.com", "--open", "--to", "127.0.0.1:1"]],
    [["watch", "sip:a@example.com", "--timeout", "1", "--to", "127.0.0.1:1"]],
  ])("presently $0 loads little of it", patient, async ([args = []], context) => {
    const { names, octets } = await bundledFor(context, args)
    assert.ok(names.includes("main"), `${names.length} modules`)
    assert.deepEqual(
      names.filter((name) => /^(?:start-server|open-store|config|decide|promise|build)$/.test(name)),
      [],
    )
    assert.ok(octets < 1_500_000, `${octets} octets in ${names.join(", ")}`)
  })
})
