/**
 * The text of a document that arrives as octets, whatever encoding it declares.
 *
 * Asterisk and FreeSWITCH declare ISO-8859-1, so single-byte encodings are converted. The result is always
 * meant for UTF-8: a declaration of another encoding is rewritten, as it would be wrong wherever the text is
 * written again.
 *
 * The charset of the Content-Type counts first, then a byte order mark, then the XML declaration (RFC 7303 §3),
 * but `us-ascii` and `utf-8` of a Content-Type yield to a declaration: many senders write them without looking.
 *
 * @source XML 1.0 §4.3.3
 */

export type DocumentText =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "UnknownEncoding"; readonly encoding: string }
  /** Octets that are not of the encoding. */
  | { readonly _tag: "NotText"; readonly encoding: string }

/** @param charset parameter of the Content-Type, in lower case; null if there is none */
export const documentText = (octets: Uint8Array, charset: string | null): DocumentText => {
  const order = charset === null || isUnicode(charset) ? wideOrder(octets) : null
  if (order !== null) return decoded(octets, order)
  const bytes = withoutTrailingNuls(octets)
  const named = charset === null || isPresumed(charset) ? (declaredIn(bytes) ?? charset ?? "utf-8") : charset
  if (isPresumed(named)) {
    const result = decoded(bytes, "utf-8")
    // octets beyond ASCII that are not UTF-8 either: what old programs call ASCII
    return result._tag === "NotText" && isAscii(named) ? decoded(bytes, "windows-1252") : result
  }
  const encoding = singleByte(named)
  return encoding === null ? { _tag: "UnknownEncoding", encoding: named } : decoded(bytes, encoding)
}

/** Whether text that declares this encoding is known to be understood, as far as it is ASCII. */
export const isKnownEncoding = (name: string): boolean => isPresumed(name) || singleByte(name) !== null

const isUnicode = (name: string): boolean => /^utf-?(?:8|16(?:le|be)?)$/i.test(name)
const isAscii = (name: string): boolean => /^(?:us-)?ascii$|^ansi_x3\.4-1968$|^iso646-us$/i.test(name)
/** What needs no conversion. */
const isPresumed = (name: string): boolean => /^utf-?8$/i.test(name) || isAscii(name)

/** The name that the platform has for a single-byte encoding in which ASCII is ASCII; null: it is none. */
const singleByte = (name: string): string | null => {
  try {
    const { encoding } = decoderOf(name)
    return /^(?:iso-8859-|windows-|koi8-|macintosh$|ibm866$)/.test(encoding) ? encoding : null
  } catch {
    return null
  }
}

/** By name as written. Making one takes longer than reading a document with it; names that are none are not kept. */
const decoders = new Map<string, InstanceType<typeof TextDecoder>>()
const decodersMax = 64

/** @throws RangeError for a name that the platform does not know */
const decoderOf = (name: string): InstanceType<typeof TextDecoder> => {
  const known = decoders.get(name)
  if (known !== undefined) return known
  const decoder = new TextDecoder(name, { fatal: true })
  if (decoders.size >= decodersMax) decoders.clear()
  decoders.set(name, decoder)
  return decoder
}

/** UTF-16 by its byte order mark. */
const wideOrder = (bytes: Uint8Array): "utf-16be" | "utf-16le" | null =>
  bytes[0] === 0xfe && bytes[1] === 0xff
    ? "utf-16be"
    : bytes[0] === 0xff && bytes[1] === 0xfe
      ? "utf-16le"
      : null

/** Programs in C send the NUL that ends a string. */
const withoutTrailingNuls = (bytes: Uint8Array): Uint8Array => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}

const decoded = (bytes: Uint8Array, encoding: string): DocumentText => {
  try {
    const text = decoderOf(encoding).decode(bytes)
    return text.includes("\0")
      ? { _tag: "NotText", encoding }
      : { _tag: "Text", text: withOwnDeclaration(withoutLeadingBlanks(text)) }
  } catch {
    return { _tag: "NotText", encoding }
  }
}

/** Nothing may come before an XML declaration (XML 1.0 §2.8), and some programs write a line end there. */
const withoutLeadingBlanks = (text: string): string => {
  const start = text.trimStart()
  return start.startsWith("<?xml") ? start : text
}

const declaration = /^\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*(["'])([A-Za-z][A-Za-z0-9._:-]*)\1/

/** The octets before the encoding's name are ASCII in every encoding that is converted. */
const declarationOctets = 256

const declaredIn = (bytes: Uint8Array): string | null => {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  if (isMarked) return "utf-8"
  return declaration.exec(decoderOf("windows-1252").decode(bytes.subarray(0, declarationOctets)))?.[2] ?? null
}

/** Whether the text declares another encoding than UTF-8. */
export const declaresOther = (text: string): boolean => {
  const name = declaration.exec(text)?.[2]
  return name !== undefined && !/^utf-8$/i.test(name)
}

/** The declaration names the encoding in which the text is written from now on. */
const withOwnDeclaration = (text: string): string => {
  const match = declaration.exec(text)
  const name = match?.[2]
  if (match === null || name === undefined || !declaresOther(text)) return text
  const end = match[0].length - 1
  return `${text.slice(0, end - name.length)}UTF-8${text.slice(end)}`
}
