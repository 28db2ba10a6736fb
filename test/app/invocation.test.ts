/**
 * What messages tell a user to type, by how the command was started.
 */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import { invocationOf } from "../../src/app/invocation.ts"

describe("how the command is run again", { tags: ["CLI"] }, () => {
  it.for([
    [
      "by npx",
      "/srv/app/node_modules/.bin/presently",
      { npm_command: "exec", PATH: "/usr/bin" },
      "npx presently",
    ],
    ["on the path", "/usr/local/bin/presently", { PATH: "/usr/bin:/usr/local/bin" }, "presently"],
    ["elsewhere", "/opt/presently/bin/presently", { PATH: "/usr/bin" }, "/opt/presently/bin/presently"],
    ["elsewhere, with a blank", "/opt/my phones/presently", {}, "'/opt/my phones/presently'"],
  ] as const)("%s", ([, script, env, expected]) => {
    assert.equal(invocationOf(script, env), expected)
  })

  it("in a checkout, whatever the path", (context) => {
    const checkout = mkdtempSync(join(tmpdir(), "presently-checkout-"))
    context.onTestFinished(() => rmSync(checkout, { recursive: true }))
    for (const folder of ["bin", "src/app"]) mkdirSync(join(checkout, folder), { recursive: true })
    writeFileSync(join(checkout, "src/app/main.ts"), "")
    const script = join(checkout, "bin/presently.js")
    assert.equal(invocationOf(script, { PATH: join(checkout, "bin") }), "npx presently")
  })
})
