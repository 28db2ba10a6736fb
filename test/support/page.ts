/**
 * Tries a page of the docs like a reader: runs each example as it stands, in one shell, and compares the output.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { TestContext } from "vitest"
import { commandFile } from "./command-file.ts"
import { compileCache } from "./compile-cache.ts"
import { ofTests } from "./reaper.ts"

const root = resolve(import.meta.dirname, "../..")

export const hasCurl = spawnSync("curl", ["--version"]).status === 0

export interface Example {
  readonly command: string
  readonly output: string
}

/** In blocks indented by four spaces, `$ ` begins a command, and its output follows. */
export const examplesOf = (page: string): readonly Example[] =>
  [...page.matchAll(/(?:^ {4}\$ .*\n)(?:^ {4}.*\n)*/gm)].flatMap(([block]) =>
    block
      .split(/^ {4}\$ /m)
      .slice(1)
      .map((example) => {
        // `> ` continues a command, as in a shell
        const [, first = "", output = ""] = /^(.*(?:\n {4}> .*)*)\n([^]*)$/.exec(example) ?? []
        const command = first.replaceAll("\n    > ", "\n")
        return { command, output }
      }),
  )

/** Equality except for white space; `…` stands for anything. */
export const assertPrints = (actual: string, { command, output }: Example): void => {
  const solid = (text: string): string => text.replaceAll(/\s+/g, "")
  const parts = solid(output)
    .split("…")
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  assert.match(solid(actual), new RegExp(`^${parts.join(".*?")}$`), `${command}\nprinted\n${actual}`)
}

/** A shell that runs one command after the other. */
const openShell = ({ onTestFinished }: TestContext, folder: string) => {
  const shell = ofTests(
    spawn("bash", {
      cwd: folder,
      env: { ...process.env, ...compileCache, PATH: `${folder}/bin:${process.env["PATH"]}` },
      detached: true,
    }),
    "group",
  )
  // including whatever it still runs
  onTestFinished(() => {
    if (shell.pid !== undefined) process.kill(-shell.pid, "SIGKILL")
  })
  let printed = ""
  let waits: (() => void) | null = null
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk
      waits?.()
    })
  }
  shell.stdin.write("exec 2>&1\n")
  return (command: string): Promise<string> =>
    new Promise((done) => {
      printed = ""
      waits = () => {
        if (!printed.endsWith("\n--\n")) return
        waits = null
        done(printed.slice(0, -"\n--\n".length))
      }
      shell.stdin.write(`${command}\nprintf '\\n--\\n'\n`)
    })
}

export interface Reading {
  readonly page: string
  readonly folder: string
  /** From here on a port of the page stands for a real one, in commands and in output. */
  readonly means: (written: string, real: string | number) => void
  /** From here on a text of the page stands for a real one, in commands and in output. */
  readonly stands: (written: string, real: string) => void
  /** Runs a command of the test in the same shell. */
  readonly run: (command: string) => Promise<string>
  /** Runs every example in order. */
  readonly tryAll: (hooks?: {
    readonly before?: (example: Example) => Promise<void>
    readonly after?: (example: Example, printed: string) => Promise<void>
  }) => Promise<void>
}

/** @param file below the root of the repository */
export const readPage = (context: TestContext, file: string): Reading => {
  const folder = mkdtempSync(join(tmpdir(), "presently-page-"))
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, "bin"))
  writeFileSync(join(folder, "bin/presently"), `#!/bin/sh\nexec ${process.execPath} ${commandFile()} "$@"\n`)
  chmodSync(join(folder, "bin/presently"), 0o755)
  const page = readFileSync(join(root, file), "utf8")
  const texts = new Map<string, string>()
  const run = openShell(context, folder)
  return {
    page,
    folder,
    run,
    means: (written, real) => void texts.set(`127.0.0.1:${written}`, `127.0.0.1:${real}`),
    stands: (written, real) => void texts.set(written, real),
    tryAll: async ({ before, after } = {}) => {
      for (const example of examplesOf(page)) {
        await before?.(example)
        let { command } = example
        for (const [written, real] of texts) command = command.replaceAll(written, real)
        let printed = await run(command)
        for (const [written, real] of texts) printed = printed.replaceAll(real, written)
        if (process.env["PRESENTLY_TEST_SHOW"] === "1") console.log(`$ ${example.command}\n${printed}`)
        else assertPrints(printed, example)
        await after?.(example, printed)
      }
    },
  }
}
