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
  const reached = new Set(["domain/index.ts", "app/packages/index.ts", "explain/index.ts"])
  for (const path of reached) {
    const file = files.find((one) => one.path === path)
    for (const specifier of file?.imports ?? []) reached.add(target(file!, specifier))
  }
  return [...reached]
}

/** Which folder of the application imports which; files beside the folders are left out: they put the rooms together. */
const folderArrows = (): ReadonlyMap<string, ReadonlySet<string>> => {
  const folderOf = (path: string): string | null => /^app\/([^/]+)\/./.exec(path)?.[1] ?? null
  const arrows = new Map<string, Set<string>>()
  for (const file of files) {
    const from = folderOf(file.path)
    if (from === null) continue
    for (const specifier of file.imports) {
      const to = folderOf(target(file, specifier))
      if (to !== null && to !== from) arrows.set(from, (arrows.get(from) ?? new Set()).add(to))
    }
  }
  return arrows
}

/** Folders that reach each other, each group in one line: `config node`. */
const circles = (): readonly string[] => {
  const arrows = folderArrows()
  const reachedFrom = (folder: string): ReadonlySet<string> => {
    const reached = new Set(arrows.get(folder))
    for (const next of reached) for (const further of arrows.get(next) ?? []) reached.add(further)
    return reached
  }
  const folders = [...arrows.keys()].sort()
  const groups = folders
    .map((a) => folders.filter((b) => reachedFrom(a).has(b) && reachedFrom(b).has(a)))
    .filter((group) => group.length > 0)
  return [...new Set(groups.map((group) => group.join(" ")))]
}

const within = (folder: string) => (path: string) => path.startsWith(`${folder}/`)

describe("imports", () => {
  it("the domain imports only itself", () => {
    assert.deepStrictEqual(
      offences(within("domain"), (one) => one.startsWith("domain/")),
      [],
    )
  })

  it("ports import only the domain, effect and each other", () => {
    assert.deepStrictEqual(
      offences(
        within("ports"),
        (one) => one.startsWith("domain/") || one.startsWith("ports/") || one === "effect",
      ),
      [],
    )
  })

  it("SQL is spoken in adapters only", () => {
    assert.deepStrictEqual(
      offences(
        (path) => !path.startsWith("adapters/"),
        (one) => !one.startsWith("@effect/sql-pg") && one !== "effect/sql",
      ),
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

  it("adapters import the domain, ports and packages from outside, never the shell, never each other's folders", () => {
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

  it("ports know the domain and each other, and no adapter", () => {
    assert.deepStrictEqual(
      offences(
        within("ports"),
        (path) => path.startsWith("domain/") || path.startsWith("ports/") || path === "effect",
      ),
      [],
    )
  })

  it("the management adapter is opened by a server; its tokens and its table of operations are read; nothing else knows it", () => {
    const read = ["adapters/admin/tokens.ts", "adapters/admin/operation-table.ts"]
    assert.deepStrictEqual(
      offences(
        (path) => within("app")(path) && !within("app/server")(path) && !within("app/node")(path),
        (path) => !path.startsWith("adapters/admin/") || read.includes(path),
      ),
      [],
    )
  })

  it(
    "what a browser may load is domain, encoding, explain and XML codec, and of npm Effect's data and the parser",
    { tags: ["LIB-browser"] },
    () => {
      const rings = ["domain", "encoding", "explain", "adapters/xml"].map(within)
      assert.deepStrictEqual(
        inBrowsers()
          .filter((path) => !rings.some((isWithin) => isWithin(path)))
          .sort(),
        ["app/packages/index.ts", "effect", "fast-xml-parser"],
      )
    },
  )

  it("encodings import the domain and Effect only", () => {
    assert.deepStrictEqual(
      offences(
        within("encoding"),
        (path) => path.startsWith("domain/") || path.startsWith("encoding/") || path === "effect",
      ),
      [],
    )
  })

  it("what explains imports domain, encodings and the XML codec, and only the application imports it", () => {
    const below = ["domain/", "encoding/", "explain/", "adapters/xml/"]
    assert.deepStrictEqual(
      offences(within("explain"), (path) => below.some((ring) => path.startsWith(ring)) || path === "effect"),
      [],
    )
    assert.deepStrictEqual(
      offences(
        (path) => !within("app")(path) && !within("explain")(path),
        (path) => !within("explain")(path),
      ),
      [],
    )
  })

  it("of Effect, what explains uses the Schema only", () => {
    const names = files
      .filter(({ path }) => within("explain")(path) || within("encoding")(path))
      .flatMap(({ text }) => [...text.matchAll(/^import (?:type )?\{([^}]*)\} from "effect"$/gm)])
      .map((match) => match[1]!.trim())
    assert.deepStrictEqual([...new Set(names)], ["Schema"])
  })

  it("nothing but the program's entry imports the command line", () => {
    assert.deepStrictEqual(
      offences(
        (path) => !within("app/cli")(path) && path !== "app/main.ts",
        (path) => !within("app/cli")(path),
      ),
      [],
    )
  })

  it("no folders of the application import each other", () => {
    assert.deepStrictEqual(circles(), [])
  })

  it("a file says what it is before it imports anything", () => {
    const moved = files.filter(({ text }) =>
      /^import [\s\S]*?\n\/\*\*[\s\S]*?\*\/\nimport /.test(text.replace(/^#!.*\n/, "")),
    )
    assert.deepStrictEqual(
      moved.map(({ path }) => path),
      [],
    )
  })

  it("`sip` and `fast-xml-parser` are used in one file each", () => {
    const users = (name: string) =>
      files.filter((file) => file.imports.includes(name)).map((file) => file.path)
    assert.deepStrictEqual(users("sip"), ["adapters/sip/sip-package.ts"])
    assert.deepStrictEqual(users("fast-xml-parser"), ["adapters/xml/parser-codec.ts"])
  })

  it("no file is unused: each is imported, or is an entry", () => {
    const entries = new Set([
      "app/main.ts",
      "app/index.ts",
      "app/packages/index.ts",
      "app/server/index.ts",
      "app/testing/index.ts",
      "domain/index.ts",
      "explain/index.ts",
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
    const reached = new Set(inBrowsers())
    const found = files
      .filter(({ path }) => reached.has(path))
      .filter((file) => /\bBuffer\b|\bprocess\b|\bglobal\b|\bimport\.meta\b/.test(code(file)))
      .map(({ path }) => path)
    assert.deepStrictEqual(found, [])
  })

  it("the domain has no classes", () => {
    const found = files
      .filter((file) => within("domain")(file.path))
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
