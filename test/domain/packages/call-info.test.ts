/**
 * The Call-Info header of shared lines, and the package whose whole state it is.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { parseAppearances, printAppearances } from "../../../src/domain/packages/call-info-header.ts"
import type { Appearance } from "../../../src/domain/packages/call-info-header.ts"
import { callInfo } from "../../../src/domain/packages/call-info.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { isHeaderValue } from "../../../src/domain/vocabulary.ts"
import type { Header } from "../../../src/domain/vocabulary.ts"
import { alice, at, fallDue, publish, subscribe } from "../../support/builders.ts"
import { assertLinear } from "../../support/cost.ts"
import { standing, tag } from "../../support/given.ts"

const line = "<sip:alice@example.com>"
const appearance = (index: number | "*", state: string, more = ""): string =>
  `${line};appearance-index=${index};appearance-state=${state}${more}`

const token = fc.stringMatching(/^[A-Za-z0-9.!%*_+`'~-]{1,6}$/)
const quoted = fc.stringMatching(/^[ -!#-[\]-~]{0,6}$/).map((text) => `"${text}\\"\\\\,;<>"`)
const anyAppearance = fc.record(
  {
    uri: fc.constantFrom("sip:alice@example.com", "sip:a;x=1@h?y=,", "tel:+49", "http://h/a,b;c"),
    index: fc.oneof(fc.constant("*" as const), fc.integer({ min: 1, max: 9999 })),
    state: fc.option(token.map((text) => text.toLowerCase())),
    parameters: fc
      .uniqueArray(fc.tuple(token, fc.option(fc.oneof(token, quoted, fc.constant("[::1]:5060")))), {
        selector: ([name]) => name.toLowerCase(),
        maxLength: 3,
      })
      .map((all) => all.filter(([name]) => !name.toLowerCase().startsWith("appearance-"))),
  },
  { noNullPrototype: true },
)
const anyAppearances: fc.Arbitrary<readonly Appearance[]> = fc.uniqueArray(anyAppearance, {
  selector: ({ index }) => index,
  minLength: 1,
  maxLength: 5,
})

describe("Call-Info", () => {
  it("what is printed reads the same, and stands on one line", { tags: ["SCA-1", "3261-20.9-a"] }, () => {
    fc.assert(
      fc.property(anyAppearances, (appearances) => {
        const text = printAppearances(appearances)
        deepStrictEqual(parseAppearances(text), { _tag: "Parsed", appearances })
        ok(isHeaderValue(text), text)
      }),
    )
  })

  it(
    "any text is read or refused with a reason, and what is read is printed so that it reads the same",
    { tags: ["SCA-1", "T5"] },
    () => {
      const pieces = [
        "<",
        ">",
        "sip:h",
        ";",
        "=",
        ",",
        '"',
        "\\",
        " ",
        "\t",
        "*",
        "1",
        "é",
        "appearance-index",
        "appearance-state",
        "a",
        "\n",
      ]
      const anyText = fc.oneof(
        fc.string(),
        fc.array(fc.constantFrom(...pieces), { maxLength: 20 }).map((parts) => parts.join("")),
        fc
          .tuple(anyAppearances.map(printAppearances), fc.nat(), fc.constantFrom(...pieces))
          .map(([text, where, piece]) => {
            const cut = where % (text.length + 1)
            return text.slice(0, cut) + piece + text.slice(cut + (where % 3))
          }),
      )
      fc.assert(
        fc.property(anyText, (text) => {
          const parsed = parseAppearances(text)
          if (parsed._tag === "Unreadable") return ok(/^Call-Info: [^\n]+$/.test(parsed.why))
          if (parsed.appearances.length === 0) return
          deepStrictEqual(parseAppearances(printAppearances(parsed.appearances)), parsed)
        }),
        { numRuns: 500 },
      )
    },
  )

  it.for([
    ["", /begin with a URI/],
    ["sip:alice@example.com;appearance-index=1", /begin with a URI/],
    [`${appearance(1, "active")},`, /begin with a URI/],
    [`${line};appearance-index=0`, /neither a number/],
    [`${line};appearance-index`, /neither a number/],
    [`${line};appearance-index="1"`, /neither a number/],
    [`${line};appearance-index=12345`, /neither a number/],
    [`${line};appearance-index=1;appearance-index=2`, /comes twice in one entry/],
    [`${appearance(1, "idle")}, ${appearance(1, "active")}`, /appearance-index=1 comes twice/],
    [`${line};appearance-index=1;appearance-state="a b"`, /not a word/],
    [`${line};appearance-index=1;x="open`, /not a name/],
    [`${line} appearance-index=1`, /not a name/],
  ] as const)("%s is refused", { tags: ["SCA-1"] }, ([text, why]) => {
    const parsed = parseAppearances(text)
    ok(parsed._tag === "Unreadable" && why.test(parsed.why), JSON.stringify(parsed))
  })

  it(
    "what is about no appearance is left out, blanks do not count, and case does not",
    { tags: ["SCA-1"] },
    () => {
      deepStrictEqual(
        parseAppearances(
          `<http://h/i.png> ;purpose=icon ,\t${line} ; Appearance-Index = 2;APPEARANCE-STATE=Active; x`,
        ),
        {
          _tag: "Parsed",
          appearances: [
            { uri: "sip:alice@example.com", index: 2, state: "active", parameters: [["x", null]] },
          ],
        },
      )
    },
  )

  it("reading takes time that grows with the text and with nothing else", { tags: ["SCA-1"] }, () => {
    for (const hostile of [
      (n: number) => `${line};x="${"\\".repeat(n)}`,
      (n: number) => `${line}${" ".repeat(n)}!`,
      (n: number) => `${line}${";a ".repeat(n / 3)}`,
    ]) {
      assertLinear(
        hostile(12),
        (n) => {
          const text = hostile(n)
          return () => void parseAppearances(text)
        },
        2_400,
      )
    }
  })
})

describe("the package call-info", () => {
  const packages = makeRegistry([callInfo()])
  const world = standing(initial(alice), { packages })
  const idle = appearance("*", "idle")
  const said = (...values: readonly string[]): readonly Header[] =>
    values.map((value): Header => ["Call-Info", value])
  const asked = (headers: readonly Header[], over: Parameters<typeof publish>[0] = {}) =>
    publish({ packageName: "call-info", expires: 600, headers, ...over })
  const watched = world.when(
    subscribe({ packageName: "call-info", accept: ["application/sdp"] }),
    at("10:00:00"),
  )
  const shown = (outcome: { readonly sent: typeof watched.sent }) =>
    outcome.sent.map(({ headers, body }) => {
      deepStrictEqual([headers?.length, headers?.[0]?.[0], body], [1, "Call-Info", null])
      return headers?.[0]?.[1].split(", ")
    })

  it(
    "with nothing published every appearance is idle, whatever the watcher accepts",
    { tags: ["SCA-2"] },
    () => {
      deepStrictEqual(shown(watched), [[idle]])
      watched.answers({ _tag: "Subscribed", status: 200, expires: 3600 })
    },
  )

  it("publications compose by appearance, of each the newest", { tags: ["SCA-3"] }, () => {
    const first = watched
      .and()
      .when(asked(said(appearance(2, "active"), appearance(1, "alerting"))), at("10:00:01"))
    deepStrictEqual(shown(first), [[appearance(1, "alerting"), appearance(2, "active"), idle]])
    const second = first.and().when(
      asked(said(`${appearance(1, "held", ';appearance-uri="x"')}, ${appearance(12, "active")}`), {
        expires: 60,
      }),
      at("10:00:02"),
    )
    deepStrictEqual(shown(second), [
      [appearance(1, "held", ';appearance-uri="x"'), appearance(2, "active"), appearance(12, "active"), idle],
    ])
    const modified = second
      .and()
      .when(asked(said(appearance(2, "held")), { ifMatch: tag(2) }), at("10:00:03"))
    deepStrictEqual(shown(modified)[0]?.[1], appearance(2, "held"))
    const expired = modified.and().when(fallDue, at("10:01:02"))
    deepStrictEqual(shown(expired), [[appearance(2, "held"), idle]])
    const ended = expired.and().when(asked([], { ifMatch: tag(4), expires: 0 }), at("10:01:03"))
    deepStrictEqual(shown(ended), [[idle]])
  })

  it("of the others somebody may say something else than idle", { tags: ["SCA-3"] }, () => {
    const outcome = watched.and().when(asked(said(appearance("*", "unknown"))), at("10:00:01"))
    deepStrictEqual(shown(outcome), [[appearance("*", "unknown")]])
  })

  it(
    "a publication without the header, with one that cannot be read, or with a body is refused",
    { tags: ["SCA-4", "PUB-12"] },
    () => {
      world.when(asked([]), at("10:00:01")).refused({
        _tag: "BadRequest",
        status: 400,
        why: "a publication without entity-tag needs a Call-Info or body",
      })
      for (const value of [line, `${line};appearance-index=1`, `${line};appearance-index=1;appearance-state`])
        world.when(asked(said(value)), at("10:00:01")).refused(400)
      const body = { contentType: "text/plain", text: "a" }
      world.when(asked(said(idle), { body }), at("10:00:01")).refused(415)
    },
  )
})
