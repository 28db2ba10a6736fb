/**
 * Rules about single requests as a configuration has them (`handle_publish`, `handle_subscribe`), read top down: the
 * first whose conditions all hold says what the request is granted.
 *
 *     handle_subscribe:
 *       - { source: 10.0.0.0/8, force_active: true }
 *       - { event: "*.winfo", refuse: 403 Not Here }
 *       - { from: { not: { same_domain_as: to } }, refuse: 403 }
 */
import { BlockList, isIP } from "node:net"
import type { PolicyDecision, PolicyRequest, SenderFrom } from "../../adapters/sip/policy.ts"
import { isTransportName, transportNames } from "../../adapters/sip/transports/names.ts"
import type { TransportName } from "../../adapters/sip/transports/names.ts"
import { parseUri } from "../../adapters/sip/uri.ts"
import { domainOf } from "../../domain/uris.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import { didYouMean } from "./did-you-mean.ts"

/** One value, or several of which any may match; `not`: none of these may. */
export type PolicyValue<Value> = OnePolicyValue<Value> | readonly OnePolicyValue<Value>[]
type OnePolicyValue<Value> = Value | { readonly not: PolicyValue<Value> }

/** A URI as a shell wildcard, or the other URI of the request: the same URI, or one in the same domain. */
export type UriValue = string | { readonly same_as: UriField } | { readonly same_domain_as: UriField }
type UriField = "from" | "to"

/** When a rule applies: every condition given must hold. */
export interface PolicyConditions {
  /** Event package, as a shell wildcard. */
  readonly event?: PolicyValue<string>
  /** URI of the presentity, as a shell wildcard or compared with `from`. */
  readonly to?: PolicyValue<UriValue>
  /** URI of the requester, as a shell wildcard or compared with `to`. */
  readonly from?: PolicyValue<UriValue>
  /** IP address, or a network such as 10.0.0.0/8. */
  readonly source?: PolicyValue<string>
  readonly transport?: PolicyValue<TransportName>
  /** Authenticated user name, as a shell wildcard. */
  readonly user?: PolicyValue<string>
  readonly method?: "PUBLISH" | "SUBSCRIBE"
}

/** What a PUBLISH is granted; what is left out keeps its default. */
export interface PublishOutcome {
  /** The device that made the change and is not notified of it: `from`, `contact`, `header NAME` or a URI. */
  readonly sender?: string
  /** A status code, optionally with a reason phrase: `403 Not Here`. */
  readonly refuse?: string | number
}

/** What a SUBSCRIBE is granted; what is left out keeps its default. */
export interface SubscribeOutcome {
  /** Active at once, without consulting the presentity's rules. */
  readonly force_active?: boolean
  readonly sharing_tag?: string
  readonly refuse?: string | number
}

/** An entry of `handle_publish`: which PUBLISH requests it applies to, and what they are granted. The first match counts. */
export type PublishRule = PolicyConditions & PublishOutcome
/** An entry of `handle_subscribe`: which SUBSCRIBE requests it applies to, and what they are granted. The first match counts. */
export type SubscribeRule = PolicyConditions & SubscribeOutcome

export type PolicyKind = "publish" | "subscribe"

/** A compiled rule. */
export interface PolicyRule {
  readonly fits: (request: PolicyRequest) => boolean
  readonly grant: PolicyDecision
  /** Names of event packages in the rule, without wildcards. */
  readonly events: readonly string[]
}

/** The place of a part of the value, for messages. */
export type At = (...path: readonly (string | number)[]) => string

/** @param faults receives a line for each error */
export const readPolicyRules = (
  kind: PolicyKind,
  value: unknown,
  at: At,
  faults: string[],
): readonly PolicyRule[] => {
  const name = `handle_${kind}`
  if (!Array.isArray(value)) {
    const example = kind === "publish" ? "sender: contact" : "force_active: true"
    faults.push(`${name} (${at()}): expected a list of rules, for example [{source: 10.0.0.0/8, ${example}}]`)
    return []
  }
  let everything: number | null = null
  return value.flatMap((rule: unknown, index) => {
    const where = `${name} rule ${index + 1}`
    if (everything !== null) {
      const why = `rule ${everything} fits every request; put it last or give it a condition`
      faults.push(`${where} (${at(index)}): is never reached: ${why}`)
      return []
    }
    if (!isRecord(rule)) {
      faults.push(`${where} (${at(index)}): expected conditions and an outcome by name`)
      return []
    }
    const fault = (key: string, allowed: string): void => {
      faults.push(`${where} ${key} = ${brief(rule[key])} (${at(index, key)}): ${allowed}`)
    }
    for (const key of Object.keys(rule)) {
      if (key in conditions || outcomes[kind].includes(key)) continue
      const known = [...Object.keys(conditions), ...outcomes[kind]]
      const allowed = known.join(", ")
      const hint = didYouMean(key, known)
      faults.push(
        `${where} ${key} (${at(index, key)}): there is no such condition or outcome${hint || `; there are ${allowed}`}`,
      )
    }
    const held = readConditions(kind, rule, fault)
    const grant = readOutcome(kind, rule, fault)
    if (Object.keys(rule).length === 0) {
      faults.push(`${where} (${at(index)}): says nothing; give it a condition or an outcome`)
    }
    if (held.every.length === 0) everything = index + 1
    const fits = (request: PolicyRequest): boolean => held.every.every((holds) => holds(request))
    return [{ fits, grant, events: held.events }]
  })
}

