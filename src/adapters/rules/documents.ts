/**
 * The text of a document, and why one cannot be used.
 */

/** Its text, without a byte order mark; null: it is not UTF-8. */
export const textOf = (bytes: Uint8Array): string | null => {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

export const notUtf8 = "it is not UTF-8"
export const tooLarge = (octets: number, octetsMax: number): string =>
  `it has ${octets} octets, more than rules_document_max = ${octetsMax}`
