/**
 * The privacy filter by example: each transformation of RFC 5025 §3.3 once, read from a rules document.
 */
import { describe, expect, it } from "vitest"
import { filterPidf } from "../../../src/domain/packages/pidf-filter.ts"
import { nothingGranted } from "../../../src/domain/packages/presence-rules.ts"
import { granting, reading, rule, ruleset } from "../../support/rules-builders.ts"
import { inside, plain, read, written } from "../../support/xml-pidf.ts"

/** What is left inside the document when a rule has these transformations. */
const seen = (document: string, transformations: string): string =>
  inside(plain.render(filterPidf(read(written(document)), granting(transformations))).text)

const set = (what: string, ...members: readonly string[]): string =>
  `<pr:provide-${what}>${members.join("")}</pr:provide-${what}>`
const yes = (what: string): string => set(what, "true")
const allServices = set("services", "<pr:all-services/>")
const allPersons = set("persons", "<pr:all-persons/>")
const allDevices = set("devices", "<pr:all-devices/>")
const everything = allServices + allPersons + allDevices + "<pr:provide-all-attributes/>"

const tuple = (id: string, within = ""): string =>
  `<tuple id="${id}"><status><basic>open</basic></status>${within}</tuple>`
const person = (id: string, within = ""): string => `<dm:person id="${id}">${within}</dm:person>`
const device = (id: string, within = ""): string => `<dm:device id="${id}">${within}</dm:device>`
const contact = (uri: string): string => `<contact>${uri}</contact>`
const id = (urn: string): string => `<dm:deviceID>${urn}</dm:deviceID>`

/** Ids of the elements that are visible. */
const visible = (document: string, transformations: string): readonly string[] =>
  [...seen(document, transformations).matchAll(/ id="([^"]*)"/g)].map(([, name]) => name ?? "")

describe("data components", () => {
  const persons = person("p1", "<r:class>work</r:class>") + person("p2")
  const devices = device("d1", id("urn:x:A")) + device("d2", `<r:class>work</r:class>${id("URN:X:B")}`)
  const services =
    tuple("t1", contact("sip:a@example.com;x=1")) +
    tuple("t2", `<r:class>work</r:class>${contact("tel:+1212")}`) +
    tuple("t3")
  const all = services + persons + devices

  it("nothing is visible that is not granted", { tags: ["5025-3.3.1-a"] }, () => {
    expect(seen(all, "")).toBe("")
    expect(seen(all, yes("mood") + yes("note"))).toBe("")
    expect(seen(all, set("services") + set("persons") + set("devices"))).toBe("")
    expect(filterPidf(read(written(all)), nothingGranted).entity).toBe("pres:someone@example.com")
  })

  it("<all-services>, <all-persons> and <all-devices> each show their kind", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, allServices)).toEqual(["t1", "t2", "t3"])
    expect(visible(all, allPersons)).toEqual(["p1", "p2"])
    expect(visible(all, allDevices)).toEqual(["d1", "d2"])
    expect(visible(all, set("services", "<pr:all-persons/>"))).toEqual([])
  })

  it("<class> shows what has that label, in that case", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, set("services", "<pr:class>work</pr:class>"))).toEqual(["t2"])
    expect(visible(all, set("persons", "<pr:class> work </pr:class>"))).toEqual(["p1"])
    expect(visible(all, set("devices", "<pr:class>work</pr:class>"))).toEqual(["d2"])
    expect(visible(all, set("devices", "<pr:class>Work</pr:class>"))).toEqual([])
  })

  it("<occurrence-id> shows what has that id", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, set("services", "<pr:occurrence-id>t3</pr:occurrence-id>"))).toEqual(["t3"])
    expect(visible(all, set("persons", "<pr:occurrence-id>p2</pr:occurrence-id>"))).toEqual(["p2"])
    expect(visible(all, set("devices", "<pr:occurrence-id>d1</pr:occurrence-id>"))).toEqual(["d1"])
    expect(visible(all, set("devices", "<pr:occurrence-id>t1</pr:occurrence-id>"))).toEqual([])
  })

  it("<deviceID> shows a device by its URN, however spelt", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, set("devices", "<pr:deviceID>URN:x:B</pr:deviceID>"))).toEqual(["d2"])
    expect(visible(all, set("devices", "<pr:deviceID>urn:x:b</pr:deviceID>"))).toEqual([])
    expect(visible(all, set("services", "<pr:deviceID>urn:x:A</pr:deviceID>"))).toEqual([])
  })

  it("<service-uri> shows a service by its contact, compared as a URI", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, set("services", "<pr:service-uri>SIP:a@EXAMPLE.com</pr:service-uri>"))).toEqual([
      "t1",
    ])
    expect(visible(all, set("services", "<pr:service-uri>sip:a@example.com;x=2</pr:service-uri>"))).toEqual(
      [],
    )
    expect(visible(all, set("services", "<pr:service-uri>tel:+1-212</pr:service-uri>"))).toEqual(["t2"])
  })

  it("<service-uri-scheme> shows services by scheme, in that case", { tags: ["5025-5-a"] }, () => {
    expect(visible(all, set("services", "<pr:service-uri-scheme>tel</pr:service-uri-scheme>"))).toEqual([
      "t2",
    ])
    expect(visible(all, set("services", "<pr:service-uri-scheme>SIP</pr:service-uri-scheme>"))).toEqual([])
  })

  it("members of a set, and sets of several rules, add up", { tags: ["5025-3.3.1-a"] }, () => {
    const scheme = "<pr:service-uri-scheme>sip</pr:service-uri-scheme>"
    const members = scheme + "<pr:occurrence-id>t3</pr:occurrence-id><pr:x/><pr:class/>"
    expect(visible(all, set("services", members))).toEqual(["t1", "t3"])
    expect(visible(all, set("services", scheme) + set("services", "<pr:class>work</pr:class>"))).toEqual([
      "t1",
      "t2",
    ])
  })
})

