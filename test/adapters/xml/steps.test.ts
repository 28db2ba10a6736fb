import { describe, expect, it } from "vitest"
import { read } from "../../../src/adapters/xml/read.ts"
import { countSteps } from "../../support/steps.ts"
import { wellFormed } from "../../support/xml-corpus.ts"
import { published } from "../../support/xml-mutants.ts"

const unlimited = {
  bytesMax: Number.POSITIVE_INFINITY,
  depthMax: Number.POSITIVE_INFINITY,
  elementsMax: Number.POSITIVE_INFINITY,
  attributesMax: 64,
}

const stepsOf = (text: string): number => countSteps(() => void read(text, unlimited))

/** As long as asked for, whatever it is made of. */
const filled = (piece: string, length: number): string => piece.repeat(Math.ceil(length / piece.length))

const declared = (count: number): string =>
  Array.from({ length: count }, (_, n) => `xmlns:p${n}="u"`).join(" ")

/** Documents that make a reader look twice, each by its length. */
const shapes: readonly (readonly [what: string, document: (length: number) => string])[] = [
  ["<", (n) => filled("<", n)],
  ["text", (n) => `<a>${filled("x", n)}</a>`],
  ["ampersands", (n) => `<a>${filled("&", n)}</a>`],
  ["references", (n) => `<a>${filled("&amp;&#65;", n)}</a>`],
  ["references that are none, in many texts", (n) => `<a>${filled("&x<b/>", n)}</a>`],
  ["one semicolon at the end", (n) => `<a>${filled("&amp", n)};</a>`],
  ["]]", (n) => `<a>${filled("]]", n)}</a>`],
  ["texts before one ]]>", (n) => `<a>${filled("x<b/>", n)}<![CDATA[]]></a>`],
  ["comments before one ]]>", (n) => `<a>${filled("x<!---->", n)}<![CDATA[]]></a>`],
  ["comments never closed", (n) => `<a>${filled("<!-- ", n)}</a>`],
  ["comments", (n) => `<a>${filled("<!---->", n)}</a>`],
  ["comments before the root", (n) => `${filled("<!-- x -->", n)}<a/>`],
  ["instructions", (n) => `<a>${filled("<?x?>", n)}</a>`],
  ["texts between instructions", (n) => `<a>${filled("x<?x y?>", n)}</a>`],
  ["instruction never closed", (n) => `<a>${filled("<?x ", n)}</a>`],
  ["CDATA never closed", (n) => `<a>${filled("<![CDATA[", n)}</a>`],
  ["CDATA sections", (n) => `<a>${filled("<![CDATA[x]]>", n)}</a>`],
  ["values never closed", (n) => `<a b="${filled("'", n)}`],
  ["long value", (n) => `<a b="${filled("x\n&lt;", n)}"/>`],
  ["declaration of spaces", (n) => `<?xml${filled(" ", n)}`],
  ["declaration with spaces", (n) => `<?xml version="1.0"${filled(" ", n)}x`],
  ["declaration of digits", (n) => `<?xml version="1.${filled("0", n)}`],
  ["declaration of an encoding", (n) => `<?xml version="1.0" encoding="${filled("a", n)}`],
  ["spaces in a tag", (n) => `<a${filled(" ", n)}`],
  ["spaces in end tags", (n) => `${filled("<a>", n / 6)}${filled("</a >", n)}`],
  ["long name", (n) => `<${filled("a", n)}`],
  ["long names that nearly end the same", (n) => `<a${filled("b", n / 2)}></a${filled("b", n / 2)}c>`],
  ["end tags", (n) => `<a>${filled("</a>", n)}`],
  ["siblings", (n) => `<a>${filled("<b/>", n)}</a>`],
  ["depth", (n) => filled("<a>", n / 2) + filled("</a>", n / 2)],
  ["depth never closed", (n) => filled("<a>", n)],
  ["attributes", (n) => `<a>${filled(`<b ${declared(64)}/>`, n)}</a>`],
  ["declarations and their use", (n) => `<a ${declared(64)}>${filled("<p1:b p2:c='' p3:c=''/>", n)}</a>`],
  ["declarations inside one another", (n) => filled("<p:a xmlns:p='u'>", n / 2) + filled("</p:a>", n / 2)],
  ["line ends", (n) => `<a>${filled("\r\n\r", n)}</a>`],
]

describe("the reader looks at each character a bounded number of times", () => {
  it.each(shapes)("twice as much takes at most twice the steps: %s", { tags: ["T25"] }, (_, document) => {
    const [small, large] = [document(4_000), document(8_000)]
    const [few, many] = [stepsOf(small), stepsOf(large)]
    expect(many).toBeLessThanOrEqual(2.05 * few + 200)
    // names are compared with those before them in the tag, of which there are at most 64
    expect(many).toBeLessThan(40 * large.length)
  })

  it("real documents take a few steps for each character", { tags: ["T25"] }, () => {
    for (const [, text] of [...published, ...wellFormed.slice(0, 30)]) {
      expect(stepsOf(text)).toBeLessThan(12 * text.length + 100)
    }
  })

  it("what counts the steps counts those of a reader that looks twice", () => {
    const twice = (text: string): number => {
      let at = 0
      for (let from = 0; from < text.length; from += 10) at += text.indexOf("]]>", from)
      return at
    }
    const steps = (length: number): number => countSteps(() => void twice("x".repeat(length)))
    expect(steps(8_000)).toBeGreaterThan(3.9 * steps(4_000))
  })
})
