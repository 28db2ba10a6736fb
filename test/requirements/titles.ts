/**
 * Titles and tags of all tests, read from their files: what `it`, `describe` and their kin are called with, and rows of tables
 * that each become a test. Ids in comments and data do not count.
 */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"

export interface TitleOfTest {
  /** Relative to the folder `test`, with forward slashes. */
  readonly file: string
  /** Begins with the tags, when there are some: `L04 3903-6-m: what it shows`. */
  readonly title: string
  readonly tags: readonly string[]
}

export const root = join(import.meta.dirname, "../..")

const calls = /\b(?:it|test|describe)[.\w]*(?:\([^()]*\))?\(\s*(["'`])((?:\\.|(?!\1)[\s\S])*)\1/g
/** What may follow a title. */
const tagsAfter = /^\s*,\s*\{[^{}]*?\btags:\s*\[([^\]]*)\]/
/** Rows of a table, and rows that begin with their title. */
const rows = /\brow:\s*(["'`])((?:\\.|(?!\1)[\s\S])*)\1/g
const arrays = /\[\s*(["'`])((?:\d{4}-|BLA-|OPS-)(?:\\.|(?!\1)[\s\S])*)\1/g

export const titlesOfTests = (): readonly TitleOfTest[] =>
  readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(root, "test", file), "utf8")
      return [calls, rows, arrays]
        .flatMap((pattern) => [...text.matchAll(pattern)])
        .map((found) => {
          const [all, , title = ""] = found
          const listed = tagsAfter.exec(text.slice(found.index + all.length))?.[1] ?? ""
          const tags = [...listed.matchAll(/"([^"]+)"/g)].map(([, tag = ""]) => tag)
          return {
            file: file.replaceAll("\\", "/"),
            title: tags.length === 0 ? title : `${tags.join(" ")}: ${title}`,
            tags,
          }
        })
    })

/** Every tag that a test has, for the runner, which takes no others. */
export const tagsOfTests = (): readonly string[] =>
  [...new Set(titlesOfTests().flatMap(({ tags }) => tags))].sort()
