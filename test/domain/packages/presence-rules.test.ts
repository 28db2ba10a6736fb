/**
 * Presence rules by example: each condition and action of RFC 4745, RFC 5025 and OMA once, and what is refused.
 *
 * Transformations are in `pidf-filter.test.ts`, laws over random rules in `presence-rules.prop.test.ts`.
 */
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import {
  asksForSphere,
  everythingShown,
  matchingRules,
  nextEvaluationAt,
  nothingGranted,
  permissionsOf,
  readRules,
  unitedRules,
} from "../../../src/domain/packages/presence-rules.ts"
import {
  asked,
  granting,
  handling,
  matches,
  nobody,
  reading,
  rule,
  ruleset,
} from "../../support/rules-builders.ts"

const one = (id: string): string => `<identity><one id="${id}"/></identity>`
const many = (domain: string, inside = ""): string =>
  `<identity><many domain="${domain}">${inside}</many></identity>`
const anyone = (inside: string): string => `<identity><many>${inside}</many></identity>`
const bob = "sip:bob@example.com"

describe("identity", () => {
  it("<one> matches its URI and nobody else", { tags: ["5025-5-a"] }, () => {
    expect(matches(one(bob))).toBe(true)
    expect(matches(one("sip:carol@example.com"))).toBe(false)
    expect(matches("<identity><one/></identity>")).toBe(false)
  })

  it("URIs compare by RFC 3261, and schemes are never equal", { tags: ["4745-7.1.2-a"] }, () => {
    for (const id of ["SIP:bob@EXAMPLE.com", "sip:b%6Fb@example.com", " sip:bob@example.com; lr"])
      expect([id, matches(one(id))]).toEqual([id, true])
    const others = [
      "sips:bob@example.com",
      "pres:bob@example.com",
      "sip:Bob@example.com",
      "sip:bob@example.com:5060",
    ]
    for (const id of [
      ...others,
      "sip:bob@example.com;user=phone",
      "sip:bob@example.com;gr=1",
      "bob@example.com",
    ])
      expect([id, matches(one(id))]).toEqual([id, false])
    expect(matches(one("tel:+1-212-555-1212"), asked("tel:+12125551212"))).toBe(true)
    expect(matches(one("sip:+12125551212@example.com"), asked("tel:+12125551212"))).toBe(false)
  })

  it("<many> without domain matches every authenticated identity", { tags: ["5025-5-a"] }, () => {
    for (const uri of [bob, "sip:x@y.example", "tel:+1212"])
      expect([uri, matches(anyone(""), asked(uri))]).toEqual([uri, true])
    expect(matches(anyone(""), asked(nobody))).toBe(false)
  })

  it(
    "<many domain> matches that domain, none inside it, and no telephone number",
    { tags: ["4745-7.1.3-a"] },
    () => {
      expect(matches(many("example.com"))).toBe(true)
      expect(matches(many("example.com"), asked("sip:bob@sub.example.com"))).toBe(false)
      expect(matches(many("com"))).toBe(false)
      expect(matches(many("example.com"), asked("tel:+12125551212"))).toBe(false)
      expect(matches(many("example.com"), asked("sips:bob@example.com"))).toBe(true)
    },
  )

  it("domains compare without case and escapes, and in ASCII", { tags: ["4745-7.1.3-b"] }, () => {
    const dave = asked("sip:dave@xn--bcher-kva.example")
    for (const domain of ["bücher.example", "BÜCHER.Example", "b%C3%BCcher.example", "XN--BCHER-KVA.example"])
      expect([domain, matches(many(domain), dave)]).toEqual([domain, true])
    for (const domain of ["bucher.example", "%ff.example", "", "bücher..example"])
      expect([domain, matches(many(domain), dave)]).toEqual([domain, false])
  })

  it("<except> takes out one identity or one domain", { tags: ["5025-5-a"] }, () => {
    const except = `<except id="sip:carol@example.com"/><except domain="Example.NET"/>`
    expect(matches(anyone(except))).toBe(true)
    expect(matches(anyone(except), asked("sip:carol@example.com"))).toBe(false)
    expect(matches(anyone(except), asked("sip:bob@example.net"))).toBe(false)
    expect(matches(many("example.com", except))).toBe(true)
    expect(matches(many("example.com", except), asked("sip:carol@example.com"))).toBe(false)
  })

  it("another domain of the same length is another domain", { tags: ["BUG-7"] }, () => {
    expect(matches(many("aaaaaa"), asked("sip:bob@bbbbbb"))).toBe(false)
    expect(matches(many("aaaaaa"), asked("sip:bob@aaaaaa"))).toBe(true)
  })

  it("an excepted identity is excepted", { tags: ["BUG-7"] }, () => {
    expect(matches(anyone(`<except id="${bob}"/>`))).toBe(false)
    expect(matches(many("example.com", `<except id="${bob}"/>`))).toBe(false)
    expect(matches(many("example.com", `<except id="${bob}"/>`), asked("sip:bobby@example.com"))).toBe(true)
  })

  it(
    "identity holds when any child does; without identity everyone matches",
    { tags: ["4745-7.1.1-a"] },
    () => {
      expect(matches(`<identity><one id="sip:x@y"/><many domain="example.com"/></identity>`)).toBe(true)
      expect(matches("<identity/>")).toBe(false)
      expect(matches("")).toBe(true)
      expect(matches("", asked(nobody))).toBe(true)
    },
  )

  it(
    "who is not authenticated, or is anonymous, satisfies no identity condition",
    { tags: ["4745-7.1.1-b"] },
    () => {
      for (const uris of [nobody, ["sip:anonymous@anonymous.invalid"]]) {
        expect(matches(anyone(""), asked(uris))).toBe(false)
        expect(matches(one("sip:anonymous@anonymous.invalid"), asked(uris))).toBe(false)
      }
    },
  )

  it(
    "of several asserted URIs any one satisfies, and any one is excepted",
    { tags: ["5025-3.1.1.2-a"] },
    () => {
      const both = asked([bob, "tel:+12125551212"])
      expect(matches(one("tel:+12125551212"), both)).toBe(true)
      expect(matches(many("example.com"), both)).toBe(true)
      expect(matches(many("example.com", `<except id="tel:+12125551212"/>`), both)).toBe(false)
      expect(matches(anyone(`<except domain="example.com"/>`), both)).toBe(false)
    },
  )

  it("aliases are not equated: only the URIs given count", { tags: ["5025-3.1.1.2-b"] }, () => {
    expect(matches(one("sip:robert@example.com"))).toBe(false)
  })

  it("an alternative that is not understood in full identifies nobody", { tags: ["4745-7-a"] }, () => {
    const unknown = ["<x:one/>", `<any domain="example.com"/>`, "<many><x:only-friends/></many>"]
    for (const inside of [...unknown, `<one id="${bob}"><x:when/></one>`]) {
      expect([inside, matches(`<identity>${inside}</identity>`)]).toEqual([inside, false])
      expect([inside, matches(`<identity>${inside}<one id="${bob}"/></identity>`)]).toEqual([inside, true])
    }
  })
})