describe("presence attributes", () => {
  it(
    "basic status, contact, service class and timestamp of a visible service always show",
    { tags: ["5025-3.3.2-a"] },
    () => {
      const always = `<r:service-class><r:electronic/></r:service-class>${contact("sip:a@b")}<timestamp>2026-01-01T00:00:00Z</timestamp>`
      expect(seen(tuple("t", always), allServices)).toBe(tuple("t", always))
    },
  )

  it(
    "the timestamp of a person, and timestamp and deviceID of a device always show",
    { tags: ["5025-3.3.2-a"] },
    () => {
      const stamp = "<dm:timestamp>2026-01-01T00:00:00Z</dm:timestamp>"
      expect(seen(person("p", stamp), allPersons)).toBe(person("p", stamp))
      expect(seen(device("d", id("urn:x:1") + stamp), allDevices)).toBe(device("d", id("urn:x:1") + stamp))
    },
  )

  const governed: Readonly<Record<string, string>> = {
    activities: "<r:activities><r:note>inside</r:note><r:away/></r:activities>",
    class: "<r:class>work</r:class>",
    mood: "<r:mood><r:happy/></r:mood>",
    "place-is": "<r:place-is><r:audio><r:noisy/></r:audio></r:place-is>",
    "place-type": "<r:place-type><r:other>x</r:other></r:place-type>",
    privacy: "<r:privacy><r:audio/></r:privacy>",
    relationship: "<r:relationship><r:family/></r:relationship>",
    sphere: "<r:sphere>work</r:sphere>",
    "status-icon": "<r:status-icon>http://x.example/i.png</r:status-icon>",
    "time-offset": "<r:time-offset>60</r:time-offset>",
    note: "<dm:note>hello</dm:note>",
  }
  const attributes = Object.values(governed).join("")

  for (const [name, text] of Object.entries(governed)) {
    it(`<provide-${name}> shows ${name} and nothing else`, { tags: ["5025-5-a"] }, () => {
      expect(seen(person("p", attributes), allPersons + yes(name))).toBe(person("p", text))
      expect(seen(person("p", attributes), allPersons + set(name, "false"))).toBe(
        seen(person("p", attributes), allPersons),
      )
      expect(seen(person("p", text), allPersons)).toBe(person("p").replace("></dm:person>", "/>"))
    })
  }

  it("<provide-deviceID> shows which device a service runs on", { tags: ["5025-5-a"] }, () => {
    expect(seen(tuple("t", id("urn:x:1")), allServices)).toBe(tuple("t"))
    expect(seen(tuple("t", id("urn:x:1")), allServices + yes("deviceID"))).toBe(tuple("t", id("urn:x:1")))
  })

  it("extensions in a status need their permission too", { tags: ["5025-3.3.2-a"] }, () => {
    const status = (within: string): string =>
      `<tuple id="t"><status><basic>open</basic>${within}</status></tuple>`
    const extended = status("<r:mood>x</r:mood><x:place>home</x:place>")
    expect(seen(extended, allServices)).toBe(status(""))
    expect(seen(extended, allServices + yes("mood"))).toBe(status("<r:mood>x</r:mood>"))
  })

  it(
    "<provide-user-input> shows nothing, the state, the threshold, or all of it",
    { tags: ["5025-3.3.2.12-a"] },
    () => {
      const input = (attributes: string): string =>
        person("p", `<r:user-input${attributes}>idle</r:user-input>`)
      const full = input(' id="u" idle-threshold="600" last-input="2026-01-01T00:00:00Z"')
      const level = (value: string): string => seen(full, allPersons + set("user-input", value))
      expect(level("full")).toBe(full)
      expect(level("thresholds")).toBe(input(' id="u" idle-threshold="600"'))
      expect(level("bare")).toBe(input(' id="u"'))
      for (const none of ["false", "true", ""]) expect(level(none)).toBe(`<dm:person id="p"/>`)
    },
  )

  it(
    "<provide-note> is for notes of service, person and device; inner notes go with their attribute",
    { tags: ["5025-3.3.2.13-a"] },
    () => {
      const activities = "<r:activities><r:note>inside</r:note></r:activities>"
      const all =
        tuple("t", "<note>one</note>") +
        person("p", activities + "<dm:note>two</dm:note>") +
        device("d", "<dm:note>three</dm:note>")
      const kinds = allServices + allPersons + allDevices
      expect(seen(all, kinds + yes("note"))).toBe(
        tuple("t", "<note>one</note>") +
          person("p", "<dm:note>two</dm:note>") +
          device("d", "<dm:note>three</dm:note>"),
      )
      expect(seen(all, kinds + yes("activities"))).toContain(activities)
      expect(seen(all, kinds + yes("activities"))).not.toContain("two")
    },
  )

  it(
    "a note at the root is the person's: it shows with a visible person that takes it",
    { tags: ["5025-3.3.2.13-a"] },
    () => {
      const note = "<note>hello</note>"
      const only = (name: string): string => set("persons", `<pr:occurrence-id>${name}</pr:occurrence-id>`)
      const own = person("p2", "<dm:note>mine</dm:note>")
      const document = note + person("p1") + own
      expect(seen(document, only("p1") + yes("note"))).toBe(`${note}<dm:person id="p1"/>`)
      expect(seen(document, only("p2") + yes("note"))).toBe(own)
      expect(seen(document, allPersons)).not.toContain("hello")
      expect(seen(document, allServices + yes("note"))).toBe("")
      expect(seen(note, allPersons + yes("note"))).toBe(note)
      expect(seen(note, allServices + yes("note"))).toBe("")
    },
  )

  it(
    "<provide-unknown-attribute> shows an element by namespace and name",
    { tags: ["5025-3.3.2.14-a"] },
    () => {
      const unknown = (ns: string, name: string, value = "true"): string =>
        `<pr:provide-unknown-attribute ns="${ns}" name="${name}">${value}</pr:provide-unknown-attribute>`
      const document = person("p", `<x:foo a="1"><x:bar/></x:foo><x:bar/><r:mood/>`)
      expect(seen(document, allPersons + unknown("urn:x", "foo"))).toBe(
        person("p", `<x:foo a="1"><x:bar/></x:foo>`),
      )
      const none = [
        unknown("urn:x", "foo", "false"),
        unknown("urn:y", "foo"),
        unknown("urn:x", "x:foo"),
        unknown("urn:x", ""),
      ]
      for (const one of none)
        expect([one, seen(document, allPersons + one)]).toEqual([one, `<dm:person id="p"/>`])
      const rpid = unknown("urn:ietf:params:xml:ns:pidf:rpid", "mood")
      expect(seen(document, allPersons + rpid)).toBe(`<dm:person id="p"/>`)
      expect(granting(rpid)).toStrictEqual(nothingGranted)
    },
  )

  it(
    "<provide-all-attributes> shows all of what is visible, known or not",
    { tags: ["5025-3.3.2.15-a"] },
    () => {
      const whole = `<tuple id="t" x:a="1"><!-- c --> <status><basic>open</basic><x:s/></status><x:foo/></tuple>`
      const document = whole + person("p", "<r:mood/>")
      expect(
        seen(
          document,
          set("services", "<pr:occurrence-id>t</pr:occurrence-id>") + "<pr:provide-all-attributes/>",
        ),
      ).toBe(whole)
      expect(seen(document, "<pr:provide-all-attributes/>")).toBe("")
    },
  )

  it(
    "a class that selects shows its label, so that the document passes its own filter",
    { tags: ["5025-3.3.1-b"] },
    () => {
      const labelled = person("p", "<r:class>work</r:class><r:mood/>")
      expect(seen(labelled, set("persons", "<pr:class>work</pr:class>"))).toBe(
        person("p", "<r:class>work</r:class>"),
      )
      expect(seen(labelled, allPersons)).toBe(`<dm:person id="p"/>`)
      const twice = person("p", "<r:class>work</r:class><r:class>private</r:class>")
      expect(seen(twice, set("persons", "<pr:class>work</pr:class>"))).toBe(
        person("p", "<r:class>work</r:class>"),
      )
    },
  )
})

