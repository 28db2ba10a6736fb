/**
 * Control characters in the head of a message: all but a tab, and CR and LF that are not a pair.
 *
 * They are read as spaces, so that what is echoed or written elsewhere can hold no line end (header injection).
 * Where they matter, what reads the value refuses it; elsewhere they are ignored (RFC 3261 §8.2.2).
 */
const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const DEL = 127

// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const strayControls = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/g

/** The head of a message, of the same length, with spaces in place of stray control characters. */
export const withoutControls = (head: string): string =>
  hasStrayControl(head) ? head.replace(strayControls, " ") : head

const hasStrayControl = (head: string): boolean => {
  for (let at = 0; at < head.length; at++) {
    const code = head.charCodeAt(at)
    if (code >= SPACE ? code === DEL : code !== TAB) {
      if (code !== CR || head.charCodeAt(at + 1) !== LF) return true
      at++
    }
  }
  return false
}
