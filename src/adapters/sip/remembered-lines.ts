/**
 * Caches for header lines that hardly vary between phones (`Accept: application/pidf+xml`): each is parsed
 * once and the result shared, so that neither messages nor the state derived from them hold their own copies.
 */
import { copyText } from "./message-reader.ts"

/** Lines that one reader caches before it starts afresh, and their maximum length. */
const rememberedMax = 256
const lengthMax = 64

/** @param read depends on the line only, and never returns undefined */
export const remembering = <Result>(read: (line: string) => Result): ((line: string) => Result) => {
  const results = new Map<string, Result>()
  return (line) => {
    if (line.length > lengthMax) return read(line)
    const known = results.get(line)
    if (known !== undefined) return known
    const own = copyText(line)
    const result = read(own)
    if (results.size >= rememberedMax) results.clear()
    results.set(own, result)
    return result
  }
}

/** Strings cached before the older half is dropped. One cache for the process: it does not affect any result. */
const sharedMax = 32_768
/** Longer ones are not cached, so that peers can fill 8 MB at most. */
const sharedLengthMax = 256
let recent = new Map<string, string>()
let older = new Map<string, string>()

/** The same string for many dialogs, such as the URI of their presentity; it does not hold on to the message. */
export const shared = (text: string): string => {
  if (text.length > sharedLengthMax) return copyText(text)
  let known = recent.get(text)
  if (known !== undefined) return known
  known = older.get(text) ?? copyText(text)
  recent.set(known, known)
  if (recent.size >= sharedMax / 2) {
    older = recent
    recent = new Map()
  }
  return known
}
