/**
 * How large a document may be. Every reader refuses what is larger, with the same words.
 */

export interface XmlLimits {
  /** Octets of the document in UTF-8. */
  readonly bytesMax: number
  /** Elements inside one another, the root included. */
  readonly depthMax: number
  readonly elementsMax: number
  /** Attributes of one element, namespace declarations included. */
  readonly attributesMax: number
}

export const defaultLimits: XmlLimits = {
  bytesMax: 65_536,
  depthMax: 64,
  elementsMax: 2_000,
  attributesMax: 64,
}

/** Whether a text is more octets in UTF-8. Counted only where it can be: one UTF-16 unit is never more than three. */
export const isLonger = (text: string, bytesMax: number): boolean => {
  if (text.length * 3 <= bytesMax) return false
  let bytes = text.length
  for (let at = 0; at < text.length && bytes <= bytesMax; at++) {
    const unit = text.charCodeAt(at)
    const isHalfOfPair = unit >= 0xd800 && unit <= 0xdfff
    bytes += unit < 0x80 ? 0 : unit < 0x800 || isHalfOfPair ? 1 : 2
  }
  return bytes > bytesMax
}
