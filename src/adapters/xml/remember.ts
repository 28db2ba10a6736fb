/**
 * A codec that keeps the trees of the documents it read last.
 *
 * The state of a presentity keeps texts, and their trees take ten times the room. One decision reads the same documents
 * several times: to check what arrives, to compose it with what is published beside it, and to tell watchers of dialogs what
 * changed. It finds them here, also when its NOTIFYs are made after a commit that it shares with others. Keeping more than that,
 * until the presentity changes again, saves less in reading than it costs in collecting garbage. Nothing depends on what
 * is kept: a tree is a function of its text.
 */
import type { XmlCodec, XmlResult } from "../../domain/packages/element.ts"

/** Octets of trees where nothing else is said: those of some tens of documents. */
const defaultTreesMax = 131_072

/** A tree takes about as many octets for each character of its text. */
const octetsPerCharacter = 10

/**
 * Two generations: what is asked for again moves to the younger one, and when that is full, the older one is dropped as a
 * whole. So a text is found at least until half the octets have been read after it. O(1) for each document besides its hash.
 *
 * @param octetsMax estimated octets of all trees together; 0: none is kept
 */
export const remembering = (codec: XmlCodec, octetsMax: number = defaultTreesMax): XmlCodec => {
  if (octetsMax === 0) return codec
  const charactersMax = octetsMax / octetsPerCharacter / 2
  let younger = new Map<string, XmlResult>()
  let older = new Map<string, XmlResult>()
  let characters = 0
  const keep = (text: string, result: XmlResult): void => {
    if (text.length > charactersMax) return
    characters += text.length
    if (characters > charactersMax) {
      older = younger
      younger = new Map()
      characters = text.length
    }
    younger.set(text, result)
  }
  return {
    parse: (text) => {
      const known = younger.get(text)
      if (known !== undefined) return known
      const result = older.get(text) ?? codec.parse(text)
      // what is refused is not asked for again
      if (result._tag === "Parsed") keep(text, result)
      return result
    },
    print: codec.print,
  }
}
