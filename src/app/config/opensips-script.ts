/**
 * Reads an OpenSIPS or Kamailio script as far as configuration goes: the modules loaded, the parameters set, each with its line,
 * and the calls of the two presence functions. Routing logic is not interpreted.
 *
 * Comments (`#`, `//`, and C's), strings in either kind of quotes, `\` at the end of a line, and Kamailio's preprocessor lines
 * (`#!define`, `#!substdef`, `#!ifdef` …) are understood.
 */

export interface ScriptParameter {
  readonly module: string
  readonly name: string
  readonly value: string
  readonly line: number
}

export interface ScriptCall {
  readonly name: "handle_publish" | "handle_subscribe"
  /** As written, without quotes; an argument that was left out is empty. */
  readonly args: readonly string[]
  readonly line: number
}

export interface Script {
  /** Without folder and `.so`. */
  readonly modules: readonly { readonly name: string; readonly line: number }[]
  readonly parameters: readonly ScriptParameter[]
  readonly calls: readonly ScriptCall[]
  /** `listen` and `socket` lines. */
  readonly sockets: readonly { readonly text: string; readonly line: number }[]
  /** What cannot be followed, or has an unknown form. */
  readonly unread: readonly { readonly what: string; readonly line: number }[]
}

interface Token {
  readonly kind: "word" | "string" | "mark" | "end"
  readonly text: string
  readonly line: number
}

export const readScript = (text: string): Script => {
  const unread: { what: string; line: number }[] = []
  const tokens = [...tokensOf(preprocess(text, unread))]
  const modules: Script["modules"][number][] = []
  const parameters: ScriptParameter[] = []
  const calls: ScriptCall[] = []
  const sockets: Script["sockets"][number][] = []
  for (let at = 0; at < tokens.length; at++) {
    const { kind, text: word, line } = tokens[at]!
    if (kind !== "word") continue
    if (word === "loadmodule" || word === "loadmodulex") {
      const path = tokens.slice(at + 1, at + 4).find((token) => token.kind === "string")?.text ?? ""
      const name = /([^/]+?)(?:\.so)?$/.exec(path)?.[1]
      if (name !== undefined) modules.push({ name, line })
    } else if (word === "modparam" || word === "modparamx") {
      const args = argumentsAt(tokens, at + 1)
      if (args?.length !== 3)
        unread.push({ what: `${word} is not of the form ("module", "name", value)`, line })
      else
        for (const module of args[0]!.split("|")) {
          parameters.push({ module: module.trim(), name: args[1]!, value: args[2]!, line })
        }
    } else if (word === "handle_publish" || word === "handle_subscribe") {
      const args = argumentsAt(tokens, at + 1)
      if (args !== null) calls.push({ name: word, args, line })
    } else if ((word === "listen" || word === "socket") && tokens[at + 1]?.text === "=") {
      const end = tokens.findIndex((token, index) => index > at && token.kind === "end")
      const parts = tokens.slice(at + 2, end < 0 ? undefined : end)
      sockets.push({ text: parts.map((part) => part.text).join(" "), line })
    }
  }
  return { modules, parameters, calls, sockets, unread }
}

/** The arguments in the parentheses that open at `from`; null when there are none. */
const argumentsAt = (tokens: readonly Token[], from: number): readonly string[] | null => {
  const all = tokens.slice(from, from + 200).filter(({ kind }) => kind !== "end")
  if (all[0]?.text !== "(" || all[0].kind !== "mark") return null
  const args: string[] = []
  let current = ""
  let depth = 0
  for (const { kind, text } of all) {
    if (kind === "mark" && text === "(") depth++
    if (kind === "mark" && text === ")" && --depth === 0) {
      return args.length === 0 && current === "" ? [] : [...args, current]
    }
    if (kind === "mark" && text === "," && depth === 1) {
      args.push(current)
      current = ""
    } else if (depth > 1 || kind !== "mark" || text !== "(") current += text
  }
  return null
}

