/**
 * The text of a document, and why one cannot be used.
 */
import { documentText } from "../../encoding/document-text.ts"

/** Its text, without a byte order mark, or why it has none. */
export const textOf = (bytes: Uint8Array): { readonly text: string } | { readonly why: string } => {
  const read = documentText(bytes, null)
  switch (read._tag) {
    case "Text":
      return { text: read.text }
    case "UnknownEncoding":
      return { why: `its encoding ${read.encoding} is not supported: write it in UTF-8` }
    case "NotText":
      return { why: read.encoding === "utf-8" ? "it is not UTF-8" : `it is not ${read.encoding}` }
  }
}

export const tooLarge = (octets: number, octetsMax: number): string =>
  `it has ${octets} octets, more than rules_document_max = ${octetsMax}`
