/**
 * Character references and the five entities that XML itself declares (XML 1.0 §4.1, §4.6). There are no others, because a
 * document type is refused: nothing expands to more than one character.
 */
import { isXmlCodePoint } from "./characters.ts"

export const unknownReference = "& without a reference that XML knows"

const named = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
])

/**
 * Replaces references by the characters they stand for; the result is not read again. O(length).
 *
 * @returns null when an ampersand begins no such reference
 */
export const decodeReferences = (text: string): string | null => {
  let from = text.indexOf("&")
  if (from === -1) return text
  let decoded = text.slice(0, from)
  while (from !== -1) {
    const end = text.indexOf(";", from)
    const character = end === -1 ? null : referenced(text.slice(from + 1, end))
    if (character === null) return null
    const next = text.indexOf("&", end)
    decoded += character + text.slice(end + 1, next === -1 ? text.length : next)
    from = next
  }
  return decoded
}

const referenced = (name: string): string | null => {
  if (!name.startsWith("#")) return named.get(name) ?? null
  const digits = /^#(?:([0-9]+)|x([0-9a-fA-F]+))$/.exec(name)
  if (digits === null) return null
  const [, decimal, hexadecimal] = digits
  const code = decimal === undefined ? Number.parseInt(hexadecimal ?? "", 16) : Number.parseInt(decimal, 10)
  return isXmlCodePoint(code) ? String.fromCodePoint(code) : null
}
