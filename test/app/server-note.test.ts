/**
 * The note that a server leaves in its data folder is read as long as the server lives, and is nothing afterwards.
 */
import assert from "node:assert/strict"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { leaveNote, noteIn } from "../../src/app/server-note.ts"
import { emptyFolder } from "../support/moving.ts"

const note = { admin: "127.0.0.1:5999", listen: ["udp:127.0.0.1:5070", "tcp:[::1]:5070"] }

const dataFolder = (context: TestContext): string => {
  const folder = emptyFolder(context)
  mkdirSync(folder, { recursive: true })
  return folder
}

describe("server.json", () => {
  it("says where the living process that left it listens", { tags: ["CLI"] }, (context) => {
    const folder = dataFolder(context)
    assert.equal(noteIn(folder), null)
    const remove = leaveNote(folder, note)
    assert.deepEqual(noteIn(folder), note)
    remove()
    assert.equal(noteIn(folder), null)
  })

  it("says nothing when another process has the number by now", { tags: ["CLI"] }, (context) => {
    const folder = dataFolder(context)
    leaveNote(folder, note)
    const file = join(folder, "server.json")
    const text = readFileSync(file, "utf8")
    writeFileSync(
      file,
      text.replace(/^(\d+) (\d+)/, (_, pid: string, began: string) => `${pid} ${Number(began) - 1}`),
    )
    assert.equal(noteIn(folder), /^\d+ \d/.test(text) ? null : note)
  })
})
