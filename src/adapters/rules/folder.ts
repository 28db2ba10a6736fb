/**
 * Rules documents as files in a folder: one file per presentity, read at the start and again whenever it changes.
 *
 * A file is named after its presentity: `alice@example.com.xml` for sip:alice@example.com, `tel:+4930123.xml`; characters
 * that a file name cannot hold are percent-encoded. Other files are left alone.
 */
import { readFile, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect } from "effect"
import type { Uri } from "../../domain/vocabulary.ts"

export class RulesFolderUnusable extends Data.TaggedError("RulesFolderUnusable")<{
  readonly folder: string
  readonly cause: unknown
}> {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `the rules folder ${this.folder} cannot be read: ${why}`
  }
}

/** What the folder says of one presentity now; null text: its file is gone. */
export interface RulesChange {
  readonly presentity: Uri
  readonly text: string | null
  /** For messages. */
  readonly file: string
}

export interface RulesFolder {
  /** Everything that changed since the last look; the first look finds every file. */
  readonly look: Effect.Effect<readonly RulesChange[], RulesFolderUnusable>
}

/** @param canonical makes a canonical URI of text, null when it is none */
export const openRulesFolder = (folder: string, canonical: (text: string) => Uri | null): RulesFolder => {
  const seen = new Map<string, { readonly stamp: string; readonly presentity: Uri }>()
  return {
    look: Effect.tryPromise({
      try: async () => {
        const changes: RulesChange[] = []
        const present = new Set<string>()
        for (const file of (await readdir(folder)).sort()) {
          const presentity = presentityOf(file, canonical)
          if (presentity === null) continue
          const path = join(folder, file)
          const { mtimeMs, size } = await stat(path)
          present.add(file)
          const stamp = `${mtimeMs} ${size}`
          if (seen.get(file)?.stamp === stamp) continue
          changes.push({ presentity, text: await readFile(path, "utf8"), file: path })
          seen.set(file, { stamp, presentity })
        }
        for (const [file, { presentity }] of seen) {
          if (present.has(file)) continue
          seen.delete(file)
          changes.push({ presentity, text: null, file: join(folder, file) })
        }
        return changes
      },
      catch: (cause) => new RulesFolderUnusable({ folder, cause }),
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
