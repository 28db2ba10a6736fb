/**
 * What XML 1.0 and Namespaces in XML say about single characters and names.
 */

/** Name of the namespace that the prefix `xml` always stands for. */
export const xmlNamespace = "http://www.w3.org/XML/1998/namespace"
/** Name of the namespace that declarations themselves live in; nothing may be bound to it. */
export const xmlnsNamespace = "http://www.w3.org/2000/xmlns/"

// Code units that no document may hold; lone surrogates are looked for separately.
// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

/** @source XML 1.0 §2.2 */
export const hasOnlyXmlCharacters = (text: string): boolean => text.isWellFormed() && !forbidden.test(text)

/** @source XML 1.0 §2.2 */
export const isXmlCodePoint = (code: number): boolean =>
  code === 0x9 ||
  code === 0xa ||
  code === 0xd ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x10000 && code <= 0x10ffff)

export const isSpace = (code: number): boolean =>
  code === 0x20 || code === 0x9 || code === 0xa || code === 0xd

/** Where the white space that begins at `from` ends; `from` itself when there is none. */
export const skipSpace = (text: string, from: number): number => {
  let at = from
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

const start = 1
const inside = 2
const asciiClass = new Uint8Array(128)
for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") {
  asciiClass[letter.charCodeAt(0)] = start
}
for (const character of "0123456789-.") asciiClass[character.charCodeAt(0)] = inside

/** The pairs of bounds of name-start characters above ASCII. */
const startRanges: readonly (readonly [number, number])[] = [
  [0xc0, 0xd6],
  [0xd8, 0xf6],
  [0xf8, 0x2ff],
  [0x370, 0x37d],
  [0x37f, 0x1fff],
  [0x200c, 0x200d],
  [0x2070, 0x218f],
  [0x2c00, 0x2fef],
  [0x3001, 0xd7ff],
  [0xf900, 0xfdcf],
  [0xfdf0, 0xfffd],
  [0x10000, 0xeffff],
]

// XML 1.0 has allowed these two in names since its fifth edition; to the parser both are blanks that end a name.
const blanks = new Set([0x1680, 0xfeff])

const classOf = (code: number): number => {
  if (code < 128) return asciiClass[code] ?? 0
  if (blanks.has(code)) return 0
  if (startRanges.some(([low, high]) => code >= low && code <= high)) return start
  const isInside = code === 0xb7 || (code >= 0x300 && code <= 0x36f) || code === 0x203f || code === 0x2040
  return isInside ? inside : 0
}

/** Where the name without colon that begins at `from` ends; `from` itself when there is none. */
const ncNameEnd = (text: string, from: number): number => {
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code < 128) {
      const kind = asciiClass[code]
      if (kind !== start && (kind !== inside || at === from)) return at
      at += 1
    } else {
      const point = text.codePointAt(at) ?? 0
      const kind = classOf(point)
      if (kind !== start && (kind !== inside || at === from)) return at
      at += point > 0xffff ? 2 : 1
    }
  }
  return at
}

const colon = 0x3a

/**
 * Where the qualified name (`name` or `prefix:name`) that begins at `from` ends; -1 when there is none.
 *
 * @source Namespaces in XML 1.0 §4
 */
export const qualifiedNameEnd = (text: string, from: number): number => {
  const first = ncNameEnd(text, from)
  if (first === from) return -1
  if (text.charCodeAt(first) !== colon) return first
  const second = ncNameEnd(text, first + 1)
  return second === first + 1 || text.charCodeAt(second) === colon ? -1 : second
}