describe("sphere and validity", () => {
  it("<sphere> holds in any of the spheres it lists, without case", { tags: ["5025-5-a"] }, () => {
    const condition = `<sphere value="Work  school"/>`
    expect(matches(condition, asked(bob, "work"))).toBe(true)
    expect(matches(condition, asked(bob, "SCHOOL"))).toBe(true)
    expect(matches(condition, asked(bob, "home"))).toBe(false)
    expect(matches(condition, asked(bob, null))).toBe(false)
    expect(matches(`<sphere value=""/>`, asked(bob, ""))).toBe(false)
  })

  it("a sphere written as text counts when there is no value", { tags: ["4745-7.3-a"] }, () => {
    expect(matches("<sphere>\n work </sphere>", asked(bob, "work"))).toBe(true)
    expect(matches(`<sphere value="home">work</sphere>`, asked(bob, "work"))).toBe(false)
  })

  const day = "<from>2026-03-01T00:00:00Z</from><until>2026-03-02T00:00:00Z</until>"

  it(
    "<validity> holds from its first instant until just before its last, in any pair",
    { tags: ["4745-7.4-a"] },
    () => {
      const condition = `<validity>${day}<from>2026-03-05T00:00:00+01:00</from><until>2026-03-06T00:00:00Z</until></validity>`
      const at = (text: string): boolean => matches(condition, asked(bob, null, text))
      expect(at("2026-02-28T23:59:59.999Z")).toBe(false)
      expect(at("2026-03-01T00:00:00Z")).toBe(true)
      expect(at("2026-03-01T23:59:59.999Z")).toBe(true)
      expect(at("2026-03-02T00:00:00Z")).toBe(false)
      expect(at("2026-03-04T23:00:00Z")).toBe(true)
    },
  )

  it("a broken pair makes the condition false", { tags: ["4745-7.4-b"] }, () => {
    const broken = ["<from>2000-01-01T00:00:00Z</from>", "<until>2100-01-01T00:00:00Z</until>", "<x:from/>"]
    const swapped = "<until>2100-01-01T00:00:00Z</until><from>2000-01-01T00:00:00Z</from>"
    const vague = "<from>2000-01-01T00:00:00Z</from><until>whenever</until>"
    const noon = asked(bob, null, "2026-03-01T12:00:00Z")
    expect(matches(`<validity>${day}</validity>`, noon)).toBe(true)
    expect(matches("<validity/>", noon)).toBe(false)
    for (const inside of [...broken, swapped, vague]) {
      expect([inside, matches(`<validity>${inside}</validity>`, noon)]).toEqual([inside, false])
      expect([inside, matches(`<validity>${day}${inside}</validity>`, noon)]).toEqual([inside, false])
    }
  })

  it("a valid rule does not make an expired one valid", { tags: ["BUG-8"] }, () => {
    const expired = "<from>2002-01-01T00:00:00Z</from><until>2002-02-01T00:00:00Z</until>"
    const document = reading(
      ruleset(
        rule("valid", `<validity>${day}</validity>`, handling("confirm")) +
          rule("expired", `<validity>${expired}</validity>`, handling("allow")),
      ),
    )
    const found = matchingRules(document, asked(bob, null, "2026-03-01T12:00:00Z"))
    expect(found).toEqual([0])
    expect(permissionsOf(document, found).handling).toBe("confirm")
  })

  it("boundaries are the ends of periods, those inside another period apart", { tags: ["L29"] }, () => {
    const inner = "<from>2026-03-01T06:00:00Z</from><until>2026-03-01T07:00:00Z</until>"
    const document = reading(ruleset(rule("a", `<validity>${day}${inner}</validity>`) + rule("b", null)))
    expect(nextEvaluationAt(document, 0)).toBe(Date.parse("2026-03-01T00:00:00Z"))
    expect(nextEvaluationAt(document, Date.parse("2026-03-01T00:00:00Z"))).toBe(
      Date.parse("2026-03-02T00:00:00Z"),
    )
    expect(nextEvaluationAt(document, Date.parse("2026-03-02T00:00:00Z"))).toBe(null)
    expect(nextEvaluationAt(reading(ruleset("")), 0)).toBe(null)
  })

  it("a document asks for the sphere when one of its rules can match by it", { tags: ["L29"] }, () => {
    expect(asksForSphere(reading(ruleset(rule("a", `<sphere value="work"/>`))))).toBe(true)
    expect(asksForSphere(reading(ruleset(rule("a", `<sphere value="work"/><x:weather/>`))))).toBe(false)
    expect(asksForSphere(reading(ruleset(rule("a", one(bob)))))).toBe(false)
  })
})

