import fc from "fast-check"
import { XMLValidator } from "fast-xml-parser"
import { describe, expect, it } from "vitest"
import { makeXmlCodec, parserCodec, xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { attribute, canonical, element, textOf } from "../../../src/domain/packages/element.ts"
import type { Element } from "../../../src/domain/packages/element.ts"
import { assertLinear } from "../../support/cost.ts"
import { anyChoices, anyElement, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed, oversized, wellFormed } from "../../support/xml-corpus.ts"

const read = (text: string): Element => {
  const result = xmlCodec.parse(text)
  if (result._tag === "Malformed") throw new Error(`${result.why} in ${text.slice(0, 500)}`)
  return result.root
}

/** The same tree with fresh objects, so that nothing remembered beside the old ones can help. */
const copied = (of: Element): Element => structuredClone(of)

describe("what is read is what was printed", () => {
  it("parse after print gives the same tree", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anyElement, (tree) => {
        expect(canonical(read(xmlCodec.print(tree)))).toBe(canonical(tree))
      }),
      { numRuns: 500 },
    )
  })

  it(
    "other prefixes, quotes, references, CDATA, attribute order and instructions change nothing",
    { tags: ["L40"] },
    () => {
      fc.assert(
        fc.property(anyElement, anyChoices, (tree, choose) => {
          expect(canonical(read(writeOtherwise(tree, choose)))).toBe(canonical(tree))
        }),
        { numRuns: 500 },
      )
    },
  )

  it("print is a function of the tree, and a fixed point after one round", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anyElement, (tree) => {
        const text = xmlCodec.print(tree)
        expect(xmlCodec.print(tree)).toBe(text)
        expect(xmlCodec.print(copied(tree))).toBe(text)
        expect(xmlCodec.print(read(text))).toBe(text)
      }),
    )
  })

  it("elements printed in one document print right in another", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anyElement, anyElement, anyElement, (one, two, three) => {
        for (const [frame, children] of [
          [one, [two, three]],
          [two, [three, one]],
          [three, [three, two, one]],
          [one, [two, three]],
        ] as const) {
          const tree = { ...frame, children }
          const text = xmlCodec.print(tree)
          expect(text).toBe(xmlCodec.print(copied(tree)))
          expect(canonical(read(text))).toBe(canonical(tree))
        }
      }),
    )
  })

  it(
    "whatever stands in texts, values and comments, printing is total and adds no markup",
    { tags: ["T28"] },
    () => {
      const anything = fc
        .string({ unit: "binary", maxLength: 12 })
        .map((text) => `${text}\ud800\uffff-->\u0000<`)
      fc.assert(
        fc.property(anything, anything, anything, (text, value, comment) => {
          const tree = element("urn:a", "a", { b: value }, [text, { _tag: "Comment", text: `${comment}--` }])
          const back = read(xmlCodec.print(tree))
          expect(back.children.map(({ _tag }) => _tag)).toEqual(["Text", "Comment"])
          expect(back.attributes).toHaveLength(1)
          const illegal = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu
          expect(attribute(back, "b")).toBe(value.replace(illegal, "\ufffd"))
        }),
      )
    },
  )
})

