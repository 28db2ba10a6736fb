/**
 * What every reader asks of a document before its content: that it is not too long, of characters that XML allows, and begins
 * with a proper XML declaration, if with any.
 */
import { isKnownEncoding } from "../../encoding/document-text.ts"
import { hasOnlyXmlCharacters, isSpace } from "./characters.ts"
import { isLonger } from "./limits.ts"
import type { XmlLimits } from "./limits.ts"

/** The text with its line ends as they are read, and where its content begins; or what is wrong with it. O(length). */
export const begin = (
  document: string,
  { bytesMax }: XmlLimits,
): { readonly text: string; readonly from: number } | string => {
  if (isLonger(document, bytesMax)) return `document is longer than ${bytesMax} bytes`
  if (!hasOnlyXmlCharacters(document)) return "character that XML does not allow"
  // XML 1.0 §2.11: every line end is one LF for everything that follows.
  const text = document.includes("\r") ? document.replace(/\r\n?/g, "\n") : document
  const from = declarationEnd(text)
  return typeof from === "string" ? from : { text, from }
}

const declaration =
  /<\?xml[ \t\n]+version[ \t\n]*=[ \t\n]*(?:"1\.[0-9]+"|'1\.[0-9]+')(?:[ \t\n]+encoding[ \t\n]*=[ \t\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?(?:[ \t\n]+standalone[ \t\n]*=[ \t\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\n]*\?>/y

/**
 * Where the document goes on after byte order mark and XML declaration, or what is wrong with the latter. White
 * space before the declaration is not allowed, and some programs write a line end there.
 *
 * The text has been decoded before. One that declares another encoding, and is ASCII, would be the same in it.
 *
 * @source XML 1.0 §2.8, §4.3.3
 */
const declarationEnd = (text: string): number | string => {
  let from = text.startsWith("\ufeff") ? 1 : 0
  while (isSpace(text.charCodeAt(from))) from++
  if (!text.startsWith("<?xml", from) || !isSpace(text.charCodeAt(from + 5))) return from
  declaration.lastIndex = from
  const match = declaration.exec(text)
  if (match === null) return "XML declaration is not of the form XML 1.0 gives it"
  const encoding = match[1] ?? match[2]
  if (encoding !== undefined && !/^(?:utf-8|us-ascii)$/i.test(encoding)) {
    if (!isKnownEncoding(encoding) || beyondAscii.test(text)) return `encoding ${encoding} is not supported`
  }
  return declaration.lastIndex
}

const beyondAscii = /[^\0-\x7f]/
