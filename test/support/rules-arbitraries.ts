/**
 * Random rules as models, and ways to write a model: many spellings, one meaning.
 */
import fc from "fast-check"
import {
  attributeNames,
  handlings,
  userInputs,
} from "../../src/domain/packages/presence-rules-permissions.ts"
import type { Permissions } from "../../src/domain/packages/presence-rules.ts"
import { handling, rule, ruleset } from "./rules-builders.ts"
import { people } from "./rules-reference.ts"
import type {
  Alternative,
  Except,
  ModelCase,
  ModelCondition,
  ModelRule,
  PersonName,
} from "./rules-reference.ts"

/** Canonical URIs first: the requester's URIs are always canonical. */
const uris: Readonly<Record<PersonName, readonly [string, ...string[]]>> = {
  bob: [
    "sip:bob@example.com",
    "SIP:bob@EXAMPLE.com",
    "sip:b%6fb@ex%41mple.com.",
    "sip:bob@example.com;x=1",
    "  sip:bob@example.com ",
  ],
  carol: ["sip:carol%2Fc@example.com", "sip:carol%2fc@Example.Com"],
  "bob-elsewhere": ["sip:bob@elpmaxe.com", "sip:%62ob@ELPMAXE.com"],
  "bob-secure": ["sips:bob@example.com", "Sips:bob@example.com"],
  dave: ["sip:dave@xn--bcher-kva.example", "sip:dave@B%C3%BCcher.example", "sip:dave@BÜCHER.example"],
  phone: ["tel:+12125551212", "TEL:+1-212-555.1212", "tel:+1(212)5551212"],
}
const strangers = [
  "sip:Bob@example.com",
  "sip:bob@example.com:5060",
  "sip:bob@example.com;user=phone",
  "pres:bob@example.com",
  "sip:+12125551212@example.com",
  "nonsense",
  "",
]
const domains = {
  example: ["example.com", "EXAMPLE.COM", "ex%61mple.com", "example。com", "example.com."],
  other: ["elpmaxe.com", "Elpmaxe.Com"],
  bücher: [
    "bücher.example",
    "BÜCHER.example",
    "b%c3%bccher.EXAMPLE",
    "xn--bcher-kva.example",
    "bu\u0308cher.example",
  ],
  "nobody's": ["example.org", "sub.example.com", "com", "xample.com", "192.0.2.1"],
  broken: [
    "",
    "..",
    "a..b",
    "%ff.example",
    "%zz",
    `${"a".repeat(64)}.example`,
    "example%2ecom",
    "bob@example.com",
  ],
} as const
export const uriOf = (name: PersonName): string => uris[name][0]

export const epoch = Date.parse("2026-03-01T00:00:00Z")
const spheres = ["work", "home", "mensa"]
const anyName = fc.constantFrom(...people.map(({ name }) => name))
const anyPeople = fc.uniqueArray(anyName, { maxLength: 3 })

const anyExcept: fc.Arbitrary<Except> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ id: anyName }) },
  {
    weight: 3,
    arbitrary: fc.record({ domain: fc.constantFrom("example", "other", "bücher", "nobody's", "broken") }),
  },
  fc.constant("empty" as const),
)
const anyAlternative: fc.Arbitrary<Alternative> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ one: anyName }) },
  {
    weight: 5,
    arbitrary: fc.record({
      many: fc.constantFrom(
        "anyone",
        "anyone",
        "example",
        "example",
        "other",
        "bücher",
        "nobody's",
        "broken",
      ),
      except: fc.array(anyExcept, { maxLength: 2 }),
    }),
  },
  fc.constant("unknown" as const),
)
const anyPeriods = fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 3 })
const anyCondition: fc.Arbitrary<ModelCondition> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ identity: fc.array(anyAlternative, { maxLength: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ sphere: fc.uniqueArray(fc.constantFrom(...spheres), { maxLength: 3 }) }),
  },
  { weight: 4, arbitrary: fc.record({ validity: fc.oneof(anyPeriods, fc.constant("broken" as const)) }) },
  { weight: 2, arbitrary: fc.record({ list: anyPeople }) },
  fc.constantFrom("anonymous" as const, "other" as const, "unknown" as const),
)

