/**
 * A system without glibc, such as Alpine, acted out: the report of a Node that names no glibc, and programs whose loader is
 * not there, which the kernel refuses as it refuses those of the npm package on Alpine.
 */
import assert from "node:assert/strict"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { installText } from "../../../../src/adapters/store/private-server/make-cluster.ts"
import { findPrograms, isMusl } from "../../../../src/adapters/store/private-server/programs.ts"
import { dataFolder, refusalOf, userOf } from "../../../support/private-server.ts"

/** A program in the place of PostgreSQL's, with the name of a loader that no system has. */
const withoutLoader = (context: TestContext): string => {
  const bin = join(dataFolder(context), "bin")
  mkdirSync(bin)
  const program = readFileSync("/bin/true")
  const at = program.indexOf("/ld-linux")
  assert.ok(at > 0)
  program.write("/ld-nobody", at)
  for (const name of ["initdb", "postgres"]) {
    writeFileSync(join(bin, name), program)
    chmodSync(join(bin, name), 0o755)
  }
  return bin
}

describe.skipIf(process.platform !== "linux")("a system with musl", { tags: ["OPS-data"] }, () => {
  it("is known by the report of its Node, which names no glibc", () => {
    assert.equal(
      isMusl(() => ({ header: { osName: "Linux" } })),
      true,
    )
    assert.equal(
      isMusl(() => ({ header: { osName: "Linux", glibcVersionRuntime: "2.36" } })),
      false,
    )
    // a Node without reports says nothing
    assert.equal(
      isMusl(() => null),
      false,
    )
  })

  it("programs without their loader are found out, and not taken for missing", async (context) => {
    const bin = withoutLoader(context)
    const { programs, others } = await findPrograms(null, bin, bin)
    assert.equal(programs, null)
    assert.deepEqual(others, [`${bin} does not run here: it is made for glibc`])
    assert.match(
      await refusalOf(dataFolder(context), { programs: bin }),
      /needs the programs of PostgreSQL 14 or newer \(here is only .* made for glibc\): install PostgreSQL \(apt install/,
    )
  })

  it("a start there says in one line what can be done", async (context) => {
    assert.doesNotMatch(installText(false), /musl/)
    const alpine =
      "data:text/javascript,const of=process.report.getReport.bind(process.report);" +
      "process.report.getReport=()=>{const made=of();delete made.header.glibcVersionRuntime;return made}"
    const line = await userOf(dataFolder(context), {
      programs: withoutLoader(context),
      env: { NODE_OPTIONS: `--import=${alpine.replaceAll(" ", "%20")}` },
    }).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(
      line,
      /^[^\n]*made for glibc\): install PostgreSQL with the system's package manager \(apk add postgresql\), /,
    )
    for (const way of ["--database-url", "@electric-sql/pglite", "postgres_bin = none", "has musl"])
      assert.ok(line.includes(way), line)
    assert.equal(line.includes("\n"), false)
  })
})
