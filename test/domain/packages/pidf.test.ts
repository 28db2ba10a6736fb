import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import type { Pidf } from "../../../src/domain/packages/pidf.ts"
import { alice, compose, inside, plain, read, sources, written } from "../../support/xml-pidf.ts"

const renaming = presence({ xml: xmlCodec, idCollision: "rename" })

const tuple = (id: string, basic = "open"): string =>
  `<tuple id="${id}"><status><basic>${basic}</basic></status></tuple>`

/** What the documents with that inside look like together. */
const together = (
  live: readonly string[],
  {
    eventPackage = plain,
    keys,
    ended = [],
  }: { eventPackage?: EventPackage<Pidf>; keys?: string[]; ended?: readonly string[] } = {},
): string | null => {
  const endedKeys = ended.map((_, index) => `${live.length + index + 1}`)
  const document = compose(
    eventPackage,
    sources(
      live.map((text) => read(written(text))),
      keys,
    ),
    sources(
      ended.map((text) => read(written(text))),
      endedKeys,
    ),
  )
  return document === null ? null : inside(eventPackage.render(document).text)
}

describe("reading", () => {
  const verdict = (text: string): string => {
    const parsed = plain.parse({ contentType: "application/pidf+xml", text })
    return parsed._tag === "Unreadable" ? parsed.why : "read"
  }

  it(
    "the root is presence of PIDF, with or without the colon, and has an entity",
    { tags: ["3863-4.1.1-a"] },
    () => {
      const pidf = "urn:ietf:params:xml:ns:pidf"
      expect(verdict(`<presence xmlns="${pidf}" entity="pres:a@b"/>`)).toBe("read")
      expect(verdict(`<p:presence xmlns:p="${pidf}" entity="pres:a@b"/>`)).toBe("read")
      expect(verdict(`<presence xmlns="${pidf}:" entity="pres:a@b"/>`)).toBe("read")
      const root = "root is not <presence> of PIDF"
      expect(verdict('<presence entity="pres:a@b"/>')).toBe(root)
      expect(verdict(`<presence xmlns="${pidf}::" entity="pres:a@b"/>`)).toBe(root)
      expect(verdict(`<presence xmlns="urn:ietf:params:xml:ns:cpim-pidf:" entity="pres:a@b"/>`)).toBe(root)
      expect(verdict(`<Presence xmlns="${pidf}" entity="pres:a@b"/>`)).toBe(root)
      expect(verdict(`<tuple xmlns="${pidf}" id="1" entity="pres:a@b"/>`)).toBe(root)
      expect(verdict(`<presence xmlns="${pidf}"/>`)).toBe("<presence> without entity")
      expect(verdict(`<presence xmlns="${pidf}" entity=" "/>`)).toBe("<presence> without entity")
      expect(verdict(`<presence xmlns="${pidf}" xmlns:p="${pidf}" p:entity="pres:a@b"/>`)).toBe(
        "<presence> without entity",
      )
    },
  )

  it("the namespace with a colon at its end is the same namespace", { tags: ["3863-4.1.1-a"] }, () => {
    const text = written(`${tuple("a")}<x:y><note/></x:y>`)
    expect(read(text.replace("ns:pidf", "ns:pidf:"))).toEqual(read(text))
  })

  it("an entity with a line break is refused", { tags: ["T29"] }, () => {
    expect(verdict('<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="a&#13;&#10;b"/>')).toBe(
      "entity with a control character",
    )
  })

  it(
    "tuple, person and device need an id; what is elsewhere or otherwise called does not",
    { tags: ["4479-5-a"] },
    () => {
      expect(verdict(written("<tuple/>"))).toBe("<tuple> without id")
      expect(verdict(written('<tuple id=""/>'))).toBe("<tuple> without id")
      expect(verdict(written('<tuple x:id="1"/>'))).toBe("<tuple> without id")
      expect(verdict(written("<dm:person/>"))).toBe("<person> without id")
      expect(verdict(written("<dm:device/>"))).toBe("<device> without id")
      expect(verdict(written("<x:tuple/><person/><x:y><tuple/></x:y>"))).toBe("read")
    },
  )

  it("what else is wrong with a document is relayed, not judged", { tags: ["4479-5-c"] }, () => {
    const odd = [
      '<tuple id="a"><status><basic>unknown</basic></status></tuple>',
      '<tuple id="b"/>',
      '<tuple id="c"><status/></tuple>',
      '<tuple id="d"><contact priority="7">?</contact><timestamp>yesterday</timestamp></tuple>',
      '<dm:device id="e"/>',
    ]
    expect(together([odd.join("stray text")])).toBe(odd.join(""))
  })

  it("an id that one document uses again is made unique, nothing is lost", { tags: ["3863-4.1.2-a"] }, () => {
    const twice = `${tuple("a")}${tuple("a", "closed")}<dm:person id="a"/>${tuple("a.2")}<dm:device id="b"/>`
    expect(together([twice])).toBe(
      `${tuple("a")}${tuple("a.3", "closed")}${tuple("a.2")}<dm:person id="a.4"/><dm:device id="b"/>`,
    )
  })
})

