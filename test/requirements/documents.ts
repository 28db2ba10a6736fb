/**
 * Brings the generated tables of the documents up to date.
 *
 *   node test/requirements/documents.ts
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { generatedPage, generatedPages } from "./generated.ts"
import { root } from "./titles.ts"

for (const page of generatedPages) {
  const text = generatedPage(page)
  if (text === readFileSync(join(root, page), "utf8")) continue
  writeFileSync(join(root, page), text)
  console.log(`${page} is brought up to date`)
}
