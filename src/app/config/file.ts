/**
 * The configuration file, in YAML or JSON (a subset of YAML), with the line of each value.
 *
 * Values are read here and checked in `config.ts`.
 */
import { readFileSync } from "node:fs"
import { LineCounter, isMap, isNode, isScalar, parseDocument } from "yaml"
import { fileWords } from "./file-words.ts"

/** One setting of a file. */
export interface FileSetting {
  readonly name: string
  readonly value: unknown
  /** `file presently.yaml:31`; with a path, the place of that part of the value. */
  readonly at: (...path: readonly (string | number)[]) => string
}

/** @param faults receives a line for each reason why the file cannot be read */
export const readConfigFile = (file: string, faults: string[]): readonly FileSetting[] => {
  try {
    return parseConfigFile(readFileSync(file, "utf8"), file, faults)
  } catch (cause) {
    faults.push(`config (file ${file}): ${fileWords(cause)}`)
    return []
  }
}

const parseConfigFile = (text: string, file: string, faults: string[]): readonly FileSetting[] => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const lineAt = (offset: number | undefined): string => `file ${file}:${lines.linePos(offset ?? 0).line}`
  // later errors mostly follow from the first
  const [error] = document.errors
  if (error !== undefined) faults.push(`config (${lineAt(error.pos[0])}): ${error.message.split("\n")[0]}`)
  const { contents } = document
  if (error !== undefined || contents === null) return []
  if (!isMap(contents)) {
    faults.push(`config (file ${file}): expected settings by name, for example log: json`)
    return []
  }
  return contents.items.map(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : String(key)
    const startOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined)
    return {
      name,
      value: isNode(value) ? value.toJS(document) : value,
      at: (...path) =>
        lineAt(startOf(path.length === 0 ? key : document.getIn([name, ...path], true)) ?? startOf(key)),
    }
  })
}

/** A value from a flag or an environment variable; text that is not YAML is taken as text. */
export const parseValue = (text: string): unknown => {
  const document = parseDocument(text, { prettyErrors: false })
  return document.errors.length > 0 ? text : document.toJS()
}
