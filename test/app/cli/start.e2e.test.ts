/**
 * How the command starts: texts that are ready are those that it would print, and it starts where no bundle can be made.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { commandPaths } from "../../../build/texts.ts"
import { commandFile } from "../../support/command-file.ts"
import { patient, run, runHere } from "./command.ts"

const checkout = join(import.meta.dirname, "../../..")
const sources = join(checkout, "src/app/main.ts")

const folderFor = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-start-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe("texts that are ready", () => {
  it("are the help of every command", patient, async () => {
    for (const path of commandPaths) {
      const args = [...path, "--help"]
      assert.deepEqual([args, await run(args)], [args, await runHere(args)])
    }
  })

  it.for([
    ["-h"],
    ["watch", "-h"],
    ["--version"],
    ["-v"],
    ...["bash", "zsh", "fish", "powershell", "sh", "pwsh"].map((shell) => ["--completions", shell]),
  ])("are what presently %s prints", patient, async (args) => {
    assert.deepEqual(await run(args), await runHere(args))
  })

  it("are no answer to arguments that are wrong, or that mean more", patient, async () => {
    for (const args of [
      ["nonsense", "--help"],
      ["--completions", "tcsh"],
      ["../main", "--help"],
      ["watch", "--version"],
    ]) {
      assert.deepEqual([args, await run(args)], [args, await runHere(args)])
    }
  })

  it("have colours where the command has", patient, async () => {
    for (const env of [
      { FORCE_COLOR: "1" },
      { FORCE_COLOR: "0" },
      { FORCE_COLOR: "1", NO_COLOR: "1" },
      { FORCE_COLOR: "1", TERM: "dumb" },
    ]) {
      const [ready, made] = [
        await run(["mi", "--help"], { env }),
        await run(["mi", "--help"], { env, main: sources }),
      ]
      assert.deepEqual([env, ready.stdout], [env, made.stdout])
    }
    assert.ok((await run(["mi", "--help"], { env: { FORCE_COLOR: "1" } })).stdout.includes("\u001B["))
  })

  it("complete a command in bash", patient, () => {
    const script = [
      `source <("${process.execPath}" "${commandFile()}" --completions bash)`,
      "COMP_WORDS=(presently wat) COMP_CWORD=1 COMP_LINE='presently wat' COMP_POINT=13",
      "$(complete -p presently | sed 's/.*-F \\([^ ]*\\).*/\\1/')",
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join("\n")
    const { stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8" })
    assert.deepEqual([stdout.split("\n").sort().filter(Boolean), stderr], [["watch", "watchers"], ""])
  })
})

describe("a checkout", () => {
  it("runs its sources where no bundle can be made", patient, (context) => {
    const folder = folderFor(context)
    cpSync(join(checkout, "bin"), join(folder, "bin"), { recursive: true })
    for (const name of ["src", "package.json"]) symlinkSync(join(checkout, name), join(folder, name))
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(folder, "bin/presently.js"), "mi", "--help"],
      { encoding: "utf8" },
    )
    assert.deepEqual([status, stderr], [0, ""])
    assert.match(stdout, /METHOD/)
    assert.deepEqual(readdirSync(folder).sort(), ["bin", "package.json", "src"])
  })

  it("runs what its sources say, changed ones too, and removes bundles that are old", patient, (context) => {
    const folder = folderFor(context)
    for (const name of ["bin", "build", "src", "package.json", "package-lock.json", "migrations"])
      cpSync(join(checkout, name), join(folder, name), { recursive: true })
    const modules = join(folder, "node_modules")
    mkdirSync(modules)
    for (const name of readdirSync(join(checkout, "node_modules")))
      if (name !== ".cache") symlinkSync(join(checkout, "node_modules", name), join(modules, name))
    const kept = join(modules, ".cache/presently-command")
    for (const name of ["a", "b", "c", "d", "e"]) {
      mkdirSync(join(kept, name), { recursive: true })
      utimesSync(join(kept, name), 0, 0)
    }
    const demo = join(folder, "src/app/cli/demo.ts")
    const helpOfDemo = (): string => {
      const args = [join(folder, "bin/presently.js"), "demo", "--help"]
      return spawnSync(process.execPath, args, { encoding: "utf8" }).stdout
    }
    assert.match(helpOfDemo(), /Show an office/)
    // the new one and the newest of the old
    assert.equal(readdirSync(kept).length, 4)
    writeFileSync(demo, readFileSync(demo, "utf8").replace("Show an office", "Show the whole office"))
    assert.match(helpOfDemo(), /Show the whole office/)
    const made = readdirSync(kept)
    assert.match(helpOfDemo(), /Show the whole office/)
    assert.deepEqual(readdirSync(kept), made)
    // the one before stays, for servers that run
    assert.equal(made.filter((name) => existsSync(join(kept, name, "main.cjs"))).length, 2)
  })
})

describe("compiled code", () => {
  const script = `require(${JSON.stringify(join(checkout, "bin/compile-cache.js"))}).enableCompileCache(null)
    console.log(require("node:module").getCompileCacheDir() ?? "none")`
  const keptIn = (env: Readonly<Record<string, string>>): string =>
    spawnSync(process.execPath, ["--eval", script], { env, encoding: "utf8" }).stdout.trim()

  it("is kept in a folder of the user's own, the unit's before all", (context) => {
    const folder = folderFor(context)
    const [home, unit] = [join(folder, "home"), join(folder, "unit")]
    assert.ok(keptIn({ HOME: home }).startsWith(join(home, ".cache/presently")))
    assert.ok(
      keptIn({ HOME: home, XDG_CACHE_HOME: join(home, "xdg") }).startsWith(join(home, "xdg/presently")),
    )
    assert.ok(keptIn({ HOME: home, CACHE_DIRECTORY: unit }).startsWith(join(unit, "compiled")))
    assert.ok(
      keptIn({ HOME: home, NODE_COMPILE_CACHE: join(folder, "said") }).startsWith(join(folder, "said")),
    )
  })

  it("is kept nowhere if others may write there, or nobody may", (context) => {
    const folder = folderFor(context)
    mkdirSync(join(folder, ".cache/presently"), { recursive: true })
    chmodSync(join(folder, ".cache/presently"), 0o777)
    assert.equal(keptIn({ HOME: folder }), "none")
    assert.equal(keptIn({ HOME: "/dev/null" }), "none")
    assert.equal(keptIn({}), "none")
    assert.equal(keptIn({ HOME: folder, NODE_DISABLE_COMPILE_CACHE: "1" }), "none")
    assert.ok(!existsSync(join(folder, ".cache/node")))
  })
})
