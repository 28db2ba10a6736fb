/**
 * Searches the files of a folder, byte for byte.
 */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"

/** The database may remove some of its files meanwhile. */
const contentOf = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0)
    throw cause
  }
}

/** Files under a folder that hold one of these texts, each with the text. */
export const filesWith = (folder: string, texts: readonly string[]): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile()) return []
    const path = join(entry.parentPath, entry.name)
    const octets = contentOf(path)
    return texts.flatMap((text) =>
      octets.includes(text) ? [`${path.slice(folder.length + 1)}: ${text}`] : [],
    )
  })