/** Checks the outcome of a rule or of an operator's code; `faults` receives what is wrong with it. */
export const readOutcome = (
  kind: PolicyKind,
  outcome: Readonly<Record<string, unknown>>,
  fault: (key: string, allowed: string) => void,
): PolicyDecision => {
  const { refuse, sender } = outcome
  const forceActive = outcome["force_active"]
  const sharingTag = outcome["sharing_tag"]
  if (refuse !== undefined) {
    const refused = readRefusal(refuse)
    const otherKeys = outcomes[kind].filter((key) => key !== "refuse" && outcome[key] !== undefined)
    if (refused === null) {
      fault(
        "refuse",
        "expected a status from 400 to 699 that needs no header of its own, for example 403 Not Here",
      )
    } else if (otherKeys.length > 0) fault("refuse", `stands alone; leave out ${otherKeys.join(" and ")}`)
    return refused ?? { _tag: "Refused", status: 500, reason: null }
  }
  const grant: { -readonly [Key in keyof Granted]: Granted[Key] } = { _tag: "Granted" }
  if (kind === "publish" && sender !== undefined) {
    const from = readSenderFrom(sender)
    if (from === null) {
      fault("sender", "expected from, contact, header NAME or a SIP URI, for example header Sender")
    } else grant.sender = from
  }
  if (kind === "subscribe" && forceActive !== undefined) {
    const truth = typeof forceActive === "boolean" ? forceActive : truths.get(forceActive)
    if (truth === undefined) fault("force_active", "expected true or false")
    else grant.forceActive = truth
  }
  if (kind === "subscribe" && sharingTag !== undefined) {
    if (typeof sharingTag === "string" && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/.test(sharingTag)) {
      grant.sharingTag = sharingTag
    } else {
      fault(
        "sharing_tag",
        "expected a name of at most 32 letters, digits, dots, dashes and underscores, for example vip",
      )
    }
  }
  return grant
}

type Granted = Extract<PolicyDecision, { readonly _tag: "Granted" }>

export const outcomes: Readonly<Record<PolicyKind, readonly string[]>> = {
  publish: ["sender", "refuse"],
  subscribe: ["force_active", "sharing_tag", "refuse"],
}

/** Accepted beside true and false, as in the OpenSIPS module. */
const truths = new Map<unknown, boolean>([
  [1, true],
  [0, false],
])

/** Statuses that make sense only with headers that the server adds when it refuses by itself. */
const withHeaders = new Set([401, 405, 406, 407, 412, 415, 420, 421, 423, 489, 494])

const readRefusal = (text: unknown): Extract<PolicyDecision, { readonly _tag: "Refused" }> | null => {
  const [, digits, reason] = /^([4-6]\d\d)(?: ([\x20-\x7e]{1,80}))?$/.exec(String(text)) ?? []
  if (digits === undefined || withHeaders.has(Number(digits))) return null
  return { _tag: "Refused", status: Number(digits), reason: reason?.trim() || null }
}