describe("everything else is refused", () => {
  it.each(malformed)("refuses %s", { tags: ["T27"] }, (_, document) => {
    expect(xmlCodec.parse(document)).toEqual({ _tag: "Malformed", why: expect.any(String) })
  })

  it.each(oversized)("refuses %s", { tags: ["T25"] }, (_, document) => {
    expect(xmlCodec.parse(document)).toEqual({ _tag: "Malformed", why: expect.any(String) })
  })

  it("limits can be set", { tags: ["T25"] }, () => {
    const tight = makeXmlCodec({ bytesMax: 40, depthMax: 2, elementsMax: 3, attributesMax: 1 })
    const verdicts = [
      "<a><b/><b/></a>",
      "<a><b><c/></b></a>",
      "<a><b/><b/><b/></a>",
      "<a b='' c=''/>",
      `<a>${"x".repeat(34)}</a>`,
    ]
    expect(verdicts.map((text) => tight.parse(text)._tag)).toEqual([
      "Parsed",
      "Malformed",
      "Malformed",
      "Malformed",
      "Malformed",
    ])
    expect(makeXmlCodec({ depthMax: 500 }).parse("<a>".repeat(500) + "</a>".repeat(500))._tag).toBe("Parsed")
  })

  it.each(["x", "é", "€", "😀"])(
    "a document is as long as its octets in UTF-8 (%s)",
    { tags: ["T25"] },
    (character) => {
      const document = `<a>${character.repeat(20)}</a>`
      const bytes = Buffer.byteLength(document)
      expect(makeXmlCodec({ bytesMax: bytes }).parse(document)._tag).toBe("Parsed")
      expect(makeXmlCodec({ bytesMax: bytes - 1 }).parse(document)._tag).toBe("Malformed")
    },
  )

  it("printing what was read costs in proportion to it", { tags: ["T25"] }, () => {
    const many = (count: number): string =>
      Array.from({ length: count }, (_, n) => `<p:a xmlns:p="u${n}" xmlns:q="v${n}" q:b=""/>`).join("")
    for (const within of [(text: string) => `<a>${text}</a>`, (text: string) => `<a><b>${text}</b></a>`]) {
      assertLinear(
        within("…"),
        (count) => {
          const tree = makeXmlCodec({ bytesMax: 100_000 }).parse(within(many(count)))
          if (tree._tag !== "Parsed") throw new Error(tree._tag)
          expect(xmlCodec.print(tree.root).length).toBeGreaterThan(count * 30)
          return () => void xmlCodec.print(tree.root)
        },
        180,
      )
    }
  })

  it("what is refused or read at the limits costs in proportion to its length", { tags: ["T25"] }, () => {
    const declared = (count: number): string =>
      Array.from({ length: count }, (_, n) => `xmlns:p${n}="u"`).join(" ")
    const hostile: readonly ((octets: number) => string)[] = [
      (n) => "<".repeat(n),
      (n) => `<a>${"&".repeat(n)}</a>`,
      (n) => `<a>${"&amp;".repeat(n / 5)}</a>`,
      (n) => `<a>${"]]".repeat(n / 2)}</a>`,
      (n) => `<a>${"<!--".repeat(n / 4)}</a>`,
      (n) => `<a>${"<!---->".repeat(n / 7)}</a>`,
      (n) => `<a>${"<?x?>".repeat(n / 5)}</a>`,
      (n) => `<a>${"<![CDATA[".repeat(n / 9)}</a>`,
      (n) => `<a b="${"'".repeat(n)}`,
      (n) => `<?xml${" ".repeat(n)}`,
      (n) => `<?xml version="1.0"${" ".repeat(n)}`,
      (n) => `<a${" ".repeat(n)}`,
      (n) => `<a ${declared(64)}>`.repeat(n / 1_200) + "<p1:a/>".repeat(n / 650) + "</a>".repeat(n / 1_200),
      (n) => `<${"a".repeat(n)}`,
      (n) => `<a>${"</a>".repeat(n / 4)}`,
    ]
    for (const [which, document] of hostile.entries()) {
      assertLinear(
        `${which}: ${document(64).slice(0, 40)}`,
        (octets) => {
          const text = document(octets)
          return () => void xmlCodec.parse(text)
        },
        2_400,
      )
    }
    // whatever is refused for its size or its form is refused
    for (const [, text] of [...malformed, ...oversized]) expect(xmlCodec.parse(text)._tag).toBe("Malformed")
  })
})

