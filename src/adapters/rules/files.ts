/**
 * Rules documents as files: those of a folder, one per presentity, or those that are named one by one; read at the start
 * and again whenever one changes.
 *
 * A file of a folder is named after its presentity: `alice@example.com.xml` for sip:alice@example.com, `tel:+4930123.xml`; characters
 * that a file name cannot hold are percent-encoded. Other files are left alone.
 */
import { readFile, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect } from "effect"
import type { Uri } from "../../domain/vocabulary.ts"

export class RulesFilesUnusable extends Data.TaggedError("RulesFilesUnusable")<{
  /** The folder, or "files". */
  readonly place: string
  readonly cause: unknown
}> {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `the rules ${this.place} cannot be read: ${why}`
  }
}

/** What a place says of one presentity now; null text: its file is gone. */
export interface RulesChange {
  readonly presentity: Uri
  readonly text: string | null
  /** For messages. */
  readonly file: string
}

export interface RulesFiles {
  /** Everything that changed since the last look; the first look finds every file. */
  readonly look: Effect.Effect<readonly RulesChange[], RulesFilesUnusable>
}

/** @param canonical makes a canonical URI of text, null when it is none */
export const openRulesFolder = (folder: string, canonical: (text: string) => Uri | null): RulesFiles =>
  openFiles(`folder ${folder}`, async () =>
    (await readdir(folder)).sort().flatMap((file) => {
      const presentity = presentityOf(file, canonical)
      return presentity === null ? [] : [{ path: join(folder, file), presentity }]
    }),
  )

/** Each file holds the rules of one presentity; one that is not there is a fault, not an absence of rules. */
export const openRulesFiles = (files: readonly RulesFile[]): RulesFiles =>
  openFiles("files", () => Promise.resolve(files))

export interface RulesFile {
  readonly path: string
  readonly presentity: Uri
}

const openFiles = (place: string, list: () => Promise<readonly RulesFile[]>): RulesFiles => {
  const seen = new Map<string, { readonly stamp: string; readonly presentity: Uri }>()
  return {
    look: Effect.tryPromise({
      try: async () => {
        const changes: RulesChange[] = []
        const present = new Set<string>()
        for (const { path, presentity } of await list()) {
          const { mtimeMs, size } = await stat(path)
          present.add(path)
          const stamp = `${mtimeMs} ${size}`
          if (seen.get(path)?.stamp === stamp) continue
          changes.push({ presentity, text: await readFile(path, "utf8"), file: path })
          seen.set(path, { stamp, presentity })
        }
        for (const [path, { presentity }] of seen) {
          if (present.has(path)) continue
          seen.delete(path)
          changes.push({ presentity, text: null, file: path })
        }
        return changes
      },
      catch: (cause) => new RulesFilesUnusable({ place, cause }),
    }),
  }
}

const presentityOf = (file: string, canonical: (text: string) => Uri | null): Uri | null => {
  if (!file.endsWith(".xml") || file.startsWith(".")) return null
  let name = file.slice(0, -".xml".length)
  try {
    name = decodeURIComponent(name)
  } catch {
    return null
  }
  const hasScheme = name.startsWith("sip:") || name.startsWith("sips:") || name.startsWith("tel:")
  return canonical(hasScheme ? name : `sip:${name}`)
}