describe("one publication", () => {
  it("entity is the presentity, whatever was published", { tags: ["4479-3.1-a"] }, () => {
    const text = plain.render(compose(plain, sources([read(written(tuple("a")))])) ?? read("")).text
    expect(text).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">${tuple("a")}</presence>\n`,
    )
  })

  it("tuples, then notes, then everything else", { tags: ["3863-4.1.1-b"] }, () => {
    const mixed = `<x:y/><dm:device id="d"/><note>n</note><dm:person id="p"/>${tuple("a")}<note>m</note>${tuple("b")}`
    expect(together([mixed])).toBe(
      `${tuple("a")}${tuple("b")}<note>n</note><note>m</note><dm:person id="p"/><dm:device id="d"/><x:y/>`,
    )
  })

  it(
    "an unknown element is relayed as it is, whether it must be understood or not",
    { tags: ["3863-4.2.3-b"] },
    () => {
      const text = `<tuple id="a"><status><basic>open</basic><x:far xmlns:p="urn:ietf:params:xml:ns:pidf" p:mustUnderstand="1"><!-- c --> <x:y/>z</x:far></status></tuple>`
      const document = read(written(text))
      expect(document.tuples).toEqual(read(plain.render(document).text).tuples)
    },
  )

  it("alone, a note at the root stays there", { tags: ["4479-5-b"] }, () => {
    expect(together(['<note>busy</note><dm:person id="p"/>'])).toBe('<note>busy</note><dm:person id="p"/>')
  })
})

describe("several publications", () => {
  it("of two elements with one id the newer is shown, in its own place", { tags: ["AGG-1"] }, () => {
    expect(together([tuple("a") + tuple("b"), tuple("c"), tuple("a", "closed")])).toBe(
      tuple("b") + tuple("c") + tuple("a", "closed"),
    )
    expect(together([tuple("A"), tuple("a")])).toBe(tuple("A") + tuple("a"))
  })

  it(
    "things of different kinds do not replace one another: the older is renamed",
    { tags: ["3863-4.1.2-a"] },
    () => {
      expect(together([tuple("a"), '<dm:person id="a"/>'], { keys: ["7", "9"] })).toBe(
        `${tuple("a.7")}<dm:person id="a"/>`,
      )
      expect(together([tuple("a"), '<dm:person id="a"/>', tuple("a", "closed") + tuple("a.2")])).toBe(
        `${tuple("a", "closed")}${tuple("a.2")}<dm:person id="a.2.2"/>`,
      )
    },
  )

  it("with rename both stay, and the survivor keeps its name (F16)", { tags: ["3863-4.1.2-a"] }, () => {
    const both = together([tuple("t1"), tuple("t1", "closed")], { eventPackage: renaming })
    expect(both).toBe(tuple("t1") + tuple("t1.2", "closed"))
    const survivor = together([tuple("t1", "closed")], { eventPackage: renaming, keys: ["2"] })
    expect(survivor).toBe(tuple("t1.2", "closed"))
  })

  it("contradicting tuples are both shown", { tags: ["3863-4.1.2-c"] }, () => {
    expect(together([tuple("phone"), tuple("pad", "closed")])).toBe(tuple("phone") + tuple("pad", "closed"))
  })

  it("several persons are all kept", { tags: ["4479-3.2-a"] }, () => {
    expect(together(['<dm:person id="p"/>', '<dm:person id="q"/>'])).toBe(
      '<dm:person id="p"/><dm:person id="q"/>',
    )
  })

  it("identical notes and unknown elements are shown once", { tags: ["AGG-1"] }, () => {
    expect(together(["<note>a</note><x:y/>", '<note>b</note><note>a</note><x:y z=""/>', "<x:y/>"])).toBe(
      '<note>a</note><note>b</note><x:y/><x:y z=""/>',
    )
    expect(together(['<note xml:lang="en">a</note>', '<note xml:lang="de">a</note>'])).toBe(
      '<note xml:lang="en">a</note><note xml:lang="de">a</note>',
    )
  })

  it("a note at the root goes with its own publisher's persons", { tags: ["4479-5-b"] }, () => {
    expect(together(['<note>out</note><dm:person id="p"/>', '<dm:person id="q"/>'])).toBe(
      '<dm:person id="p"><dm:note>out</dm:note></dm:person><dm:person id="q"/>',
    )
    const stamped = '<dm:person id="p"><r:mood/><dm:timestamp>t</dm:timestamp></dm:person>'
    expect(together([`<note xml:lang="en">out</note>${stamped}`, '<note>in</note><dm:person id="q"/>'])).toBe(
      '<dm:person id="p"><r:mood/><dm:note xml:lang="en">out</dm:note><dm:timestamp>t</dm:timestamp></dm:person>' +
        '<dm:person id="q"><dm:note>in</dm:note></dm:person>',
    )
  })

  it(
    "a note without a person of its own gets one rather than somebody else's",
    { tags: ["4479-5-b"] },
    () => {
      expect(together([`<note>out</note>${tuple("a")}`, '<dm:person id="q"/>'], { keys: ["4", "6"] })).toBe(
        `${tuple("a")}<dm:person id="note.4"><dm:note>out</dm:note></dm:person><dm:person id="q"/>`,
      )
    },
  )

  it(
    "where no person is without a note, or all agree, notes stay at the root",
    { tags: ["4479-5-b"] },
    () => {
      expect(together(["<note>out</note>", "<note>in</note>"])).toBe("<note>out</note><note>in</note>")
      const own = '<dm:person id="p"><dm:note>own</dm:note></dm:person>'
      expect(together(["<note>out</note>", own])).toBe(`<note>out</note>${own}`)
      expect(together(['<note>out</note><dm:person id="p"/>', '<note>out</note><dm:person id="q"/>'])).toBe(
        '<note>out</note><dm:person id="p"/><dm:person id="q"/>',
      )
    },
  )

  it("what the root says about its children moves to them", { tags: ["AGG-1"] }, () => {
    const german = read(written("<note>hier</note>", 'xml:lang="de" x:v="1"'))
    const french = read(written('<note xml:lang="en">here</note>', 'xml:lang="fr" x:v="2" x:w="3"'))
    const document = compose(plain, sources([german, french])) ?? german
    expect(plain.render(document).text).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:x="urn:x" entity="sip:alice@example.com" x:v="2" x:w="3">' +
        '<note xml:lang="de">hier</note><note xml:lang="en">here</note></presence>\n',
    )
  })
})

