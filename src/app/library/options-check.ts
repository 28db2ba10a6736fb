/**
 * Checks all options before anything is started.
 */
import { Layer } from "effect"
import type { Limits } from "../../domain/presentity/context.ts"
import type { WatchOptions } from "../config/watch-policies.ts"
import { packageFaults } from "../extensions/checked-package.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { foreverSeconds } from "./arguments.ts"
import { nearNames, shownName } from "./names.ts"
import { OptionsInvalid } from "./refused.ts"

/** Says what is expected instead of a value; null: the value is valid. */
type Expectation = (value: unknown) => string | null

const whole =
  (min: number, max: number, what = "a whole number"): Expectation =>
  (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? null
      : `${what} from ${min} to ${max}`

const either =
  (expectation: Expectation, alternative: unknown): Expectation =>
  (value) =>
    value === alternative ? null : orElse(expectation(value), alternative)

const orElse = (expected: string | null, alternative: unknown): string | null =>
  expected === null ? null : `${expected}, or ${String(alternative)}`

const oneOf =
  (...choices: readonly string[]): Expectation =>
  (value) =>
    choices.some((choice) => choice === value)
      ? null
      : choices.map((choice) => JSON.stringify(choice)).join(" or ")

const truth: Expectation = (value) => (typeof value === "boolean" ? null : "true or false")
const callable: Expectation = (value) => (typeof value === "function" ? null : "a function")
/** Whether it is an object with names, and not a list, a date, a map or a promise, none of which can be what was meant. */
export const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !nameless.some((kind) => value instanceof kind)
const nameless = [Array, Date, Map, Set, Promise] as const
const object: Expectation = (value) => (isRecord(value) ? null : "an object")
const textLists: Expectation = (value) =>
  isRecord(value) &&
  Object.values(value).every(
    (list: unknown) => Array.isArray(list) && list.every((entry) => typeof entry === "string"),
  )
    ? null
    : "an object with a list of URIs by the name of each"
const texts: Expectation = (value) =>
  isRecord(value) && Object.values(value).every((entry) => typeof entry === "string")
    ? null
    : "an object with a policy by the name of each"
const treatment = oneOf("block", "confirm", "polite-block", "allow")
const lifetime = whole(0, foreverSeconds, "a whole number of seconds")
const longest = whole(1, foreverSeconds, "a whole number of seconds")

/** Longest delay of a timer on this platform. */
const timerMaxMillis = 2_147_483_647

const wait: Expectation = (value) =>
  typeof value === "number" && value > 0 && value * 1000 <= timerMaxMillis
    ? null
    : `a number of seconds above 0, up to ${Math.trunc(timerMaxMillis / 1000)}`

const limits: { readonly [Name in keyof Limits]-?: Expectation } = {
  maxExpiresPublish: longest,
  maxExpiresSubscribe: longest,
  minExpiresPublish: lifetime,
  minExpiresSubscribe: lifetime,
  expiresOffset: lifetime,
  notifyIntervalMillis: either(whole(0, timerMaxMillis, "a whole number of milliseconds"), null),
  endSubOnTimeout: truth,
  probeSeconds: lifetime,
  profile: oneOf("3265", "6665"),
  noRules: treatment,
  noMatch: treatment,
  watching: object,
  waitingDays: whole(0, 36_500, "a whole number of days"),
  sphereCheck: truth,
  rateControl: truth,
  conditionalNotify: truth,
  publicationsMax: whole(1, 1_000_000),
  subscriptionsMax: whole(1, 10_000_000),
  retryAfter: lifetime,
}

const watching: { readonly [Name in keyof WatchOptions]-?: Expectation } = {
  policies: texts,
  lineMembers: textLists,
  mailboxOwners: textLists,
}

const options: Readonly<Record<string, Expectation>> = {
  // each is checked below
  packages: () => null,
  limits: object,
  store: (value) =>
    Layer.isLayer(value)
      ? null
      : "a store: memoryStore(), embeddedStore(folder), postgresStore(url) or storeOf({ … })",
  rules: callable,
  rulesWait: wait,
  onRulesFault: callable,
  onFault: callable,
  watching: object,
  authorize: callable,
  now: callable,
  storeWait: wait,
  bodyMax: whole(1, 100_000_000, "a whole number of characters"),
  queueMax: whole(1, 10_000_000),
}

/**
 * The options as plain values, each read once.
 *
 * @throws OptionsInvalid with a line for each invalid option
 */
export const checkedOptions = <Options extends object>(given: Options): Options => {
  const expected = startFault(given)
  if (expected !== null)
    throw new OptionsInvalid({ faults: [`options = ${shown(given)}: expected ${expected}`] })
  const faults: string[] = []
  const checked = readAll("", given, options, faults)
  const { packages } = checked
  if (packages !== undefined) faults.push(...packageFaults(packages))
  if (checked["watching"] !== undefined)
    checked["watching"] = readAll("watching.", checked["watching"] as object, watching, faults)
  if (checked["limits"] !== undefined) {
    const bounds = readAll("limits.", checked["limits"] as object, limits, faults)
    checked["limits"] = bounds
    for (const kind of ["Publish", "Subscribe"]) {
      const [min, max] = [bounds[`minExpires${kind}`], bounds[`maxExpires${kind}`]]
      if (typeof min === "number" && typeof max === "number" && min > max)
        faults.push(`limits.minExpires${kind} = ${min}: must not be above maxExpires${kind} = ${max}`)
    }
  }
  if (faults.length > 0) throw new OptionsInvalid({ faults })
  return checked as Options
}

/** What is expected instead of the options; null: they can be read. */
const startFault = (given: unknown): string | null => {
  try {
    if (!isRecord(given)) return "an object of options, such as { store: memoryStore() }"
    return Layer.isLayer(given) ? "an object of options: a store goes into { store }" : null
  } catch {
    // what cannot be inspected is reported when it is read
    return null
  }
}

const readAll = (
  path: string,
  given: object,
  expected: Readonly<Record<string, Expectation>>,
  faults: string[],
): Record<string, unknown> => {
  const found: Record<string, unknown> = {}
  let names: readonly string[] = []
  try {
    names = Object.keys(given)
  } catch (cause) {
    faults.push(`${path === "" ? "options" : path.slice(0, -1)} cannot be read: ${wordsOf(cause)}`)
  }
  for (const name of names) {
    const expectation = Object.hasOwn(expected, name) ? expected[name] : undefined
    if (expectation === undefined) {
      faults.push(
        `${path}${shownName(name)}: there is no such option${nearNames(name, Object.keys(expected))}`,
      )
      continue
    }
    try {
      const value = (given as Readonly<Record<string, unknown>>)[name]
      if (value === undefined) continue
      const wrong = expectation(value)
      if (wrong === null) found[name] = value
      else faults.push(`${path}${name} = ${shown(value)}: expected ${wrong}`)
    } catch (cause) {
      faults.push(`${path}${name} cannot be read: ${wordsOf(cause)}`)
    }
  }
  return found
}
