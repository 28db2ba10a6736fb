/**
 * Event packages that a program brings along: checks them, and wraps them so that every result is checked too. A fault is
 * reported as the package's own, and affects only the presentity on which it occurred.
 */
import type { EventPackage, PackageRules } from "../../domain/packages/event-package.ts"
import { isHeaderValue } from "../../domain/vocabulary.ts"
import { commonRules } from "../packages/index.ts"
import { PackageFault } from "./package-fault.ts"
import { quiet, shown, wordsOf } from "./words.ts"

const mediaType = /^[^\s;/A-Z]+\/[^\s;/A-Z]+$/
const token = /^[A-Za-z0-9!%*_+`'~.-]{1,100}$/

/** Says what is expected instead of a value; null: the value is valid. */
type Expectation = (value: unknown) => string | null

const listOf =
  (isOne: (value: unknown) => boolean, what: string): Expectation =>
  (value) =>
    Array.isArray(value) && value.every(isOne) ? null : what

const isText = (value: unknown): value is string => typeof value === "string"
const optional =
  (expectation: Expectation): Expectation =>
  (value) =>
    value === undefined ? null : expectation(value)
const truth: Expectation = (value) => (typeof value === "boolean" ? null : "true or false")
const callable: Expectation = (value) => (typeof value === "function" ? null : "a function")
const word: Expectation = (value) => (isText(value) && token.test(value) ? null : "a token")
const oneOf =
  (...choices: readonly string[]): Expectation =>
  (value) =>
    choices.some((choice) => choice === value)
      ? null
      : choices.map((choice) => JSON.stringify(choice)).join(" or ")
const types = listOf(
  (type) => isText(type) && mediaType.test(type),
  'an array of media types in lower case, such as ["text/plain"]',
)
const headerNames = listOf((name) => isText(name) && token.test(name), "an array of names of headers")

const members: { readonly [Name in keyof EventPackage]-?: Expectation } = {
  name: (value) =>
    isText(value) && /^[^\s,"\p{Cc}]{1,200}$/u.test(value) ? null : "what can stand in an Event header",
  accepts: types,
  produces: types,
  carriedHeaders: optional(headerNames),
  bodyRequired: optional(truth),
  defaultExpires: (value) =>
    typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 0xffff_ffff
      ? null
      : `a whole number of seconds from 1 to ${0xffff_ffff}`,
  entityTags: oneOf("new-each-time", "kept"),
  notifyIntervalMillis: (value) =>
    typeof value === "number" && value >= 0 && value <= 2_147_483_647
      ? null
      : "a number of milliseconds from 0 to 2147483647",
  parse: callable,
  parseHeaders: optional(callable),
  renderHeaders: optional(callable),
  compose: callable,
  ordered: optional(truth),
  readsDevices: optional(truth),
  mayReplace: optional(callable),
  tailor: optional(callable),
  otherForms: optional((value) =>
    value instanceof Map && [...value].every((entry) => entry.every(isText))
      ? null
      : "a Map from media types to needs",
  ),
  readParameters: optional(callable),
  requests: optional(types),
  applyRequest: optional(callable),
  render: callable,
  offline: callable,
  amend: optional(callable),
  difference: optional(callable),
  personalize: optional(callable),
  mixes: optional((value) =>
    typeof value === "object" && value !== null && "from" in value && "blend" in value
      ? mixesFault(value.from, value.blend)
      : "{ from, blend }",
  ),
  watchers: optional(oneOf("owner", "domain", "everybody", "rules")),
  rules: optional((value) =>
    typeof value === "object" && value !== null ? rulesFault(value) : "an object of functions",
  ),
  argumentHeader: optional(word),
  presentityOf: optional(callable),
  presentityHeaders: optional(headerNames),
  composesFrom: optional((value) => (isText(value) ? null : "the name of an event package")),
  checkSubscription: optional(callable),
  checkPublication: optional(callable),
  notifiesTimeout: optional(truth),
  watcherInfoOf: optional((value) => (isText(value) ? null : "the name of an event package")),
  renderWatchers: optional(callable),
}

const memberNames = Object.keys(members) as readonly (keyof EventPackage)[]

const rulesMembers = ["read", "judge", "names", "nextBoundary", "asksForSphere", "sphere"] as const

const rulesFault = (rules: object): string | null => {
  const members = rules as Readonly<Record<string, unknown>>
  const lacking = rulesMembers.filter((name) => typeof members[name] !== "function")
  const wrong = [
    ...(lacking.length > 0 ? [`an object with ${functions(lacking)}`] : []),
    ...(members["filter"] === undefined || typeof members["filter"] === "function"
      ? []
      : ["an object whose filter is a function"]),
  ]
  return wrong.length === 0 ? null : wrong.join(", and ")
}

const functions = (names: readonly string[]): string => names.map((name) => `a function ${name}`).join(", ")

const mixesFault = (from: unknown, blend: unknown): string | null => {
  const wrong = [...faultsOf("from", from), ...(typeof blend === "function" ? [] : ["blend: a function"])]
  return wrong.length === 0 ? null : wrong.join("; ")
}

/** A line for each invalid member, with its name, value and what is expected. */
const faultsOf = (path: string, eventPackage: unknown): readonly string[] => {
  if (typeof eventPackage !== "object" || eventPackage === null)
    return [`${path} = ${shown(eventPackage)}: expected an event package`]
  return memberNames.flatMap((name) => {
    try {
      const value = (eventPackage as unknown as Readonly<Record<string, unknown>>)[name]
      const wrong = members[name](value)
      return wrong === null ? [] : [`${path}.${name} = ${shown(value)}: expected ${wrong}`]
    } catch (cause) {
      return [`${path} cannot be read: ${wordsOf(cause)} (${name})`]
    }
  })
}

/** Errors in `options.packages`, a line each. */
export const packageFaults = (packages: unknown): readonly string[] => {
  let all: readonly unknown[]
  try {
    if (!Array.isArray(packages))
      return [`packages = ${shown(packages)}: expected an array of event packages`]
    all = Array.from({ length: packages.length }, (_, index) => packages[index] as unknown)
  } catch (cause) {
    return [`packages cannot be read: ${wordsOf(cause)}`]
  }
  return all.flatMap((eventPackage, index) => faultsOf(`packages[${index}]`, eventPackage))
}

const known = new WeakMap<object, EventPackage>()

/** The same wrapper for the same package, so that results cached for a package are found again. */
export const checkedPackage = (eventPackage: EventPackage): EventPackage => {
  const before = known.get(eventPackage)
  if (before !== undefined) return before
  const checked = checkedAnew(eventPackage)
  known.set(eventPackage, checked)
  known.set(checked, checked)
  return checked
}

const checkedAnew = (eventPackage: EventPackage): EventPackage => {
  const event = eventPackage.name
  const guarded = <Call extends (...args: never) => unknown>(
    member: string,
    call: Call | undefined,
    expect: (answer: ReturnType<Call>, args: Parameters<Call>) => string | null,
  ): Call | undefined => {
    if (call === undefined) return undefined
    const checked = (...args: Parameters<Call>): ReturnType<Call> => {
      let answer: ReturnType<Call>
      let wrong: string | null
      try {
        answer = call(...(args as never)) as ReturnType<Call>
        wrong = expect(answer, args)
      } catch (cause) {
        throw new PackageFault({ event, member, why: `threw: ${wordsOf(cause)}`, cause })
      }
      if (wrong === null) return answer
      quiet(answer)
      throw new PackageFault({ event, member, why: `gave ${shown(answer)}: expected ${wrong}` })
    }
    return checked as unknown as Call
  }
  const { rules, mixes } = eventPackage
  const plain: Record<string, unknown> = {}
  for (const name of memberNames) if (eventPackage[name] !== undefined) plain[name] = eventPackage[name]
  const methods = {
    parse: guarded("parse", eventPackage.parse.bind(eventPackage), parsedOrWhy),
    parseHeaders: guarded("parseHeaders", eventPackage.parseHeaders?.bind(eventPackage), parsedOrWhy),
    renderHeaders: guarded("renderHeaders", eventPackage.renderHeaders?.bind(eventPackage), headers),
    compose: guarded("compose", eventPackage.compose.bind(eventPackage), document),
    render: guarded("render", eventPackage.render.bind(eventPackage), body),
    offline: guarded("offline", eventPackage.offline.bind(eventPackage), document),
    amend: guarded("amend", eventPackage.amend?.bind(eventPackage), document),
    difference: guarded("difference", eventPackage.difference?.bind(eventPackage), document),
    personalize: guarded("personalize", eventPackage.personalize?.bind(eventPackage), body),
    presentityOf: guarded("presentityOf", eventPackage.presentityOf?.bind(eventPackage), presentityFound),
    checkSubscription: guarded(
      "checkSubscription",
      eventPackage.checkSubscription?.bind(eventPackage),
      refusal,
    ),
    checkPublication: guarded("checkPublication", eventPackage.checkPublication?.bind(eventPackage), refusal),
    renderWatchers: guarded("renderWatchers", eventPackage.renderWatchers?.bind(eventPackage), body),
    mixes:
      mixes === undefined
        ? undefined
        : {
            from: checkedPackage(mixes.from),
            blend: guarded("mixes.blend", mixes.blend.bind(mixes), document),
          },
    rules: rules === undefined ? undefined : checkedRules(rules, guarded),
  }
  for (const [name, method] of Object.entries(methods)) if (method !== undefined) plain[name] = method
  return plain as unknown as EventPackage
}

type Guarded = <Call extends (...args: never) => unknown>(
  member: string,
  call: Call | undefined,
  expect: (answer: ReturnType<Call>, args: Parameters<Call>) => string | null,
) => Call | undefined

/** The registry recognizes by `sphere` whose documents give the sphere. */
const bundledRules = commonRules()
const isBundledSphere = (rules: PackageRules): boolean =>
  (rules as unknown as Readonly<Record<string, unknown>>)["sphere"] ===
  (bundledRules as unknown as Readonly<Record<string, unknown>>)["sphere"]

const checkedRules = (rules: PackageRules, guarded: Guarded): PackageRules => {
  const checked = {
    read: guarded("rules.read", rules.read.bind(rules), (answer) =>
      tagged(answer, "rules", '{ _tag: "Parsed", rules } or { _tag: "Unreadable", why }'),
    ),
    judge: guarded("rules.judge", rules.judge.bind(rules), (answer) =>
      typeof answer === "object" &&
      answer !== null &&
      (answer.handling === null || handlings.has(answer.handling)) &&
      Array.isArray(answer.matched) &&
      answer.matched.every((rule) => Number.isSafeInteger(rule) && rule >= 0)
        ? null
        : "{ handling, matched }",
    ),
    names: guarded("rules.names", rules.names.bind(rules), (answer) =>
      Array.isArray(answer) && answer.every(isText) ? null : "an array of names",
    ),
    nextBoundary: guarded("rules.nextBoundary", rules.nextBoundary.bind(rules), (answer, [, , now]) =>
      answer === null || (typeof answer === "number" && Number.isFinite(answer) && answer > now)
        ? null
        : "an instant after the one given, or null",
    ),
    asksForSphere: guarded("rules.asksForSphere", rules.asksForSphere.bind(rules), truth),
    // the same function, because the registry recognizes it by identity
    sphere: isBundledSphere(rules)
      ? (rules as unknown as Readonly<Record<string, unknown>>)["sphere"]
      : guarded("rules.sphere", rules.sphere.bind(rules), (answer) =>
          answer === null || isText(answer) ? null : "a word, or null",
        ),
    filter: guarded("rules.filter", rules.filter?.bind(rules), document),
  }
  const present = Object.entries(checked).filter(([, member]) => member !== undefined)
  return Object.fromEntries(present) as unknown as PackageRules
}

const handlings: ReadonlySet<unknown> = new Set(["block", "confirm", "polite-block", "allow"])

const isPromise = (value: unknown): boolean => value instanceof Promise

const tagged = (answer: unknown, member: "document" | "rules", expected: string): string | null => {
  if (typeof answer !== "object" || answer === null || !("_tag" in answer)) return expected
  if (answer._tag === "Parsed")
    return member in answer && (answer as Readonly<Record<string, unknown>>)[member] !== undefined
      ? null
      : expected
  return answer._tag === "Unreadable" && "why" in answer && isText(answer.why) ? null : expected
}

const parsedOrWhy: Expectation = (answer) =>
  tagged(answer, "document", '{ _tag: "Parsed", document } or { _tag: "Unreadable", why }')

const document: Expectation = (answer) =>
  answer === undefined || isPromise(answer) ? "a document, or null" : null

/** It becomes part of a header: a line break in it would start another header. */
const isOneLine = (value: unknown): value is string => isText(value) && !/[\r\n\0]/.test(value)

const body: Expectation = (answer) =>
  typeof answer === "object" &&
  answer !== null &&
  "contentType" in answer &&
  isOneLine(answer.contentType) &&
  "text" in answer &&
  isText(answer.text) &&
  (!("parameters" in answer) || answer.parameters === undefined || isOneLine(answer.parameters))
    ? null
    : "{ contentType, text }, with contentType and parameters in one line"

const headers: Expectation = (answer) =>
  Array.isArray(answer) &&
  answer.every(
    (header: unknown) =>
      Array.isArray(header) &&
      header.length === 2 &&
      isText(header[0]) &&
      token.test(header[0]) &&
      isOneLine(header[1]),
  )
    ? null
    : "an array of [name, value]"

const presentityFound: Expectation = (answer) =>
  typeof answer === "object" &&
  answer !== null &&
  "_tag" in answer &&
  ((answer._tag === "Found" && "presentity" in answer && isText(answer.presentity)) ||
    (answer._tag === "BadRequest" && "why" in answer && isText(answer.why)))
    ? null
    : "{ _tag: Found, presentity } or { _tag: BadRequest, why }"

const statuses: Readonly<Record<string, number>> = {
  BadRequest: 400,
  Forbidden: 403,
  TemporarilyUnavailable: 480,
}

const refusal: Expectation = (answer) =>
  answer === null ||
  (typeof answer === "object" &&
    "_tag" in answer &&
    "status" in answer &&
    "why" in answer &&
    isText(answer._tag) &&
    Object.hasOwn(statuses, answer._tag) &&
    statuses[answer._tag] === answer.status &&
    isText(answer.why) &&
    (answer.why === "" || isHeaderValue(answer.why) || !/[\r\n\0]/.test(answer.why)))
    ? null
    : "null, or { _tag, status, why } of 400, 403 or 480"