const readSenderFrom = (text: unknown): SenderFrom | null => {
  if (typeof text !== "string") return null
  if (text === "from") return { _tag: "From" }
  if (text === "contact") return { _tag: "Contact" }
  const [, name] = /^header ([A-Za-z0-9!%*_+`'~.-]{1,64})$/.exec(text) ?? []
  if (name !== undefined) return { _tag: "Header", name }
  return parseUri(text) === null ? null : { _tag: "Uri", uri: text }
}

type Holds = (request: PolicyRequest) => boolean

interface Condition {
  readonly allowed: string
  /** Compiles one value of a condition; null: the value is not valid. */
  readonly holds: (value: string) => Holds | null
  /** The same for a value that names another field; absent: the condition cannot be compared with a field. */
  readonly compares?: (how: Comparison, field: string) => Holds | null
}

type Comparison = (typeof comparisons)[number]

const comparisons = ["same_as", "same_domain_as"] as const

const uriFields: Readonly<Record<UriField, (request: PolicyRequest) => string>> = {
  from: ({ from }) => from,
  to: ({ presentity }) => presentity,
}

/** A URI without a domain matches no domain, and neither does an anonymous one (RFC 3323 §4.1.1.3). */
const isSameDomain = (left: string, right: string): boolean => {
  const domain = domainOf(left)
  return domain !== null && domain !== "anonymous.invalid" && domain === domainOf(right)
}

const comparedUri =
  (own: UriField) =>
  (how: Comparison, field: string): Holds | null => {
    if (field !== "from" && field !== "to") return null
    // comparing a field with itself is always true, and cannot be meant
    if (field === own) return null
    const isSame = how === "same_as" ? (left: string, right: string) => left === right : isSameDomain
    return (request) => isSame(uriFields[own](request), uriFields[field](request))
  }

const uriPattern = (uriIn: (request: PolicyRequest) => string) => (text: string) => {
  if (!/^(?:sip:|tel:|[*?])/.test(text)) return null
  // host names are compared in lower case
  const pattern = text.replace(/@[^@]*$/, (host) => host.toLowerCase())
  return (request: PolicyRequest): boolean => matchesWildcard(pattern, uriIn(request))
}

const conditions: Readonly<Record<keyof PolicyConditions, Condition>> = {
  event: {
    allowed: "expected the name of an event package, for example presence or *.winfo",
    holds: (text) =>
      /^[\x21-\x7e]+$/.test(text)
        ? ({ event }) => event !== null && matchesWildcard(text.toLowerCase(), event.toLowerCase())
        : null,
  },
  to: {
    allowed: "expected a URI, with * and ? for what may differ, for example sip:*@example.com",
    holds: uriPattern(uriFields.to),
    compares: comparedUri("to"),
  },
  from: {
    allowed: "expected a URI, with * and ? for what may differ, for example sip:*@example.com",
    holds: uriPattern(uriFields.from),
    compares: comparedUri("from"),
  },
  source: {
    allowed: "expected an IP address or a network, for example 10.0.0.0/8",
    holds: (text) => inNetwork(text),
  },
  transport: {
    allowed: `expected ${transportNames.join(" or ")}`,
    holds: (text) => (isTransportName(text) ? ({ transport }) => transport === text : null),
  },
  user: {
    allowed: "expected the name somebody authenticates with, for example alice or *",
    holds: (text) => (text === "" ? null : ({ user }) => user !== null && matchesWildcard(text, user)),
  },
  method: {
    allowed: "expected PUBLISH in handle_publish, SUBSCRIBE in handle_subscribe",
    holds: (text) => (text === "PUBLISH" || text === "SUBSCRIBE" ? ({ method }) => method === text : null),
  },
}

const inNetwork = (text: string): Holds | null => {
  const [address = "", bits, ...rest] = text.split("/")
  const version = isIP(address)
  const most = version === 6 ? 128 : 32
  if (version === 0 || rest.length > 0) return null
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most)) return null
  const family = version === 6 ? "ipv6" : "ipv4"
  const network = new BlockList()
  network.addSubnet(address, bits === undefined ? most : Number(bits), family)
  return ({ source }) => network.check(source, isIP(source) === 6 ? "ipv6" : "ipv4")
}

const readConditions = (
  kind: PolicyKind,
  rule: Readonly<Record<string, unknown>>,
  fault: (key: string, allowed: string) => void,
): { readonly every: readonly Holds[]; readonly events: readonly string[] } => {
  const every: Holds[] = []
  let events: readonly string[] = []
  for (const [key, condition] of Object.entries(conditions)) {
    const value = rule[key]
    if (value === undefined) continue
    const holds = holdsFor(condition, value, 0)
    const plain = plainValues(value)
    const isOther = key === "method" && (isRecord(value) || plain.some((item) => item !== kind.toUpperCase()))
    if (typeof holds === "string" || isOther)
      fault(key, typeof holds === "string" ? holds : condition.allowed)
    every.push(typeof holds === "string" ? () => false : holds)
    if (key === "event") events = plain.filter((item) => !/[*?]/.test(item))
  }
  return { every, events }
}

/** All values in a condition, including negated ones. */
const plainValues = (value: unknown): readonly string[] =>
  Array.isArray(value)
    ? value.flatMap(plainValues)
    : isRecord(value)
      ? plainValues(value["not"] ?? [])
      : [String(value)]

/** @returns what is expected when the value is not valid */
const holdsFor = (condition: Condition, value: unknown, depth: number): Holds | string => {
  const { allowed, holds, compares } = condition
  if (Array.isArray(value)) {
    const each = value.map((item: unknown) => holdsFor(condition, item, depth + 1))
    const odd = each.find((alternative) => typeof alternative === "string")
    if (each.length === 0 || depth > depthMax) return allowed
    if (odd !== undefined) return odd
    return (request) => each.some((alternative) => typeof alternative !== "string" && alternative(request))
  }
  if (isRecord(value)) {
    const entries = Object.entries(value)
    const [[name, field] = ["", null]] = entries
    const how = comparisons.find((comparison) => comparison === name)
    if (entries.length === 1 && name === "not" && depth <= depthMax) {
      const denied = holdsFor(condition, field, depth + 1)
      return typeof denied === "string" ? denied : (request) => !denied(request)
    }
    if (compares === undefined) return `${allowed}, or {not: …}`
    const compared = entries.length === 1 && how !== undefined ? compares(how, String(field)) : null
    return (
      compared ??
      `${allowed}, or the other URI: {same_as: to}, {same_domain_as: to} in from, the same with from in to, and {not: …}`
    )
  }
  return (typeof value === "string" || typeof value === "number" ? holds(String(value)) : null) ?? allowed
}

/** The deepest nesting of lists and negations. */
const depthMax = 4

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const brief = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
