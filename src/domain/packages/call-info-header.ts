/**
 * The Call-Info header as used by shared call appearances: for each appearance of a line its number and its state.
 *
 *     <sip:alice@example.com>;appearance-index=1;appearance-state=active, <…>;appearance-index=*;appearance-state=idle
 *
 * `*` stands for every appearance that is not named. Other parameters are passed on as written.
 */
import type { Uri } from "../vocabulary.ts"

export interface Appearance {
  /** The text between the angle brackets. */
  readonly uri: string
  readonly index: number | "*"
  /** `idle`, `seized`, `progressing`, `alerting`, `active`, `held` … in lower case; null: not stated. */
  readonly state: string | null
  /** All other parameters, as written, in order; null: without a value. */
  readonly parameters: readonly (readonly [name: string, value: string | null])[]
}

export type Appearances =
  | { readonly _tag: "Parsed"; readonly appearances: readonly Appearance[] }
  | { readonly _tag: "Unreadable"; readonly why: string }

/**
 * Parses the value of a Call-Info header; total. Entries without `appearance-index` are about something else and are
 * ignored.
 *
 * @source RFC 3261 §20.9, §25.1
 */
export const parseAppearances = (text: string): Appearances => {
  const appearances: Appearance[] = []
  for (let at = 0; ;) {
    const entry = entryAt(text, at)
    if (typeof entry === "string") return unreadable(entry)
    const appearance = appearanceOf(entry)
    if (typeof appearance === "string") return unreadable(appearance)
    if (appearance !== null) {
      if (appearances.some(({ index }) => index === appearance.index))
        return unreadable(`appearance-index=${appearance.index} comes twice`)
      appearances.push(appearance)
    }
    if (entry.end === text.length) return { _tag: "Parsed", appearances }
    at = entry.end + 1
  }
}

/** One header value for these appearances, in their order. */
export const printAppearances = (appearances: readonly Appearance[]): string =>
  appearances
    .map(({ uri, index, state, parameters }) => {
      const all = [
        ["appearance-index", `${index}`] as const,
        ...(state === null ? [] : [["appearance-state", state] as const]),
        ...parameters,
      ]
      return `<${uri}>${all.map(([name, value]) => (value === null ? `;${name}` : `;${name}=${value}`)).join("")}`
    })
    .join(", ")

/** The entry for every appearance of a line that is not named. */
export const allIdle = (line: Uri): Appearance => ({ uri: line, index: "*", state: "idle", parameters: [] })

/** Each index once, the last one of several; in the order of their numbers, `*` last. */
export const byIndex = (appearances: readonly Appearance[]): readonly Appearance[] => {
  const latest = new Map(appearances.map((appearance) => [appearance.index, appearance]))
  const rank = ({ index }: Appearance): number => (index === "*" ? Number.POSITIVE_INFINITY : index)
  return [...latest.values()].sort((left, right) => (rank(left) < rank(right) ? -1 : 1))
}

const unreadable = (why: string): Appearances => ({ _tag: "Unreadable", why: `Call-Info: ${why}` })

interface Entry {
  readonly uri: string
  readonly parameters: ReadonlyMap<string, readonly [name: string, value: string | null]>
  /** The position of its comma, or the end of the text. */
  readonly end: number
}

const uriPattern = /[\t ]*<([A-Za-z][A-Za-z0-9+.-]*:[^\s<>"\p{Cc}]+)>/uy
const parameterPattern =
  /[\t ]*;[\t ]*([A-Za-z0-9.!%*_+`'~-]+)(?:[\t ]*=[\t ]*([A-Za-z0-9.!%*_+`'~:[\]-]+|"(?:[^"\\]|\\.)*"))?/uy
const endPattern = /[\t ]*(?=,|$)/uy

/** @returns a text that names the fault if the entry cannot be parsed */
const entryAt = (text: string, from: number): Entry | string => {
  uriPattern.lastIndex = from
  const match = uriPattern.exec(text)
  if (match === null) return "an entry does not begin with a URI in angle brackets"
  let at = uriPattern.lastIndex
  const parameters = new Map<string, readonly [string, string | null]>()
  for (;;) {
    parameterPattern.lastIndex = at
    const parameter = parameterPattern.exec(text)
    if (parameter === null) break
    const [, name = "", value = null] = parameter
    if (parameters.has(name.toLowerCase())) return `${name} comes twice in one entry`
    parameters.set(name.toLowerCase(), [name, value])
    at = parameterPattern.lastIndex
  }
  endPattern.lastIndex = at
  if (endPattern.exec(text) === null) return "a parameter is not a name, or a name and a value"
  return { uri: match[1] ?? "", parameters, end: endPattern.lastIndex }
}

/** Null: not about an appearance; text: its fault. */
const appearanceOf = ({ uri, parameters }: Entry): Appearance | string | null => {
  const index = parameters.get("appearance-index")
  if (index === undefined) return null
  const [, number] = index
  if (number === null || !indexPattern.test(number))
    return "appearance-index is neither a number from 1 nor *"
  const state = parameters.get("appearance-state")
  if (state !== undefined && (state[1] === null || !/^[A-Za-z0-9.!%*_+`'~-]+$/.test(state[1])))
    return "appearance-state is not a word"
  return {
    uri,
    index: number === "*" ? "*" : Number(number),
    state: state?.[1]?.toLowerCase() ?? null,
    parameters: [...parameters]
      .filter(([name]) => name !== "appearance-index" && name !== "appearance-state")
      .map(([, parameter]) => parameter),
  }
}

const indexPattern = /^(?:\*|[1-9][0-9]{0,3})$/
