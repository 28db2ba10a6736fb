/**
 * Rules documents and a presence document for tests, in short.
 */
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { matchingRules, permissionsOf, readRules } from "../../src/domain/packages/presence-rules.ts"
import type {
  RuleQuestion,
  Permissions,
  RulesDocument,
  RulesOptions,
} from "../../src/domain/packages/presence-rules.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"

export const ruleset = (inside: string): string =>
  `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules" ` +
  `xmlns:ocp="urn:oma:xml:xdm:common-policy" xmlns:x="urn:x">${inside}</ruleset>`

/** One rule; `conditions` null leaves the element out. */
export const rule = (id: string, conditions: string | null, actions = "", transformations = ""): string =>
  `<rule id="${id}">${conditions === null ? "" : `<conditions>${conditions}</conditions>`}` +
  `<actions>${actions}</actions><transformations>${transformations}</transformations></rule>`

/** The transformations that show everything. */
export const everything =
  "<pr:provide-services><pr:all-services/></pr:provide-services>" +
  "<pr:provide-persons><pr:all-persons/></pr:provide-persons>" +
  "<pr:provide-devices><pr:all-devices/></pr:provide-devices><pr:provide-all-attributes/>"

export const handling = (value: string): string => `<pr:sub-handling>${value}</pr:sub-handling>`

/** A rule for one watcher, with further conditions. */
export const ruleFor = (
  watcher: string,
  treat: string,
  transformations = everything,
  conditions = "",
): string =>
  rule(
    `r${watcher.replace(/\W/g, "-")}${conditions.replace(/\W/g, "-")}`,
    `<identity><one id="${watcher}"/></identity>${conditions}`,
    handling(treat),
    transformations,
  )

export const reading = (text: string, options?: RulesOptions): RulesDocument => {
  const read = readRules(text, xmlCodec, options)
  if (read._tag === "Unreadable") throw new Error(`${read.why}: ${text.slice(0, 500)}`)
  return read.rules
}

/** A requester at an instant; by default Bob at the epoch, without a sphere. */
export const asked = (
  uris: string | readonly string[] = "sip:bob@example.com",
  sphere: string | null = null,
  now: number | string = 0,
): RuleQuestion => ({
  requester: { uris: (typeof uris === "string" ? [uris] : uris) as readonly Uri[] },
  sphere,
  now: typeof now === "number" ? now : Date.parse(now),
})

export const nobody: readonly string[] = []

/** Whether a rule with only these conditions matches. */
export const matches = (conditions: string, circumstances = asked(), options?: RulesOptions): boolean =>
  matchingRules(reading(ruleset(rule("a", conditions)), options), circumstances).length === 1

/** What a rule for everyone with only these transformations grants. */
export const granting = (transformations: string, options?: RulesOptions): Permissions =>
  permissionsOf(reading(ruleset(rule("a", null, "", transformations)), options), [0])
