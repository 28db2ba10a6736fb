/**
 * L26, L27 and L29 for rules, over random rules in random spellings, against an evaluator by brute force.
 *
 * RULES_DOCUMENTS sets how many documents are tried, each in 40 circumstances; 2500 when it is not given.
 */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { combined, handlings } from "../../../src/domain/packages/presence-rules-permissions.ts"
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
import type { RuleQuestion, Permissions, RulesDocument } from "../../../src/domain/packages/presence-rules.ts"
import * as random from "../../support/rules-arbitraries.ts"
import { asked, reading } from "../../support/rules-builders.ts"
import { referenceGrants, referenceMatches } from "../../support/rules-reference.ts"
import type { ModelCase, ModelRule } from "../../support/rules-reference.ts"
import { anyChoices, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed } from "../../support/xml-corpus.ts"

const { anyCase, anyRules, atoms, epoch, grantsAtom, impliesAtom, resolveList, uriOf, writeRules } = random
const documents = Number(process.env["RULES_DOCUMENTS"] ?? 2_500)

const circumstancesOf = ({ requester, sphere, now }: ModelCase): RuleQuestion =>
  asked(requester.map(uriOf), sphere, epoch + now * 1_000)

const anyDocument = fc
  .tuple(anyRules, fc.nat())
  .map(([rules, seed]) => reading(writeRules(rules, seed), { oma: true, resolveList }))
const anyPermissions: fc.Arbitrary<Permissions> = anyDocument.map(({ rules }) =>
  combined(rules.map(({ permissions }) => permissions)),
)
const plainly = (rules: readonly ModelRule[], seed: number): RulesDocument => reading(writeRules(rules, seed))
const permissionsIn = (document: RulesDocument, circumstances: RuleQuestion): Permissions =>
  permissionsOf(document, matchingRules(document, circumstances))
/** As the reference counts: -1 when none is given. */
const rankOf = ({ handling }: Permissions): number =>
  handling === "none-given" ? -1 : (handlings.indexOf(handling) - 1) * 10
const isAtMost = (left: Permissions, right: Permissions): boolean => {
  expect(combined([left, right])).toStrictEqual(combined([right, left]))
  return JSON.stringify(combined([left, right])) === JSON.stringify(right)
}