describe("rules", () => {
  it(
    "a rule matches when all of its conditions hold; without conditions always",
    { tags: ["4745-6-b"] },
    () => {
      expect(matches(`${one(bob)}<sphere value="work"/>`, asked(bob, "work"))).toBe(true)
      expect(matches(`${one(bob)}<sphere value="work"/>`, asked(bob, "home"))).toBe(false)
      const document = reading(
        ruleset(rule("none", null) + rule("empty", "") + rule("other", one("sip:x@y"))),
      )
      expect(matchingRules(document, asked(nobody))).toEqual([0, 1])
    },
  )

  it("an unknown condition matches nobody", { tags: ["AUT-2"] }, () => {
    const unknown = [
      "<x:weather/>",
      "<authenticated/>",
      "<pr:identity/>",
      "<ocp:anonymous-request/>",
      "<ocp:other-identity/>",
    ]
    for (const condition of unknown) {
      expect([condition, matches(condition)]).toEqual([condition, false])
      expect([condition, matches(one(bob) + condition)]).toEqual([condition, false])
    }
  })

  it("conditions in another namespace match nobody rather than everybody", { tags: ["AUT-2"] }, () => {
    const stray = `<rule id="a"><x:conditions><identity/></x:conditions></rule>`
    expect(matchingRules(reading(ruleset(stray)), asked())).toEqual([])
  })

  it(
    "<sub-handling> has four values, of which the highest counts",
    { tags: ["OPS-get_auth_status", "AUT-5"] },
    () => {
      const ranked = ["block", "confirm", "polite-block", "allow"]
      const document = reading(
        ruleset(ranked.map((value) => rule(value, null, handling(` ${value} `))).join("")),
      )
      ranked.forEach((value, index) => {
        expect(permissionsOf(document, [index]).handling).toBe(value)
        expect(permissionsOf(document, [index, 0]).handling).toBe(value)
        expect(permissionsOf(document, [3, index]).handling).toBe("allow")
      })
    },
  )

  it("without a rule, or a value that is known, no handling is given", { tags: ["5025-3.2.1-a"] }, () => {
    const actions = ["", handling("permit"), handling("allowed"), "<x:sub-handling>allow</x:sub-handling>"]
    const document = reading(ruleset(actions.map((action, index) => rule(`${index}`, null, action)).join("")))
    expect(permissionsOf(document, [0, 1, 2, 3])).toStrictEqual(nothingGranted)
    expect(permissionsOf(document, [])).toStrictEqual(nothingGranted)
  })

  it("booleans, levels and sets each combine in their way", { tags: ["4745-10.2-a"] }, () => {
    const first = "<pr:provide-mood>true</pr:provide-mood><pr:provide-user-input>bare</pr:provide-user-input>"
    const second =
      "<pr:provide-mood>false</pr:provide-mood><pr:provide-user-input>full</pr:provide-user-input>" +
      "<pr:provide-persons><pr:class>b</pr:class><pr:class>a</pr:class></pr:provide-persons>"
    const document = reading(
      ruleset(rule("1", null, handling("allow"), first) + rule("2", null, handling("block"), second)),
    )
    expect(permissionsOf(document, [0, 1])).toStrictEqual({
      ...nothingGranted,
      handling: "allow",
      attributes: ["mood"],
      userInput: "full",
      persons: {
        all: false,
        selectors: [
          { by: "class", value: "a" },
          { by: "class", value: "b" },
        ],
      },
    })
  })

  it("several documents are one", { tags: ["5025-9.7-a"] }, () => {
    const [first, second] = [rule("a", null, handling("confirm")), rule("a", null, handling("allow"))].map(
      (inside) => reading(ruleset(inside)),
    )
    const all = unitedRules([first ?? { rules: [] }, second ?? { rules: [] }])
    expect(permissionsOf(all, matchingRules(all, asked())).handling).toBe("allow")
  })

  it(
    "a rule without transformations shows nothing, or all of it when rules are read as OpenSIPS does",
    { tags: ["5025-3.3.1-a"] },
    () => {
      expect(granting("")).toStrictEqual(nothingGranted)
      expect(granting("", { legacyPermissive: true })).toStrictEqual(everythingShown)
      const bare = reading(ruleset(`<rule id="a"/>`), { legacyPermissive: true })
      expect(permissionsOf(bare, [0])).toStrictEqual(everythingShown)
      expect(granting("<x:unknown/>", { legacyPermissive: true })).toStrictEqual(nothingGranted)
    },
  )
})

