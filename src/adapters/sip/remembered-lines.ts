/**
 * Readers of header lines that hardly differ between phones (`Accept: application/pidf+xml`): a result is made once and shared,
 * so that neither a message nor what is kept of it has a text of its own.
 */
import { copyText } from "./message-reader.ts"

/** Distinct lines remembered by one reader before it begins anew, and the longest of them. */
const rememberedMax = 256
const lengthMax = 64

/** @param read depends on nothing but the line, and never returns undefined */
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

/** Texts remembered before the older half is forgotten; one memory for the process, since it shows in no result. */
const sharedMax = 32_768
/** Longer ones are not remembered: what a peer sends can hold 8 MB at most. */
const sharedLengthMax = 256
let recent = new Map<string, string>()
let older = new Map<string, string>()

/** A text of its own with those letters, and the same for many dialogs: that of their presentity, for one. */
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
