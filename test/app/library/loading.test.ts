/**
 * What a program loads when it imports presently: presence alone, and the rest when it is asked for.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "vitest"

const source = resolve(import.meta.dirname, "../../../src")
const door = join(source, "app/index.ts")

/** Files and packages that a file leads to by imports that are carried out when it is loaded. */
const loadedBy = (entry: string): readonly string[] => {
  const reached = new Set([entry])
  for (const path of reached) {
    if (!path.endsWith(".ts")) continue
    const text = readFileSync(join(source, path), "utf8")
    const imports = text.matchAll(
      /^(?:import|export)\s+(?!type\s)[^"'`;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
    )
    for (const [, from, bare] of imports) {
      const specifier = from ?? bare ?? ""
      reached.add(
        specifier.startsWith(".")
          ? relative(source, resolve(dirname(join(source, path)), specifier)).replaceAll("\\", "/")
          : specifier,
      )
    }
  }
  return [...reached]
}

/** What only a server, a database or the command line needs. */
const elsewhere = [
  "adapters/admin/",
  "adapters/sip/",
  "app/cli/",
  "app/server/start-server.ts",
  "app/open-store.ts",
  "app/config/config.ts",
  "effect/http",
  "effect/sql",
  "@effect/",
  "@electric-sql/",
  "re2js",
  "sip",
  "yaml",
]

const foreign = (entry: string): readonly string[] =>
  loadedBy(entry).filter((path) => elsewhere.some((name) => path.startsWith(name)))

describe("importing presently", () => {
  it("leads to no server, no database and no command line", () => {
    // how an address is written is the same wherever it stands
    const addresses = new Set(loadedBy("adapters/sip/uri.ts"))
    assert.deepStrictEqual(
      foreign("app/index.ts").filter((path) => !addresses.has(path)),
      [],
    )
    // all of these but RE2, which is loaded for the first filter, are found where they are used
    const found = [
      "app/main.ts",
      "app/server/start-in-program.ts",
      "app/library/database-stores.ts",
      "adapters/store/postgres/embedded.ts",
    ].flatMap(foreign)
    assert.deepStrictEqual(
      elsewhere.filter((name) => name !== "re2js" && !found.some((path) => path.startsWith(name))),
      [],
    )
    assert.isBelow(addresses.size, 10)
  })

  it(
    "loads of npm only effect and the XML parser, also when presence runs in memory",
    { timeout: 60_000 },
    () => {
      const script = `
      import { registerHooks } from "node:module"
      const packages = new Set()
      registerHooks({
        load: (url, context, next) => {
          const name = /\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*\\/node_modules\\/)/.exec(url)?.[1]
          if (name !== undefined) packages.add(name)
          return next(url, context)
        },
      })
      const { Presence } = await import(${JSON.stringify(pathToFileURL(door).href)})
      const presence = await Presence.make()
      const [presentity, watcher] = ["sip:alice@example.com", "sip:bob@example.com"]
      const watch = await presence.watch({ presentity, watcher })
      const body = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="t"><status><basic>open</basic></status></tuple></presence>'
      await presence.publish({ presentity, body, expires: 60 })
      const { sentence } = await presence.why(presentity, watcher)
      await presence.close()
      console.log(JSON.stringify({ sentence, packages: [...packages] }))`
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
        encoding: "utf8",
      })
      assert.notStrictEqual(stdout, "", stderr)
      const { sentence, packages } = JSON.parse(stdout) as {
        readonly sentence: string
        readonly packages: readonly string[]
      }
      assert.match(sentence, /bob/)
      const parser = new Set(["fast-xml-parser", ...parserPackages("fast-xml-parser")])
      assert.deepStrictEqual(
        packages.filter((name) => name !== "effect" && !parser.has(name)),
        [],
      )
    },
  )
})

/** The packages that a package depends on, and theirs. */
function parserPackages(name: string): readonly string[] {
  const lock = JSON.parse(readFileSync(join(source, "../package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>
  }
  const direct = Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {})
  return direct.flatMap((dependency) => [dependency, ...parserPackages(dependency)])
}