describe("evaluation", () => {
  it("matching and granting agree with a reference by brute force", { tags: ["L27"] }, () => {
    let [cases, matched] = [0, 0]
    fc.assert(
      fc.property(
        anyRules,
        fc.nat(),
        fc.boolean(),
        fc.array(anyCase, { minLength: 40, maxLength: 40 }),
        (rules, seed, oma, many) => {
          const document = reading(writeRules(rules, seed), { oma, resolveList })
          const differing = many.flatMap((one) => {
            const ordinals = referenceMatches(rules, one, oma)
            cases += 1
            matched += ordinals.length === 0 ? 0 : 1
            const found = matchingRules(document, circumstancesOf(one))
            const permissions = permissionsOf(document, found)
            const { handling, grants } = referenceGrants(rules, ordinals)
            const wrong = atoms.filter((atom) => grantsAtom(permissions, atom) !== impliesAtom(grants, atom))
            const isSame = found.join() === ordinals.join() && rankOf(permissions) === handling
            return isSame && wrong.length === 0 ? [] : [{ one, found, ordinals, handling, wrong }]
          })
          expect(differing).toEqual([])
        },
      ),
      { numRuns: documents },
    )
    expect(cases).toBeGreaterThanOrEqual(documents * 40)
    // The comparison is worth something only when both answers are frequent.
    expect(matched).toBeGreaterThan(cases / 5)
    expect(matched).toBeLessThan(cases * 0.9)
  })

  it("one meaning in any prefixes, quotes and references has one evaluation", { tags: ["L27"] }, () => {
    fc.assert(
      fc.property(anyRules, fc.nat(), anyChoices, (rules, seed, choose) => {
        const text = writeRules(rules, seed)
        const tree = xmlCodec.parse(text)
        if (tree._tag === "Malformed") throw new Error(tree.why)
        expect(reading(writeOtherwise(tree.root, choose))).toStrictEqual(reading(text))
      }),
    )
  })

  it("unauthenticated satisfies no identity condition", { tags: ["L27"] }, () => {
    fc.assert(
      fc.property(anyRules, fc.nat(), anyCase, (rules, seed, one) => {
        const document = plainly(rules, seed)
        for (const uris of [[], ["sip:anonymous@anonymous.invalid"]]) {
          const circumstances = asked(uris, one.sphere, epoch + one.now * 1_000)
          for (const ordinal of matchingRules(document, circumstances)) {
            expect(document.rules[ordinal]?.conditions.map(({ _tag }) => _tag)).not.toContain("Identity")
          }
        }
      }),
    )
  })

  it("the order of rules does not count, nor how they are split over documents", { tags: ["L26"] }, () => {
    fc.assert(
      fc.property(anyRules, anyRules, fc.nat(), fc.nat(), anyCase, (rules, more, seed, turn, one) => {
        const [first, second] = [plainly(rules, seed), plainly(more, seed)]
        const circumstances = circumstancesOf(one)
        const together = permissionsIn(unitedRules([first, second]), circumstances)
        const apart = [first, second].map((document) => permissionsIn(document, circumstances))
        expect(combined(apart)).toStrictEqual(together)
        const all = [...first.rules, ...second.rules]
        const at = all.length === 0 ? 0 : turn % all.length
        const shuffled = { rules: [...all.slice(at).toReversed(), ...all.slice(0, at)] }
        expect(permissionsIn(shuffled, circumstances)).toStrictEqual(together)
      }),
    )
  })

  it("a further rule never takes a permission away", { tags: ["L26"] }, () => {
    fc.assert(
      fc.property(anyRules, fc.nat(), fc.nat(), anyCase, (rules, seed, index, one) => {
        fc.pre(rules.length > 0)
        const document = plainly(rules, seed)
        const fewer = { rules: document.rules.toSpliced(index % rules.length, 1) }
        const [less, more] = [fewer, document].map((it) => permissionsIn(it, circumstancesOf(one)))
        expect(isAtMost(less ?? nothingGranted, more ?? nothingGranted)).toBe(true)
      }),
    )
  })

  it(
    "combining is associative, commutative and idempotent, with nothing as its identity",
    { tags: ["L26", "4745-10.2-b"] },
    () => {
      fc.assert(
        fc.property(anyPermissions, anyPermissions, anyPermissions, (one, two, three) => {
          expect(combined([combined([one, two]), three])).toStrictEqual(
            combined([one, combined([two, three])]),
          )
          expect(combined([one, two, three])).toStrictEqual(combined([three, combined([two, one])]))
          expect(combined([one, one])).toStrictEqual(one)
          expect(combined([one, nothingGranted])).toStrictEqual(one)
          expect(combined([nothingGranted, one])).toStrictEqual(one)
          expect(combined([one, everythingShown])).toStrictEqual({
            ...everythingShown,
            handling: one.handling,
          })
        }),
      )
    },
  )

  it("permissions that grant the same are the same data", { tags: ["L26"] }, () => {
    const meaning = (permissions: Permissions): string =>
      `${permissions.handling} ${atoms.filter((atom) => grantsAtom(permissions, atom)).join()}`
    fc.assert(
      fc.property(anyRules, fc.nat(), fc.nat(), (rules, one, two) => {
        const all = rules.map((_, ordinal) => ordinal)
        const grants = [plainly(rules, one), plainly(rules.toReversed(), two)].map((it) =>
          permissionsOf(it, all),
        )
        expect(grants[0]).toStrictEqual(grants[1])
        expect(meaning(grants[0] ?? nothingGranted)).toBe(meaning(grants[1] ?? nothingGranted))
      }),
    )
  })

  it(
    "between now and the next boundary nothing changes, and there a validity condition does",
    { tags: ["L29"] },
    () => {
      const validities = ({ rules }: RulesDocument, now: number): readonly boolean[] =>
        rules.flatMap(({ conditions }) =>
          conditions.flatMap((one) =>
            one._tag === "Validity"
              ? [one.periods.some(({ from, until }) => from <= now && now < until)]
              : [],
          ),
        )
      fc.assert(
        fc.property(anyRules, fc.nat(), anyCase, (rules, seed, one) => {
          const document = plainly(rules, seed)
          const { requester, sphere, now } = circumstancesOf(one)
          const at = (instant: number) => matchingRules(document, { requester, sphere, now: instant })
          const boundary = nextEvaluationAt(document, now)
          const end = boundary ?? epoch + 60_000
          for (let instant = now; instant < end; instant += 500) {
            expect(at(instant)).toEqual(at(now))
            expect(validities(document, instant)).toEqual(validities(document, now))
          }
          expect(at(end - 1)).toEqual(at(now))
          if (boundary === null) return
          expect(boundary).toBeGreaterThan(now)
          expect(validities(document, boundary)).not.toEqual(validities(document, boundary - 1))
        }),
        { numRuns: 500 },
      )
    },
  )

  it("who asks for no sphere gets the same in every sphere", { tags: ["L29"] }, () => {
    fc.assert(
      fc.property(anyRules, fc.nat(), anyCase, (rules, seed, one) => {
        const document = plainly(rules, seed)
        const inSphere = (sphere: string | null) =>
          matchingRules(document, circumstancesOf({ ...one, sphere }))
        if (asksForSphere(document)) return
        for (const sphere of ["work", "home", "elsewhere"]) expect(inSphere(sphere)).toEqual(inSphere(null))
      }),
    )
  })

  it("any text is rules or refused with one line", { tags: ["4745-6-b"] }, () => {
    const texts = fc.oneof(
      anyText,
      fc.constantFrom(...malformed.map(([, text]) => text)),
      fc.tuple(anyRules, fc.nat(), fc.nat(), anyText).map(([rules, seed, at, text]) => {
        const written = writeRules(rules, seed)
        return written.slice(0, at % written.length) + text + written.slice(at % written.length)
      }),
    )
    fc.assert(
      fc.property(texts, anyCase, (text, one) => {
        const read = readRules(text, xmlCodec, { oma: true, resolveList })
        const result =
          read._tag === "Unreadable" ? read.why : permissionsIn(read.rules, circumstancesOf(one)).handling
        expect(result).toMatch(/^[^\n]+$/)
      }),
      { numRuns: 500 },
    )
  })
})
