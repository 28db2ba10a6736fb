import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import { conditionalsIn, linesOf, sentenceFor } from "./left-out.ts"

const checkout = join(import.meta.dirname, "../..")

describe("what npm test left out", () => {
  it("a condition is read to its last bracket, with the title of what it guards", () => {
    const source = `describe.skipIf(\n  !has("a (b") || f(g(1)) === null,\n)("two \\"words\\"", () => {})\nit.skipIf(isOff)(\n  'one',`
    assert.deepEqual(conditionalsIn(source.replace("a (b", "a")), [
      { condition: '!has("a") || f(g(1)) === null', title: 'two \\"words\\"' },
      { condition: "isOff", title: "one" },
    ])
  })

  it("every condition on which a test is left out has a sentence, and a title to find it by", () => {
    const files = readdirSync(join(checkout, "test"), { recursive: true, encoding: "utf8" }).filter(
      (name) => name.endsWith(".test.ts") && name !== "support/left-out.test.ts",
    )
    const all = files.flatMap((file) =>
      conditionalsIn(readFileSync(join(checkout, "test", file), "utf8")).map((one) => ({ file, ...one })),
    )
    assert.ok(all.length > 30)
    assert.deepEqual(
      all.filter(({ condition, title }) => sentenceFor(condition) === null || title === ""),
      [],
    )
  })

  it("tests with the same want are one line, and what a test says itself comes first", () => {
    const tests = [
      { file: "a.test.ts", titles: ["x", "store"], note: undefined },
      { file: "a.test.ts", titles: ["y", "store"], note: undefined },
      { file: "b.test.ts", titles: ["z", "store"], note: undefined },
      { file: "b.test.ts", titles: ["calls", "trace"], note: "strace is not installed" },
      { file: "b.test.ts", titles: ["plain"], note: undefined },
    ]
    const conditional = { condition: "cluster === null", title: "store" }
    assert.deepEqual(
      linesOf(tests, () => [conditional]),
      [
        "left out 3 tests: no PostgreSQL 14 or newer is here (a.test.ts and 1 more)",
        "left out 1 test: strace is not installed (b.test.ts)",
        "left out 1 test: no reason is given (b.test.ts)",
      ],
    )
    assert.deepEqual(
      linesOf([], () => []),
      [],
    )
  })

  it("a run ends with these lines, and with none when nothing is left out or names were asked for", (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-left-out-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"), "dir")
    mkdirSync(join(folder, "test"))
    writeFileSync(
      join(folder, "vitest.config.mts"),
      `import { leftOut } from ${JSON.stringify(join(checkout, "test/support/left-out.ts"))}\n` +
        'export default { test: { include: ["test/*.test.ts"], reporters: [leftOut()] } }\n',
    )
    const run = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [join(checkout, "node_modules/vitest/vitest.mjs"), "run", ...args], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, CI: "", VITEST: "", VITEST_POOL_ID: "", VITEST_WORKER_ID: "" },
      })
    writeFileSync(
      join(folder, "test/some.test.ts"),
      'import { describe, it } from "vitest"\nconst hasTshark = false\n' +
        'describe.skipIf(!hasTshark)("a capture", () => {\n  it("one", () => {})\n  it("two", () => {})\n})\n' +
        'it("calls", ({ skip }) => skip("strace is not installed"))\nit("runs", () => {})\n',
    )
    assert.equal(
      run(),
      "left out 2 tests: tshark is not installed (test/some.test.ts)\n" +
        "left out 1 test: strace is not installed (test/some.test.ts)\n",
    )
    assert.equal(run("-t", "runs"), "")
    writeFileSync(join(folder, "test/some.test.ts"), 'import { it } from "vitest"\nit("runs", () => {})\n')
    assert.equal(run(), "")
  })
})
