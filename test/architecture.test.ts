/**
 * The rules of the house: who may import whom, and what the pure core may not call.
 */
import { readFileSync, readdirSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { assert, describe, it } from "vitest"

const root = resolve(import.meta.dirname, "..")
const source = join(root, "src")

interface SourceFile {
  /** Relative to src, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly string[]
}

const files: readonly SourceFile[] = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => {
    const text = readFileSync(join(source, file), "utf8")
    const imports = [
      ...text.matchAll(/^(?:import|export)\b[^"'`;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm),
      ...text.matchAll(/\bimport\("(\.[^"]+)"\)/g),
    ].map((match) => match[1] ?? match[2] ?? "")
    return { path: file.replaceAll("\\", "/"), text, imports }
  })

/** Where an import leads: a path relative to src, or the name of a package. */
const target = (file: SourceFile, specifier: string): string =>
  specifier.startsWith(".")
    ? relative(source, resolve(dirname(join(source, file.path)), specifier)).replaceAll("\\", "/")
    : specifier

const offences = (
  applies: (path: string) => boolean,
  isAllowed: (target: string, path: string) => boolean,
): readonly string[] =>
  files
    .filter((file) => applies(file.path))
    .flatMap((file) =>
      file.imports
        .map((specifier) => target(file, specifier))
        .filter((one) => !isAllowed(one, file.path))
        .map((one) => `${file.path} imports ${one}`),
    )

/** What a browser may load, and all it leads to. */
const inBrowsers = (): readonly string[] => {
  const reached = new Set(["domain/index.ts", "app/packages/index.ts"])
  for (const path of reached) {
    const file = files.find((one) => one.path === path)
    for (const specifier of file?.imports ?? []) reached.add(target(file!, specifier))
  }
  return [...reached]
}

const within = (folder: string) => (path: string) => path.startsWith(`${folder}/`)

describe("imports", () => {
  it("the domain imports only itself, but for the persistent map and the ports", () => {
    const doors: Readonly<Record<string, readonly string[]>> = {
      "domain/table.ts": ["effect/HashMap", "effect/Option"],
      "ports/event-store.ts": ["effect"],
    }
    assert.deepStrictEqual(
      offences(
        within("domain"),
        (one, path) => one.startsWith("domain/") || (doors[path] ?? []).includes(one),
      ),
      [],
    )
  })

  it("nothing else in the domain knows the ports: only the shell uses them", () => {
    assert.deepStrictEqual(
      offences(within("domain"), (one) => one !== "ports/event-store.ts"),
      [],
    )
  })

  it("presentity knows event packages by their interface only", () => {
    assert.deepStrictEqual(
      offences(
        within("domain/presentity"),
        (one) =>
          !one.startsWith("domain/engine/") &&
          !one.startsWith("domain/projections/") &&
          (!one.startsWith("domain/packages/") || one === "domain/packages/event-package.ts"),
      ),
      [],
    )
  })

  it("packages know no state and no engine", () => {
    assert.deepStrictEqual(
      offences(
        within("domain/packages"),
        (one) =>
          one.startsWith("domain/packages/") || one === "domain/vocabulary.ts" || one === "domain/uris.ts",
      ),
      [],
    )
  })

  it("the engine knows presentities, not their rows", () => {
    assert.deepStrictEqual(
      offences(within("domain/engine"), (one) => !one.startsWith("domain/projections/")),
      [],
    )
  })

  it("adapters import the domain and packages from outside, never the shell, never each other's folders", () => {
    const folder = (path: string): string => path.split("/").slice(0, 2).join("/")
    assert.deepStrictEqual(
      offences(
        within("adapters"),
        (one, path) =>
          !one.startsWith("app/") && (!one.startsWith("adapters/") || folder(one) === folder(path)),
      ),
      [],
    )
  })

  it(
    "what a browser may load is domain and XML codec, and of npm the persistent map and the parser",
    { tags: ["LIB-browser"] },
    () => {
      assert.deepStrictEqual(
        inBrowsers()
          .filter((one) => !one.startsWith("domain/") && !one.startsWith("adapters/xml/"))
          .sort(),
        ["app/packages/index.ts", "effect/HashMap", "effect/Option", "fast-xml-parser"],
      )
    },
  )

  it("`sip` and `fast-xml-parser` are used in one file each", () => {
    const users = (name: string) =>
      files.filter((file) => file.imports.includes(name)).map((file) => file.path)
    assert.deepStrictEqual(users("sip"), ["adapters/sip/address-headers.ts"])
    assert.deepStrictEqual(users("fast-xml-parser"), ["adapters/xml/codec.ts"])
  })

  it("no file is unused: each is imported, or is an entry", () => {
    const entries = new Set([
      "app/main.ts",
      "app/index.ts",
      "app/packages/index.ts",
      "app/server/index.ts",
      "app/testing/index.ts",
      "domain/index.ts",
    ])
    const imported = new Set(
      files.flatMap((file) => file.imports.map((specifier) => target(file, specifier))),
    )
    assert.deepStrictEqual(
      files
        .map((file) => file.path)
        .filter((path) => !imported.has(path) && !entries.has(path) && !path.endsWith(".d.ts")),
      [],
    )
  })
})

describe("calls", () => {
  const code = (file: SourceFile): string =>
    file.text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "")

  it("the domain reads no clock, draws no lots, says nothing and waits for nothing", () => {
    const banned =
      /\bDate\b|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bconsole\b|\basync\b|\bawait\b|\bprocess\b|\bPromise\b/
    const found = files
      .filter((file) => within("domain")(file.path))
      .flatMap((file) => {
        const match = banned.exec(code(file))
        return match === null ? [] : [`${file.path}: ${match[0]}`]
      })
    assert.deepStrictEqual(found, [])
  })

  it("what a browser may load uses no globals of Node", { tags: ["LIB-browser"] }, () => {
    const found = files
      .filter(({ path }) => inBrowsers().includes(path))
      .filter((file) => /\bBuffer\b|\bprocess\b|\bglobal\b|\bimport\.meta\b/.test(code(file)))
      .map(({ path }) => path)
    assert.deepStrictEqual(found, [])
  })

  it("the domain has no classes but the services and errors of the ports", () => {
    const found = files
      .filter((file) => within("domain")(file.path) && file.path !== "ports/event-store.ts")
      .filter((file) => /^\s*(?:export\s+)?(?:abstract\s+)?class\s/m.test(code(file)))
      .map((file) => file.path)
    assert.deepStrictEqual(found, [])
  })

  it("the parts of `sip` that open sockets or guess branches are never touched", () => {
    const found = files
      .filter((file) => /\bsip\.(?:create|start|makeTransport|generateBranch|send)\b/.test(code(file)))
      .map((file) => file.path)
    assert.deepStrictEqual(found, [])
  })

  it("nothing imports the barrel of platform-node: it costs a second and needs an optional package", () => {
    assert.deepStrictEqual(
      offences(
        () => true,
        (one) => one !== "@effect/platform-node",
      ),
      [],
    )
  })
})