describe("OMA", () => {
  const anonymous = "<ocp:anonymous-request/>"
  const list = `<ocp:external-list><ocp:entry anc="http://xcap.example.com/friends"/></ocp:external-list>`
  const friends = (anchor: string): readonly string[] | null =>
    anchor.endsWith("/friends") ? ["sip:BOB@example.com", "SIP:carol@example.com"] : null
  const oma = { oma: true, resolveList: friends }

  it("an anonymous request is one without identity", { tags: ["AUT-4"] }, () => {
    for (const uris of [nobody, ["sip:anonymous@anonymous.invalid"]])
      expect(matches(anonymous, asked(uris), oma)).toBe(true)
    expect(matches(anonymous, asked(bob), oma)).toBe(false)
  })

  it("an external list matches its members, and nobody when it cannot be found", { tags: ["AUT-4"] }, () => {
    expect(matches(list, asked("sip:carol@example.com"), oma)).toBe(true)
    expect(matches(list, asked("sip:dave@example.com"), oma)).toBe(false)
    expect(matches(list, asked("sip:carol@example.com"), { oma: true })).toBe(false)
    expect(matches(list.replace("/friends", "/foes"), asked("sip:carol@example.com"), oma)).toBe(false)
    expect(matches("<ocp:external-list/>", asked(), oma)).toBe(false)
  })

  it("the strongest class that matches counts alone, with rules of no class", { tags: ["AUT-4"] }, () => {
    const document = reading(
      ruleset(
        rule("other", "<ocp:other-identity/>") +
          rule("list", list) +
          rule("one", one("sip:carol@example.com")) +
          rule("anonymous", anonymous) +
          rule("always", null),
      ),
      oma,
    )
    expect(matchingRules(document, asked("sip:carol@example.com"))).toEqual([2, 4])
    expect(matchingRules(document, asked("sip:dave@example.com"))).toEqual([0, 4])
    expect(matchingRules(document, asked(nobody))).toEqual([3, 4])
    const bobby = reading(ruleset(rule("other", "<ocp:other-identity/>") + rule("list", list)), {
      oma: true,
      resolveList: () => [bob],
    })
    expect(matchingRules(bobby, asked())).toEqual([1])
  })
})