describe("the rest of a document", () => {
  const document = `${tuple("t", "<x:foo/>")}<x:root/>${person("p")}`

  it(
    "extensions at the root show only when everything is visible and they are granted",
    { tags: ["3863-4.2.3-a"] },
    () => {
      const named = `<pr:provide-unknown-attribute ns="urn:x" name="root">true</pr:provide-unknown-attribute>`
      expect(seen(document, allServices + allPersons + named)).not.toContain("root")
      expect(seen(document, allServices + allPersons + allDevices)).not.toContain("root")
      expect(seen(document, allServices + allPersons + allDevices + named)).toContain("<x:root/>")
      expect(seen(document, everything)).toContain("<x:root/>")
    },
  )

  it(
    "what a rule does not grant is in no document, whatever other rules say of other watchers",
    { tags: ["BUG-1"] },
    () => {
      const rules = reading(
        ruleset(
          rule("a", `<identity><one id="sip:bob@example.com"/></identity>`, "", everything) +
            rule("b", null, "", allPersons),
        ),
      )
      expect(
        rules.rules.map(({ permissions }) => filterPidf(read(written(document)), permissions).tuples.length),
      ).toEqual([1, 0])
    },
  )

  it("an element kind without any permission is left out", { tags: ["AUT-6"] }, () => {
    expect(seen(tuple("t") + device("d"), allPersons + yes("note"))).toBe("")
  })

  it("language stays with what is written in it; other foreign XML attributes go", { tags: ["L28"] }, () => {
    const german = `<tuple id="t" xml:lang="de" x:hint="1"><status/><note>Hallo</note></tuple>`
    expect(seen(german, allServices + yes("note"))).toBe(german.replace(' x:hint="1"', ""))
  })
})