describe("publications that ended, and nothing", () => {
  const silent = presence({ xml: xmlCodec, generateOfflineBody: false })
  const persistent = presence({ xml: xmlCodec, notifyOfflineBody: true })
  const rich = `<tuple id="a"><status><basic>open</basic></status><note>x</note></tuple>${tuple("b")}<note>n</note><dm:person id="p"/>`

  it(
    "the tuples of an ended publication are shown closed, beside what remains",
    { tags: ["OPS-agg_nbody", "AGG-3"] },
    () => {
      expect(together([tuple("c")], { ended: [rich] })).toBe(
        tuple("c") + tuple("a", "closed") + tuple("b", "closed"),
      )
      expect(together([], { ended: [rich, rich] })).toBe(tuple("a", "closed") + tuple("b", "closed"))
    },
  )

  it("an id that is still in use is not shown closed", { tags: ["AGG-3"] }, () => {
    expect(together([tuple("a"), '<dm:device id="b"/>'], { ended: [rich] })).toBe(
      `${tuple("a")}<dm:device id="b"/>`,
    )
    expect(together([tuple("a")], { ended: [tuple("a")], eventPackage: renaming })).toBe(
      tuple("a") + tuple("a.2", "closed"),
    )
  })

  it("off, an ended publication just goes", { tags: ["OPS-generate_offline_body"] }, () => {
    expect(together([tuple("c")], { ended: [rich], eventPackage: silent })).toBe(tuple("c"))
    expect(together([], { ended: [rich], eventPackage: silent })).toBeNull()
  })

  it("with nothing published there is nothing to show", { tags: ["L22"] }, () => {
    expect(together([])).toBeNull()
    expect(together([], { ended: ["<note>only this</note>"] })).toBeNull()
    expect(together([""])).toBe("")
  })

  it(
    "on, nothing is one closed tuple, and so is the end of everything",
    { tags: ["OPS-notify_offline_body"] },
    () => {
      expect(together([], { eventPackage: persistent })).toBe(tuple("offline", "closed"))
      expect(together([], { eventPackage: persistent, ended: [rich] })).toBe(tuple("offline", "closed"))
      expect(together([tuple("c")], { eventPackage: persistent, ended: [tuple("d")] })).toBe(
        tuple("c") + tuple("d", "closed"),
      )
      expect(plain.offline(alice)).toEqual(compose(persistent, []))
    },
  )
})

describe("the package", () => {
  it("what it declares", { tags: ["3856-6"] }, () => {
    const { name, accepts, produces, defaultExpires, entityTags, notifyIntervalMillis } = plain
    expect({
      name,
      accepts,
      produces,
      defaultExpires,
      entityTags,
      notifyIntervalMillis,
    }).toEqual({
      name: "presence",
      accepts: ["application/pidf+xml"],
      produces: ["application/pidf+xml"],
      defaultExpires: 3600,
      entityTags: "new-each-time",
      notifyIntervalMillis: 5000,
    })
    expect(presence({ xml: xmlCodec, notifyIntervalMillis: 0 }).notifyIntervalMillis).toBe(0)
  })
})