/** Every permission, with values from small sets, each under a name of its own. */
export const atoms: readonly string[] = [
  ...["class=a", "class=b", "deviceID=urn:x:1", "occurrence-id=t1", "all-devices"].map(
    (selector) => `devices ${selector}`,
  ),
  ...["class=a", "occurrence-id=p1", "all-persons"].map((selector) => `persons ${selector}`),
  ...["class=b", "occurrence-id=t1", "service-uri=sip:a@b", "service-uri-scheme=sip", "all-services"].map(
    (selector) => `services ${selector}`,
  ),
  ...attributeNames.map((name) => `attribute ${name}`),
  ...["bare", "thresholds", "full"].map((value) => `input ${value}`),
  ...["urn:x f", "urn:x g", " f"].map((name) => `unknown ${name}`),
  "all-attributes",
]

const anyRule: fc.Arbitrary<ModelRule> = fc.record({
  conditions: fc.array(anyCondition, { maxLength: 2 }),
  handling: fc.constantFrom(null, 0, 10, 20, 30),
  grants: fc.uniqueArray(fc.constantFrom(...atoms), { maxLength: 5 }),
})
export const anyRules: fc.Arbitrary<readonly ModelRule[]> = fc.array(anyRule, { maxLength: 5 })

export const anyCase: fc.Arbitrary<ModelCase> = fc.record({
  requester: anyPeople,
  sphere: fc.constantFrom(null, ...spheres),
  now: fc.nat(13),
})

/** Chooses among spellings: returns a number below `count`. */
type Choose = (count: number) => number
const pick = <Value>(from: readonly Value[], choose: Choose): Value => from[choose(from.length)] as Value

/** A generator of choices from one number: spellings need variety, not shrinking. */
const choices = (seed: number): Choose => {
  let state = seed >>> 0
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * count)
  }
}

const writeExcept = (except: Except, choose: Choose): string => {
  if (except === "empty") return "<except/>"
  if ("id" in except) return `<except id="${pick(uris[except.id], choose)}"/>`
  return `<except domain="${pick(domains[except.domain], choose)}"/>`
}

const writeAlternative = (alternative: Alternative, choose: Choose): string => {
  if (alternative === "unknown")
    return pick(
      [
        '<x:one id="sip:bob@example.com"/>',
        "<x:many/>",
        "<one/>",
        '<any-one domain="example.com"/>',
        "<many><x:unless/></many>",
        ...strangers.map((id) => `<one id="${id}"/>`),
      ],
      choose,
    )
  if ("one" in alternative) return `<one id="${pick(uris[alternative.one], choose)}"/>`
  const domain = alternative.many === "anyone" ? "" : ` domain="${pick(domains[alternative.many], choose)}"`
  return `<many${domain}>${alternative.except.map((except) => writeExcept(except, choose)).join("")}</many>`
}

const writeInstant = (second: number, choose: Choose): string => {
  const utc = new Date(epoch + second * 1_000).toISOString()
  const east = new Date(epoch + second * 1_000 + 5_400_000).toISOString()
  return pick([utc, utc.replace(".000Z", "Z"), utc.replace(".000Z", ""), east.replace("Z", "+01:30")], choose)
}

const writePeriods = (periods: readonly (readonly [number, number])[], choose: Choose): string =>
  periods
    .map(
      ([from, until]) =>
        `<from>${writeInstant(from, choose)}</from> <until>${writeInstant(until, choose)}</until>`,
    )
    .join("<!-- and -->")

const broken = [
  "<from>2000-01-01T00:00:00Z</from>",
  "<until>2100-01-01T00:00:00Z</until>",
  "<until>2100-01-01T00:00:00Z</until><from>2000-01-01T00:00:00Z</from>",
  "<from>2000-01-01T00:00:00Z</from><until>later</until>",
  "<from>2000-02-30T00:00:00Z</from><until>2100-01-01T00:00:00Z</until>",
  "<from>2000-01-01T00:00:00Z</from><until>2100-01-01T00:00:00Z</until><from>2000-01-01T00:00:00Z</from>",
  "<from>2000-01-01T00:00:00Z</from><x:until>2100-01-01T00:00:00Z</x:until>",
]