describe("reading", () => {
  const why = (text: string): string => {
    const read = readRules(text, xmlCodec)
    return read._tag === "Unreadable" ? read.why : "readable"
  }

  it("what has no nameable rules is refused", { tags: ["4745-6-b"] }, () => {
    expect(why("<ruleset/>")).toBe("root is not <ruleset> of common policy")
    expect(why(`<rules xmlns="urn:ietf:params:xml:ns:common-policy"/>`)).toBe(
      "root is not <ruleset> of common policy",
    )
    expect(why(ruleset("<rule/>"))).toBe("<rule> without id")
    expect(why(ruleset(`<rule id=" "/>`))).toBe("<rule> without id")
    expect(why(ruleset(`<rule id="a&#10;b"/><rule id="a&#10;b"/>`))).toBe(`two rules with id "a\\nb"`)
    expect(why("<ruleset")).not.toBe("readable")
    expect(why(ruleset(`<x:rule/><note>of nobody</note><rule id="a"><x:extra/></rule>`))).toBe("readable")
  })

  it("a rules document is plain data", { tags: ["4745-6-a"] }, () => {
    const document = reading(ruleset(rule("a", one("SIP:Bob@EXAMPLE.com"), handling("allow"))))
    expect(document).toStrictEqual({
      rules: [
        {
          id: "a",
          conditions: [{ _tag: "Identity", anyOf: [{ _tag: "One", uri: "sip:Bob@example.com" }] }],
          omaClass: null,
          permissions: { ...nothingGranted, handling: "allow" },
        },
      ],
    })
    expect(JSON.parse(JSON.stringify(document))).toStrictEqual(document)
  })
})
