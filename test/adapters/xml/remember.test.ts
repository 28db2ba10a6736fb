import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { remembering } from "../../../src/adapters/xml/remember.ts"
import type { XmlCodec } from "../../../src/domain/packages/element.ts"
import { malformed, wellFormed } from "../../support/xml-corpus.ts"

const counted = (): { readonly codec: XmlCodec; readonly reads: () => number } => {
  let reads = 0
  const parse: XmlCodec["parse"] = (text) => {
    reads += 1
    return xmlCodec.parse(text)
  }
  return { codec: { parse, print: xmlCodec.print }, reads: () => reads }
}

const document = (n: number): string => `<a>${`${n}`.padStart(93, "x")}</a>`

describe("a codec that keeps what it read last", () => {
  it("gives what the codec gives, the first time and again", { tags: ["L40"] }, () => {
    const codec = remembering(xmlCodec)
    for (const [, text] of [...wellFormed, ...malformed, ...wellFormed]) {
      expect(codec.parse(text)).toEqual(xmlCodec.parse(text))
    }
  })

  it("reads a document once while it is among the last, by its text", () => {
    const { codec, reads } = counted()
    const remembered = remembering(codec, 10_000)
    const first = remembered.parse(document(1))
    expect(remembered.parse(Buffer.from(document(1)).toString())).toBe(first)
    for (let n = 2; n <= 5; n++) remembered.parse(document(n))
    expect(remembered.parse(document(1))).toBe(first)
    expect(reads()).toBe(5)
  })

  it(
    "keeps as many octets as it may: what was not asked for in a long time is read again",
    { tags: ["T25"] },
    () => {
      const { codec, reads } = counted()
      // ten octets a character, 100 characters a document: ten documents, at least five of them
      const remembered = remembering(codec, 10_000)
      for (let n = 0; n < 1_000; n++) remembered.parse(document(n))
      expect(reads()).toBe(1_000)
      for (let n = 999; n >= 0; n--) remembered.parse(document(n))
      expect(reads()).toBeGreaterThanOrEqual(1_990)
      expect(reads()).toBeLessThanOrEqual(1_995)
    },
  )

  it("keeps none that is larger than half of it, and none at all with 0", { tags: ["T25"] }, () => {
    for (const octets of [0, 1_800]) {
      const { codec, reads } = counted()
      const remembered = remembering(codec, octets)
      remembered.parse(document(1))
      remembered.parse(document(1))
      expect(reads()).toBe(2)
    }
  })

  it("keeps nothing of what is refused", () => {
    const { codec, reads } = counted()
    const remembered = remembering(codec)
    remembered.parse("<a>")
    remembered.parse("<a>")
    expect(reads()).toBe(2)
  })
})