describe("documents that are read", () => {
  it.each(wellFormed)("reads %s, and again as printed", { tags: ["3863-4.1-a"] }, (_, document) => {
    const tree = read(document)
    const again = makeXmlCodec({ bytesMax: 70_000 }).parse(xmlCodec.print(tree))
    expect(again._tag === "Parsed" && canonical(again.root)).toBe(canonical(tree))
  })

  it("character data comes out as the characters it stands for", { tags: ["L40"] }, () => {
    const tree = read("<a b='&#9;x\ty\r\nz&#13;&apos;'>&#x41;&#233;&amp;lt;<![CDATA[<&amp;>]]>\r\n\r1e3 </a>")
    expect(attribute(tree, "b")).toBe("\tx y z\r'")
    expect(textOf(tree)).toBe("Aé&lt;<&amp;>\n\n1e3 ")
    expect(tree.children).toHaveLength(1)
  })

  it("names are namespace and local name; the prefix is only kept", { tags: ["L40"] }, () => {
    const tree = read('<p:a xmlns:p="urn:p" xmlns="urn:d" p:b="1" b="2"><c/><d xmlns=""/></p:a>')
    expect(tree).toEqual({
      _tag: "Element",
      namespace: "urn:p",
      name: "a",
      prefix: "p",
      attributes: [
        { namespace: "urn:p", name: "b", prefix: "p", value: "1" },
        { namespace: "", name: "b", prefix: "", value: "2" },
      ],
      children: [
        { _tag: "Element", namespace: "urn:d", name: "c", prefix: "", attributes: [], children: [] },
        { _tag: "Element", namespace: "", name: "d", prefix: "", attributes: [], children: [] },
      ],
    })
  })

  it("namespaces are declared once at the root, clashing prefixes told apart", { tags: ["L40"] }, () => {
    const tree = read(
      '<a xmlns="urn:a"><p:b xmlns:p="urn:b"/><p:c xmlns:p="urn:c" p:d="1"/><e xmlns="urn:e"/></a>',
    )
    expect(xmlCodec.print(tree)).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<a xmlns="urn:a" xmlns:p="urn:b" xmlns:p2="urn:c" xmlns:ns="urn:e"><p:b/><p2:c p2:d="1"/><ns:e/></a>\n',
    )
  })

  it("member names of objects are ordinary names, and leave objects as they are", { tags: ["T27"] }, () => {
    const tree = read('<a toString="1"><hasOwnProperty>x</hasOwnProperty></a>')
    expect(attribute(tree, "toString")).toBe("1")
    for (const codec of [xmlCodec, parserCodec]) {
      const text =
        '<__proto__ polluted="1" __proto__="2"><constructor><polluted>3</polluted></constructor></__proto__>'
      const result = codec.parse(text)
      const root = result._tag === "Parsed" ? result.root : element("", "refused")
      expect([root.name, attribute(root, "__proto__"), textOf(root)]).toEqual(["__proto__", "2", "3"])
      expect(xmlCodec.print(root)).toContain(text)
      codec.parse("<a><__proto__><polluted>1</polluted></__proto__></a>")
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined()
  })
})

describe("hostile and broken input", () => {
  it("any text gives a tree or a reason", { tags: ["L01"] }, () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), anyText), (text) => {
        expect(["Parsed", "Malformed"]).toContain(xmlCodec.parse(text)._tag)
      }),
      { numRuns: 500 },
    )
  })

  const scraps = [
    "<",
    ">",
    "/",
    "&",
    ";",
    '"',
    "'",
    "=",
    " ",
    "?",
    "!",
    "-",
    "[",
    "]",
    ":",
    "\0",
    "a",
    "<a>",
    "</a>",
    "]]>",
    "xmlns",
    "--",
    "\ufeff",
    "<![CDATA[",
    "<?",
    "?>",
  ]
  const edit = fc.record({ at: fc.nat(), drop: fc.nat({ max: 3 }), put: fc.constantFrom("", ...scraps) })

  it.each(["<\u1680/>", "<a\ufeff/>", '<a \ufeffb=""/>', '<a xmlns:\ufeff="urn:a"/>'])(
    "%j: blanks of the parser are no names",
    { tags: ["4479-5-c"] },
    (text) => {
      expect(xmlCodec.parse(text)._tag).toBe("Malformed")
    },
  )

  it(
    "damaged documents give a tree that prints, or a reason; never more than a strict validator takes",
    { tags: ["4479-5-c"] },
    () => {
      fc.assert(
        fc.property(
          anyElement,
          anyChoices,
          fc.array(edit, { minLength: 1, maxLength: 3 }),
          (tree, choose, edits) => {
            let text = writeOtherwise(tree, choose)
            for (const { at, drop, put } of edits) {
              const from = at % (text.length + 1)
              text = text.slice(0, from) + put + text.slice(from + drop)
            }
            const result = xmlCodec.parse(text)
            if (result._tag === "Malformed") return
            expect(canonical(read(xmlCodec.print(result.root)))).toBe(canonical(result.root))
            // blank lines before the document are left out, as phones send them
            const document = text.replace(/^[ \t\r\n]+/, "")
            expect(XMLValidator.validate(document, { allowBooleanAttributes: false })).toBe(true)
          },
        ),
        { numRuns: 2_000 },
      )
    },
  )
})