/** Removes preprocessor lines and applies their definitions; each line keeps its number. */
const preprocess = (text: string, unread: { what: string; line: number }[]): string => {
  const defined = new Map<string, string>()
  /** For each enclosing `#!ifdef`, whether its current branch applies. */
  const branches: boolean[] = []
  const lines = text.split(/\r?\n/)
  for (let index = 0; index < lines.length; index++) {
    const [, directive, rest = ""] = /^\s*[#!]!([a-z_]+)\b\s*(.*)$/i.exec(lines[index]!) ?? []
    if (directive === undefined) {
      const included = /^\s*(?:include_file|import_file)\s+["']?([^"']+)/.exec(lines[index]!)?.[1]
      if (included !== undefined)
        unread.push({ what: `${included} is another file; import it as well`, line: index + 1 })
      if (branches.includes(false)) lines[index] = ""
      else lines[index] = substituted(lines[index]!, defined)
      continue
    }
    lines[index] = ""
    const word = directive.toLowerCase()
    if (word === "ifdef" || word === "ifndef") branches.push(defined.has(rest.trim()) === (word === "ifdef"))
    else if (word === "else") branches.push(!(branches.pop() ?? true))
    else if (word === "endif") branches.pop()
    else if (branches.includes(false)) continue
    else if (/^(?:try|re)?def(?:ine)?$/.test(word)) {
      const [, name = "", value = ""] = /^(\S+)\s*(.*)$/.exec(rest) ?? []
      if (word !== "trydef" || !defined.has(name)) defined.set(name, value.trim())
    } else if (/^substdefs?$/.test(word)) {
      const [, name = "", value = ""] =
        /^"?(?:[!/|#@])([^!/|#@]+)[!/|#@](.*?)[!/|#@]g?"?\s*$/.exec(rest) ?? []
      if (name !== "") defined.set(name, value)
    } else if (word.startsWith("include") || word.startsWith("import")) {
      unread.push({
        what: `${rest.replaceAll(/["']/g, "")} is another file; import it as well`,
        line: index + 1,
      })
    }
  }
  return lines.join("\n")
}

const substituted = (line: string, defined: ReadonlyMap<string, string>): string => {
  let result = line
  for (const [name, value] of defined) {
    if (name === "" || value === "" || !result.includes(name)) continue
    // a defined name that stands alone, and one that a #!subst puts into strings
    result = result.replaceAll(new RegExp(String.raw`(?<![\w])${escaped(name)}(?![\w])`, "g"), () => value)
  }
  return result
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^$(){}|[\]\\]/g, String.raw`\$&`)

const wordPattern = /[^\s"'(),;{}=#]+/y

/** Words, strings and punctuation; `end` after each line. */
function* tokensOf(text: string): Generator<Token> {
  let line = 1
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    const next = text[at + 1]
    if (char === "\\" && (next === "\n" || next === "\r")) {
      at += next === "\r" ? 3 : 2
      line++
    } else if (char === "\n") {
      yield { kind: "end", text: "", line }
      line++
      at++
    } else if (char === "#" || (char === "/" && next === "/")) {
      const end = text.indexOf("\n", at)
      at = end < 0 ? text.length : end
    } else if (char === "/" && next === "*") {
      const end = text.indexOf("*/", at + 2)
      const stop = end < 0 ? text.length : end + 2
      line += text.slice(at, stop).split("\n").length - 1
      at = stop
    } else if (char === '"' || char === "'") {
      const { value, end } = stringAt(text, at)
      yield { kind: "string", text: value, line }
      line += text.slice(at, end).split("\n").length - 1
      at = end
    } else if (/\s/.test(char)) at++
    else if ("(),;{}=".includes(char)) {
      yield { kind: "mark", text: char, line }
      at++
    } else {
      wordPattern.lastIndex = at
      const word = wordPattern.exec(text)?.[0] ?? char
      // a comment may follow a word without a space
      const cut = word.search(/\/[/*]/)
      const kept = cut > 0 && !word.startsWith(":", cut - 1) ? word.slice(0, cut) : word
      yield { kind: "word", text: kept, line }
      at += kept.length
    }
  }
}

const stringAt = (text: string, from: number): { readonly value: string; readonly end: number } => {
  const quote = text[from]
  let value = ""
  let at = from + 1
  while (at < text.length && text[at] !== quote) {
    if (text[at] === "\\" && at + 1 < text.length) at++
    value += text[at++]!
  }
  return { value, end: at + 1 }
}
