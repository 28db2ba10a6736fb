/**
 * The XML declaration at the beginning of a document.
 */
import { isSpace } from "./characters.ts"

const declaration =
  /<\?xml[ \t\n]+version[ \t\n]*=[ \t\n]*(?:"1\.[0-9]+"|'1\.[0-9]+')(?:[ \t\n]+encoding[ \t\n]*=[ \t\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?(?:[ \t\n]+standalone[ \t\n]*=[ \t\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\n]*\?>/y

/**
 * Where the document goes on after byte order mark and XML declaration, or what is wrong with the latter.
 *
 * @source XML 1.0 §2.8, §4.3.3
 */
export const declarationEnd = (text: string): number | string => {
  const from = text.startsWith("\ufeff") ? 1 : 0
  if (!text.startsWith("<?xml", from) || !isSpace(text.charCodeAt(from + 5))) return from
  declaration.lastIndex = from
  const match = declaration.exec(text)
  if (match === null) return "XML declaration is not of the form XML 1.0 gives it"
  const encoding = match[1] ?? match[2]
  if (encoding !== undefined && !/^(?:utf-8|us-ascii)$/i.test(encoding))
    return `encoding ${encoding} is not supported`
  return declaration.lastIndex
}
