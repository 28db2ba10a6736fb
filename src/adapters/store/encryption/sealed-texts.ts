/**
 * The texts of a row that are encrypted together: those of one person in one decision are one text to the cipher, with one tag.
 *
 * Each text is replaced where it stands by a mark, `PLACE@`: the place of the key among those of the row, nothing for the presentity's.
 * What was encrypted stands in the envelope, once for each key (`s`). The row is gone through once, when it is written and when it
 * is read: `origin` comes first, then what is known of the request, then the events.
 *
 * What each text is, and where it stands among the others, is bound to all of them (the associated data), so no mark can be moved,
 * added or removed.
 */
import type { PersonKey } from "../../../ports/stored-events.ts"
import { decryptUnchecked, encryptText, isTagOf } from "./cipher.ts"
import type { Unchecked } from "./cipher.ts"
import { tagCharacters } from "./texts-together.ts"
import type { OpenedText } from "./texts-together.ts"

const mark = "@"

/** Between two texts; a text that has such an octet, or the one that escapes it, is written otherwise. */
const separator = "\0"
const isAmbiguous = (text: string): boolean => text.includes("\0") || text.includes("\u0001")
const escaped = (text: string): string =>
  isAmbiguous(text) ? text.replaceAll("\u0001", "\u00011").replaceAll("\0", "\u00010") : text
const unescaped = (text: string): string =>
  text.includes("\u0001") ? text.replaceAll("\u00010", "\0").replaceAll("\u00011", "\u0001") : text

/** What texts of a key in a row are bound to, before what each of them is. Decisions have nonces of their own, so nothing fits into another row. */
const boundTo = (id: string, place: string, nonce: string): string => `row\0${id}\0${place}\0${nonce}`

/** The place of the presentity's key. */
const ownPlace = ""
/** In the list of what was encrypted. */
const indexOf = (place: string): number => (place === ownPlace ? 0 : Number(place) + 1)

/** Texts of one key that are to be encrypted. */
interface Group {
  readonly key: PersonKey
  readonly index: number
  associated: string
  text: string
  isFirst: boolean
}

/** The texts of a decision that is written. */
export interface Sealing {
  /**
   * @param place of the key among those of the row; empty: the presentity's
   * @returns what stands in the place of the text
   */
  readonly add: (key: PersonKey, place: string, kind: string, text: string) => string
  /** After the last text: what was encrypted, the presentity's first; null: nothing was. */
  readonly seal: () => readonly string[] | null
}

/** @param nonce of the decision */
export const makeSealing = (nonce: string): Sealing => {
  const groups: Group[] = []
  return {
    add: (key, place, kind, text) => {
      const index = indexOf(place)
      let group = groups.find((other) => other.index === index)
      if (group === undefined) {
        group = {
          key,
          index,
          associated: boundTo(key.id, place, nonce),
          text: "",
          isFirst: true,
        }
        groups.push(group)
      }
      group.associated += `\0${kind}`
      group.text += group.isFirst ? escaped(text) : separator + escaped(text)
      group.isFirst = false
      return place + mark
    },
    seal: () => {
      if (groups.length === 0) return null
      const sealed: string[] = [""]
      for (const { key, index, associated, text } of groups) {
        while (sealed.length <= index) sealed.push("")
        sealed[index] = encryptText(key.key, associated, text)
      }
      return sealed
    },
  }
}

/** Texts of one key that are read. */
interface Read {
  readonly id: string
  readonly key: PersonKey | undefined
  readonly sealed: string
  readonly opened: Unchecked | null
  readonly texts: readonly string[]
  associated: string
  next: number
}

/** The texts of a row that is read. */
export interface Opening {
  /** The text in the place of a mark. Nothing is to be believed before `check`. */
  readonly next: (mark: string, kind: string) => OpenedText
  /** Passes over a text that nobody needs: a key that has no others in the row is not used, and its texts are not checked. */
  readonly skip: (mark: string, kind: string) => void
  /** After the last text. @throws Error when something is not what was written there */
  readonly check: () => void
}

/** @returns the number of the text in its group */
const pass = (group: Read, kind: string): number => {
  group.associated += `\0${kind}`
  return group.next++
}

const wrong = (id: string): Error =>
  new Error(`a text that key ${id} should open is not what was written there`)

/** @param keyFor the id of a place's key, and the key; undefined where it was destroyed. Throws when there is no such place. */
export const makeOpening = (
  nonce: string,
  sealed: readonly string[],
  keyFor: (place: string) => { readonly id: string; readonly key: PersonKey | undefined },
): Opening => {
  const groups: (Read | undefined)[] = []
  /** Texts of keys that were not used yet. */
  const skipped: { readonly index: number; readonly kind: string }[] = []
  const begin = (place: string): Read => {
    const { id, key } = keyFor(place)
    const index = indexOf(place)
    const text = sealed[index]
    if (text === undefined) throw wrong(id)
    const opened = key === undefined ? null : decryptUnchecked(key.key, text)
    if (key !== undefined && opened === null) throw wrong(id)
    const group: Read = {
      id,
      key,
      sealed: text,
      opened,
      texts: opened === null ? [] : opened.text.split(separator),
      associated: boundTo(id, place, nonce),
      next: 0,
    }
    groups[index] = group
    for (const text of skipped) if (text.index === index) pass(group, text.kind)
    return group
  }
  return {
    skip: (marked, kind) => {
      const index = indexOf(marked.slice(0, -1))
      const group = groups[index]
      if (group === undefined) skipped.push({ index, kind })
      else pass(group, kind)
    },
    next: (marked, kind) => {
      const place = marked.slice(0, -1)
      const group = groups[indexOf(place)] ?? begin(place)
      const index = pass(group, kind)
      const text = group.texts[index]
      return {
        id: group.id,
        text: group.key === undefined ? null : unescaped(text ?? ""),
        token: `${group.sealed.slice(0, tagCharacters)}.${index}`,
      }
    },
    check: () => {
      for (let index = 0; index < sealed.length; index++) {
        const group = groups[index]
        if (group === undefined) {
          const isSkipped = skipped.some((text) => text.index === index)
          // of texts that stand nowhere, or no longer where they stood
          if (sealed[index] !== "" && !isSkipped)
            throw new Error("an encrypted text of the row stands nowhere in it")
          continue
        }
        const { id, key, opened, texts, associated, next } = group
        if (key === undefined) continue
        if (next !== texts.length || opened === null || !isTagOf(key.key, associated, opened)) throw wrong(id)
      }
    },
  }
}
