/**
 * Digests of views: what is compared to see whether a watcher has been shown something already. They stand in the log as
 * `shown`, so the same view has the same digest in every version.
 */
import type { Body, Header } from "../vocabulary.ts"

/** The media type counts: the same bytes may mean something else as another type. */
export const viewHash = ({ contentType, parameters = "", text }: Body): string =>
  digestOf([`${contentType};${parameters}\n`, text])

/** The same for the same body and headers, whatever was asked to be shown. */
export const digestOfBoth = (body: Body | null, headers: readonly Header[]): string =>
  digest(
    [...headers.map(([name, value]) => `${name}: ${value}`), "", body === null ? "" : viewHash(body)].join(
      "\n",
    ),
  )

export const digest = (text: string): string => digestOf([text])

/**
 * 53 bits of the texts, one after the other, in base 36: enough to see that a view changed, not a proof of anything.
 *
 * Two independent 32-bit multiplicative hashes over UTF-16 units. O(length). A text that was put together of many is read
 * where it stands and not copied, so that afterwards it is one string, and its pieces are gone.
 */
const digestOf = (texts: readonly string[]): string => {
  let left = 0x9e3779b1
  let right = 0x85ebca6b
  for (const text of texts) {
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      left = Math.imul(left ^ unit, 0x27d4eb2f)
      right = Math.imul(right ^ unit, 0x165667b1)
    }
  }
  left = Math.imul(left ^ (left >>> 15), 0x2c1b3c6d) ^ right
  right = Math.imul(right ^ (right >>> 13), 0x297a2d39) ^ (left >>> 16)
  return ((right >>> 0) * 0x200000 + (left >>> 11)).toString(36)
}
