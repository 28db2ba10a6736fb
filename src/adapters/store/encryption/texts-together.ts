/**
 * How the texts of a person in a row were encrypted together before `sealed-texts.ts`: with one tag, each in its own place. Such rows
 * are read for ever; nothing writes them any more.
 *
 * A row is gone through twice, in the same order: first its texts are noted, then each is replaced. `origin` comes first, then the
 * events. What stands in the row is `PLACE~TEXT` or `PLACE@TEXT`: the place of the key among those of the row, nothing for the
 * presentity's. A tilde is a token character, so parameters that stand in clear in still earlier rows may look like such a text.
 */
import type { PersonKey } from "../../../ports/stored-events.ts"
import { decryptTexts } from "./cipher.ts"

/** Texts of one key in one row, in the order in which they stand there. */
interface Group {
  readonly key: PersonKey | undefined
  readonly id: string
  readonly kinds: string[]
  readonly texts: string[]
  /** What takes their places; null: there is no key. */
  results: readonly string[] | null
  next: number
}

const newGroup = (id: string, key: PersonKey | undefined): Group => ({
  key,
  id,
  kinds: [],
  texts: [],
  results: null,
  next: 0,
})

/** Whether a stored text was encrypted with others, in this form or as a mark of today's. */
export const isTogether = (stored: string): boolean => /^\d*[~@][\w-]*$/.test(stored)

const markIn = (stored: string): number => stored.search(/[~@]/)

/** What texts of a key in a row are bound to. Decisions have nonces of their own, so nothing fits into another row. */
const associated = (id: string, place: string, nonce: string): string => `decision\0${id}\0${place}\0${nonce}`

/** A text that was read: as it was, or what a stand-in for it is made from. */
export interface OpenedText {
  readonly id: string
  /** Null: nobody can read it any more. */
  readonly text: string | null
  /** Of this text alone, and the same whenever the row is read. */
  readonly token: string
}

/** The texts of a row that is read. */
export interface EarlierOpening {
  /** @param mayBeClear whether the text may stand in clear: then one that is too short to be the first of its key does */
  readonly note: (kind: string, stored: string, mayBeClear?: boolean) => void
  /**
   * After the last text was noted.
   *
   * @throws Error when they are not what was written there
   */
  readonly open: () => void
  /** The next text of the key that this one names, or the text itself when it is in clear. */
  readonly next: (stored: string) => OpenedText
}

/** Octets of a tag in base64url, as far as they are of the tag alone. */
export const tagCharacters = 21

/** @param keyFor the id of a place's key, and the key; undefined where it was destroyed. Throws when there is no such place. */
export const makeEarlierOpening = (
  nonce: string,
  keyFor: (place: string) => { readonly id: string; readonly key: PersonKey | undefined },
): EarlierOpening => {
  const groups = new Map<string, Group>()
  return {
    note: (kind, stored, mayBeClear = false) => {
      const end = markIn(stored)
      if (end < 0) return
      const place = stored.slice(0, end)
      let group = groups.get(place)
      if (group === undefined) {
        if (mayBeClear && stored.length - end <= tagCharacters) return
        const { id, key } = keyFor(place)
        groups.set(place, (group = newGroup(id, key)))
      }
      group.kinds.push(kind)
      group.texts.push(stored.slice(end + 1))
    },
    open: () => {
      for (const [place, group] of groups) {
        const { id, key, kinds, texts } = group
        if (key === undefined) continue
        group.results = decryptTexts(key.key, associated(id, place, nonce), kinds, texts)
        if (group.results === null)
          throw new Error(`a text that key ${id} should open is not what was written there`)
      }
    },
    next: (stored) => {
      const group = groups.get(stored.slice(0, markIn(stored)))
      if (group === undefined) return { id: "", text: stored, token: stored }
      const index = group.next++
      const token = `${group.texts[0]!.slice(0, tagCharacters)}.${index}`
      return { id: group.id, text: group.results?.[index] ?? null, token }
    },
  }
}
