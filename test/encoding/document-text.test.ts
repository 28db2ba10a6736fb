/**
 * Documents as octets: what encoding they are in, and the text that is kept of them.
 */
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeXmlCodec, xmlCodec } from "../../src/adapters/xml/codec.ts"
import { documentText } from "../../src/encoding/document-text.ts"
import { assertLinear } from "../support/cost.ts"

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")
const textOf = (octets: Uint8Array, charset: string | null = null): string => {
  const read = documentText(octets, charset)
  assert(read._tag === "Text", JSON.stringify(read))
  return read.text
}

describe("the text of a document", () => {
  it.each([
    ["ISO-8859-1", "Büro"],
    ["iso-8859-1", "Büro"],
    ["latin1", "Büro"],
    ["windows-1252", "B\u00fcro"],
    ["cp1252", "Büro"],
    ["ISO-8859-15", "Büro"],
  ])("declared %s is converted, and declares UTF-8 from then on", { tags: ["3863-4.1-a"] }, (name, word) => {
    for (const quote of ['"', "'"]) {
      const head = (encoding: string) =>
        `<?xml version=${quote}1.0${quote} encoding=${quote}${encoding}${quote}?>`
      assert.strictEqual(textOf(latin1(`${head(name)}\n<a>${word}</a>`)), `${head("UTF-8")}\n<a>${word}</a>`)
    }
  })

  it(
    "windows-1252 has characters where ISO-8859-1 has controls, and old programs mean those",
    { tags: ["3863-4.1-a"] },
    () => {
      for (const name of ["windows-1252", "ISO-8859-1"])
        assert.include(textOf(latin1(`<?xml version="1.0" encoding="${name}"?><a>\x80\x96</a>`)), "<a>€–</a>")
    },
  )

  it("US-ASCII is UTF-8 where it is, and windows-1252 where it is neither", { tags: ["3863-4.1-a"] }, () => {
    const head = '<?xml version="1.0" encoding="US-ASCII"?>'
    const own = '<?xml version="1.0" encoding="UTF-8"?>'
    assert.strictEqual(textOf(latin1(`${head}<a/>`)), `${own}<a/>`)
    assert.strictEqual(textOf(Buffer.from(`${head}<a>é</a>`, "utf8")), `${own}<a>é</a>`)
    assert.strictEqual(textOf(latin1(`${head}<a>é</a>`)), `${own}<a>é</a>`)
  })

  it(
    "the charset of the Content-Type counts before the declaration, unless it is one that everybody writes",
    { tags: ["3863-4.1-a"] },
    () => {
      const utf8 = '<?xml version="1.0" encoding="UTF-8"?><a>é</a>'
      assert.strictEqual(textOf(latin1(utf8), "iso-8859-1"), utf8)
      const declared = latin1('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>')
      for (const charset of [null, "us-ascii", "utf-8", "utf8", "iso-8859-1"])
        assert.strictEqual(textOf(declared, charset), utf8)
      assert.strictEqual(
        textOf(latin1("Messages-Waiting: yes\r\nX: é"), "iso-8859-1"),
        "Messages-Waiting: yes\r\nX: é",
      )
    },
  )

  it("a byte order mark says more than a declaration, and UTF-16 needs one", { tags: ["3863-4.1-a"] }, () => {
    const text = '<?xml version="1.0" encoding="UTF-8"?><a>é</a>'
    assert.strictEqual(textOf(Buffer.from(`\ufeff${text.replace("UTF-8", "ISO-8859-1")}`, "utf8")), text)
    const wide = Buffer.from(`\ufeff${text.replace("UTF-8", "UTF-16")}`, "utf16le")
    assert.strictEqual(textOf(wide), text)
    assert.strictEqual(textOf(Buffer.from(wide).swap16(), "utf-16"), text)
    assert.strictEqual(documentText(wide.subarray(2), null)._tag, "NotText")
  })

  it(
    "line ends before the declaration and NULs after the end are left out, others are not text",
    { tags: ["3863-4.1-a"] },
    () => {
      const text = '<?xml version="1.0"?><a/>'
      for (const before of ["\r\n", "\n", " \t\r\n\r\n"])
        assert.strictEqual(textOf(latin1(before + text)), text)
      assert.strictEqual(textOf(latin1(`${text}\0\0`)), text)
      assert.strictEqual(textOf(latin1("Messages-Waiting: no\r\n\0")), "Messages-Waiting: no\r\n")
      assert.strictEqual(textOf(latin1("\r\n<a/>")), "\r\n<a/>")
      assert.strictEqual(documentText(latin1(`${text}\0 `), null)._tag, "NotText")
    },
  )

  it.each(["x-none", "UTF-7", "utf-16", "iso-2022-jp", "gb18030", "shift_jis", "replacement"])(
    "%s is not converted",
    (name) => {
      assert.deepStrictEqual(documentText(latin1(`<?xml version="1.0" encoding="${name}"?><a/>`), null), {
        _tag: "UnknownEncoding",
        encoding: name,
      })
    },
  )

  it(
    "what is ASCII is the same text in every encoding that is converted, and is read alike",
    { tags: ["L40"] },
    () => {
      const names = ["utf-8", "us-ascii", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1252", "koi8-r"]
      fc.assert(
        fc.property(
          fc.constantFrom(...names),
          fc.string({ unit: "binary-ascii", maxLength: 40 }),
          (name, words) => {
            const inner = words.replaceAll(/[^ -~]|[<>&\]]/g, "")
            const text = textOf(latin1(`<?xml version="1.0" encoding="${name}"?><a>${inner}</a>`))
            assert.deepStrictEqual(xmlCodec.parse(text), xmlCodec.parse(`<a>${inner}</a>`))
            assert.deepStrictEqual(makeXmlCodec({}, "fast-xml-parser").parse(text), xmlCodec.parse(text))
          },
        ),
      )
    },
  )

  it(
    "any octets are text or are not, and what is UTF-8 and says nothing else is kept as it is",
    { tags: ["L40"] },
    () => {
      fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => void documentText(octets, null)))
      fc.assert(
        fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
          const isKept = !/\0|^\ufeff|^\s*<\?xml|\p{Cs}/u.test(text)
          if (isKept) assert.strictEqual(textOf(Buffer.from(text, "utf8")), text)
        }),
      )
    },
  )

  it("OPS-linear-time: documents are read in time that grows with their length only", () => {
    for (const piece of [" ", "\n", "<?xml", " encoding", ' encoding="', "\0"])
      for (const start of ["", "<?xml", '<?xml version="1.0"', "<?xml encoding"])
        assertLinear(
          JSON.stringify(start + piece),
          (length) => {
            const octets = latin1(start + piece.repeat(length / piece.length))
            return () => void documentText(octets, null)
          },
          2_400,
        )
  })
})