const writeCondition = (condition: ModelCondition, choose: Choose): string => {
  if (condition === "unknown")
    return pick(["<x:weather>rain</x:weather>", "<weather/>", "<pr:identity/>", "<x:validity/>"], choose)
  if (condition === "anonymous") return "<ocp:anonymous-request/>"
  if (condition === "other") return "<ocp:other-identity/>"
  if ("list" in condition)
    return `<ocp:external-list><ocp:entry anc="${condition.list.join(" ")}"/></ocp:external-list>`
  if ("identity" in condition)
    return `<identity>${condition.identity.map((alternative) => writeAlternative(alternative, choose)).join(" ")}</identity>`
  if ("sphere" in condition) {
    const value = condition.sphere
      .map((text) => pick([text, text.toUpperCase()], choose))
      .join(pick([" ", "  "], choose))
    return pick([`<sphere value="${value}"/>`, `<sphere>\n${value} </sphere>`], choose)
  }
  const inside =
    condition.validity === "broken" ? pick(broken, choose) : writePeriods(condition.validity, choose)
  return `<validity>${inside}</validity>`
}

const writeGrant = (atom: string): string => {
  const [kind, ...rest] = atom.split(" ")
  const argument = rest.join(" ")
  if (kind === "all-attributes") return "<pr:provide-all-attributes/>"
  if (kind === "attribute") return `<pr:provide-${argument}>true</pr:provide-${argument}>`
  if (kind === "input") return `<pr:provide-user-input>${argument}</pr:provide-user-input>`
  if (kind === "unknown") {
    const [ns = "", name = ""] = rest
    return `<pr:provide-unknown-attribute ns="${ns}" name="${name}">true</pr:provide-unknown-attribute>`
  }
  const [selectorKind, value] = argument.split("=")
  const member =
    value === undefined ? `<pr:${argument}/>` : `<pr:${selectorKind}>${value}</pr:${selectorKind}>`
  return `<pr:provide-${kind}>${member}</pr:provide-${kind}>`
}

/** Text without a meaning, for every place where it may stand. */
const chaff = ["", "", "", "<!-- -->", "\n"]
const unknownGrants = [
  "<x:provide-mood>true</x:provide-mood>",
  "<pr:provide-x>true</pr:provide-x>",
  "<pr:provide-mood>no</pr:provide-mood>",
]
const unknownActions = [
  handling("permit"),
  handling("ALLOW"),
  "<x:sub-handling>allow</x:sub-handling>",
  handling(""),
]

/** The model as a document; `seed` determines all spellings. */
export const writeRules = (rules: readonly ModelRule[], seed: number): string => {
  const choose = choices(seed)
  const written = rules.map(({ conditions, handling: value, grants }, index) => {
    const inside = conditions.map((condition) => writeCondition(condition, choose)).join(pick(chaff, choose))
    const action =
      value === null ? pick(["", ...unknownActions], choose) : handling(handlings[value / 10 + 1] ?? "")
    const transformations = grants.map(writeGrant).join(pick([...chaff, ...unknownGrants], choose))
    return rule(
      `r${index}`,
      conditions.length === 0 && choose(2) === 0 ? null : inside,
      action,
      transformations,
    )
  })
  return ruleset(written.join(pick([...chaff, "<x:rule/>"], choose)))
}

/** The members of the external list named by an anchor. */
export const resolveList = (anchor: string): readonly string[] | null =>
  anchor === "" ? null : anchor.split(" ").map((name) => uris[name as PersonName]?.at(-1) ?? name)

/** Whether permissions grant the atom. */
export const grantsAtom = (permissions: Permissions, atom: string): boolean => {
  const [kind = "", ...rest] = atom.split(" ")
  if (kind === "all-attributes") return permissions.allAttributes
  if (kind === "attribute") return permissions.attributes.some((name) => name === rest[0])
  if (kind === "input")
    return userInputs.indexOf(permissions.userInput) >= userInputs.findIndex((value) => value === rest[0])
  if (kind === "unknown")
    return (
      permissions.allAttributes ||
      permissions.unknownAttributes.some(({ namespace, name }) => namespace === rest[0] && name === rest[1])
    )
  const { all, selectors } = permissions[kind as "devices" | "persons" | "services"]
  return all || selectors.some(({ by, value }) => `${by}=${value}` === rest[0])
}

/** Whether a set of atoms grants an atom, by what RFC 5025 says about macros and scales. */
export const impliesAtom = (grants: ReadonlySet<string>, atom: string): boolean => {
  if (grants.has(atom)) return true
  const [kind = ""] = atom.split(" ")
  if (kind === "input" && grants.has("input full")) return true
  if (atom === "input bare" && grants.has("input thresholds")) return true
  if (["attribute", "input", "unknown"].includes(kind)) return grants.has("all-attributes")
  return grants.has(`${kind} all-${kind}`)
}
