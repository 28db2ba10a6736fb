/**
 * Words of a shell's command line: the shell reads back what was meant.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { it } from "vitest"
import { shellWord } from "../../src/app/shell-word.ts"

it.for([
  "data/dev/phones/201.password",
  "it's",
  "",
  "a b",
  "$(id)",
  "`id`",
  '"',
  "\\",
  "new\nline",
  "~",
  "é",
  "''",
])("%j is one word, and itself", (text) => {
  const printed = execFileSync("sh", ["-c", `printf '%s|' ${shellWord(text)} end`], { encoding: "utf8" })
  assert.equal(printed, `${text}|end|`)
})
