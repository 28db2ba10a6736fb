/**
 * Files that never change once a version has been published with them: migrations, which no database runs twice, and rows of golden
 * logs, which are what that version wrote.
 */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { it } from "vitest"

const root = join(import.meta.dirname, "..")

/** SHA-256 in hex by path. The newest migration and the newest golden log are added when there is another one after them. */
const digests = JSON.parse(readFileSync(join(import.meta.dirname, "unchanging.json"), "utf8")) as Readonly<
  Record<string, string>
>

const filesIn = (pattern: string): readonly string[] => globSync(pattern, { cwd: root }).sort()

it("published migrations and golden logs are what they were", { tags: ["L03"] }, () => {
  const migrations = filesIn("migrations/*.sql")
  const rows = filesIn("test/golden/0*/{events.jsonl,snapshots.jsonl,keys.json}")
  const newest = rows.at(-1)!.split("/").slice(0, 3).join("/")
  const published = [...migrations.slice(0, -1), ...rows.filter((file) => !file.startsWith(`${newest}/`))]
  for (const file of new Set([...published, ...Object.keys(digests)])) {
    const digest = createHash("sha256")
      .update(readFileSync(join(root, file)))
      .digest("hex")
    assert.equal(
      digest,
      digests[file],
      `${file}: write another one; a missing digest goes into test/unchanging.json`,
    )
  }
})
