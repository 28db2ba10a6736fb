/**
 * The npm package as its users have it: what is in it, its command, its subpaths and their types, in Node and in a
 * browser. `test/consumer` is a project that depends on it.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { bundled, chromium, installBrowser, textInBrowser } from "../support/browser.ts"
import { installPackage, tool } from "../support/installed-package.ts"
import type { Ended, InstalledPackage } from "../support/installed-package.ts"

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

describe("the package", () => {
  it("holds command, build, migrations and documents, and nothing else", { tags: ["LIB-contents"] }, () => {
    const folders = new Set(installed.files.map((file) => file.replace(/\/.*/, "/")))
    assert.deepStrictEqual(
      [...folders].sort(),
      ["CHANGELOG.md", "LICENSE", "README.md", "bin/", "dist/", "migrations/", "package.json"].sort(),
    )
    const odd = installed.files.filter(
      (file) => /\.test\.|stale/.test(file) || (file.startsWith("dist/") && !/\.(?:js|d\.ts)$/.test(file)),
    )
    assert.deepStrictEqual(odd, [])
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
    const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
      readonly version: string
    }
    assert.include(good(await installed.run(process.execPath, command, "--version")), version)
    const demo = good(await installed.run(process.execPath, command, "demo"))
    assert.match(demo, /NOTIFY.*active, open "hello"/)
  })
})

describe("its subpaths", () => {
  it("are all that can be imported, each without a warning", { tags: ["LIB-exports"] }, async () => {
    const script = `
      const found = {}
      for (const path of ["", "/domain", "/packages", "/explain", "/testing"])
        found[path] = Object.keys(await import("presently" + path)).length > 3
      found.manifest = (await import("presently/package.json", { with: { type: "json" } })).default.name
      found.inside = await import("presently/dist/app/main.js").catch(({ code }) => code)
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
